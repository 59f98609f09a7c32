"""A root whose `runs` table was written before columns were added goes on as if they had always been there."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from tagger.storage import open_root
from tagger.tables import schema
from tagger.tables.history import recent_runs
from tagger.tables.query import run_query, summary
from tagger.tables.store import Tables
from tests.older_runs import ADDED, write_with_the_older_version
from tests.tables_rows import DAY, commit_unit, tag, unit

NEXT_DAY = DAY + dt.timedelta(days=1)


@pytest.fixture
def root(tmp_path, monkeypatch):
    place = open_root(str(tmp_path))
    write_with_the_older_version(place, monkeypatch)
    return place


def test_an_older_table_is_read_with_nulls_where_it_has_no_column(root):
    assert set(ADDED).isdisjoint(DeltaTable(f"{root.uri}/tables/runs").schema().to_arrow().names)
    (row,) = run_query(root, f"select tagged, {', '.join(ADDED)} from runs").to_pylist()
    assert row == dict.fromkeys(ADDED) | {"tagged": 1}
    assert summary(root)["tagged"].to_pylist() == [1]
    assert [run.distributions for run in recent_runs(root, 5)] == [None]


def test_the_next_commit_declares_the_columns_for_every_engine(root):
    new = {"date": NEXT_DAY, "warnings": ["w"], "estimated_type_accuracy": 0.5}
    commit_unit(Tables(root), "r2", unit([tag("b", "r2", date=NEXT_DAY)]), **new)
    table = DeltaTable(f"{root.uri}/tables/runs")
    assert pa.schema(table.schema().to_arrow()).equals(schema.RUNS)
    assert (table.protocol().min_reader_version, table.protocol().min_writer_version) == (1, 2)
    rows = pa.table(table.to_pyarrow_table()).sort_by("run_id").to_pylist()
    assert [(row["warnings"], row["estimated_type_accuracy"]) for row in rows] == [(None, None), (["w"], 0.5)]
    assert run_query(root, "select warnings from runs order by run_id")["warnings"].to_pylist() == [None, ["w"]]


def test_jobs_that_widen_a_table_at_once_add_each_run_and_each_column_once(root):
    with ThreadPoolExecutor(3) as pool:
        added = list(pool.map(lambda r: commit_unit(Tables(root), r, unit([tag(r, r)])), ["r2", "r3", "r2"]))
    assert sum(added) == 2
    assert sorted(run_query(root, "select run_id from runs")["run_id"].to_pylist()) == ["r1", "r2", "r3"]
    assert DeltaTable(f"{root.uri}/tables/runs").schema().to_arrow().names == schema.RUNS.names
