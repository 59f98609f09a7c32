"""The third operator: what became of a unit, as rows of `tags` and `rejects`, put in one atomic write."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from tagger.storage import Root
from tagger.tables.schema import REJECTS, TAGS
from tagger.tables.units import write_unit
from tagger.tag.fetch import Decoded, Rejected
from tagger.tag.infer import Inferred

PHOTOS = pa.schema(
    [
        TAGS.field(name)
        for name in ("image_key", "etag", "size_bytes", "last_modified", "width", "height", "format", "phash")
    ]
)
"""What is known of a decoded photo before the networks see it."""

REFUSALS = pa.schema(
    [REJECTS.field(name) for name in ("image_key", "etag", "size_bytes", "reason", "detail", "attempts")]
)
"""What is known of a rejected photo."""


@dataclass(frozen=True)
class RunStamp:
    """What every row of a run carries."""

    run_id: str
    date: datetime.date
    config_digest: str


def photo_rows(decoded: Iterable[Decoded]) -> pa.Table:
    """Decoded photos in the schema PHOTOS."""
    return _rows(
        PHOTOS,
        [
            (p.key, p.etag, p.size_bytes, p.last_modified, x.width, x.height, x.format, x.phash)
            for p, x in ((each.photo, each.picture) for each in decoded)
        ],
    )


def refusal_rows(rejected: Iterable[Rejected]) -> pa.Table:
    """Rejected photos in the schema REFUSALS."""
    return _rows(
        REFUSALS,
        [
            (p.key, p.etag, p.size_bytes, r.reason, r.detail, attempts)
            for p, r, attempts in ((each.photo, each.reject, each.attempts) for each in rejected)
        ],
    )


def answered_rows(photos: pa.Table, inferred: Inferred) -> pa.Table:
    """The photos that have an answer, in the schema PHOTOS with the answers' columns behind."""
    kept = photos.take(pa.array(inferred.kept, pa.int64()))
    columns = dict(zip(kept.column_names, kept.columns, strict=True))
    return pa.table(columns | {name: inferred.answers[name] for name in inferred.answers.column_names})


def failed_rows(photos: pa.Table, failed: Mapping[int, str]) -> pa.Table:
    """The photos (schema PHOTOS) at these places, on which the networks failed, in the schema REFUSALS."""
    chosen = photos.take(pa.array(list(failed), pa.int64()))
    known = {name: chosen[name] for name in ("image_key", "etag", "size_bytes")}
    told = {
        "reason": ["inference_failed"] * len(failed),
        "detail": list(failed.values()),
        "attempts": [1] * len(failed),
    }
    return pa.table(known | {n: pa.array(v, REFUSALS.field(n).type) for n, v in told.items()}, REFUSALS)


def stage_unit(root: Root, unit: str, stamp: RunStamp, photos: pa.Table, refusals: pa.Table) -> None:
    """Write a unit's staged file. photos: PHOTOS with the answers' columns; refusals: REFUSALS."""
    now = datetime.datetime.now(datetime.UTC)
    tags = _stamped(photos, TAGS, stamp, tagged_at=now)
    rejects = _stamped(refusals, REJECTS, stamp, rejected_at=now)
    write_unit(root, stamp.run_id, unit, tags, rejects)


def _rows(schema: pa.Schema, rows: Sequence[tuple[object, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema)


def _stamped(rows: pa.Table, schema: pa.Schema, stamp: RunStamp, **at: datetime.datetime) -> pa.Table:
    """The rows with what the run adds, in the table's schema; a column that nobody filled is null."""
    constant = {"run_id": stamp.run_id, "date": stamp.date, "config_digest": stamp.config_digest, **at}
    filled = {name: rows[name] for name in rows.column_names}
    filled |= {
        n: pa.repeat(pa.scalar(v, schema.field(n).type), len(rows)) for n, v in constant.items() if n in schema.names
    }
    return pa.table([filled.get(f.name, pa.nulls(len(rows), f.type)) for f in schema], schema)
