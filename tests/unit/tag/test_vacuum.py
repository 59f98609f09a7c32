import datetime as dt
import json
import logging
import tempfile
from dataclasses import asdict

import pytest
from deltalake import DeltaTable
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tagger.errors import BadInput
from tagger.lease import Lease, Lock
from tagger.storage import open_root
from tagger.tables.query import run_query
from tagger.tables.store import Tables
from tagger.tag.history import find_run, list_runs
from tagger.tag.upkeep import abort_run, compact_date
from tagger.tag.vacuum import removable, vacuum
from tagger.tag.verify import verify
from tests.runs_made import begin, commit, commit_in_part, finalise, run_id_of, stage
from tests.tables_rows import DAY, tag, unit

NEXT = DAY + dt.timedelta(days=1)
AT_ONCE = dt.timedelta(0)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def keys(root, prefix=""):
    return {stored.key for stored in root.list_objects(prefix) if not stored.key.startswith("work/locks/")}


def aborted(root, number=1):
    """An aborted run that had come as far as its table files."""
    run_id = begin(root, number)
    stage(root, run_id)
    finalise(root, run_id)
    abort_run(root, run_id, 0)
    return run_id


def test_what_a_killed_dry_run_left_goes(root):
    root.write_bytes("work/dry-run-0a1b2c3d/listing/00000.parquet", b"keys")
    assert vacuum(root) == [] and [found.run_id for found in removable(root, AT_ONCE)] == ["dry-run-0a1b2c3d"]
    assert [found.why for found in vacuum(root, AT_ONCE)] == ["a dry run"] and keys(root) == set()


def test_an_aborted_run_goes_with_its_table_files(root):
    aborted(root)
    assert [(found.kind, len(found.keys)) for found in vacuum(root, AT_ONCE)] == [("table files", 2), ("work", 2)]
    assert keys(root) == set()


def test_the_work_of_a_committed_run_goes_and_its_table_files_stay(root):
    stage(root, begin(root))
    commit(root, run_id_of(1))
    before = keys(root, "tables/")
    assert [found.kind for found in vacuum(root, AT_ONCE)] == ["work"]
    assert keys(root) == before and all(finding.is_ok for finding in verify(root, DAY))


@pytest.mark.parametrize("into", [None, (), ("rejects",), ("rejects", "tags")])
def test_an_unfinished_run_keeps_everything(root, into):
    stage(root, begin(root))
    if into is not None:
        commit_in_part(root, run_id_of(1), into)
    before = keys(root)
    assert vacuum(root, AT_ONCE) == [] and keys(root) == before


def test_an_aborted_run_with_a_transaction_in_keeps_its_id(root):
    commit_in_part(root, aborted(root), ("rejects",))
    root.delete(f"work/{run_id_of(1)}/commit.json")
    assert vacuum(root, AT_ONCE) == [] and find_run(root, run_id_of(1)).status == "aborted"


def test_a_folder_that_no_run_explains_goes(root):
    stage(root, run_id_of(1))
    assert [found.why for found in vacuum(root, AT_ONCE)] == ["unknown"] and keys(root) == set()


def test_what_is_young_stays(root):
    aborted(root)
    before = keys(root)
    assert vacuum(root) == [] and keys(root) == before


def test_a_dry_run_tells_files_and_bytes_and_removes_nothing(root):
    aborted(root)
    before = {stored.key: stored.size_bytes for stored in root.list_objects()}
    found = removable(root, AT_ONCE)
    assert {key for each in found for key in each.keys} == keys(root)
    assert sum(each.size_bytes for each in found) == sum(before[key] for key in keys(root))
    assert {stored.key: stored.size_bytes for stored in root.list_objects()} == before


def half_of(run_id, date=DAY):
    """Other rows of the run than the ones that are committed: another version may stage them so."""
    return unit([tag(f"{run_id}/a", run_id, date=date)])


def test_what_another_try_of_a_committed_run_wrote_goes(root):
    run_id = begin(root)
    Tables(root).finalise(run_id, DAY, [half_of(run_id)])
    [left] = keys(root, "tables/")
    commit(root, run_id)
    before = keys(root, "tables/")
    assert [found.kind for found in vacuum(root)] == [] and keys(root, "tables/") == before  # it is young
    assert ("table files", "left over", (left,)) in [(f.kind, f.why, f.keys) for f in vacuum(root, AT_ONCE)]
    assert keys(root, "tables/") == before - {left} and keys(root, "work/") == set()
    assert [finding.verdict for finding in verify(root, DAY)].count("info") == 0


def test_what_a_run_wrote_on_its_way_to_the_commit_stays_whatever_else_is_left_over(root):
    run_id = begin(root)
    for rows in ([half_of(run_id)], []):
        Tables(root).finalise(run_id, DAY, rows)
    finalise(root, run_id)
    commit_in_part(root, begin(root, 2), ("rejects",))
    commit(root, run_id_of(3))
    before = keys(root, "tables/")
    vacuum(root, AT_ONCE)
    assert keys(root, "tables/") == before


def test_files_of_a_run_whose_id_begins_alike_stay(root):
    aborted(root, 1)
    other = f"{run_id_of(1)}-0"
    Tables(root).finalise(f"{run_id_of(1)}0", DAY, [])
    finalise(root, other)
    vacuum(root, AT_ONCE)
    assert len(keys(root, "tables/")) == 2 and all(other in key for key in keys(root, "tables/"))


def test_a_date_that_a_run_holds_is_left_and_told(root, caplog):
    aborted(root)
    before = keys(root)
    with Lock(root, str(DAY), 0), caplog.at_level(logging.WARNING, "tagger"):
        assert vacuum(root, AT_ONCE) == []
    assert keys(root) == before and "2026-11-22 is left as it is" in caplog.text


def put_lease(root, number, renewed_at):
    lease = Lease("elsewhere", "boot", 1, renewed_at)
    root.write_bytes(f"work/locks/2026-11-22/{number:08d}.json", json.dumps(asdict(lease)).encode())


@pytest.mark.parametrize(("age_s", "left"), [(100_000, [3]), (1000, [1, 2, 3])])
def test_old_leases_of_a_date_that_rests_go_but_numbers_go_on(root, age_s, left):
    now = dt.datetime.now(dt.UTC).timestamp()
    for number in (1, 2, 3):
        put_lease(root, number, now - age_s + number)
    vacuum(root)
    assert [int(stored.key[-13:-5]) for stored in root.list_objects("work/locks/")] == left
    with Lock(root, str(DAY), 0):
        assert max(int(stored.key[-13:-5]) for stored in root.list_objects("work/locks/")) == 4


class AnyHistory(RuleBasedStateMachine):
    """Whatever happened, a vacuum takes no file that any version of a table needs, nor any of an unfinished run."""

    numbers = st.integers(1, 9)
    dates = st.sampled_from([DAY, NEXT])

    @initialize()
    def make_root(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = open_root(self.folder.name)
        commit(self.root, run_id_of(0))

    def teardown(self):
        self.folder.cleanup()

    def run(self, number, date):
        """A run that may be worked on, else none."""
        run_id = run_id_of(number, date)
        known = [run for run in list_runs(self.root, date) if run.run_id == run_id]
        if not known:
            begin(self.root, number, date)
        return run_id if not known or known[0].status in ("unfinished", "committing") else None

    @rule(number=numbers, date=dates)
    def stop_before_the_commit(self, number, date):
        if run_id := self.run(number, date):
            stage(self.root, run_id, date=date)
            finalise(self.root, run_id, date)

    @rule(number=numbers, date=dates)
    def stop_before_another_version_goes_on(self, number, date):
        if run_id := self.run(number, date):
            Tables(self.root).finalise(run_id, date, [half_of(run_id, date)])

    @rule(number=numbers, date=dates)
    def commit(self, number, date):
        if run_id := self.run(number, date):
            commit(self.root, run_id, date)

    @rule(number=numbers, date=dates, into=st.sampled_from([(), ("rejects",), ("rejects", "tags")]))
    def crash_while_committing(self, number, date, into):
        if run_id := self.run(number, date):
            commit_in_part(self.root, run_id, into, date)

    @rule(number=numbers, date=dates)
    def abort(self, number, date):
        if run_id := self.run(number, date):
            finalise(self.root, run_id, date)
            try:
                abort_run(self.root, run_id, 0)
            except BadInput:
                assert Tables(self.root).transactions(run_id)

    @rule(date=dates)
    def compact(self, date):
        compact_date(self.root, date, 0)
        for name in ("tags", "rejects", "runs"):
            Tables(self.root).delta(name).create_checkpoint()

    @rule()
    def vacuum(self):
        before = self.versions(), self.unfinished()
        vacuum(self.root, AT_ONCE)
        assert (self.versions(), self.unfinished()) == before
        assert not [run for run in list_runs(self.root) if run.status == "aborted"]

    def versions(self):
        """Rows of every version of every table, all of its files read."""
        rows = {}
        for name in ("tags", "rejects", "runs"):
            table = Tables(self.root).delta(name)
            for version in range(table.version() + 1) if table else ():
                old = DeltaTable(f"{self.root.uri}/tables/{name}", version=version)
                rows[name, version] = len(old.to_pyarrow_table(columns=["run_id"]))
        return rows

    def unfinished(self):
        """All files of unfinished runs, staged ones and table files."""
        runs = [run.run_id for run in list_runs(self.root) if run.status in ("unfinished", "committing")]
        return {key for key in keys(self.root) if any(run_id in key for run_id in runs)}

    @invariant()
    def committed_runs_are_whole(self):
        seen = run_query(
            self.root, "select (select count(*) from tags) t, (select 2 * count(*) from runs) r"
        ).to_pylist()
        assert seen[0]["t"] == seen[0]["r"]


AnyHistory.TestCase.settings = settings(max_examples=5, stateful_step_count=12, deadline=None)
TestAnyHistory = AnyHistory.TestCase
