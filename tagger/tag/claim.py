"""The right to run a night: what is new to one date is new to every other, so that one works on a root at a time.

A lease on all nights of the root says so. The lease on the date besides is shared with the upkeep of that date.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date as Date

from tagger.stop import resumable
from tagger.storage import Root
from tagger.tag.lock import DateLock

GO_ON = "Nothing staged is lost: start the same command again, and the run goes on from there."
"""What a run that is stopped advises."""


@dataclass(frozen=True)
class Claim:
    """Both leases."""

    nights: DateLock
    date: DateLock

    @property
    def is_held(self) -> bool:
        """Whether both are ours and were renewed of late."""
        return self.nights.is_held and self.date.is_held

    def stop_if_taken(self) -> None:
        """DateLocked where a renewal found one of them lost. Costs nothing."""
        self.nights.stop_if_taken()
        self.date.stop_if_taken()

    def check(self) -> None:
        """DateLocked where one was lost, by a look at them: another run may be at work by now."""
        self.nights.check()
        self.date.check()

    def release(self) -> None:
        """Give back what is held; from any thread, and once or more."""
        self.date.release()
        self.nights.release()


@contextlib.contextmanager
def claimed(root: Root, date: Date, wait_s: float) -> Iterator[Claim]:
    """The date is ours for the length of the block, and no other night works on the root.

    DateLocked where that takes longer than `wait_s` for either.
    """
    claim = Claim(DateLock(root, None, wait_s), DateLock(root, date, wait_s))
    with resumable(GO_ON, claim.release), claim.nights, claim.date:
        yield claim
