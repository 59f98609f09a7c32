import datetime as dt
from pathlib import Path
from typing import get_args

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from tagger.config import RetriedReason
from tagger.flags.reasons import REASONS
from tagger.picture.decode import REJECT_REASONS
from tagger.storage import open_root
from tagger.tables.schema import (
    COLUMNS,
    FINAL_REASONS,
    REVIEW_REASONS,
    SCHEMAS,
    TAGS,
    TRANSIENT_REASONS,
    columns_page,
    ddl,
    sql_type,
)
from tagger.tables.store import Tables
from tests.tables_rows import DAY, NOON, commit_unit, reject, tag, unit

PAGE = Path(__file__).parents[2] / "docs" / "columns.md"

EXTREMES = tag(
    "images/ü\n雪 %2F#?.jpg",
    size_bytes=2**63 - 1,
    width=2**31 - 1,
    phash=-(2**63),
    tagged_at=dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
    last_modified=dt.datetime(1800, 1, 1, tzinfo=dt.UTC),
    type="",
    type_confidence=1.0,
    type_top3=[{"label": "T-Shirt", "p": 1.0}, {"label": None, "p": None}],
    color_top3=[],
    focus=-3.4028234663852886e38,
    pointing_hit=False,
    dominant_rgb=[0, 200, 255],
    color_cam=bytes(range(192, 256)),
    product_mask=b"",
    review_reasons=[],
)
NULLS = dict.fromkeys(TAGS.names) | {"run_id": "r1", "date": DAY, "image_key": "null"}


@pytest.fixture
def shop(tmp_path):
    root = open_root(str(tmp_path / "my shop #1 ü"))
    commit_unit(Tables(root), "r1", unit([EXTREMES, NULLS], [reject("b\tü", rejected_at=NOON, detail=None)]))
    return root


def with_deltalake(root):
    return pa.table(DeltaTable(f"{root.uri}/tables/tags").to_pyarrow_table())


def with_duckdb(root):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    files = f"{root.uri}/tables/tags/*/*.parquet"
    return connection.sql(f"select * from read_parquet('{files}', hive_partitioning = true)").to_arrow_table()


def with_pyarrow(root):
    return ds.dataset(f"{root.uri}/tables/tags", partitioning="hive", exclude_invalid_files=True).to_table()


@pytest.mark.parametrize("read", [with_deltalake, with_duckdb, with_pyarrow])
def test_extreme_values_come_back_in_every_reader(shop, read):
    rows = {row["image_key"]: row for row in read(shop).select(TAGS.names).cast(TAGS).to_pylist()}
    assert rows == {EXTREMES["image_key"]: EXTREMES, "null": NULLS}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_table_asks_for_the_oldest_protocol_only(shop, name):
    protocol = DeltaTable(f"{shop.uri}/tables/{name}").protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert not protocol.reader_features and not protocol.writer_features


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_log_declares_the_schema_as_it_is(shop, name):
    table = DeltaTable(f"{shop.uri}/tables/{name}")
    assert pa.schema(table.schema().to_arrow()).equals(SCHEMAS[name])
    assert table.metadata().partition_columns == ["date"]


def test_the_columns_stand_in_the_published_order():
    assert " ".join(TAGS.names) == (
        "run_id date tagged_at image_key etag size_bytes last_modified width height format phash "
        "type type_confidence type_top3 color color_confidence color_top3 "
        "cam_on_product focus cam_lift product_area pointing_hit focus_map focus_null_reason "
        "background_flip flip_probability_change foreground_area mask_quality dominant_rgb "
        "color_cam type_cam product_mask risk needs_review review_reasons audit_probability "
        "model_name model_version engine config_digest"
    )
    assert " ".join(SCHEMAS["rejects"].names) == (
        "run_id date image_key etag size_bytes reason detail attempts rejected_at"
    )
    assert " ".join(SCHEMAS["runs"].names) == (
        "run_id date started_at finished_at model_name model_version config_digest code_version listed new tagged "
        "rejected rejected_by_reason flagged_by_reason flagged vanished seconds_per_stage bottleneck status "
        "max_logit_residual exit_code "
        "estimated_type_accuracy estimated_type_accuracy_margin estimated_color_accuracy "
        "estimated_color_accuracy_margin warnings drift distributions"
    )


def test_the_columns_page_is_the_one_the_schema_makes():
    assert PAGE.read_text() == columns_page(), "run: python -m tagger.tables.schema > docs/columns.md"


def test_every_column_says_what_it_means():
    assert all(column.meaning for columns in COLUMNS.values() for column in columns)


def test_the_ddl_names_delta_types():
    assert ddl("rejects").splitlines()[:3] == ["CREATE TABLE rejects (", "  `run_id` STRING,", "  `date` DATE,"]
    assert sql_type(TAGS.field("color_top3").type) == "ARRAY<STRUCT<label: STRING, p: FLOAT>>"


@pytest.mark.parametrize("type_", [pa.uint8(), pa.timestamp("us"), pa.list_(pa.int16(), 3)])
def test_types_that_lift_the_protocol_have_no_name(type_):
    with pytest.raises(KeyError):
        sql_type(type_)


def test_the_reasons_are_the_rooms_own():
    assert set(REVIEW_REASONS) == set(REASONS)
    assert tuple(FINAL_REASONS) == REJECT_REASONS
    assert not set(FINAL_REASONS) & set(TRANSIENT_REASONS)


def test_every_final_reason_can_be_tried_again():
    assert set(get_args(RetriedReason)) == {"all", *FINAL_REASONS}
