import pytest
from deltalake import DeltaTable

from tagger.storage import open_root
from tagger.tables.compaction import compact
from tagger.tables.log import TableLog
from tagger.tables.store import Tables
from tests.tables_rows import DAY, commit_unit, tag, unit


@pytest.fixture
def root(tmp_path):
    root = open_root(str(tmp_path))
    for run_id in ("r1", "r2"):
        commit_unit(Tables(root), run_id, unit([tag("a", run_id)]))
    return root


def on_disk(root):
    return {stored.key.removeprefix("tables/tags/") for stored in root.list_objects("tables/tags/date=")}


def test_the_log_tells_files_with_date_size_and_rows(root):
    files = TableLog(root, "tags").files
    assert {file.path for file in files} == on_disk(root)
    assert {(file.date, file.rows) for file in files} == {(DAY, 1)}
    assert all(file.size_bytes == len(root.read_bytes(f"tables/tags/{file.path}")) for file in files)


def test_files_of_earlier_versions_stay_named(root):
    compact(root, DAY)
    log = TableLog(root, "tags")
    assert len(log.files) == 1 and len(log.ever_named) == 3 and log.ever_named == on_disk(root)


def test_a_checkpoint_names_what_its_commits_named(root):
    compact(root, DAY)
    DeltaTable(f"{root.uri}/tables/tags").create_checkpoint()
    before = TableLog(root, "tags").ever_named
    for stored in list(root.list_objects("tables/tags/_delta_log/")):
        if stored.key.endswith(".json"):
            root.delete(stored.key)
    assert len(before) == 3 and TableLog(root, "tags").ever_named == before


def test_transactions_are_those_that_are_in(root):
    assert TableLog(root, "tags").has("r1") and not TableLog(root, "tags").has("r3")


def test_a_table_without_a_commit_has_no_files_and_no_runs(tmp_path):
    log = TableLog(open_root(str(tmp_path / "fresh")), "tags")
    assert (log.files, log.ever_named, log.has("r1")) == ([], frozenset(), False)
