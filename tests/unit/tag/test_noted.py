import datetime as dt

import numpy as np
import pytest

from tagger.storage import open_root
from tagger.tag.infer import Batch, infer
from tagger.tag.noted import Noted

DAY = dt.date(2026, 11, 22)


class Death(BaseException):
    """Ends the process."""


class Mortal:
    """Answers each picture's first value. Dies on a deadly picture, and at these calls, counted over all lives."""

    def __init__(self, deadly=(), dies_at=()):
        self.deadly, self.dies_at, self.calls = deadly, dies_at, 0

    def tag(self, pixels, image_keys, run_date):
        self.calls += 1
        values = pixels[:, 0, 0, 0]
        if self.calls in self.dies_at or np.isin(values, self.deadly).any():
            raise Death
        return {"type": [str(value) for value in values]}


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def batch(count):
    pixels = np.zeros((count, 2, 2, 3), np.uint8)
    pixels[:] = np.arange(count).reshape(-1, 1, 1, 1)
    return Batch(pixels, [f"k{n}" for n in range(count)], DAY)


def worked(root, tagger, count, batch_size, unit="u"):
    """What restarted actors make of a unit, and how many of them die."""
    deaths = 0
    while True:
        try:
            noted = Noted(tagger, root, "r1", unit)
            got = infer(noted, batch(count), batch_size)
            noted.finish()
            return got, deaths
        except Death:
            deaths += 1


@pytest.mark.parametrize(("deadly", "deaths"), [((), 0), ((0,), 3), ((5,), 3), ((9,), 3), ((4, 5), 5), ((1, 9), 6)])
def test_a_deadly_picture_is_put_aside_and_its_neighbours_are_not(root, deadly, deaths):
    got, died = worked(root, Mortal(deadly), 10, 4)
    assert died == deaths and set(got.failed) == set(deadly)
    assert got.answers["type"].to_pylist() == [str(n) for n in range(10) if n not in deadly]
    assert all(told == "RuntimeError: the process that tags died on it 2 times" for told in got.failed.values())


def test_a_unit_that_holds_nothing_else_ends_too(root):
    got, died = worked(root, Mortal((0,)), 1, 4)
    assert died == 2 and set(got.failed) == {0} and len(got.answers) == 0


@pytest.mark.parametrize("first", range(1, 6))
@pytest.mark.parametrize("second", range(2, 12))
def test_two_deaths_by_another_cause_reject_nobody(root, first, second):
    got, _ = worked(root, Mortal(dies_at=(first, second)), 10, 4)
    assert not got.failed and got.answers["type"].to_pylist() == [str(n) for n in range(10)]


def test_units_know_nothing_of_each_other_and_a_finished_one_is_not_blamed_for_later_deaths(root):
    for _ in range(3):  # its rows were lost before they were staged
        assert worked(root, Mortal(), 1, 1, "u")[0].failed == {}
    worked(root, Mortal((0,)), 1, 1, "other")
    assert worked(root, Mortal(), 1, 1, "u")[0].failed == {}
    assert worked(root, Mortal((0,)), 1, 1, "other")[1] == 0  # and remembers what it died on
