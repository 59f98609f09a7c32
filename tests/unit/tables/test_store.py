import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from tagger.errors import BadInput, StorageUnavailable
from tagger.storage import Root, open_root
from tagger.tables.parts import DataFile
from tagger.tables.schema import SCHEMAS
from tagger.tables.store import COMMIT_ORDER, Tables
from tests.tables_rows import DAY, commit_unit, record, reject, tag, unit


@pytest.fixture
def root(tmp_path) -> Root:
    return open_root(str(tmp_path / "shop"))


@pytest.fixture
def tables(root) -> Tables:
    return Tables(root)


CROOKED = "shop/\U00020bb7\U0010ffff \\ \x01"
KEYS_ALONE = {"delta.dataSkippingStatsColumns": "image_key"}
ROWS = unit([tag("a"), tag("b")], [reject("c")])


def keys(tables: Tables, name: str) -> list[str]:
    return sorted(tables.dataset(name).to_table(columns=["image_key"])["image_key"].to_pylist())


def test_a_committed_run_is_in_all_three_tables(tables):
    assert commit_unit(tables, "r1", ROWS)
    assert (keys(tables, "tags"), keys(tables, "rejects")) == (["a", "b"], ["c"])
    assert tables.committed_run_ids() == {"r1"}


def test_a_committed_row_is_the_staged_row(tables):
    commit_unit(tables, "r1", ROWS)
    assert tables.dataset("tags").to_table().sort_by("image_key").equals(ROWS.tags)


def test_committing_again_adds_nothing(tables):
    commit_unit(tables, "r1", ROWS)
    assert not commit_unit(tables, "r1", ROWS)
    assert (keys(tables, "tags"), keys(tables, "rejects")) == (["a", "b"], ["c"])


def test_committing_again_after_compaction_and_checkpoint_adds_nothing(tables, root):
    commit_unit(tables, "r1", ROWS)
    commit_unit(tables, "r2", unit([tag("d", "r2")]))
    log = DeltaTable(f"{root.uri}/tables/tags")
    assert log.optimize.compact()["numFilesRemoved"] == 2
    log.create_checkpoint()
    assert not commit_unit(tables, "r1", ROWS) and not tables.finish_run("r2")
    assert keys(tables, "tags") == ["a", "b", "d"]


def test_a_run_without_rejects_has_an_empty_transaction(tables):
    commit_unit(tables, "r1", unit([tag("a")]))
    assert tables.has("rejects", "r1") and keys(tables, "rejects") == []


def test_nothing_is_committed_in_a_fresh_root(tables):
    assert tables.committed_run_ids() == frozenset() and tables.unfinished_runs() == []
    assert keys(tables, "tags") == [] and not tables.has("tags", "r1")


class Crashed(Exception):
    pass


class CrashingTables(Tables):
    """Dies just before it commits the table `at`."""

    def __init__(self, root: Root, at: str) -> None:
        super().__init__(root)
        self.at = at

    def commit(self, name, run_id, files):
        if name == self.at:
            raise Crashed(name)
        return super().commit(name, run_id, files)


@pytest.mark.parametrize("at", COMMIT_ORDER)
def test_a_run_that_died_between_transactions_is_finished_by_the_next_job(root, tables, at):
    with pytest.raises(Crashed):
        commit_unit(CrashingTables(root, at), "r1", ROWS)
    assert [name for name in COMMIT_ORDER if tables.has(name, "r1")] == list(COMMIT_ORDER[: COMMIT_ORDER.index(at)])
    assert tables.committed_run_ids() == frozenset()
    assert tables.unfinished_runs() == ["r1"]
    assert tables.finish_run("r1") and not tables.finish_run("r1")
    assert (keys(tables, "tags"), keys(tables, "rejects")) == (["a", "b"], ["c"])
    assert tables.unfinished_runs() == []


def test_a_half_committed_run_is_finished_with_the_files_of_its_first_half(root, tables):
    with pytest.raises(Crashed):
        commit_unit(CrashingTables(root, "tags"), "r1", ROWS)
    commit_unit(tables, "r1", unit([tag("a"), tag("b"), tag("c")]))
    assert (keys(tables, "tags"), keys(tables, "rejects")) == (["a", "b"], ["c"])


def test_a_run_with_units_but_no_plan_is_not_one_to_finish(root, tables):
    root.write_bytes("work/r1/units/0.parquet", b"")
    assert tables.unfinished_runs() == []
    with pytest.raises(FileNotFoundError):
        tables.finish_run("r1")


def test_finalising_again_writes_no_other_file(root, tables):
    first = tables.finalise("r1", DAY, [ROWS])
    assert tables.finalise("r1", DAY, [ROWS]) == first
    assert len(list(root.list_objects("tables/"))) == 2


def test_a_record_that_disagrees_with_the_files_is_refused(tables):
    files = tables.finalise("r1", DAY, [ROWS])
    with pytest.raises(ValueError, match="record says 3, 1 rows; files hold \\(2, 1\\)"):
        tables.commit_run(record("r1", 3, 1), files.tags, files.rejects)


def test_a_log_that_refuses_again_and_again_is_an_outage(tables, monkeypatch):
    def refuse(*_: object) -> None:
        raise CommitFailedError("Concurrent transaction failed.")

    monkeypatch.setattr(tables, "_add", refuse)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(StorageUnavailable, match="refused run r1 again and again, at last with: Concurrent trans"):
        tables.commit("tags", "r1", [])


BROKEN_OFF = "Generic S3 error: Error getting list response body: HTTP error: request or response body error"


def test_an_answer_that_breaks_off_in_a_commit_or_in_a_look_at_the_log_is_asked_for_again(tables, monkeypatch):
    breaks = iter([DeltaError(BROKEN_OFF)] * 2)

    def breaking(*_: object, _add=tables._add) -> None:
        if failure := next(breaks, None):
            raise failure
        _add(*_)

    monkeypatch.setattr(tables, "_add", breaking)
    assert tables.commit("tags", "r1", tables.finalise("r1", DAY, [ROWS]).tags) and keys(tables, "tags") == ["a", "b"]

    looks = iter([OSError(BROKEN_OFF)] * 2)

    def opened(*arguments: object, **named: object) -> DeltaTable:
        if failure := next(looks, None):
            raise failure
        return DeltaTable(*arguments, **named)

    monkeypatch.setattr("tagger.tables.store.DeltaTable", opened)
    assert keys(tables, "tags") == ["a", "b"]


def test_an_answer_that_always_breaks_off_is_an_outage(tables, monkeypatch):
    def breaking(*_: object) -> None:
        raise DeltaError(BROKEN_OFF)

    monkeypatch.setattr(tables, "_add", breaking)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(StorageUnavailable, match="The log of the table .*/tags did not answer: Generic S3 error"):
        tables.commit("tags", "r1", [])


def test_a_missing_file_never_enters_a_table(tables):
    commit_unit(tables, "r1", ROWS)
    with pytest.raises(BadInput, match="part-r2-0-0123456789abcdef.parquet is gone; run r2 is not committed"):
        tables.commit("tags", "r2", [DataFile("date=2026-11-22/part-r2-0-0123456789abcdef.parquet", 9, 1)])
    assert keys(tables, "tags") == ["a", "b"]


@pytest.mark.parametrize("version", [0, 2])
def test_a_damaged_log_is_told_with_its_place(root, tables, version):
    for run_id in ("r1", "r2"):
        commit_unit(tables, run_id, ROWS)
    entry, log = f"tables/tags/_delta_log/{version:020d}.json", f"{root.uri}/tables/tags/_delta_log"
    whole = root.read_bytes(entry)
    root.write_bytes(entry, whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=f"is damaged: .* Restore the newest files of {log} from the bucket"):
        tables.dataset("tags")
    root.write_bytes(entry, whole)
    assert tables.dataset("tags").count_rows() == 4


def test_runs_that_commit_at_once_are_all_committed(root):
    runs = [f"r{number}" for number in range(6)]

    def commit(run_id: str) -> bool:
        return commit_unit(Tables(root), run_id, unit([tag(run_id, run_id)]))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(commit, runs))
    assert keys(Tables(root), "tags") == runs and Tables(root).committed_run_ids() == set(runs)


def test_creators_that_race_leave_one_definition(root):
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: Tables(root).commit("tags", f"r{number}", []), range(6)))
    logs = [root.read_bytes(item.key).decode() for item in root.list_objects("tables/tags/_delta_log/")]
    lines = [json.loads(line) for log in logs for line in log.splitlines()]
    assert sum("metaData" in line for line in lines) == 1 and sum("txn" in line for line in lines) == 6


def test_one_run_committed_by_two_jobs_at_once_is_in_once(root):
    files = Tables(root).finalise("r1", DAY, [ROWS])
    told = record("r1", 2, 1)
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda _: Tables(root).commit_run(told, files.tags, files.rejects), range(4)))
    assert sum(added) == 1 and keys(Tables(root), "tags") == ["a", "b"]
    assert Tables(root).dataset("runs").count_rows() == 1


def test_a_date_reads_its_own_files_only(tables):
    commit_unit(tables, "r1", ROWS)
    later = DAY + dt.timedelta(days=1)
    commit_unit(tables, "r2", unit([tag("d", "r2", date=later)]), date=later)
    fragments = list(tables.dataset("tags").get_fragments(filter=ds.field("date") == later))
    assert [fragment.path.split("/")[0] for fragment in fragments] == ["date=2026-11-23"]


def test_the_log_tells_the_keys_of_each_file(tables, root):
    commit_unit(tables, "r1", unit([tag("b%2F"), tag("a"), tag(CROOKED)], [reject("c\n\u202e")]))
    told = {}
    for name in COMMIT_ORDER:
        actions = DeltaTable(f"{root.uri}/tables/{name}").get_add_actions(flatten=True)
        (row,) = pa.table(actions).to_pylist()
        told[name] = row.get("min.image_key"), row.get("max.image_key"), row["num_records"]
    assert told == {"rejects": ("c\n\u202e",) * 2 + (1,), "tags": ("a", CROOKED, 3), "runs": (None, None, 1)}


def test_statistics_are_kept_of_the_image_key_alone_also_in_a_table_of_an_older_version(tables, root):
    DeltaTable.create(f"{root.uri}/tables/tags", SCHEMAS["tags"], partition_by=["date"])
    commit_unit(tables, "r1", ROWS)
    for name, settings in {"tags": KEYS_ALONE, "rejects": KEYS_ALONE, "runs": {}}.items():
        table = DeltaTable(f"{root.uri}/tables/{name}")
        assert table.metadata().configuration == settings
        assert (table.protocol().min_reader_version, table.protocol().min_writer_version) == (1, 2)
    version = DeltaTable(f"{root.uri}/tables/tags").version()
    commit_unit(tables, "r2", unit([tag("d", "r2")]))
    assert DeltaTable(f"{root.uri}/tables/tags").version() == version + 1 and keys(tables, "tags") == ["a", "b", "d"]


def test_a_plan_of_an_older_version_is_committed_without_keys(tables, root):
    files = tables.finalise("r1", DAY, [ROWS])
    plan = {"tags": files.tags, "rejects": files.rejects, "runs": []}
    older = {name: [{k: vars(f)[k] for k in ("path", "size_bytes", "rows")} for f in fs] for name, fs in plan.items()}
    root.write_bytes("work/r1/commit.json", json.dumps(older).encode())
    assert tables.finish_run("r1") and keys(tables, "tags") == ["a", "b"]
    (file,) = tables.dataset("tags").get_fragments(filter=ds.field("image_key") == "z")
    assert file.path == files.tags[0].path  # it may hold anything
