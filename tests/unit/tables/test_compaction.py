import datetime as dt

import pytest

from tagger.storage import open_root
from tagger.tables.compaction import compact, compactable_dates
from tagger.tables.query import run_query
from tagger.tables.store import Tables
from tests.tables_rows import DAY, LABELS, commit_unit, reject, tag, unit

EXTREME = {
    "type_top3": LABELS,
    "dominant_rgb": [0, 128, 255],
    "color_cam": bytes(range(64)),
    "review_reasons": ["audit"],
}


@pytest.fixture
def root(tmp_path):
    root = open_root(str(tmp_path))
    for number, run_id in enumerate(("r1", "r2", "r3")):
        rows = unit([tag(f"{number}a", run_id, **EXTREME), tag("b", run_id)], [reject("c", run_id)])
        commit_unit(Tables(root), run_id, rows)
    return root


def everything(root):
    return {
        name: run_query(root, f"select * from {name} order by run_id, {order}")
        for name, order in {"tags": "image_key", "rejects": "image_key", "runs": "date"}.items()
    }


def test_three_small_files_of_a_date_become_one_in_every_table(root):
    gained = {each.table: (each.files_before, each.files_after) for each in compact(root, DAY)}
    assert gained == {"tags": (3, 1), "rejects": (3, 1), "runs": (3, 1)}


def test_rows_are_what_they_were(root):
    before = everything(root)
    compact(root, DAY)
    assert everything(root) == before


def test_a_compacted_date_has_nothing_left_to_gain(root):
    assert compactable_dates(root) == [DAY]
    compact(root, DAY)
    assert compactable_dates(root) == [] and compact(root, DAY) == []


def test_other_dates_keep_their_files(root):
    later = DAY + dt.timedelta(days=1)
    commit_unit(Tables(root), "r4", unit([tag("d", "r4", date=later)]), date=later)
    assert {each.date for each in compact(root, DAY)} == {DAY} and compactable_dates(root) == []
    assert len([o for o in root.list_objects("tables/tags/date=2026-11-23/")]) == 1


def test_a_compacted_run_is_in_and_is_not_committed_again(root):
    compact(root, DAY)
    tables = Tables(root)
    assert tables.transactions("r1") == ["rejects", "tags", "runs"]
    assert not tables.finish_run("r1") and tables.dataset("tags").count_rows() == 6


def test_a_root_without_tables_has_nothing_to_compact(tmp_path):
    fresh = open_root(str(tmp_path / "fresh"))
    assert compactable_dates(fresh) == [] and compact(fresh, DAY) == []
