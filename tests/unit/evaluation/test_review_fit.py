import json
import logging

import numpy as np
import pytest

from tagger.config import FocusConfig, ReviewConfig
from tagger.evaluation.card import review_text
from tagger.evaluation.review_fit import fit_review
from tagger.flags.reasons import Thresholds
from tests.unit.evaluation.judged import draw_judged


def fit(calibrate, report=None, **review):
    focus = FocusConfig(low=0.1, least_mask_quality=0.6)
    return fit_review(calibrate, report, ReviewConfig(**review), focus, np.random.default_rng(0))


@pytest.fixture(scope="module")
def calibrate():
    return draw_judged(1600, np.random.default_rng(1))


def test_the_fixed_thresholds_are_those_configured(calibrate):
    thresholds = fit(calibrate, budget=0.2).thresholds
    assert (thresholds.focus, thresholds.mask_quality, thresholds.audit_share) == (0.1, 0.6, 0.01)


@pytest.mark.parametrize(
    ("review", "share"),
    [
        ({"budget": 0.2}, 0.2),
        ({"minutes": 60, "night_items": 1000, "seconds_per_item": 12}, 0.3),
        ({"minutes": 60, "budget": 0.15}, 0.15),  # without night_items minutes cut the queue alone
        ({"minutes": 600, "night_items": 10, "seconds_per_item": 12}, 1.0),
    ],
)
def test_minutes_and_budget_say_how_much_is_flagged(calibrate, review, share):
    assert fit(calibrate, **review).flagged_share == pytest.approx(share, abs=0.02)


def test_a_promise_is_for_the_attributes_that_are_named(calibrate):
    found = fit(calibrate, target_precision={"type": 0.95})
    assert set(found.promises) == {"type"}
    assert found.thresholds.color_confidence == fit(calibrate).thresholds.color_confidence


def test_a_promise_counts_only_what_no_other_reason_holds_back(calibrate):
    low_focus = np.mean(calibrate.signals.focus < 0.1)
    promise = fit(calibrate, target_precision=0.8, budget=0.0).promises["color"]
    out_of_scope = 0.02
    assert promise.group_count / 800 == pytest.approx(1 - low_focus - out_of_scope, abs=0.01)


def test_promised_precision_holds_on_other_items(calibrate):
    found = fit(calibrate, draw_judged(4000, np.random.default_rng(2)), target_precision={"type": 0.95, "color": 0.85})
    assert all(promise.is_met for promise in found.promises.values())
    assert found.measured["passing_type_precision"] > 0.95
    assert found.measured["passing_color_precision"] > 0.85


def test_an_unmet_target_is_told_with_what_can_be_met(calibrate, caplog):
    with caplog.at_level(logging.WARNING):
        found = fit(calibrate, target_precision={"color": 0.999})
    assert not found.promises["color"].is_met
    assert "color: 99.9% asked: " in caplog.text
    assert found.thresholds.color_confidence >= fit(calibrate).thresholds.color_confidence


def test_the_audit_has_its_share_with_a_promise_even_at_no_budget(calibrate):
    assert fit(calibrate, target_precision=0.8, budget=0.0, audit_share=0.03).thresholds.audit_share == 0.03


def test_the_risk_model_is_kept_only_where_it_beats_confidence():
    rng = np.random.default_rng(3)
    blind = fit(draw_judged(1500, rng), draw_judged(1500, rng))
    seeing = fit(draw_judged(1500, rng, focus_weight=2.0), draw_judged(1500, rng, focus_weight=2.0))
    assert blind.risk_model is None and blind.comparison is not None
    assert seeing.risk_model is not None and seeing.comparison.is_better


def test_without_report_items_nothing_is_measured(calibrate):
    found = fit(calibrate)
    assert found.measured is None and found.comparison.item_count == len(calibrate)


def test_too_few_errors_are_told(calibrate):
    few = calibrate.part(np.arange(40))
    assert "too few labelled errors" in review_text(fit(few))


def test_the_figures_are_strict_json(calibrate):
    found = fit(calibrate, draw_judged(600, np.random.default_rng(4)), target_precision=0.9)
    stored = json.loads(json.dumps(found.metrics(), allow_nan=False))
    assert stored["promises"]["type"]["target"] == 0.9
    assert stored["risk_model"]["is_used"] is False
    assert stored["calibrate_shares_by_reason"]["audit"] == 0.01


def test_the_text_has_a_line_for_every_reason_and_promise(calibrate):
    lines = review_text(fit(calibrate, target_precision={"color": 0.85}), Thresholds(focus=0.25)).splitlines()
    told = {line.split()[0]: line.split() for line in lines if line}
    assert told["low_focus"][3:5] == ["0.250", "0.100"]
    assert told["out_of_scope"][4] == "never" and told["audit"][-1] == "1.0%"
    assert "promise, color: 85.0% asked: met" in "\n".join(lines)
