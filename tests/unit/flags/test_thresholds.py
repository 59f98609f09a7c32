from dataclasses import replace

import numpy as np
import pytest

from tagger.errors import BadInput
from tagger.flags.reasons import Signals, Thresholds, review_reasons
from tagger.flags.thresholds import (
    by_budget,
    by_precision,
    fixed_thresholds,
    flagged_share,
    shares_by_reason,
)


def random_signals(count: int, rng: np.random.Generator) -> Signals:
    """Signals that partly agree on which items are doubtful, as real ones do."""
    trouble = rng.normal(size=count)
    noisy = [1 / (1 + np.exp(trouble + rng.normal(size=count) - 3)) for _ in range(6)]
    return Signals(*noisy[:4], 1 / noisy[4], 1 / noisy[5], rng.random(count))


def share_tonight(signals: Signals, thresholds: Thresholds) -> float:
    """The share with a reason, the audit as drawn."""
    return float(np.mean([bool(reasons) for reasons in review_reasons(signals, thresholds)]))


@pytest.mark.parametrize("budget", [0.01, 0.05, 0.2, 0.7, 1.0])
def test_a_budget_holds_for_tonight(budget):
    rng = np.random.default_rng(0)
    thresholds = by_budget(random_signals(8000, rng), budget, 0.002)
    assert share_tonight(random_signals(8000, rng), thresholds) == pytest.approx(budget, rel=0.1, abs=0.006)


def test_a_budget_holds_with_fixed_reasons_within_it():
    rng = np.random.default_rng(20)
    signals = random_signals(8000, rng)
    fixed = fixed_thresholds(signals, float(np.quantile(signals.focus, 0.01)), 0.0, 0.02)
    thresholds = by_budget(signals, 0.1, 0.01, fixed)
    assert share_tonight(random_signals(8000, rng), thresholds) == pytest.approx(0.1, abs=0.01)
    shares = shares_by_reason(signals, thresholds)
    assert all(share > 0 for reason, share in shares.items() if reason != "mask_uncertain")
    assert shares["low_focus"] == pytest.approx(0.01) and shares["out_of_scope"] == pytest.approx(0.02)


def test_the_given_focus_and_mask_quality_hold_whatever_the_budget():
    signals = random_signals(1000, np.random.default_rng(21))
    fixed = fixed_thresholds(signals, 0.1, 0.6, 0.02)
    for budget in (0.0, 0.001, 0.5, 1.0):
        thresholds = by_budget(signals, budget, 0.01, fixed)
        assert (thresholds.focus, thresholds.mask_quality) == (0.1, 0.6)
        assert thresholds.out_of_scope_score == fixed.out_of_scope_score


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_no_more_than_the_given_share_is_out_of_scope(share):
    signals = random_signals(777, np.random.default_rng(22))
    flagged = shares_by_reason(signals, fixed_thresholds(signals, 0.0, 0.0, share))["out_of_scope"]
    assert share - 2 / 777 <= flagged <= share


def test_equal_scope_scores_flag_nothing():
    signals = replace(random_signals(100, np.random.default_rng(23)), scope_score=np.ones(100))
    assert shares_by_reason(signals, fixed_thresholds(signals, 0.0, 0.0, 0.02))["out_of_scope"] == 0


def test_a_network_that_looks_elsewhere_is_told_and_stays_flagged(caplog):
    signals = replace(random_signals(1000, np.random.default_rng(24)), focus=np.full(1000, -0.2))
    signals.focus[:170] = 0.9
    thresholds = by_budget(signals, 0.1, 0.01, Thresholds(focus=0.1))
    shares = shares_by_reason(signals, thresholds)
    assert shares["low_focus"] == pytest.approx(0.83) and shares["low_color_confidence"] > 0.02
    assert "low_focus alone flags 83% of the calibrate items: there the network does not look" in caplog.text


def test_the_log_is_silent_while_the_budget_holds(caplog):
    signals = random_signals(1000, np.random.default_rng(25))
    by_budget(signals, 0.1, 0.01, fixed_thresholds(signals, 0.0, 0.0, 0.02))
    assert caplog.text == ""


def test_the_audit_counts_as_expected_not_as_drawn():
    signals = replace(random_signals(100, np.random.default_rng(26)), audit_draw=np.zeros(100))
    thresholds = Thresholds(type_confidence=float(np.median(signals.type_confidence)), audit_share=0.1)
    assert shares_by_reason(signals, thresholds)["audit"] == 0.1
    assert flagged_share(signals, thresholds) == pytest.approx(0.5 + 0.5 * 0.1)


def test_a_larger_budget_is_stricter_everywhere():
    signals = random_signals(1000, np.random.default_rng(2))
    small, large = by_budget(signals, 0.05), by_budget(signals, 0.15)
    for name in ("type_confidence", "color_confidence"):
        assert getattr(small, name) < getattr(large, name)
    assert small.color_distance > large.color_distance


@pytest.mark.parametrize("audit", [0.0, 0.05, 0.3])
def test_a_chosen_audit_share_comes_out_of_the_budget(audit):
    rng = np.random.default_rng(13)
    thresholds = by_budget(random_signals(8000, rng), 0.2, audit)
    assert thresholds.audit_share == min(audit, 0.2)
    assert share_tonight(random_signals(8000, rng), thresholds) == pytest.approx(0.2, abs=0.02)


def test_no_budget_flags_nothing():
    signals = random_signals(100, np.random.default_rng(4))
    assert by_budget(signals, 0.0) == Thresholds()


def test_a_signal_that_is_never_known_gets_no_threshold():
    signals = random_signals(100, np.random.default_rng(5))
    unknown = replace(signals, scope_score=np.full(100, np.nan), color_distance=np.full(100, np.nan))
    thresholds = by_budget(unknown, 0.2, fixed=fixed_thresholds(unknown, 0.0, 0.0, 0.02))
    assert (thresholds.out_of_scope_score, thresholds.color_distance) == (None, None)
    assert flagged_share(unknown, thresholds) <= 0.2


def test_equal_confidences_stay_within_the_budget():
    signals = replace(random_signals(100, np.random.default_rng(6)), type_confidence=np.ones(100))
    thresholds = by_budget(signals, 0.1)
    assert flagged_share(signals, thresholds) <= 0.1


@pytest.mark.parametrize("budget", [-0.1, 1.1, np.nan])
def test_a_budget_that_is_no_share_is_refused(budget):
    with pytest.raises(BadInput, match="share of all items"):
        by_budget(random_signals(10, np.random.default_rng(7)), budget)


def test_no_items_give_no_thresholds():
    with pytest.raises(BadInput, match="no item"):
        by_budget(random_signals(0, np.random.default_rng(8)), 0.1)


def draw_items(rng: np.random.Generator, groups: int, skew: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of 1 to 4 near duplicates with one confidence and one fate; P(right) = confidence ** skew."""
    sizes = rng.integers(1, 5, groups)
    confidence = rng.beta(4, 1, groups)
    right = rng.random(groups) < confidence**skew
    return np.repeat(confidence, sizes), np.repeat(right, sizes), np.repeat(np.arange(groups), sizes)


def true_precision(threshold: float, skew: float) -> float:
    """Of groups with confidence above the threshold, by integrating the density 4 c^3 of beta(4, 1)."""
    return 4 / (4 + skew) * (1 - threshold ** (4 + skew)) / (1 - threshold**4)


@pytest.mark.parametrize(("skew", "target"), [(1.0, 0.9), (0.25, 0.95), (3.0, 0.9)])
def test_a_promise_is_kept_in_nine_of_ten_draws(skew, target):
    rng = np.random.default_rng(9)
    promises = [by_precision(*draw_items(rng, 300, skew), target, delta=0.1) for _ in range(600)]
    broken = [true_precision(p.threshold, skew) < p.precision for p in promises if p.threshold is not None]
    # Three standard errors of a share of 0.1 in 600 draws.
    assert sum(broken) / len(promises) <= 0.1 + 3 * (0.09 / 600) ** 0.5


def test_a_good_network_gets_its_promise_with_most_items_passing():
    rng = np.random.default_rng(10)
    promises = [by_precision(*draw_items(rng, 700, 0.25), 0.9) for _ in range(50)]
    assert np.mean([p.is_met for p in promises]) > 0.95
    assert np.mean([p.passing_count / p.group_count for p in promises]) > 0.9


def test_the_threshold_passes_what_was_counted():
    confidence, correct, groups = draw_items(np.random.default_rng(11), 700, 1.0)
    promise = by_precision(confidence.astype(np.float32), correct, groups, 0.9)
    passing = confidence.astype(np.float32).astype(np.float64) >= promise.threshold
    assert promise.is_met
    assert len(np.unique(groups[passing])) == promise.passing_count
    assert len(np.unique(groups[passing & ~correct])) == promise.wrong_count


def test_near_duplicates_are_no_extra_evidence():
    confidence, correct, groups = draw_items(np.random.default_rng(12), 200, 0.5)
    often = [np.repeat(part, 10) for part in (confidence, correct, groups)]
    assert by_precision(*often, 0.9) == by_precision(confidence, correct, groups, 0.9)


def test_22_right_groups_certify_nine_in_ten_and_21_do_not():
    # 0.9^22 = 0.0985, 0.9^21 = 0.109.
    sure, right = np.linspace(0.9, 1, 22), np.ones(22, dtype=bool)
    promise = by_precision(sure, right, np.arange(22), 0.9)
    assert (promise.is_met, promise.threshold, promise.passing_count) == (True, 0.0, 22)
    assert by_precision(sure[1:], right[1:], np.arange(21), 0.9).threshold is None


def test_an_unmet_target_says_what_can_be_promised():
    # 60 groups, 6 wrong among the surest 60: Clopper-Pearson's lower bound at 90 % is 0.83.
    correct = np.arange(60) % 10 != 0
    promise = by_precision(np.full(60, 0.9), correct, np.arange(60), 0.9)
    assert (promise.is_met, promise.passing_count, promise.wrong_count) == (False, 60, 6)
    assert promise.precision == pytest.approx(0.830, abs=0.002)


def test_saturated_confidences_are_tested_together():
    confidence = np.concatenate([np.ones(400), np.full(100, 0.5)])
    promise = by_precision(confidence, confidence == 1, np.arange(500), 0.95)
    assert (promise.is_met, promise.passing_count) == (True, 400)
    assert 0.5 < promise.threshold <= 1


@pytest.mark.parametrize(("target", "delta"), [(1.0, 0.1), (0.9, 0.0), (95, 0.1)])
def test_impossible_promises_are_refused(target, delta):
    with pytest.raises(BadInput, match="between 0 and 1"):
        by_precision(np.ones(5), np.ones(5), np.arange(5), target, delta)


def test_no_item_promises_nothing():
    empty = by_precision(np.zeros(0), np.zeros(0), np.zeros(0), 0.9)
    assert (empty.threshold, empty.precision, empty.group_count) == (None, 0.0, 0)


@pytest.mark.parametrize(
    ("right", "told"),
    [
        (lambda i: i >= 0, "90.0% asked: met; at confidence 0.000 and above 60 of 60 groups pass, 0 of them wrong"),
        (lambda i: i % 10 != 0, "90.0% asked: not met, at most 83.1% can be promised"),
        (lambda i: i < 0, "90.0% asked: not met, at most 0.0% can be promised"),
    ],
)
def test_a_promise_says_what_was_asked_and_what_holds(right, told):
    promise = by_precision(np.full(60, 0.9), right(np.arange(60)), np.arange(60), 0.9)
    assert told in promise.as_text()


def test_too_few_groups_promise_nothing_in_words():
    text = by_precision(np.ones(5), np.ones(5), np.arange(5), 0.9).as_text()
    assert text == "90.0% asked: nothing can be promised on the 5 groups that no other reason flags."
