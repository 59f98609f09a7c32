import numpy as np
import pytest

from tagger.evaluation.detail import class_examples, confused_pairs, reliability, risk_coverage
from tagger.evaluation.metrics import evaluate
from tagger.model.calibrate import expected_calibration_error

CLASSES = ("Black", "White", "Red")
# Label, prediction (confidence): Black White (0.9), Black White (0.5), Black Black (0.8), White White (0.6),
# White Black (0.7), White White (0.95).
LABELS = np.array([0, 0, 0, 1, 1, 1])
PROBABILITIES = np.array(
    [[0.1, 0.9, 0.0], [0.3, 0.5, 0.2], [0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.7, 0.3, 0.0], [0.05, 0.95, 0.0]]
)
KEYS = list("abcdef")


def test_reliability_bins_hold_every_item_and_give_the_calibration_error():
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(4), 300), rng.integers(0, 4, 300)
    bins = reliability(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)
    assert sum(part.item_count for part in bins) == 300
    gaps = [part.item_count * abs(part.accuracy - part.confidence) for part in bins if part.item_count]
    assert sum(gaps) / 300 == pytest.approx(expected_calibration_error(probabilities, labels))


def test_a_reliability_bin_without_items_has_no_means():
    first, *_, last = reliability(np.array([1.0, 0.98]), np.array([True, False]))
    assert (first.item_count, first.confidence, first.accuracy) == (0, None, None)
    assert (last.item_count, last.accuracy) == (2, 0.5)


def test_risk_rises_with_coverage_where_the_unsure_are_wrong():
    curve = risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([False, False, True, True]))
    assert curve.coverage == (0.25, 0.5, 0.75, 1.0)
    assert curve.risk == pytest.approx((0, 0, 1 / 3, 1 / 2))
    assert curve.area == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)


def test_a_long_curve_is_thinned_and_ends_at_the_error_rate():
    wrong = np.arange(5000) % 4 == 0
    curve = risk_coverage(np.linspace(1, 0, 5000), wrong)
    assert len(curve.risk) <= 101 and curve.coverage[-1] == 1.0 and curve.risk[-1] == pytest.approx(wrong.mean())


def test_confused_pairs_are_the_most_frequent_first():
    pairs = confused_pairs(evaluate("color", CLASSES, PROBABILITIES, LABELS))
    told = [(pair.label, pair.predicted, pair.item_count) for pair in pairs]
    assert told == [("Black", "White", 2), ("White", "Black", 1)]
    assert pairs[0].share_of_label == pytest.approx(2 / 3)


def test_no_more_pairs_than_asked_and_none_without_an_error():
    assert len(confused_pairs(evaluate("color", CLASSES, PROBABILITIES, LABELS), 1)) == 1
    assert confused_pairs(evaluate("color", CLASSES, np.eye(3), np.arange(3))) == ()


def test_examples_are_the_surest_of_each_label():
    examples = class_examples(CLASSES, KEYS, PROBABILITIES, LABELS)
    assert list(examples) == ["Black", "White"]
    assert [(e.image_key, e.predicted, e.confidence) for e in examples["Black"].errors] == [
        ("a", "White", 0.9),
        ("b", "White", 0.5),
    ]
    assert [e.image_key for e in examples["White"].right] == ["f", "d"]


def test_examples_are_few_however_many_items_there_are():
    rng = np.random.default_rng(1)
    many = class_examples(CLASSES, [str(n) for n in range(900)], rng.dirichlet(np.ones(3), 900), np.zeros(900, int))
    assert (len(many["Black"].errors), len(many["Black"].right)) == (4, 2)
