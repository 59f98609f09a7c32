import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tagger.drift.compare import (
    LEAST_ITEMS,
    LEAST_NIGHTS,
    MODERATE_PSI,
    RECENT,
    TRAINING,
    Comparison,
    chi_square_p_value,
    compare,
    compare_with_nights,
    controlled,
    index_beyond_chance,
    pooled,
    stability_index,
)
from tagger.drift.profile import Census
from tests.unit.drift.answers import CLASSES, answers, profile

COUNTS = npst.arrays(np.int64, 5, elements=st.integers(0, 500))


def counts(*values):
    return np.array(values, np.int64)


def night(rng, items=400, prefixes=("a", "b"), **chances):
    census = Census(CLASSES)
    census.add(answers(rng, items, **chances), rng.choice(prefixes, items))
    return census.profiles()


def test_the_index_by_hand():
    # Shares 0.75, 0.25 against 0.25, 0.75 on so many photos that half a photo does not show: 2 * 0.5 * ln 3.
    many = 10**9
    assert stability_index(counts(3 * many, many), counts(many, 3 * many)) == pytest.approx(math.log(3))


def test_an_empty_bin_gives_a_finite_index():
    assert stability_index(counts(100, 0), counts(0, 100)) == pytest.approx(2 * 100 / 101 * math.log(201))


@given(COUNTS, COUNTS)
def test_the_index_is_symmetric_and_never_negative(first, second):
    index = stability_index(first, second)
    assert index >= 0 and index == pytest.approx(stability_index(second, first))
    assert stability_index(first, first) == 0


def test_the_index_of_two_samples_of_one_population_is_about_what_is_promised():
    rng = np.random.default_rng(0)
    draws = [rng.multinomial(n, [0.1] * 10, 2000) for n in (500, 800)]
    mean = np.mean([stability_index(*pair) for pair in zip(*draws, strict=True)])
    assert mean == pytest.approx(9 * (1 / 500 + 1 / 800), rel=0.05)


def test_beyond_chance_two_samples_of_one_population_have_next_to_no_index():
    rng = np.random.default_rng(0)
    draws = [rng.multinomial(n, [0.05] * 20, 500) for n in (300, 800)]
    indexes = [index_beyond_chance(*pair) for pair in zip(*draws, strict=True)]
    assert min(indexes) == 0 and np.quantile(indexes, 0.99) < MODERATE_PSI
    assert index_beyond_chance(counts(0, 0), counts(0, 0)) == 0


def test_the_p_value_by_hand():
    # 2x2 table: chi-square = 80 * (30 * 30 - 10 * 10)^2 / 40^4 = 20, one degree of freedom.
    assert chi_square_p_value(counts(30, 10), counts(10, 30)) == pytest.approx(math.erfc(math.sqrt(20 / 2)))


@pytest.mark.parametrize("pair", [(counts(5, 0), counts(9, 0)), (counts(0, 0), counts(3, 4)), (counts(4), counts(9))])
def test_nothing_to_compare_is_no_difference(pair):
    assert chi_square_p_value(*pair) == 1.0


@given(COUNTS, COUNTS)
def test_pooling_keeps_all_photos_and_leaves_no_rare_bin(first, second):
    a, b = pooled(first, second)
    assert (a.sum(), b.sum()) == (first.sum(), second.sum()) and len(a) == len(b) <= 5
    if len(a) > 1:
        expected = np.outer([a.sum(), b.sum()], (a + b)) / (a.sum() + b.sum())
        assert expected.min() >= 5


def test_rare_bins_are_joined_at_the_end():
    first, second = pooled(counts(2, 50, 4, 40), counts(3, 60, 4, 40))
    assert (first.tolist(), second.tolist()) == ([50, 40, 6], [60, 40, 7])
    first, second = pooled(counts(1, 50, 0, 40), counts(0, 60, 1, 30))
    assert (first.tolist(), second.tolist()) == ([50, 41], [60, 31])


def test_small_groups_are_not_compared():
    rng = np.random.default_rng(0)
    large, small = profile(rng, LEAST_ITEMS), profile(rng, LEAST_ITEMS - 1)
    groups = {"all": large, "type=Shirt": large, "type=Top": small}
    found = compare({"all": large, "type=Shirt": small, "type=Top": large}, groups, TRAINING)
    assert {each.group for each in found} == {"all"} and len(found) == 5
    assert compare({}, groups, TRAINING) == []


def test_a_types_own_profile_is_not_compared_by_type():
    large = profile(np.random.default_rng(0), 500)
    found = compare({"type=Shirt": large}, {"type=Shirt": large}, TRAINING)
    assert [each.column for each in found] == ["color", "type_confidence", "color_confidence", "focus"]
    assert all(each.psi == 0 and each.p_value == 1 for each in found)


def test_a_difference_must_be_large_and_not_chance():
    moved = Comparison(RECENT, "all", "type", 500, psi=0.3, p_value=1e-9, usual_psi=0.05)
    assert moved.is_moved and moved.is_alarming
    assert not Comparison(RECENT, "all", "type", 500, psi=0.3, p_value=0.02).is_moved
    assert not Comparison(RECENT, "all", "type", 500, psi=0.09, p_value=1e-9).is_moved
    moderate = Comparison(RECENT, "all", "type", 500, psi=0.2, p_value=1e-9)
    assert moderate.is_moved and not moderate.is_alarming
    assert not Comparison(RECENT, "all", "type", 500, psi=0.3, p_value=1e-9, usual_psi=0.31).is_alarming


def test_all_comparisons_of_a_night_share_one_error_rate():
    # Benjamini-Hochberg by hand: 0.01 * 3 / 1, 0.02 * 3 / 2, 0.5 * 3 / 3, made monotone.
    raw = [Comparison(RECENT, "all", column, 500, 0.3, p) for column, p in [("a", 0.02), ("b", 0.5), ("c", 0.01)]]
    assert [each.p_value for each in controlled(raw)] == pytest.approx([0.03, 0.5, 0.03])
    assert controlled([]) == []


def test_recent_nights_alike_raise_no_alarm_and_another_night_does():
    rng = np.random.default_rng(0)
    nights = [night(rng) for _ in range(LEAST_NIGHTS)]
    same, other = night(rng), night(rng, types=(0.1, 0.2, 0.7), sure=3.0)
    assert not [each for each in controlled(compare_with_nights(nights, same)) if each.is_alarming]
    alarming = {
        (each.group, each.column) for each in controlled(compare_with_nights(nights, other)) if each.is_alarming
    }
    assert {("all", "type"), ("all", "type_confidence"), ("prefix=a", "type")} <= alarming
    assert not {column for _, column in alarming} & {"color", "focus"}


def test_what_recent_nights_did_themselves_is_no_alarm():
    rng = np.random.default_rng(0)
    nights = [night(rng, types=types) for types in [(0.8, 0.1, 0.1), (0.1, 0.1, 0.8)] * 4]
    found = [each for each in controlled(compare_with_nights(nights, night(rng, types=(0.75, 0.1, 0.15))))
             if (each.group, each.column) == ("all", "type")]  # fmt: skip
    assert found[0].is_moved and found[0].usual_psi > found[0].psi and not found[0].is_alarming


def test_a_week_of_nights_is_needed():
    rng = np.random.default_rng(0)
    nights = [night(rng) for _ in range(LEAST_NIGHTS - 1)]
    assert compare_with_nights(nights, night(rng)) == []


def test_a_group_is_compared_once_a_week_of_nights_holds_enough_of_it():
    rng = np.random.default_rng(0)
    nights = [night(rng, items=180) for _ in range(LEAST_NIGHTS)]
    assert {each.group for each in compare_with_nights(nights, night(rng, items=900))} == {"all"}


def test_a_new_prefix_is_compared_with_what_has_no_group_of_its_own():
    rng = np.random.default_rng(0)
    nights = [night(rng, 500, prefixes=("a", "b", "c")) for _ in range(LEAST_NIGHTS)]
    groups = {each.group for each in compare_with_nights(nights, night(rng, prefixes=("a", "new")))}
    assert {"prefix=a", "prefix=*"} <= groups and not {"prefix=new", "prefix=b"} & groups
