import datetime as dt

import pytest

from tagger.storage import open_root
from tagger.tables.compaction import compact
from tagger.tables.parts import DataFile
from tagger.tables.store import Tables
from tagger.tag.verify import Proof, verify
from tests.runs_made import begin, commit_in_part, run_id_of
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


def infos(root):
    return [(f.subject, f.text) for f in verify(root, DAY) if f.verdict == "info"]


@pytest.fixture
def compacted(root):
    for run_id in ("r1", "r2"):
        commit_unit(Tables(root), run_id, unit([tag("a", run_id), tag("b", run_id)], [reject("c", run_id)]))
    compact(root, DAY)
    return root


def test_a_compacted_date_is_proven_by_rows_and_keys_of_each_run(compacted):
    found = verify(compacted, DAY)
    # Three files, four statements on each of two runs, the views; then that both runs tagged the same photos.
    assert [f.verdict for f in found] == ["ok"] * 12 + ["info"]
    assert [f.text for f in found[:12] if f.subject == "r2"] == [
        "3 new = 2 tagged + 1 rejected",
        "its record says 2 tagged, 1 rejected",
        "no photo in more than one row",
        "its transactions are in",
    ]
    assert found[0].text.startswith("4 rows, ") and found[11].text == "tags shows 4 rows, rejects 2"


def test_a_run_committed_again_after_compaction_is_found(compacted, tmp_path):
    [part] = [path for path in (tmp_path / "tables" / "tags").rglob("part-r1-*.parquet")]
    again = DataFile(f"date=2026-11-22/{part.name}", part.stat().st_size, 2)
    assert Tables(compacted).commit("tags", "other-id", [again])
    assert wrong(compacted) == [
        ("r1", "3 new = 4 tagged + 1 rejected"),
        ("r1", "its record says 2 tagged, 1 rejected"),
        ("r1", "2 photos in more than one row: a, b"),
    ]


def test_a_compacted_file_of_another_size_is_found(compacted, tmp_path):
    [file] = [p for p in (tmp_path / "tables" / "tags").rglob("*.parquet") if p.name.endswith("zstd.parquet")]
    file.write_bytes(file.read_bytes() + b" ")
    assert wrong(compacted) == [(f"tags/date=2026-11-22/{file.name}", "its bytes are not those that were committed")]


def test_rows_of_a_run_that_is_not_committed_are_worth_knowing_and_not_wrong(root):
    commit_unit(Tables(root), "r1", unit([tag("a")]))
    commit_in_part(root, begin(root, 2), ("rejects", "tags"))
    assert wrong(root) == []
    own_row, rows = infos(root)
    assert own_row[0] == "runs" and "no version of the table names" in own_row[1]
    assert rows == (run_id_of(2), "not committed: 2 tagged and 1 rejected rows that no view shows")
    assert verify(root, DAY)[-1].text == "tags shows 1 rows, rejects 0"


def test_files_that_no_version_names_are_left_over_and_not_wrong(root):
    commit_unit(Tables(root), "r1", unit([tag("a")]))
    files = Tables(root).finalise("r2", DAY, [unit([tag("a", "r2")])])
    [file] = files.tags
    told = f"1 files ({file.size_bytes} bytes) that no version of the table names, first {file.path}"
    assert infos(root) == [("tags", f"{told}: of a run at work, or left over")] and wrong(root) == []


def test_rows_under_another_date_than_their_record_are_found(root):
    later = DAY + dt.timedelta(1)
    commit_unit(Tables(root), "r1", unit([tag("a")]))
    files = Tables(root).finalise("r1", later, [unit([tag("b", date=later)])])
    Tables(root).commit("tags", "other-id", files.tags)
    assert [(f.subject, f.text) for f in verify(root, later) if not f.is_ok] == [
        ("views", "tags shows 1 rows, rejects 0; the committed runs have 0 and 0")
    ]


LATER = DAY + dt.timedelta(1)


def tagged(root, run_id, *keys, date=LATER, model="1", **values):
    rows = unit([tag(key, run_id, date=date, **values) for key in keys], [reject("z", run_id, date=date)])
    commit_unit(Tables(root), run_id, rows, date=date, model_version=model)


def twice(root, date):
    return [(f.verdict, f.subject, f.text) for f in Proof(root).across(date)]


@pytest.mark.parametrize("date", [DAY, LATER, None])
def test_a_photo_that_two_runs_tagged_alike_is_worth_knowing(root, date):
    tagged(root, "r1", "a", "b", "c", date=DAY)
    tagged(root, "r2", "b", "c", "d")
    told = "2 photos were tagged by r1 too, with the same model and settings, as tag.retag=all does: b, c"
    assert twice(root, date) == [("info", "r2", told)]


@pytest.mark.parametrize("other", [{"model": "2"}, {"etag": "e2"}])
def test_a_photo_that_changed_or_met_another_model_is_tagged_again_rightly(root, other):
    tagged(root, "r1", "a", date=DAY)
    tagged(root, "r2", "a", **other)
    assert twice(root, None) == []


def test_only_photos_of_the_date_and_of_committed_runs_are_compared(root):
    tagged(root, "r1", "a", date=DAY)
    tagged(root, "r2", "a")
    assert twice(root, DAY + dt.timedelta(2)) == []
    commit_in_part(root, begin(root, 2), ("rejects", "tags"))
    tagged(root, "r3", f"{run_id_of(2)}/a", date=DAY + dt.timedelta(2))
    assert twice(root, DAY + dt.timedelta(2)) == []


def test_without_any_run_there_is_nothing_to_compare(root):
    assert twice(root, None) == twice(root, DAY) == []


def test_a_damaged_file_of_another_date_leaves_a_date_proven(root, tmp_path):
    tagged(root, "r1", "a", date=DAY)
    tagged(root, "r2", "b")
    next((tmp_path / "tables" / "tags" / f"date={LATER}").rglob("part-*.parquet")).unlink()
    assert wrong(root) == []
    [told] = twice(root, DAY)
    assert told[:2] == ("info", "tags") and told[2].startswith("whether a photo was tagged in more than one run is not")


def test_all_dates_are_those_with_committed_files(root):
    later = DAY + dt.timedelta(1)
    for date in (later, DAY):
        commit_unit(Tables(root), f"r{date.day}", unit([tag("a", f"r{date.day}", date=date)]), date=date)
    assert Proof(root).dates() == [DAY, later]


@pytest.mark.parametrize("key", ["a\nok    r1: nothing is wrong", "\x1b[2Ja", "a\u202egpj.exe", "b\u2028c"])
def test_a_finding_takes_one_line_and_its_keys_command_no_terminal(root, key):
    commit_unit(Tables(root), "r1", unit([tag(key)], [reject(key)]))
    lines = [finding.as_text() for finding in verify(root, DAY)]
    assert all(line.isprintable() for line in lines) and any(ascii(key)[1:-1] in line for line in lines)
