import datetime as dt
import os

import pytest

from tagger.errors import BadInput
from tagger.lease import Lock
from tagger.storage import open_root
from tagger.tag.history import find_run, list_runs, show_run
from tagger.tag.upkeep import abort_run
from tests.runs_made import begin, commit, commit_in_part, plan, run_id_of, stage
from tests.tables_rows import DAY, NOON

NEXT = DAY + dt.timedelta(days=1)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def test_a_fresh_root_has_no_runs(root):
    assert list_runs(root) == []


def test_runs_at_every_stage_are_listed_newest_first(root):
    commit(root, run_id_of(1))
    begin(root, 2)
    plan(root, begin(root, 3))
    stage(root, run_id_of(3))
    abort_run(root, begin(root, 4), 0)
    commit_in_part(root, begin(root, 5), ("rejects",))
    root.write_bytes(f"work/{run_id_of(6)}/units/00000-00000.parquet", b"")
    begin(root, 1, NEXT)
    listed = [(run.run_id, run.status, run.new, run.staged_units, run.all_units) for run in list_runs(root)]
    assert listed == [
        (run_id_of(1, NEXT), "unfinished", None, 0, None),
        (run_id_of(5), "committing", None, 0, None),
        (run_id_of(4), "aborted", None, 0, None),
        (run_id_of(3), "unfinished", 5, 1, 3),
        (run_id_of(2), "unfinished", None, 0, None),
        (run_id_of(1), "committed", 3, None, None),
        (run_id_of(6), "unknown", None, 1, None),
    ]
    assert [run.run_id for run in list_runs(root, NEXT)] == [run_id_of(1, NEXT)]


def test_a_row_tells_model_counts_and_age_in_hours(root):
    commit(root, run_id_of(1))
    row = list_runs(root)[0].as_row(NOON + dt.timedelta(minutes=90))
    assert (row["model"], row["tagged"], row["rejected"], row["age_h"]) == ("m 1", 2, 1, 1.5)


@pytest.mark.parametrize(
    ("make", "stands"),
    [
        (lambda root: begin(root), "the photos are not all listed"),
        (lambda root: plan(root, begin(root)), "planned, 0 of 3 units staged, not committed"),
        (lambda root: commit_in_part(root, begin(root), ()), "the commit is planned and not complete"),
        (lambda root: commit(root, run_id_of(1)), "committed: its rows are in the views"),
    ],
)
def test_a_run_says_where_it_stands(root, make, stands):
    make(root)
    assert show_run(root, run_id_of(1))["stands"] == stands


def test_what_is_known_of_a_committed_run_is_its_record_and_what_is_left_of_its_work(root):
    stage(root, begin(root))
    commit(root, run_id_of(1))
    facts = show_run(root, run_id_of(1))
    assert (facts["tagged"], facts["config_digest"], facts["rejected_by_reason"]) == (2, "c", {})
    assert facts["transactions_in"] == ["rejects", "tags", "runs"]
    assert facts["work_files"] == 3 and facts["work_bytes"] > 0


def test_who_holds_the_date_is_told(root):
    begin(root)
    assert show_run(root, run_id_of(1))["lease"] == "nobody holds 2026-11-22"
    with Lock(root, str(DAY), 0):
        assert show_run(root, run_id_of(1))["lease"].startswith(f"process {os.getpid()} on ")


def test_an_unknown_run_is_refused(root):
    with pytest.raises(BadInput, match="There is no run 'r9' under .* tagger runs list"):
        find_run(root, "r9")
