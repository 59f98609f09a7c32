"""Rows in any order become ranges of one size, each key once, whatever lies between."""

import random
from itertools import pairwise

import duckdb
import pyarrow as pa
import pytest

from tagger.catalog.listing import KeyRange
from tagger.catalog.sorted_rows import SortedRows, sort_rows, sorting
from tagger.errors import StorageUnavailable
from tagger.storage import open_root

SOURCE = {"uri": "made here"}


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def sort(root, keys):
    with sorting() as (connection, _):
        sort_rows(connection.from_arrow(pa.table({"image_key": keys})), root, SOURCE, file_rows=2048)
    return SortedRows(root)


def keys_of(rows, part, after=""):
    return [key for batch in rows.batches(part, after) for key in batch["image_key"].to_pylist()]


def test_ranges_have_one_size_and_divide_all_keys(root):
    keys = [f"{number:05d}" for number in range(20_480)]
    rows = sort(root, random.Random(1).sample(keys, len(keys)))
    ranges = rows.ranges(5)
    assert (ranges[0].start, ranges[-1].end) == ("", "") and all(a.end == b.start for a, b in pairwise(ranges))
    parts = [keys_of(rows, part) for part in ranges]
    assert sum(parts, []) == keys and {len(part) for part in parts} == {4096}
    assert [len(rows.ranges(wanted)) for wanted in (1, 64)] == [1, 10] and rows.count() == len(keys)


def test_a_range_may_begin_and_end_anywhere(root):
    keys = [f"{number:05d}" for number in range(0, 20_480, 2)]
    rows = sort(root, keys[::-1])
    for start, end, after in [("", "00001", ""), ("04096", "08191", ""), ("04095", "", "12288"), ("3", "", "")]:
        wanted = [key for key in keys if key >= start and key > after and (not end or key < end)]
        assert keys_of(rows, KeyRange(start, end), after) == wanted


def test_rows_that_take_more_memory_and_disk_than_there_is_are_an_outage(root, monkeypatch):
    monkeypatch.setattr("tagger.catalog.sorted_rows._SORT_MEMORY", "1MB")
    keys = pa.array([f"{number:050d}" for number in range(200_000)])
    with pytest.raises(StorageUnavailable, match="has too little space to sort in: Out of Memory.*Set TMPDIR"):
        sort(root, keys)


def test_repeated_keys_come_once_across_files(root):
    keys = [f"{number // 3:05d}" for number in range(9000)]
    assert keys_of(sort(root, keys), KeyRange()) == sorted(set(keys))


def test_the_order_is_that_of_utf8(root):
    keys = ["\U00010000", "\uffee", "é", "z", "a/b", "a.b", "a"]
    assert keys_of(sort(root, keys), KeyRange()) == keys[::-1]


def test_a_folder_tells_from_what_it_was_made(root):
    assert not SortedRows(root).is_made_from(SOURCE)
    assert sort(root, ["a"]).is_made_from(SOURCE) and not SortedRows(root).is_made_from({"uri": "elsewhere"})


def test_the_sorting_reaches_nothing_outside_its_folder(tmp_path):
    outside = tmp_path / "outside.csv"
    with sorting() as (connection, folder):
        connection.execute(f"COPY (SELECT 1) TO '{folder}/inside.csv'")
        for sql in (
            f"COPY (SELECT 1) TO '{outside}'",
            f"FROM read_text('{__file__}')",
            f"SET temp_directory = '{tmp_path}'",
        ):
            with pytest.raises(duckdb.Error, match="disabled|locked"):
                connection.execute(sql)
    assert not outside.exists()
