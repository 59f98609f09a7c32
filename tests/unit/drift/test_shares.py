import math

import pytest

from tagger.drift.shares import LARGEST_DEVIATION, Share, deviation, is_above, usual_share

WEEK = [Share(count, 1000) for count in (90, 100, 110, 100, 95, 105, 100)]


def test_the_deviation_by_hand():
    # Median 0.1; absolute deviations 0, 0, 0, 0.005, 0.005, 0.01, 0.01 have the median 0.005.
    spread = math.sqrt((1.4826 * 0.005) ** 2 + 0.1 * 0.9 / 400 + 0.01**2)
    assert usual_share(WEEK) == 0.1
    assert deviation(Share(60, 400), WEEK) == pytest.approx(0.05 / spread)
    assert deviation(Share(20, 400), WEEK) == pytest.approx(-0.05 / spread)


def test_an_ordinary_share_is_not_unusual_and_a_doubled_one_is():
    assert abs(deviation(Share(115, 1000), WEEK)) < LARGEST_DEVIATION < deviation(Share(200, 1000), WEEK)


def test_one_wild_night_does_not_hide_the_next():
    assert deviation(Share(500, 1000), [*WEEK[1:], Share(900, 1000)]) > LARGEST_DEVIATION


def test_steady_nights_do_not_make_a_small_step_unusual():
    assert deviation(Share(1030, 10**5), [Share(1000, 10**5)] * 14) < 1


@pytest.mark.parametrize("nights", [WEEK[1:], [*WEEK[1:], Share(9, 99)], []])
def test_few_or_small_nights_say_nothing(nights):
    assert deviation(Share(500, 1000), nights) is None


def test_a_small_night_is_not_judged():
    assert deviation(Share(99, 99), WEEK) is None and deviation(Share(0, 0), WEEK) is None


@pytest.mark.parametrize(("least", "items"), [(3, 3), (6, 10), (9, 20), (29, 100), (226, 1000)])
def test_the_fewer_photos_the_more_of_them_it_takes_to_be_above_a_limit(least, items):
    assert [is_above(Share(count, items), 0.2) for count in (least - 1, least)] == [False, True]


def test_a_limit_of_0_allows_none_and_one_of_1_all():
    assert is_above(Share(1, 10**6), 0.0) and not is_above(Share(0, 10**6), 0.0)
    assert not is_above(Share(10**6, 10**6), 1.0) and not is_above(Share(0, 0), 0.0)


def test_the_interval_by_hand():
    # All n of n: the lower end p of the 95 % interval has p**n = 0.025.
    assert is_above(Share(5, 5), 0.025 ** (1 / 5) - 1e-9) and not is_above(Share(5, 5), 0.025 ** (1 / 5) + 1e-9)
