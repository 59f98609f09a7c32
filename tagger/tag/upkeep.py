"""What people may do to a date while its lease is held: give a run up, or compact its files."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import date as Date

from tagger.errors import BadInput, DateLocked
from tagger.lease import Lock
from tagger.storage import Root
from tagger.tables.compaction import Compacted, compact
from tagger.tables.store import Tables
from tagger.tag.history import RunFacts, find_run
from tagger.tag.runs import load_state, save_state

_LOG = logging.getLogger(__name__)


def abort_run(root: Root, run_id: str, wait_s: float) -> RunFacts:
    """Give a run up for good: its photos are new again, and a vacuum may remove what it staged.

    BadInput where it is committed, in whole or in part: then it must be finished. DateLocked where its date is held.
    """
    date = find_run(root, run_id).date
    with Lock(root, str(date), wait_s):
        run, tables = find_run(root, run_id), Tables(root)
        if run.status == "committed":
            raise BadInput(f"Run {run_id} is committed and cannot be aborted: its rows are in the views.")
        if run.status == "unknown":
            raise BadInput(f"Run {run_id} has no run.json: no job goes on with it, and tagger runs vacuum removes it.")
        if not tables.withdraw(run_id):
            held = ", ".join(tables.transactions(run_id))
            raise BadInput(
                f"Run {run_id} is committed in part ({held}) and must be finished: the next tagger tag does so."
            )
        save_state(root, replace(load_state(root, run_id), status="aborted"))
        return find_run(root, run_id)


def compact_date(root: Root, date: Date, wait_s: float) -> list[Compacted]:
    """Compact one date. DateLocked where another run holds it."""
    with Lock(root, str(date), wait_s):
        return compact(root, date)


def compact_dates(root: Root, dates: Iterable[Date]) -> list[Compacted]:
    """Compact each date that nobody holds; the others are told and left for the next time."""
    gained = []
    for date in dates:
        try:
            gained += compact_date(root, date, 0)
        except DateLocked as error:
            _LOG.warning("%s is left as it is: %s", date, error)
    return gained
