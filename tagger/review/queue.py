"""The committed nights, and the review queue of one: flagged items, the riskiest first, within what people can do."""

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

RECENT_DAYS = 14
"""A night counts as recent where one of its runs was finished at most so many days before the newest run."""

_NIGHTS = f"""
SELECT date, list(run_id ORDER BY run_id) AS run_ids,
       max(finished_at) >= (SELECT max(finished_at) FROM runs) - INTERVAL {RECENT_DAYS} DAY AS is_recent
FROM runs GROUP BY date ORDER BY date
"""
# An image that two runs of the night tagged is judged by its newer tag. The maps and masks are not read.
_FLAGGED = """
WITH newest AS (
    SELECT * EXCLUDE (color_cam, type_cam, product_mask) FROM tags WHERE date = DATE '{date}'
    QUALIFY row_number() OVER (PARTITION BY image_key ORDER BY tagged_at DESC, run_id DESC) = 1)
SELECT * FROM newest WHERE needs_review ORDER BY risk DESC NULLS LAST, image_key
"""


@dataclass(frozen=True)
class Night:
    """run_ids: its committed runs. is_recent: by RECENT_DAYS; a night that is finished late counts from then on."""

    date: datetime.date
    run_ids: frozenset[str]
    is_recent: bool


@dataclass(frozen=True)
class Queue:
    """items: rows of `tags`, riskiest first. flagged: how many the night has. audit: how many of `items` are audit."""

    items: Sequence[dict[str, Any]]
    flagged: int
    audit: int


def queue_limit(review: ReviewConfig) -> int | None:
    """How many items the annotators' minutes allow, rounded down; None where no minutes are given."""
    if review.minutes is None:
        return None
    # A tiny bit on top, for minutes like 0.7 that binary fractions hold a little too small.
    return int(review.minutes * 60 / review.seconds_per_item + 1e-9)


def committed_nights(root: Root) -> list[Night]:
    """All nights with a committed run, oldest first. BadInput where there is none."""
    rows = run_query(root, _NIGHTS).to_pylist()
    if not rows:
        raise BadInput(f"{root.uri} has no committed night, so there is nothing to review. Run jobs/tag.py first.")
    return [Night(row["date"], frozenset(row["run_ids"]), row["is_recent"]) for row in rows]


def committed_night(root: Root, date: datetime.date) -> Night:
    """The night of a date. BadInput where it has no committed run."""
    nights = committed_nights(root)
    for night in nights:
        if night.date == date:
            return night
    newest = ", ".join(night.date.isoformat() for night in nights[:-4:-1])
    raise BadInput(f"{root.uri} has no committed night {date.isoformat()}. The newest are: {newest}.")


def review_queue(root: Root, date: datetime.date, limit: int | None) -> Queue:
    """The flagged items of a night's committed runs, cut to `limit`."""
    flagged = run_query(root, _FLAGGED.format(date=date.isoformat())).to_pylist()
    kept = within_limit(flagged, limit)
    return Queue(kept, len(flagged), sum(map(_is_audit, kept)))


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
