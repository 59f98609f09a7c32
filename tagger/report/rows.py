"""Committed rows to draw: the newest of a key, or those of a contact sheet, with labels beside them where there are."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tagger.catalog.labels import ATTRIBUTES, labels_place, read_label_space, read_labels
from tagger.config import CatalogConfig
from tagger.errors import BadInput, LabelsError
from tagger.printable import printable
from tagger.storage import Root
from tagger.tables.query import run_query

SHEETS = {
    "worst": "the lowest focus, where the product mask is believed",
    "best": "the highest focus, where the product mask is believed",
    "errors": "the most confident tags that the labels contradict",
}
"""Names of contact sheets, and what is on them."""

SHOWN = "shown"
"""Beside the columns of `tags`, a row of a sheet tells which attribute's map is shown, "type" or "color"."""

# What the choice needs and no more: maps and masks of a large shop do not fit into memory.
_NEWEST = """
SELECT image_key, run_id, type, color, type_confidence, color_confidence, focus,
       list_contains(review_reasons, 'mask_uncertain') AS is_mask_doubtful
FROM tags {where} QUALIFY row_number() OVER (PARTITION BY image_key ORDER BY tagged_at DESC, run_id DESC) = 1
"""
_BY_FOCUS = """
SELECT image_key, run_id, 'color' AS shown, count(*) OVER () AS among FROM ({newest})
WHERE focus IS NOT NULL AND NOT is_mask_doubtful ORDER BY focus {order}, image_key LIMIT {count}
"""
_NEAREST = """
SELECT image_key FROM (SELECT DISTINCT image_key FROM tags)
ORDER BY ends_with(image_key, {ending}) DESC, levenshtein(image_key, {key}), image_key LIMIT 3
"""


@dataclass(frozen=True)
class SheetRequest:
    """Which rows a contact sheet shows. name: one of SHEETS. count: most rows. date: the night, None for the newest
    row of every photo. labels: table with image_key, type, color; None where no truth is known.
    """

    name: str
    count: int
    date: datetime.date | None = None
    labels: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        if self.name not in SHEETS:
            raise BadInput(f"There is no sheet '{self.name}'. Choose one of: {', '.join(SHEETS)}.")


@dataclass(frozen=True)
class SheetRows:
    """rows: columns of `tags`, SHOWN, and label_type, label_color (None where unknown), in the sheet's order.
    among: how many rows they were chosen from."""

    rows: Sequence[dict[str, Any]]
    among: int


def read_truth(labels_uri: str, root_uri: str, catalog: CatalogConfig) -> pd.DataFrame:
    """The named labels table, or all under the root: image_key, type, color. LabelsError where there is none."""
    space = read_label_space(catalog.label_space) if catalog.label_space else None
    place = labels_place(labels_uri, root_uri, catalog.labels_glob)
    try:
        table = read_labels(*place, space, ignore_columns=catalog.ignore_columns).table
    except LabelsError as error:
        raise LabelsError(str(error) if labels_uri else f"{error} Or name a table: labels=FILE.csv.") from error
    return table[["image_key", *ATTRIBUTES]]


def newest_row(root: Root, key: str, date: datetime.date | None = None) -> dict[str, Any] | None:
    """The newest committed row of a photo, of one night where `date` is given; None where there is none."""
    if not _is_text(key):
        return None
    where = f"WHERE image_key = {_quoted(key)}" + (f" AND {_of(date)}" if date else "")
    rows = run_query(root, f"SELECT * FROM tags {where} ORDER BY tagged_at DESC, run_id DESC LIMIT 1").to_pylist()
    return rows[0] if rows else None


def unknown_key(root: Root, key: str, date: datetime.date | None = None) -> str:
    """Why a key has no row: another night, rejected, or never seen, and then the keys that come nearest."""
    shown = printable(key)
    if not _is_text(key):
        return f"No photo {key!r} was tagged under {root.uri}: keys are UTF-8."
    if date and (row := newest_row(root, key)):
        return f"{shown} was tagged in the night of {row['date']}, not of {date}."
    of_key = f"SELECT * FROM rejects WHERE image_key = {_quoted(key)} ORDER BY rejected_at DESC, run_id DESC LIMIT 1"
    for row in run_query(root, of_key).to_pylist():
        return f"{shown} was not tagged: rejected on {row['date']} as {row['reason']} ({row['detail']})."
    ending = _quoted("/" + key.rsplit("/", 1)[-1])
    nearest = run_query(root, _NEAREST.format(key=_quoted(key), ending=ending))["image_key"].to_pylist()
    near = ", ".join(map(printable, nearest))
    hint = f"The nearest keys are: {near}." if near else "Nothing is committed there; run tagger tag first."
    return f"No photo '{shown}' was tagged under {root.uri}. {hint}"


def sheet_rows(root: Root, request: SheetRequest) -> SheetRows:
    """The rows of a sheet. BadInput where nothing was committed, or nothing is left to show, and which of the two."""
    newest = _NEWEST.format(where=f"WHERE {_of(request.date)}" if request.date else "")
    if not run_query(root, f"SELECT 1 FROM ({newest}) LIMIT 1").num_rows:
        raise BadInput(_nothing_committed(root, request.date))
    if request.name == "errors":
        chosen = _errors(run_query(root, newest).to_pandas(), request)
    else:
        order = "ASC" if request.name == "worst" else "DESC"
        chosen = run_query(root, _BY_FOCUS.format(newest=newest, order=order, count=request.count)).to_pandas()
        if chosen.empty:
            raise BadInput(f"No row under {root.uri} has a focus number on a mask that is believed: nothing to draw.")
    return SheetRows(_with_labels(_whole(root, chosen), request.labels), int(chosen["among"].iloc[0]))


def _errors(newest: pd.DataFrame, request: SheetRequest) -> pd.DataFrame:
    """Rows with a tag that the labels contradict, the most confident first, and which attribute it is."""
    if request.labels is None:
        raise BadInput("The sheet of errors needs the truth. Give labels=FILE.csv with image_key, type, color.")
    told = newest.merge(request.labels, on="image_key", suffixes=("", "_label"))
    if told.empty:
        first, tagged = (printable(table["image_key"].iloc[0]) for table in (request.labels, newest))
        raise BadInput(
            f"None of the {len(request.labels)} labels names a tagged photo: the first label is of '{first}', and "
            f"a tagged key reads '{tagged}'. image_key must be the object's key below images, letter for letter."
        )
    surest = np.stack(
        [np.where(told[name] != told[f"{name}_label"], told[f"{name}_confidence"], -1.0) for name in ATTRIBUTES]
    )
    found = told.assign(surest=surest.max(axis=0), shown=np.array(ATTRIBUTES)[surest.argmax(axis=0)], among=len(told))
    wrong = found[found["surest"] >= 0].sort_values(["surest", "image_key"], ascending=[False, True])
    if wrong.empty:
        raise BadInput(f"All {len(told)} labelled rows are tagged as their labels say: no errors to draw.")
    return wrong.head(request.count)


def _whole(root: Root, chosen: pd.DataFrame) -> list[dict[str, Any]]:
    """All columns of the chosen rows, in their order."""
    pairs = list(zip(chosen["image_key"], chosen["run_id"], strict=True))
    wanted = ", ".join(f"({_quoted(key)}, {_quoted(run_id)})" for key, run_id in pairs)
    rows = run_query(root, f"SELECT * FROM tags WHERE (image_key, run_id) IN ({wanted})").to_pylist()
    by_pair = {(row["image_key"], row["run_id"]): row for row in rows}
    return [by_pair[pair] | {SHOWN: shown} for pair, shown in zip(pairs, chosen["shown"], strict=True)]


def _with_labels(rows: list[dict[str, Any]], labels: pd.DataFrame | None) -> list[dict[str, Any]]:
    known = {} if labels is None else labels.set_index("image_key")[list(ATTRIBUTES)].to_dict("index")
    return [row | {f"label_{name}": known.get(row["image_key"], {}).get(name) for name in ATTRIBUTES} for row in rows]


def _nothing_committed(root: Root, date: datetime.date | None) -> str:
    nights = run_query(root, "SELECT DISTINCT date FROM runs ORDER BY date DESC LIMIT 3")["date"].to_pylist()
    if date is None or not nights:
        return f"{root.uri} has no committed rows, so there is nothing to draw. Run tagger tag first."
    newest = ", ".join(night.isoformat() for night in nights)
    return f"{root.uri} has no committed rows of {date.isoformat()}. The newest nights are: {newest}."


def _of(date: datetime.date) -> str:
    return f"date = DATE '{date.isoformat()}'"


def _quoted(text: str) -> str:
    """A string of SQL; a quote is the only letter that means something in it."""
    return "'" + text.replace("'", "''") + "'"


def _is_text(key: str) -> bool:
    """File names that are not UTF-8 come with lone surrogates; they are never tagged, and SQL cannot name them."""
    return key.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in key)
