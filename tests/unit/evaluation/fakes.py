"""A tagger that answers what it is told: the first pixel of a picture is the number of its row."""

from dataclasses import fields
from types import SimpleNamespace

import numpy as np

from tagger.model.calibrate import calibrated_probabilities
from tagger.tag.observe import Evidence


class ToldTagger:
    """answers: attribute -> (N,) class numbers, given with a confidence near 1. focus: (N,)."""

    def __init__(self, classes, answers, focus=None, version="1", fit="stretch"):
        self.info = SimpleNamespace(name="told", version=version, classes=classes, fit=fit, size_px=128)
        self.thresholds = SimpleNamespace(focus=0.2)
        self._logits = {name: np.eye(len(classes[name]))[answers[name]] * 9 for name in answers}
        self._focus = np.zeros(len(answers["type"])) if focus is None else focus

    def observe(self, pixels):
        rows = pixels[:, 0, 0, 0]
        arrays = {f.name: np.zeros(len(rows)) for f in fields(Evidence)}
        logits = {f"{name}_logits": values[rows] for name, values in self._logits.items()}
        return SimpleNamespace(evidence=Evidence(**arrays | logits | {"focus": self._focus[rows]}))

    def probabilities(self, evidence):
        logits = {"type": evidence.type_logits, "color": evidence.color_logits}
        return {name: calibrated_probabilities(values, 1.0) for name, values in logits.items()}


def pictures_of(rows):
    """Pictures (n, 128, 128, 3) that a ToldTagger knows by their row."""
    return np.broadcast_to(np.asarray(rows, np.uint8)[:, None, None, None], (len(rows), 128, 128, 3))
