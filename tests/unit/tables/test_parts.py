import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagger.errors import BadInput
from tagger.storage import open_root
from tagger.tables.parts import ROW_GROUP_ROWS, DataFile, PartWriter
from tagger.tables.schema import REJECTS
from tests.tables_rows import DAY, reject


def write(folder, keys, *, target_bytes=2**20, chunk=10_000):
    writer = PartWriter(open_root(str(folder)), REJECTS, "r1", DAY, target_bytes)
    rows = pa.Table.from_pylist([reject(key) for key in keys], schema=REJECTS)
    for start in range(0, len(rows), chunk):
        writer.add(rows.slice(start, chunk))
    return writer.close()


def test_the_name_binds_the_bytes(tmp_path):
    (file,) = write(tmp_path, ["a", "b"])
    data = (tmp_path / file.path).read_bytes()
    assert file.path == f"date=2026-11-22/part-r1-0-{hashlib.sha256(data).hexdigest()[:16]}.parquet"
    assert (file.size_bytes, file.rows, file.partition) == (len(data), 2, "2026-11-22")


def test_the_same_rows_get_the_same_name_and_others_another(tmp_path):
    assert write(tmp_path, ["a", "b"]) == write(tmp_path, ["a", "b"])
    assert write(tmp_path, ["a", "c"]) != write(tmp_path, ["a", "b"])


def test_a_file_is_closed_at_the_target_size(tmp_path):
    keys = [f"{number:08d}" for number in range(2 * ROW_GROUP_ROWS + 5_000)]
    files = write(tmp_path, keys, target_bytes=1)
    stored = [pq.read_table(tmp_path / file.path, partitioning=None)["image_key"].to_pylist() for file in files]
    assert [file.rows for file in files] == [40_000, len(keys) - 40_000] and sum(stored, []) == keys


def test_a_file_knows_its_least_and_greatest_key_as_bytes_order_them(tmp_path):
    first, last = "B\n", "\U0001f45c"  # UTF-16 would put the bag before the full-width letter
    (file,) = write(tmp_path, ["b", "\uff21", last, first, "a"], chunk=2)
    assert (file.first_key, file.last_key) == (first, last)


def test_row_groups_are_large_however_small_the_units(tmp_path):
    (file,) = write(tmp_path, map(str, range(ROW_GROUP_ROWS + 256)), chunk=256, target_bytes=2**30)
    assert pq.ParquetFile(tmp_path / file.path).num_row_groups == 2


def test_no_rows_make_no_file(tmp_path):
    assert write(tmp_path, []) == [] and not list(tmp_path.iterdir())


def test_the_date_stands_in_the_folder_and_not_in_the_file(tmp_path):
    (file,) = write(tmp_path, ["a"])
    assert "date" not in pq.ParquetFile(tmp_path / file.path).schema_arrow.names


def test_a_run_id_that_cannot_name_a_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'2026/11'"):
        PartWriter(open_root(str(tmp_path)), REJECTS, "2026/11", DAY)


@pytest.mark.parametrize(
    "path",
    [
        "../rejects/{}",
        "/etc/{}",
        "s3://other/tables/{}",
        "file:///etc/{}",
        "date=2026-11-22/../../{}",
        "date=2026-11-22/x.parquet",
        "date=2026-11-22/%2e%2e/{}",
        "{}\n",
    ],
)
def test_a_file_that_is_not_of_this_table_is_refused(path):
    name = "part-r1-0-0123456789abcdef.parquet"
    assert DataFile(f"date=2026-11-22/{name}", 1, 1).partition == "2026-11-22"
    with pytest.raises(BadInput, match="is no table file of ours"):
        DataFile(path.format(name), 1, 1)
