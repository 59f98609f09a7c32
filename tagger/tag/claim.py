"""The right to work on a date: its lease, and no run of another date at work, which would answer for the same
photos."""

import contextlib
import time
from collections.abc import Iterator
from datetime import date as Date

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from tagger.errors import DateLocked
from tagger.stop import resumable
from tagger.storage import Root
from tagger.tables.store import Tables
from tagger.tag.lock import DateLock, newest_lease
from tagger.tag.runs import unfinished_states

GO_ON = "Nothing staged is lost: start the same command again, and the run goes on from there."
"""What a run that is stopped advises."""


@contextlib.contextmanager
def claimed(root: Root, date: Date, wait_s: float) -> Iterator[DateLock]:
    """The date is ours for the length of the block. DateLocked where that takes longer than `wait_s`, twice at most."""
    lock = DateLock(root, date, wait_s)
    with resumable(GO_ON, lock.release), lock:
        refused = retry_if_exception_type(DateLocked)
        for attempt in Retrying(retry=refused, stop=stop_after_delay(wait_s), wait=wait_fixed(1.0), reraise=True):
            with attempt:
                check_others(root, date)
        yield lock


def check_others(root: Root, date: Date) -> None:
    """DateLocked where an unfinished run of another date is at work."""
    for state in unfinished_states(root, Tables(root).committed_run_ids()):
        lease = newest_lease(root, state.identity.date) if state.identity.date != date else None
        if lease is not None and lease.is_held(time.time()):
            raise DateLocked(
                f"Run {state.run_id} is at work (process {lease.pid} on {lease.host}), and what is new to it is new to "
                "this run too. Wait for it, raise tag.lock_wait_s, or give other photos a root of their own."
            )
