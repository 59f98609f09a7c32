"""Only one night at a time works on a root, whatever its date."""

import datetime as dt

import pytest

from tagger.errors import DateLocked
from tagger.storage import open_root
from tagger.tag.claim import check_others, claimed
from tagger.tag.lock import DateLock
from tests.runs_made import begin, commit, run_id_of
from tests.tables_rows import DAY

NEXT = DAY + dt.timedelta(days=1)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def test_a_run_of_another_date_that_is_at_work_is_waited_for(root):
    begin(root)
    with DateLock(root, DAY, 0), pytest.raises(DateLocked, match=f"Run {run_id_of(1)} is at work .process"):
        with claimed(root, NEXT, 0):
            pytest.fail("both would tag the same photos")
    with claimed(root, NEXT, 0) as lock:
        assert lock.is_held
    assert not lock.is_held


def test_a_run_of_the_same_date_or_one_that_rests_or_is_committed_is_no_hindrance(root):
    begin(root)
    check_others(root, NEXT)
    with DateLock(root, DAY, 0):
        check_others(root, DAY)
        commit(root, run_id_of(1))
        check_others(root, NEXT)


def test_a_date_that_is_held_for_its_upkeep_is_no_hindrance(root):
    with DateLock(root, DAY, 0), claimed(root, NEXT, 0) as lock:
        assert lock.is_held
