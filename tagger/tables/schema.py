"""Every column of every table: type, meaning, unit, when it is null. Schemas, DDL and docs/columns.md come from here.

Delta Lake has no unsigned integers, fixed-size lists or zoneless timestamps below reader 3: none of them may appear.
`python -m tagger.tables.schema > docs/columns.md` writes the page.
"""

import sys
from dataclasses import dataclass

import pyarrow as pa

PARTITION = "date"
"""The Hive and Delta partition column of every table; it stands in the folder's name and not in the files."""

COMMITTED = "committed"
"""The `status` of a run whose rows the views show."""

FINAL_REASONS = {
    "empty": "the file has no bytes",
    "file_too_large": "more bytes than the limit",
    "not_an_image": "no image format's magic bytes",
    "unsupported_format": "a known image format that is not accepted",
    "truncated": "the file ends before the picture does",
    "corrupt": "the decoder refuses the bytes",
    "too_many_pixels": "more pixels than the limit, by the header",
    "too_small": "the shorter side is under 16 px",
    "decode_timeout": "decoding took longer than the limit",
    "decode_memory": "decoding took more memory than the limit",
    "decode_crashed": "the decode process died on it",
}
"""Reject reasons that hold until the etag changes, with their meaning."""

TRANSIENT_REASONS = {
    "not_found": "listed, then gone",
    "access_denied": "storage refuses to hand it out; without etag and size where it told not even these",
    "download_failed": "the download broke off or was never answered",
    "changed_during_run": "its etag is no longer the listed one",
    "inference_failed": "the networks failed on it",
}
"""Reject reasons after which the photo is new again the next night, with their meaning."""

REVIEW_REASONS = {
    "low_type_confidence": "`type_confidence` is under its threshold",
    "low_color_confidence": "`color_confidence` is under its threshold",
    "low_focus": "too little of the color evidence lies on the product; `background_flip` confirms it or not",
    "mask_uncertain": "`mask_quality` is under its threshold, so that the focus number is not believed",
    "color_disagrees": "the tag is far from `dominant_rgb`",
    "out_of_scope": "the picture looks like none of the trained types",
    "audit": "drawn at random, to measure the precision of what passes",
}
"""Why an item needs review, with the meaning; `review_reasons` holds any of them."""


@dataclass(frozen=True)
class Column:
    """One column. `null_when` is empty where the column is never null."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    null_when: str = ""


_S, _B, _F, _I32, _I64 = pa.string(), pa.bool_(), pa.float32(), pa.int32(), pa.int64()
_AT = pa.timestamp("us", "UTC")
_TOP3 = pa.list_(pa.struct([("label", _S), ("p", _F)]))
_COUNTS = pa.list_(pa.struct([("reason", _S), ("count", _I64)]))
_STAGES = pa.list_(pa.struct([("stage", _S), ("seconds", _F)]))
_PROFILES = pa.list_(pa.struct([("group", _S), ("column", _S), ("counts", pa.list_(_I64))]))
_MOVED = [("reference", _S), ("group", _S), ("column", _S), ("items", _I64), ("psi", _F), ("p_value", _F)]
_DRIFT = pa.list_(pa.struct([*_MOVED, ("usual_psi", _F), ("is_alarming", _B)]))
_NO_FOCUS = "`focus_null_reason` says why"
_FOCUS = "share of the attainable: 1 the best map, 0 a map that ignores the product, below 0 one worse than that"
_NULL_REASON = (
    "why the focus columns are null: `zero_map`, no evidence for the color; `empty_mask`, no product was found; "
    "`mask_everywhere`, the product fills the picture (only `focus` is null)"
)
_NOT_TRIED = "the background was not repainted"
_NO_MASK = "there is no mask"
_NO_MAP = "there is no map"
_OLDER = "an older version made the run"
_NO_ESTIMATE = "an older version made the run, or nothing was tagged"

_NIGHT = [
    Column("run_id", _S, "the run that made the row"),
    Column("date", pa.date32(), "the night the run belongs to; partition column", "UTC"),
]
_OBJECT = [
    Column("image_key", _S, "the object's key relative to `images`, as listed: never decoded or normalised"),
    Column("etag", _S, "the object's entity tag as listed; a photo with another one is new"),
    Column("size_bytes", _I64, "the object's size as listed", "bytes"),
]

TAGS_COLUMNS = [
    *_NIGHT,
    Column("tagged_at", _AT, "when the row was made", "UTC"),
    *_OBJECT,
    Column("last_modified", _AT, "when the object was last changed, as listed", "UTC"),
    Column("width", _I32, "width of the picture as stored", "px"),
    Column("height", _I32, "height of the picture as stored", "px"),
    Column("format", _S, "format by magic bytes: JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF"),
    Column("phash", _I64, "perceptual hash; near duplicates differ in few bits", "64 bits, signed"),
    Column("type", _S, "predicted type"),
    Column("type_confidence", _F, "calibrated probability of `type`", "[0, 1]"),
    Column("type_top3", _TOP3, "the three most probable types, best first, calibrated", "[0, 1]"),
    Column("color", _S, "predicted color"),
    Column("color_confidence", _F, "calibrated probability of `color`", "[0, 1]"),
    Column("color_top3", _TOP3, "the three most probable colors, best first, calibrated", "[0, 1]"),
    Column("cam_on_product", _F, "share of the color map's relevance on the product mask", "[0, 1]", _NO_FOCUS),
    Column("focus", _F, _FOCUS, "<= 1", _NO_FOCUS),
    Column("cam_lift", _F, "`cam_on_product` / `product_area`", ">= 0", _NO_FOCUS),
    Column("product_area", _F, "share of the picture that the product mask covers", "[0, 1]", _NO_MASK),
    Column("pointing_hit", _B, "the color map's highest point lies on the product", "", _NO_FOCUS),
    Column("focus_map", _S, "which map and which cut, as `map/cut`"),
    Column("focus_null_reason", _S, _NULL_REASON, "", "they are not"),
    Column("background_flip", _B, "the color changes when the background is repainted", "", _NOT_TRIED),
    Column("flip_probability_change", _F, "change of `color`'s probability by repainting", "[-1, 1]", _NOT_TRIED),
    Column("foreground_area", _F, "share of the picture that is not background", "[0, 1]", _NO_MASK),
    Column("mask_quality", _F, "estimate of the product mask's intersection over union", "[0, 1]", _NO_MASK),
    Column("dominant_rgb", pa.list_(pa.int16()), "median color of the product: red, green, blue", "0..255", _NO_MASK),
    Column("color_cam", pa.binary(), "8x8 color map, uint8 shares of its maximum", "64 bytes", _NO_MAP),
    Column("type_cam", pa.binary(), "8x8 type map, uint8 shares of its maximum", "64 bytes", _NO_MAP),
    Column("product_mask", pa.binary(), "32x32 product mask, one bit a cell, row by row", "128 bytes", _NO_MASK),
    Column("risk", _F, "orders the review queue: higher is likelier wrong", "[0, 1]"),
    Column("needs_review", _B, "`review_reasons` is not empty"),
    Column("review_reasons", pa.list_(_S), "the review reasons that hold, strongest first"),
    Column("audit_probability", _F, "probability with which the audit would draw this item", "[0, 1]"),
    Column("model_name", _S, "the bundle's name"),
    Column("model_version", _S, "the bundle's version"),
    Column("engine", _S, "what ran the networks"),
    Column("config_digest", _S, "digest of the settings that change answers"),
]

REJECTS_COLUMNS = [
    *_NIGHT,
    *_OBJECT,
    Column("reason", _S, "one of the reject reasons below"),
    Column("detail", _S, "what the decoder or the storage said", "", "there is nothing more to say"),
    Column("attempts", _I32, "how often it was tried in this run"),
    Column("rejected_at", _AT, "when the run gave it up", "UTC"),
]

RUNS_COLUMNS = [
    *_NIGHT,
    Column("started_at", _AT, "when the run first started", "UTC"),
    Column("finished_at", _AT, "when its table files were complete, just before the commit", "UTC"),
    Column("model_name", _S, "the bundle's name"),
    Column("model_version", _S, "the bundle's version"),
    Column("config_digest", _S, "digest of the settings that change answers"),
    Column("code_version", _S, "release of tagger, and a digest of its files"),
    Column("listed", _I64, "objects seen in the listing"),
    Column("new", _I64, "listed images this run had to tag: each is one row in `tags` or in `rejects`"),
    Column("tagged", _I64, "rows in `tags`"),
    Column("rejected", _I64, "rows in `rejects`"),
    Column("rejected_by_reason", _COUNTS, "rejects by reason, most frequent first"),
    Column("flagged_by_reason", _COUNTS, "tagged items by review reason, most frequent first; one item can have many"),
    Column("flagged", _I64, "tagged items that need review"),
    Column(
        "vanished", _I64, "answered keys that are no longer listed, however long since", "", "the listing was not full"
    ),
    Column("seconds_per_stage", _STAGES, "time spent in each stage, summed over processes", "s"),
    Column("bottleneck", _S, "the stage that limited the run", "", "nothing was new"),
    Column("status", _S, f"`{COMMITTED}`: the views show the rows of such runs only"),
    Column("max_logit_residual", _F, "largest |logit - mean of its map|: a self-check", "", "nothing was tagged"),
    Column("exit_code", _I32, "the job's exit code"),
    Column("estimated_type_accuracy", _F, "share of right types to expect (docs/drift.md)", "[0, 1]", _NO_ESTIMATE),
    Column("estimated_type_accuracy_margin", _F, "half its 95 % interval", "[0, 1]", _NO_ESTIMATE),
    Column("estimated_color_accuracy", _F, "share of right colors to expect (docs/drift.md)", "[0, 1]", _NO_ESTIMATE),
    Column("estimated_color_accuracy_margin", _F, "half its 95 % interval", "[0, 1]", _NO_ESTIMATE),
    Column("warnings", pa.list_(_S), "what was unusual about the run, a sentence each", "", _OLDER),
    Column("drift", _DRIFT, "comparisons of all photos, and of groups that moved (docs/drift.md)", "", _OLDER),
    Column("distributions", _PROFILES, "counts by group and column, for later nights to compare with", "", _OLDER),
]

COLUMNS = {"tags": TAGS_COLUMNS, "rejects": REJECTS_COLUMNS, "runs": RUNS_COLUMNS}
"""The tables, in reading order."""


def _schema(columns: list[Column]) -> pa.Schema:
    return pa.schema([pa.field(column.name, column.type) for column in columns])


TAGS, REJECTS, RUNS = (_schema(columns) for columns in COLUMNS.values())
SCHEMAS = {"tags": TAGS, "rejects": REJECTS, "runs": RUNS}
"""Arrow schema by table name."""

_SQL_NAMES = {
    _S: "STRING", _B: "BOOLEAN", _F: "FLOAT", _I32: "INT", _I64: "BIGINT", pa.int16(): "SMALLINT",
    pa.binary(): "BINARY", pa.date32(): "DATE", _AT: "TIMESTAMP",
}  # fmt: skip


def sql_type(type_: pa.DataType) -> str:
    """The Delta SQL name of an Arrow type. KeyError for a type that would lift the table's protocol."""
    if pa.types.is_list(type_):
        return f"ARRAY<{sql_type(type_.value_type)}>"
    if pa.types.is_struct(type_):
        return f"STRUCT<{', '.join(f'{field.name}: {sql_type(field.type)}' for field in type_)}>"
    return _SQL_NAMES[type_]


def ddl(table: str) -> str:
    """The statement that declares a table to an engine with Delta support; LOCATION is left to the reader."""
    columns = ",\n".join(f"  `{column.name}` {sql_type(column.type)}" for column in COLUMNS[table])
    return f"CREATE TABLE {table} (\n{columns}\n) USING DELTA PARTITIONED BY (`{PARTITION}`);"


def _reasons(title: str, reasons: dict[str, str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- `{name}`: {meaning}" for name, meaning in reasons.items())


def _table(name: str) -> str:
    cells = [(f"`{c.name}`", f"`{sql_type(c.type)}`", c.unit, c.meaning, c.null_when) for c in COLUMNS[name]]
    head = [("column", "type", "unit, range", "meaning", "null when"), ("---",) * 5]
    rows = "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in [*head, *cells])
    return f"## `{name}`\n\n{rows}"


_INTRODUCTION = """# Columns

Generated by `python -m tagger.tables.schema`; do not edit. The tables are Delta Lake tables (reader 1, writer 2) under
`tables/` of the root, partitioned by `date`. A run is committed when its row is in `runs`. `tagger query` shows
committed runs only, through the views `tags`, `rejects`, `runs`, and `current`: the newest tag of each image. It keeps
the last tag of photos that were deleted since, and of photos whose newer version was rejected
([reading tables](reading-tables.md#what-current-keeps))."""


def columns_page() -> str:
    """The whole text of docs/columns.md."""
    parts = [_INTRODUCTION, *map(_table, COLUMNS)]
    parts.append(_reasons("Reject reasons: final, until the etag changes", FINAL_REASONS))
    parts.append(_reasons("Reject reasons: transient, new again the next night", TRANSIENT_REASONS))
    parts.append(_reasons("Review reasons", REVIEW_REASONS))
    parts.append("## DDL\n\n```sql\n" + "\n\n".join(map(ddl, COLUMNS)) + "\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    sys.stdout.write(columns_page())
