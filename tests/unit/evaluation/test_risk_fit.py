import json

import numpy as np
import pytest

from tagger.evaluation.risk_fit import LEAST_ERRORS, compare_with_confidence, fit_risk_model, left_out_probability
from tagger.evaluation.selective import auroc
from tests.unit.evaluation.judged import draw_judged


def fitted(items):
    return fit_risk_model(items.signals, items.wrong["color"], items.groups)


def compared(model, items):
    score = model.probability(items.signals)
    return compare_with_confidence(score, items.signals, items.wrong["color"], items.groups, np.random.default_rng(9))


@pytest.fixture(scope="module")
def seeing_focus():
    return fitted(draw_judged(3000, np.random.default_rng(0), focus_weight=2.0))


def test_what_makes_colors_wrong_is_found_with_its_weight(seeing_focus):
    found = dict(zip(seeing_focus.features, seeing_focus.coefficients, strict=True))
    assert found["color_confidence"] == pytest.approx(-1.5, abs=0.4)  # a log odds of spread 1.5
    assert found["focus"] == pytest.approx(-2.0, abs=0.4)
    assert all(abs(found[name]) < 0.3 for name in ("type_confidence", "mask_quality", "color_distance"))


def test_a_signal_that_is_never_known_or_never_changes_is_left_out(seeing_focus):
    assert set(seeing_focus.features) == {
        "color_confidence", "type_confidence", "focus", "mask_quality", "color_distance"
    }  # fmt: skip


def test_its_probabilities_are_calibrated(seeing_focus):
    items = draw_judged(8000, np.random.default_rng(1), focus_weight=2.0)
    chance = seeing_focus.probability(items.signals)
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 1.0)):
        inside = (chance >= low) & (chance < high)
        assert items.wrong["color"][inside].mean() == pytest.approx(chance[inside].mean(), abs=0.06)


def test_a_model_that_sees_more_than_confidence_is_used(seeing_focus):
    comparison = compared(seeing_focus, draw_judged(1500, np.random.default_rng(2), focus_weight=2.0))
    assert comparison.is_better and comparison.low < comparison.difference < comparison.high
    assert comparison.area < comparison.area_confidence
    assert "the model is used" in comparison.as_text()


def test_a_model_that_sees_nothing_else_is_not_used():
    used = []
    for seed in range(4):
        rng = np.random.default_rng([3, seed])
        used.append(compared(fitted(draw_judged(700, rng)), draw_judged(700, rng)).is_better)
    assert not any(used)


def test_where_nothing_can_be_learned_the_left_out_score_is_chance():
    items = draw_judged(1200, np.random.default_rng(7))
    wrong = np.random.default_rng(8).random(len(items)) < 0.3
    score = left_out_probability(items.signals, wrong, items.groups)
    assert not np.isnan(score).any() and 0.4 < auroc(score, wrong) < 0.6


def test_too_few_errors_give_no_model():
    items = draw_judged(400, np.random.default_rng(4))
    wrong = np.zeros(400, bool)
    wrong[: 2 * LEAST_ERRORS - 2] = True  # 29 groups of two
    assert fit_risk_model(items.signals, wrong, items.groups) is None
    assert fit_risk_model(items.signals, ~wrong, items.groups) is None


def test_a_comparison_without_errors_is_null_in_json_and_not_used(seeing_focus):
    items = draw_judged(20, np.random.default_rng(5))
    score, right = seeing_focus.probability(items.signals), np.zeros(20, bool)
    comparison = compare_with_confidence(score, items.signals, right, items.groups, np.random.default_rng(6))
    stored = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert (stored["auroc"], stored["is_used"], stored["wrong_count"]) == (None, False, 0)
