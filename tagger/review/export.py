"""The review queue as files: `review/<date>/queue.jsonl`, exact, and `queue.csv`, for spreadsheets.

Both hold FIELDS, one item a row, the riskiest first. queue.csv is UTF-8 by RFC 4180 (commas, CRLF, doubled quotes);
null is an empty cell; top3 reads "White 0.75; Cream 0.25"; reasons are joined by ";", their sentences by a space. A
text cell that a spreadsheet could take for a formula gets a leading apostrophe, against formula injection (OWASP): one
that begins with tab, CR or LF, or, after any blanks and control characters, with = + - @ or their full-width forms. So
does one that begins with an apostrophe, so that taking one off again gives every text back; numbers get none, and
queue.jsonl holds every text as it is. `runs.json` beside them names the runs that were exported, and is written last.
"""

import csv
import datetime
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagger.errors import BadInput
from tagger.review.queue import Night, committed_night, committed_nights, review_queue
from tagger.review.words import reasons_in_words, stored_thresholds
from tagger.storage import Root

FIELDS = (
    "image_key", "image_uri", "type", "type_confidence", "type_top3", "color", "color_confidence", "color_top3",
    "focus", "cam_on_product", "mask_quality", "risk", "review_reasons", "reasons_in_words", "run_id", "date",
    "model_version", "audit_probability",
)  # fmt: skip
"""Columns of `tags` in the order of the files; beside them `image_uri`, the photo's address, and `reasons_in_words`."""

_RECORD = "runs.json"
_FORMULA = re.compile("['\t\r\n]|[\\s\x00-\x1f\ufeff]*[=+\\-@＝＋－＠]")


@dataclass(frozen=True)
class ExportSummary:
    """What was exported. flagged: items of the night that need review; exported: those in the files, `audit` of them
    of the random sample; left_out: those that the limit cut. files: their URIs."""

    date: datetime.date
    flagged: int
    exported: int
    audit: int
    left_out: int
    files: tuple[str, ...]

    def as_text(self) -> str:
        """Two or three lines for people."""
        told = [f"{self.date}: {self.exported} of {self.flagged} flagged items to review, {self.audit} of them audit"]
        if not self.flagged:
            told = [f"{self.date}: nothing to review"]
        if self.left_out:
            told.append(f"left out, the least risky: {self.left_out} (review.minutes)")
        return "\n".join([*told, *self.files])


def due_nights(root: Root, out: Root, date: datetime.date | None = None) -> list[Night]:
    """The nights to export, oldest first: the one of `date`, exported before or not.

    date: None takes all recent nights with a committed run that no export under `out` held yet; possibly none. BadInput
    where there is no such night, no committed night at all, or a damaged record of an export.
    """
    if date is not None:
        return [committed_night(root, date)]
    recent = [night for night in committed_nights(root) if night.is_recent]
    return [night for night in recent if not night.run_ids <= _exported_runs(_place(out, night))]


def export_night(
    root: Root,
    out: Root,
    night: Night,
    limit: int | None = None,
    images: Root | None = None,
    bundles: Sequence[Root] = (),
) -> ExportSummary:
    """Write the review queue of a night under `review/<date>/` of `out`, each file whole or not at all.

    night: as by `due_nights`. limit: most items, from `queue_limit`; the audit sample stays whole. images: where the
    photos are, `<root>/images` where None. bundles: folders of bundles, beside `<root>/models/<name>/<version>`, in
    which the thresholds for the sentences may be. A night without flagged items gives files without items; a second
    export replaces the first. A run that is committed meanwhile may be in it, and is due again all the same.
    """
    queue = review_queue(root, night.date, limit)
    place = _place(out, night)
    items = _items(queue.items, images or root.child("images"), root.child("models"), bundles)
    record = json.dumps({"run_ids": sorted(night.run_ids)}).encode()
    for name, data in {"queue.csv": csv_bytes(items), "queue.jsonl": jsonl_bytes(items), _RECORD: record}.items():
        place.write_bytes(name, data)
    files = (f"{place.uri}/queue.jsonl", f"{place.uri}/queue.csv")
    return ExportSummary(night.date, queue.flagged, len(items), queue.audit, queue.flagged - len(items), files)


def jsonl_bytes(items: Sequence[Mapping[str, Any]]) -> bytes:
    """One JSON object a line, UTF-8; dates by ISO 8601."""
    lines = [json.dumps(item, ensure_ascii=False, allow_nan=False, default=_iso) + "\n" for item in items]
    return _encoded("".join(lines))


def csv_bytes(items: Sequence[Mapping[str, Any]]) -> bytes:
    """A header and one line an item, as this file's head describes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(FIELDS)
    writer.writerows([_cell(field, item[field]) for field in FIELDS] for item in items)
    return _encoded(text.getvalue())


def _place(out: Root, night: Night) -> Root:
    return out.child("review", night.date.isoformat())


def _exported_runs(place: Root) -> frozenset[str]:
    """The runs that the last export to this place held; none where there was no export."""
    try:
        return frozenset(json.loads(place.read_bytes(_RECORD))["run_ids"])
    except FileNotFoundError:
        return frozenset()
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{place.uri}/{_RECORD} is damaged. Delete it; then this night is exported again.") from error


def _items(rows: Sequence[dict[str, Any]], images: Root, models: Root, bundles: Sequence[Root]) -> list[dict[str, Any]]:
    judged = {(row["model_name"], row["model_version"]) for row in rows}
    thresholds = {
        (name, version): stored_thresholds([models.child(name, version), *bundles], name, version)
        for name, version in judged
        if name and version
    }
    items = []
    for row in rows:
        added = {
            "image_uri": f"{images.uri}/{row['image_key']}",
            "reasons_in_words": reasons_in_words(row, thresholds.get((row["model_name"], row["model_version"]))),
        }
        items.append({field: _short(added[field] if field in added else row[field]) for field in FIELDS})
    return items


def _short(value: Any) -> Any:
    """Without the digits that a float32 of the table gains as a float64: 0.42, not 0.41999998688697815."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, list):
        return [_short(each) for each in value]
    return {name: _short(each) for name, each in value.items()} if isinstance(value, dict) else value


def _cell(field: str, value: Any) -> Any:
    if isinstance(value, list):
        value = _JOINED[field](value)
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _encoded(text: str) -> bytes:
    """UTF-8; a lone surrogate, which has none, as JSON writes it."""
    return text.encode("utf-8", "backslashreplace")


def _top3(labels: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(f"{each['label']} {each['p']:.2f}" for each in labels)


_JOINED: dict[str, Callable[[list[Any]], str]] = {
    "type_top3": _top3,
    "color_top3": _top3,
    "review_reasons": ";".join,
    "reasons_in_words": " ".join,
}


def _iso(value: Any) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no part of the queue")
