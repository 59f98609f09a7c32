"""What staged rows must keep before they are committed: their columns' promises, and the shares the shop allows."""

from collections import Counter

from tagger.drift.shares import Share, is_above
from tagger.errors import GateRefused
from tagger.tables.promises import Expected, broken_promises
from tagger.tables.units import Unit
from tagger.tag.ledger import Ledger

_MOST_TOLD = 3


class RowGate:
    """Counts the promises that a run's rows break, unit after unit."""

    def __init__(self, expected: Expected) -> None:
        self._expected = expected
        self._rows: Counter[str] = Counter()
        self._first: dict[str, str | None] = {}

    def add(self, unit: Unit) -> None:
        """Take the next unit."""
        for broken in broken_promises(unit, self._expected):
            self._rows[broken.promise] += broken.rows
            self._first.setdefault(broken.promise, broken.first)

    @property
    def is_open(self) -> bool:
        """Whether every row so far keeps every promise."""
        return not self._rows

    def check(self) -> None:
        """GateRefused where a row breaks a promise, with the promises, the numbers of rows, and a key of each."""
        if self.is_open:
            return
        told = [
            f"{promise} (not in {rows} rows, first {self._first[promise]!r})"
            for promise, rows in self._rows.most_common(_MOST_TOLD)
        ]
        more = f", and {len(self._rows) - _MOST_TOLD} more" if len(self._rows) > _MOST_TOLD else ""
        run_id = self._expected.run_id
        raise GateRefused(
            f"Run {run_id}: its rows break {len(self._rows)} promises of docs/columns.md: {'; '.join(told)}{more}. "
            "Nothing was committed. Another bundle or engine starts a run of its own; to have the photos tagged again "
            f"by this one, delete work/{run_id}/units and start the command again."
        )


def check_rejects(run_id: str, ledger: Ledger, allowed: float) -> None:
    """GateRefused where a surely larger share of the photos was rejected for good than is allowed."""
    photos = ledger.tagged + ledger.rejected
    if not is_above(Share(ledger.final_rejects, photos), allowed):
        return
    reasons = ", ".join(f"{reason} {count}" for reason, count in ledger.rejected_by_reason.most_common())
    raise GateRefused(
        f"Run {run_id}: {ledger.final_rejects} of {photos} photos ({ledger.final_rejects / photos:.1%}) were rejected, "
        f"more than tag.max_reject_share={allowed:g} allows ({reasons}). Nothing was committed. Look at the photos; if "
        "they must be so, start again with a higher tag.max_reject_share: no work is lost."
    )


def check_flagged(run_id: str, ledger: Ledger, allowed: float | None) -> None:
    """GateRefused where a surely larger share of the tagged photos needs review than is allowed; None allows any."""
    if allowed is None or not is_above(Share(ledger.flagged, ledger.tagged), allowed):
        return
    reasons = ", ".join(f"{reason} {count}" for reason, count in ledger.flagged_by_reason.most_common())
    raise GateRefused(
        f"Run {run_id}: {ledger.flagged} of {ledger.tagged} photos ({ledger.flagged / ledger.tagged:.1%}) need review, "
        f"more than tag.max_flagged_share={allowed:g} allows ({reasons}). Nothing was committed. If the photos must be "
        "so, start again with a higher tag.max_flagged_share: no work is lost."
    )
