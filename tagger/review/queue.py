"""The review queue of a night: flagged items of its committed runs, the riskiest first, within what people can do."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tagger.config import ReviewConfig
from tagger.errors import BadInput
from tagger.storage import Root
from tagger.tables.query import run_query

AUDIT = "audit"
"""The review reason of the random sample."""

_NIGHTS = "SELECT DISTINCT date FROM runs ORDER BY date DESC"
# An image that two runs of the night tagged is judged by its newer tag. The maps and masks are not read.
_FLAGGED = """
WITH newest AS (
    SELECT * EXCLUDE (color_cam, type_cam, product_mask) FROM tags WHERE date = DATE '{date}'
    QUALIFY row_number() OVER (PARTITION BY image_key ORDER BY tagged_at DESC, run_id DESC) = 1)
SELECT * FROM newest WHERE needs_review ORDER BY risk DESC NULLS LAST, image_key
"""


@dataclass(frozen=True)
class Queue:
    """items: rows of `tags`, riskiest first. flagged: how many the night has. audit: how many of `items` are audit."""

    date: datetime.date
    items: Sequence[dict[str, Any]]
    flagged: int
    audit: int


def queue_limit(review: ReviewConfig) -> int | None:
    """How many items the annotators' minutes allow, rounded down; None where no minutes are given."""
    if review.minutes is None:
        return None
    # A tiny bit on top, for minutes like 0.7 that binary fractions hold a little too small.
    return int(review.minutes * 60 / review.seconds_per_item + 1e-9)


def review_queue(root: Root, date: datetime.date | None, limit: int | None) -> Queue:
    """The flagged items of a night, of the newest committed one where `date` is None, cut to `limit`.

    BadInput where that night, or any, has no committed run.
    """
    night = _night(root, date)
    flagged = run_query(root, _FLAGGED.format(date=night.isoformat())).to_pylist()
    kept = within_limit(flagged, limit)
    return Queue(night, kept, len(flagged), sum(map(_is_audit, kept)))


def within_limit(flagged: Sequence[dict[str, Any]], limit: int | None) -> list[dict[str, Any]]:
    """The audit items, all of them, and from the start of the others as many as `limit` leaves; order is kept.

    A part of the audit sample chosen by risk would be no random sample, and the precision that it measures biased: it
    stays whole even where it alone is more than the limit.
    """
    if limit is None:
        return list(flagged)
    left = limit - sum(map(_is_audit, flagged))
    kept = []
    for row in flagged:
        is_kept = _is_audit(row) or left > 0
        left -= is_kept and not _is_audit(row)
        kept += [row] if is_kept else []
    return kept


def _is_audit(row: dict[str, Any]) -> bool:
    return AUDIT in (row["review_reasons"] or ())


def _night(root: Root, date: datetime.date | None) -> datetime.date:
    nights: list[datetime.date] = run_query(root, _NIGHTS)["date"].to_pylist()
    if not nights:
        raise BadInput(f"{root.uri} has no committed night, so there is nothing to review. Run jobs/tag.py first.")
    if date is None:
        return nights[0]
    if date not in nights:
        newest = ", ".join(night.isoformat() for night in nights[:3])
        raise BadInput(f"{root.uri} has no committed night {date.isoformat()}. The newest are: {newest}.")
    return date
