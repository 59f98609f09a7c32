import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tagger.evaluation.selective import area_under_risk_coverage, auroc, bootstrap_by_group, flagged_error_rates


def test_auroc_by_hand():
    # Of the four right items 0.8 beats three; 0.2 beats one and ties with one.
    score = np.array([0.8, 0.2, 0.1, 0.2, 0.5, 0.9])
    wrong = np.array([True, True, False, False, False, False])
    assert auroc(score, wrong) == pytest.approx((3 + 1.5) / 8)


def test_auroc_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    score, wrong = rng.integers(0, 20, 300).astype(float), rng.random(300) < 0.3
    assert auroc(score, wrong) == pytest.approx(roc_auc_score(wrong, score))


@pytest.mark.parametrize("wrong", [np.zeros(3, bool), np.ones(3, bool), np.zeros(0, bool)])
def test_auroc_needs_both_right_and_wrong(wrong):
    assert np.isnan(auroc(np.arange(len(wrong), dtype=float), wrong))


def test_area_under_the_risk_coverage_curve_by_hand():
    # Error rates of the 1, 2, 3, 4 surest: 0, 1/2, 1/3, 1/2.
    score, wrong = np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])
    assert area_under_risk_coverage(score, wrong) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_a_score_that_says_nothing_has_the_error_rate():
    wrong = np.arange(20) < 3
    assert area_under_risk_coverage(np.ones(20), wrong) == pytest.approx(0.15)
    assert np.isnan(area_under_risk_coverage(np.zeros(0), np.zeros(0, bool)))


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=20), st.randoms())
def test_the_order_of_the_table_changes_nothing(items, random):
    shuffled = random.sample(items, len(items))
    areas = [
        area_under_risk_coverage(np.array([s for s, _ in rows], float), np.array([w for _, w in rows]))
        for rows in (items, shuffled)
    ]
    assert areas[0] == pytest.approx(areas[1])


def test_error_rates_among_flagged_and_passed():
    rates = flagged_error_rates(np.array([1, 1, 0, 0, 0], bool), np.array([1, 0, 1, 0, 0], bool))
    assert (rates.flagged_share, rates.flagged_wrong, rates.passed_wrong) == (0.4, 0.5, pytest.approx(1 / 3))
    assert np.isnan(flagged_error_rates(np.zeros(2, bool), np.ones(2, bool)).flagged_wrong)


def test_near_duplicates_widen_the_interval():
    # 100 groups of 25 equal items: the mean is as uncertain as that of 100 items, 5 times that of 2500.
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=100), 25)
    widths = []
    for groups in (np.repeat(np.arange(100), 25), np.arange(2500)):
        low, high = bootstrap_by_group(lambda rows: float(values[rows].mean()), groups, rng)
        assert low < values.mean() < high
        widths.append(high - low)
    assert widths[0] == pytest.approx(2 * 1.96 * 0.1, rel=0.25)
    assert widths[0] / widths[1] == pytest.approx(5, rel=0.2)


def test_groups_stay_whole_and_may_be_text():
    groups = np.array(["a", "b", "a", "c", "b", "a"])

    def is_whole(rows):
        counts = np.bincount(rows, minlength=6)
        return float(counts[0] == counts[2] == counts[5] and counts[1] == counts[4])

    assert bootstrap_by_group(is_whole, groups, np.random.default_rng(1), draws=50) == (1, 1)


def test_undefined_draws_are_left_out():
    rng = np.random.default_rng(2)
    assert bootstrap_by_group(lambda rows: np.nan, np.arange(3), rng, draws=5) == (
        pytest.approx(np.nan, nan_ok=True),
        pytest.approx(np.nan, nan_ok=True),
    )
    low, high = bootstrap_by_group(lambda rows: 1.0 if 0 in rows else np.nan, np.arange(3), rng, draws=50)
    assert (low, high) == (1, 1)
