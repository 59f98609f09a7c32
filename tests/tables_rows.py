"""Rows of the tables, made in one line."""

import datetime as dt

import pyarrow as pa

from tagger.tables.record import RunRecord
from tagger.tables.schema import REJECTS, TAGS
from tagger.tables.store import Tables
from tagger.tables.units import Unit

DAY = dt.date(2026, 11, 22)
NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
LABELS = [{"label": "White", "p": 0.75}, {"label": "Cream", "p": 0.25}]

CLASSES = {"type": ("Shirt", "Top"), "color": ("White", "Cream")}


def tag(image_key: str, run_id: str = "r1", **values: object) -> dict[str, object]:
    """One row of `tags`; what is not given is null."""
    known = {"run_id": run_id, "date": DAY, "tagged_at": NOON, "image_key": image_key, "etag": "e1", "type": "Shirt"}
    return dict.fromkeys(TAGS.names) | known | {"color": "White", "needs_review": False, "review_reasons": []} | values


def full_tag(image_key: str, run_id: str = "r1", **values: object) -> dict[str, object]:
    """One row of `tags` that keeps every promise of its columns, for the classes CLASSES."""
    known = {
        "size_bytes": 3, "last_modified": NOON, "width": 40, "height": 30, "format": "PNG", "phash": 0,
        "type_confidence": 0.75, "type_top3": [{"label": "Shirt", "p": 0.75}, {"label": "Top", "p": 0.25}],
        "color_confidence": 0.75, "color_top3": LABELS, "focus": 0.5, "focus_map": "class/post_bn", "risk": 0.25,
        "audit_probability": 0.01, "model_name": "m", "model_version": "1", "engine": "e", "config_digest": "c",
    }  # fmt: skip
    return tag(image_key, run_id, **(known | values))


def reject(image_key: str, run_id: str = "r1", **values: object) -> dict[str, object]:
    """One row of `rejects`."""
    known = {"run_id": run_id, "date": DAY, "image_key": image_key, "etag": "e1", "size_bytes": 3, "reason": "corrupt"}
    return dict.fromkeys(REJECTS.names) | known | {"attempts": 1, "rejected_at": NOON} | values


def unit(tags: list[dict[str, object]] | None = None, rejects: list[dict[str, object]] | None = None) -> Unit:
    """A unit of work from rows."""
    return Unit(pa.Table.from_pylist(tags or [], schema=TAGS), pa.Table.from_pylist(rejects or [], schema=REJECTS))


def record(run_id: str = "r1", tagged: int = 0, rejected: int = 0, **values: object) -> RunRecord:
    """The record of a run."""
    known = {
        "date": DAY, "started_at": NOON, "finished_at": NOON, "model_name": "m", "model_version": "1",
        "config_digest": "c", "code_version": "0.1.0", "listed": tagged + rejected, "new": tagged + rejected,
    }  # fmt: skip
    return RunRecord(run_id=run_id, tagged=tagged, rejected=rejected, **(known | values))


def commit_unit(tables: Tables, run_id: str, rows: Unit, **values: object) -> bool:
    """Finalise and commit a run of one unit."""
    told = record(run_id, len(rows.tags), len(rows.rejects), **values)
    files = tables.finalise(run_id, told.date, [rows])
    return tables.commit_run(told, files.tags, files.rejects)
