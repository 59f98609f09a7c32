"""A small report of hand-made answers, with names that would harm a page that does not escape them."""

import numpy as np

from tagger.evaluation.detail import Detail, class_examples, confused_pairs, reliability, risk_coverage
from tagger.evaluation.gate import compare
from tagger.evaluation.metrics import evaluate
from tagger.evaluation.noise import label_noise
from tagger.evaluation.run import Report, Rivalry

EVIL = "<script>alert('$x$')</script>"
CLASSES = {"type": (EVIL, "Belt", "Watch"), "color": ("Black", EVIL, "Red")}


def small_report(keys, rivalry=False):
    """Of one item a key; every fifth answer is wrong."""
    rng = np.random.default_rng(0)
    labels = np.arange(len(keys)) % 3
    answers = np.where(np.arange(len(keys)) % 5 == 0, (labels + 1) % 3, labels)
    confidence = rng.uniform(0.5, 1, len(keys))
    probabilities = np.repeat((1 - confidence)[:, None] / 2, 3, axis=1)
    probabilities[np.arange(len(keys)), answers] = confidence
    evaluations = {name: evaluate(name, CLASSES[name], probabilities, labels) for name in CLASSES}
    details = {
        name: Detail(
            0.25,
            reliability(confidence, answers == labels),
            risk_coverage(confidence, answers != labels),
            confused_pairs(result),
            class_examples(CLASSES[name], keys, probabilities, labels),
        )
        for name, result in evaluations.items()
    }
    noise = {name: label_noise(CLASSES[name], keys, probabilities, labels) for name in CLASSES}
    groups = np.arange(len(keys))
    compared = tuple(compare(name, answers, labels, labels, groups) for name in CLASSES)
    rival = Rivalry("serving", "7", compared, 0.02) if rivalry else None
    return Report("shop", EVIL, "stretch", "report", evaluations, details, noise, 0.125, None, 2, rival)
