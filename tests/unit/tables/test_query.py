import datetime as dt

import pytest

from tagger.errors import BadInput, StorageUnavailable
from tagger.storage import Root, open_root
from tagger.tables.query import connect, run_query, summary
from tagger.tables.schema import SCHEMAS
from tagger.tables.store import Tables
from tests.tables_rows import DAY, NOON, commit_unit, reject, tag, unit


@pytest.fixture
def root(tmp_path) -> Root:
    return open_root(str(tmp_path / "shop"))


def answer(root: Root, sql: str) -> list[dict[str, object]]:
    return run_query(root, sql).to_pylist()


@pytest.mark.parametrize("view", ["tags", "rejects", "runs", "current"])
def test_a_fresh_root_has_empty_views_with_all_columns(root, view):
    empty = run_query(root, f"select * from {view}")
    assert len(empty) == 0 and empty.schema.names == SCHEMAS["tags" if view == "current" else view].names


def test_a_run_is_seen_once_its_row_is_in_runs(root):
    tables, rows = Tables(root), unit([tag("a")], [reject("b")])
    files = tables.finalise("r1", DAY, [rows])
    tables.commit("rejects", "r1", files.rejects)
    tables.commit("tags", "r1", files.tags)
    assert answer(root, "select (select count(*) from tags) + (select count(*) from rejects) as n") == [{"n": 0}]
    commit_unit(tables, "r1", rows)
    assert answer(root, "select (select count(*) from tags) + (select count(*) from rejects) as n") == [{"n": 2}]


def test_a_run_committed_while_the_views_are_made_is_seen_whole_or_not_at_all(root, monkeypatch):
    tables, dataset = Tables(root), Tables.dataset
    commit_unit(tables, "r1", unit([tag("a")]))

    def dataset_then_commit(self, name):
        opened = dataset(self, name)
        monkeypatch.undo()
        commit_unit(tables, "r2", unit([tag("b", "r2")]))
        return opened

    monkeypatch.setattr(Tables, "dataset", dataset_then_commit)
    seen = connect(root).sql("select (select count(*) from runs) as runs, (select count(*) from tags) as tags")
    assert seen.to_arrow_table().to_pylist() == [{"runs": 1, "tags": 1}]
    assert answer(root, "select count(*) as n from tags") == [{"n": 2}]


def test_current_is_the_newest_tag_of_each_image(root):
    tables = Tables(root)
    commit_unit(tables, "r2", unit([tag("a", "r2", color="Red", tagged_at=NOON + dt.timedelta(days=1))]))
    commit_unit(tables, "r1", unit([tag("a", color="Blue"), tag("b", color="Grey")]))
    commit_unit(tables, "r3", unit([tag("b", "r3", color="Gold")]))
    assert answer(root, "select image_key, color from current order by 1") == [
        {"image_key": "a", "color": "Red"},
        {"image_key": "b", "color": "Gold"},
    ]


def test_only_the_columns_and_rows_asked_for_are_read(root):
    commit_unit(Tables(root), "r1", unit([tag("a")]))
    plan = connect(root).sql("explain select color from tags where date = '2026-11-22' and width > 3").to_arrow_table()
    text = plan["explain_value"][0].as_py()
    assert "width" in text and "Filters" in text and "color_cam" not in text
    assert "2026-11-22" in text.split("Filters")[1]


def test_times_are_utc_whatever_the_machine(root, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    commit_unit(Tables(root), "r1", unit([tag("a")]))
    assert answer(root, "select tagged_at::varchar as t from tags") == [{"t": "2026-11-22 12:00:00+00"}]


def test_a_long_query_draws_no_progress_into_the_answer(root):
    assert answer(root, "select current_setting('enable_progress_bar') as bar") == [{"bar": False}]


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("select colour from tags", 'Referenced column "colour" not found'),
        ("select * form tags", "syntax error at or near"),
        ("select * from sales", "Table with name sales does not exist"),
        ("select 'x'::int from runs union select 'x'::int", "Could not convert string 'x' to INT32"),
        (" ; ", "The query is empty"),
    ],
)
def test_bad_sql_is_answered_in_one_line(root, sql, sentence):
    with pytest.raises(BadInput, match=sentence) as caught:
        run_query(root, sql)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "select * from read_text('/etc/hostname')",
        "select * from read_parquet('s3://bucket/x.parquet')",
        "copy (select 1) to '{folder}/out.csv'",
        "attach '{folder}/out.db'",
        "install httpfs",
        "set enable_external_access = true",
        "select * from root",
    ],
)
def test_sql_reaches_neither_files_nor_network_nor_python(root, tmp_path, sql):
    with pytest.raises(BadInput):
        run_query(root, sql.format(folder=tmp_path))
    assert not list(tmp_path.glob("out.*"))


def test_files_that_cannot_be_read_are_an_outage_and_no_bad_query(root):
    commit_unit(Tables(root), "r1", unit([tag("a")]))
    for stored in list(root.list_objects("tables/tags/date=")):
        root.delete(stored.key)
    with pytest.raises(StorageUnavailable, match="tables under .* did not answer"):
        run_query(root, "select color from tags")


def test_the_summary_tells_each_run_newest_first(root):
    rows = [
        tag("a", type_confidence=0.5, color_confidence=0.25, focus=0.5, needs_review=True,
            review_reasons=["low_focus", "audit"]),
        tag("b", type_confidence=1.0, color_confidence=0.75, needs_review=True, review_reasons=["low_focus"]),
        tag("c", type_confidence=0.75, color_confidence=0.5, focus=0.0),
        tag("d", type_confidence=0.75, color_confidence=0.5, focus=1.0),
    ]  # fmt: skip
    commit_unit(Tables(root), "r1", unit(rows, [reject("e")]))
    commit_unit(Tables(root), "r2", unit(), date=DAY + dt.timedelta(days=1))
    newest, oldest = summary(root).to_pylist()
    assert oldest == {
        "date": DAY, "run_id": "r1", "model_version": "1", "tagged": 4, "rejected": 1, "flagged_share": 0.5,
        "mean_type_confidence": 0.75, "mean_color_confidence": 0.5, "mean_focus": 0.5,
        "top_reasons": "low_focus 2, audit 1",
    }  # fmt: skip
    assert (newest["run_id"], newest["flagged_share"], newest["top_reasons"]) == ("r2", None, "")
