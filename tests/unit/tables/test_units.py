import datetime as dt
import tempfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.errors import GateRefused
from tagger.storage import open_root
from tagger.tables.schema import REJECTS, TAGS
from tagger.tables.units import read_unit, staged_units, write_unit
from tests.tables_rows import reject, tag, unit

VALUES = {
    pa.string(): st.text(max_size=8),
    pa.bool_(): st.booleans(),
    pa.float32(): st.floats(width=32, allow_nan=False),
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.binary(): st.binary(max_size=64),
    pa.date32(): st.dates(),
    pa.timestamp("us", "UTC"): st.datetimes(dt.datetime(1800, 1, 1), timezones=st.just(dt.UTC)),
}


def values(type_: pa.DataType) -> st.SearchStrategy:
    if pa.types.is_list(type_):
        return st.lists(values(type_.value_type), max_size=3)
    if pa.types.is_struct(type_):
        return st.fixed_dictionaries({field.name: st.none() | values(field.type) for field in type_})
    return VALUES[type_]


def tables(schema: pa.Schema) -> st.SearchStrategy:
    row = st.fixed_dictionaries({field.name: st.none() | values(field.type) for field in schema})
    return st.lists(row, max_size=3).map(lambda rows: pa.Table.from_pylist(rows, schema=schema))


@settings(max_examples=30, deadline=None)
@given(tags=tables(TAGS), rejects=tables(REJECTS))
def test_a_unit_comes_back_as_it_was_staged(tags, rejects):
    with tempfile.TemporaryDirectory() as folder:
        root = open_root(folder)
        write_unit(root, "r1", "0-0", tags, rejects)
        back = read_unit(root, "r1", "0-0")
    assert back.tags.equals(tags) and back.rejects.equals(rejects)


def test_units_are_listed_by_name(tmp_path):
    root = open_root(str(tmp_path))
    assert staged_units(root, "v1.2-r1") == set()
    for name in ("00000-00000", "00000-00001"):
        write_unit(root, "v1.2-r1", name, *unit([tag("a")]))
    write_unit(root, "v1.2-r10", "00009-00009", *unit())
    assert staged_units(root, "v1.2-r1") == {"00000-00000", "00000-00001"}


def test_a_unit_done_again_replaces_its_file(tmp_path):
    root = open_root(str(tmp_path))
    write_unit(root, "r1", "0", *unit([tag("a")]))
    write_unit(root, "r1", "0", *unit([], [reject("a")]))
    back = read_unit(root, "r1", "0")
    assert (len(back.tags), back.rejects["image_key"].to_pylist()) == (0, ["a"])


def test_columns_may_come_in_any_order_but_none_may_lack(tmp_path):
    root, rows = open_root(str(tmp_path)), unit([tag("a")])
    write_unit(root, "r1", "0", rows.tags.select(TAGS.names[::-1]), rows.rejects)
    assert read_unit(root, "r1", "0").tags.equals(rows.tags)
    with pytest.raises(KeyError, match="engine"):
        write_unit(root, "r1", "1", rows.tags.drop_columns("engine"), rows.rejects)


def test_a_unit_that_was_staged_in_other_columns_is_refused_with_the_file_and_the_column(tmp_path):
    root = open_root(str(tmp_path))
    write_unit(root, "r1", "0", *unit([tag("a")]))
    [file] = tmp_path.rglob("*.parquet")
    pq.write_table(pq.read_table(file).drop_columns("focus"), file)
    with pytest.raises(GateRefused, match=rf"{file} has other columns .*\(focus\).*Nothing was committed"):
        read_unit(root, "r1", "0")


def test_a_unit_that_is_not_staged_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_unit(open_root(str(tmp_path)), "r1", "0")
