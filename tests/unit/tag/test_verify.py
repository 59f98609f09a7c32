import datetime as dt

import pytest

from tagger.storage import open_root
from tagger.tables.store import Tables
from tagger.tag.verify import verify
from tests.tables_rows import DAY, commit_unit, reject, tag, unit


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def wrong(root):
    return [(f.subject, f.text) for f in verify(root, DAY) if not f.is_ok]


def test_a_whole_run_is_proven(root):
    commit_unit(Tables(root), "r1", unit([tag("a"), tag("b")], [reject("c")]))
    found = verify(root, DAY)
    assert all(finding.is_ok for finding in found)
    assert [f.subject.split("/")[0] for f in found] == ["tags", "rejects", "runs", "r1", "r1", "r1", "r1", "views"]
    assert found[3].text == "3 new = 2 tagged + 1 rejected"
    assert found[0].text.startswith("2 rows, ") and found[0].text.endswith("digest as committed")


def test_a_date_without_runs_has_nothing_to_say(root):
    assert verify(root, DAY) == []
    commit_unit(Tables(root), "r1", unit([tag("a")]))
    assert verify(root, DAY + dt.timedelta(1)) == []


def test_a_photo_in_two_rows_is_found(root):
    commit_unit(Tables(root), "r1", unit([tag("a")], [reject("a")]))
    assert wrong(root) == [("r1", "1 photos in more than one row, 1 of them tagged and rejected: a")]


def test_a_lost_photo_is_found(root):
    commit_unit(Tables(root), "r1", unit([tag("a")]), new=2)
    assert wrong(root) == [("r1", "2 new = 1 tagged + 0 rejected")]


@pytest.fixture
def part(root, tmp_path):
    commit_unit(Tables(root), "r1", unit([tag("a")]))
    return next((tmp_path / "tables" / "tags").rglob("part-*.parquet"))


def test_a_changed_file_is_found(root, part):
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    assert wrong(root) == [(f"tags/date=2026-11-22/{part.name}", "its bytes are not those that were committed")]


def test_a_lost_file_is_found(root, part):
    part.unlink()
    assert wrong(root) == [(f"tags/date=2026-11-22/{part.name}", "the log names this file, and it is gone")]
