"""What docs/reading-tables.md tells readers that do not come through `tagger query`."""

import datetime as dt
import re

import duckdb
import pytest
from deltalake import DeltaTable

from tagger.report.reference import CHECKOUT
from tagger.storage import open_root
from tagger.tables.compaction import compact
from tagger.tables.query import run_query
from tagger.tables.store import Tables
from tests.runs_made import begin, commit_in_part
from tests.tables_rows import DAY, NOON, commit_unit, tag, unit

COMMITTED, CURRENT = re.findall(r"```sql\n(SELECT.*?)```", (CHECKOUT / "docs" / "reading-tables.md").read_text(), re.S)


@pytest.fixture
def root(tmp_path):
    root = open_root(str(tmp_path))
    commit_unit(Tables(root), "r1", unit([tag("a"), tag("b")]))
    commit_unit(Tables(root), "r2", unit([tag("a", "r2", color="Red", tagged_at=NOON + dt.timedelta(hours=1))]))
    return root


@pytest.fixture
def reader(root):
    """As the page tells: DuckDB over the logs, the views left out."""
    commit_in_part(root, begin(root), ("rejects", "tags"))
    connection = duckdb.connect()
    for name in ("runs", "tags", "rejects"):
        connection.register(name, DeltaTable(f"{root.uri}/tables/{name}").to_pyarrow_dataset())
    return connection


def pairs(table):
    return sorted(zip(table["image_key"].to_pylist(), table["color"].to_pylist(), strict=True))


@pytest.mark.parametrize(("statement", "view"), [(COMMITTED, "tags"), (CURRENT, "current")])
def test_the_pages_sql_is_what_the_views_show(root, reader, statement, view):
    assert pairs(reader.sql(statement).to_arrow_table()) == pairs(run_query(root, f"select * from {view}"))


def test_a_reader_without_the_rule_sees_a_whole_run_early(reader):
    assert reader.sql("select count(*) from tags").fetchall() == [(5,)]


def test_a_reader_by_file_name_sees_compacted_rows_twice(root):
    compact(root, DAY)
    by_name = duckdb.sql(f"select count(*) from read_parquet('{root.uri}/tables/tags/*/*.parquet')").fetchall()
    assert by_name == [(6,)] and run_query(root, "select count(*) as n from tags")["n"].to_pylist() == [3]
