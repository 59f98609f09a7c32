import datetime as dt
import logging

import pytest

from tagger.errors import BadInput, DateLocked
from tagger.lease import Lock
from tagger.storage import open_root
from tagger.tables.store import Tables
from tagger.tag.history import find_run
from tagger.tag.runs import unfinished_states
from tagger.tag.upkeep import abort_run, compact_date, compact_dates
from tests.runs_made import begin, commit, commit_in_part, run_id_of, stage
from tests.tables_rows import DAY

NEXT = DAY + dt.timedelta(days=1)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def test_an_aborted_run_is_not_gone_on_with(root):
    stage(root, begin(root))
    assert abort_run(root, run_id_of(1), 0).status == "aborted"
    assert unfinished_states(root, []) == []
    assert abort_run(root, run_id_of(1), 0).status == "aborted"


def test_a_planned_commit_is_withdrawn_while_no_transaction_is_in(root):
    commit_in_part(root, begin(root), ())
    assert Tables(root).unfinished_runs() == [run_id_of(1)]
    abort_run(root, run_id_of(1), 0)
    assert Tables(root).unfinished_runs() == [] and Tables(root).transactions(run_id_of(1)) == []


@pytest.mark.parametrize("into", [("rejects",), ("rejects", "tags")])
def test_a_run_that_is_committed_in_part_must_be_finished_and_can_be(root, into):
    commit_in_part(root, begin(root), into)
    with pytest.raises(BadInput, match=rf"committed in part \({', '.join(into)}\) and must be finished"):
        abort_run(root, run_id_of(1), 0)
    assert Tables(root).finish_run(run_id_of(1)) and find_run(root, run_id_of(1)).status == "committed"


def test_a_committed_run_cannot_be_aborted(root):
    commit(root, run_id_of(1))
    with pytest.raises(BadInput, match="is committed and cannot be aborted"):
        abort_run(root, run_id_of(1), 0)


def test_a_run_at_work_is_neither_aborted_nor_compacted(root):
    begin(root)
    with Lock(root, str(DAY), 0):
        with pytest.raises(DateLocked):
            abort_run(root, run_id_of(1), 0)
        with pytest.raises(DateLocked):
            compact_date(root, DAY, 0)
    assert find_run(root, run_id_of(1)).status == "unfinished"


def test_of_many_dates_the_held_one_is_left_and_told(root, caplog):
    for date in (DAY, NEXT):
        commit(root, run_id_of(1, date), date)
        commit(root, run_id_of(2, date), date)
    with Lock(root, str(DAY), 0), caplog.at_level(logging.WARNING, "tagger"):
        assert {each.date for each in compact_dates(root, [DAY, NEXT])} == {NEXT}
    assert "2026-11-22 is left as it is" in caplog.text
