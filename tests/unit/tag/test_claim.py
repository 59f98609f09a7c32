"""Only one night at a time works on a root, whatever its date; upkeep of other dates is no hindrance."""

import datetime as dt
import json
import time
from dataclasses import asdict
from functools import partial

import pytest

from tagger.errors import DateLocked
from tagger.storage import open_root
from tagger.tag.claim import claimed
from tagger.tag.lock import NIGHTS, DateLock, Lease
from tests.tables_rows import DAY

NEXT = DAY + dt.timedelta(days=1)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def test_a_night_of_another_date_is_waited_for(root):
    with claimed(root, DAY, 0) as claim:
        assert claim.is_held
        with pytest.raises(DateLocked, match="Another run holds the nights of this root: process"):
            with claimed(root, NEXT, 0):
                pytest.fail("both would tag the same photos")
    assert not claim.is_held
    with claimed(root, NEXT, 0) as claim:
        assert claim.is_held


def test_a_date_that_is_held_for_its_upkeep_hinders_only_its_own_night(root):
    with DateLock(root, DAY, 0):
        with claimed(root, NEXT, 0) as claim:
            assert claim.is_held
        with pytest.raises(DateLocked, match=f"Another run holds {DAY}"), claimed(root, DAY, 0):
            pytest.fail("the date is held")


def test_who_lost_the_nights_knows_when_asked(root):
    with claimed(root, DAY, 0) as claim:
        claim.check()
        other = json.dumps(asdict(Lease("other", "boot", 1, time.time())))
        root.write_bytes(f"work/locks/{NIGHTS}/00000099.json", other.encode())
        with pytest.raises(DateLocked, match="took it over"):
            claim.check()


@pytest.mark.parametrize("name", [NIGHTS, DAY])
def test_who_lost_either_hears_of_it_at_work(root, monkeypatch, name):
    monkeypatch.setattr("tagger.tag.claim.DateLock", partial(DateLock, renew_s=0.02))
    with claimed(root, DAY, 0) as claim:
        claim.stop_if_taken()
        root.write_bytes(f"work/locks/{name}/00000099.json", json.dumps(asdict(Lease("o", "b", 1, 0.0))).encode())
        deadline = time.monotonic() + 30
        with pytest.raises(DateLocked, match="took it over"):
            while time.monotonic() < deadline:
                claim.stop_if_taken()
