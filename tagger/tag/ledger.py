"""The ledger of a run: every photo of its manifest is in exactly one staged row, as it was listed."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tagger.storage import Root
from tagger.tables.schema import FINAL_REASONS
from tagger.tables.units import Unit, read_unit
from tagger.tag.manifest import Manifest, read_photos


class LedgerError(Exception):
    """Staged rows and manifest disagree. Nothing was committed; it is a defect, not something the user did."""


class Inspector(Protocol):
    """Looks at staged rows, unit after unit."""

    def add(self, unit: Unit) -> None:
        """Take the next unit."""


@dataclass
class Ledger:
    """Counts over the staged rows of a run."""

    tagged: int = 0
    flagged: int = 0
    rejected_by_reason: Counter[str] = field(default_factory=Counter)
    flagged_by_reason: Counter[str] = field(default_factory=Counter)

    @property
    def rejected(self) -> int:
        """Rejected photos, for whatever reason."""
        return self.rejected_by_reason.total()

    @property
    def final_rejects(self) -> int:
        """Photos rejected for good, until they change."""
        return sum(count for reason, count in self.rejected_by_reason.items() if reason in FINAL_REASONS)

    def add(self, unit: Unit) -> None:
        """Count a unit."""
        self.tagged += len(unit.tags)
        self.flagged += sum(map(bool, unit.tags["needs_review"].to_pylist()))
        self.rejected_by_reason.update(unit.rejects["reason"].to_pylist())
        for reasons in unit.tags["review_reasons"].to_pylist():
            self.flagged_by_reason.update(reasons or ())


def staged_rows(root: Root, run_id: str, manifest: Manifest) -> Iterator[Unit]:
    """The staged units of a run, in the manifest's order."""
    return (read_unit(root, run_id, unit.name) for unit in manifest.units())


def check_ledger(root: Root, run_id: str, manifest: Manifest, *inspectors: Inspector) -> Ledger:
    """The counts of a run whose ledger is right; LedgerError where it is not. Holds one unit in memory.

    inspectors: see every unit in the same pass, since a pass reads all staged rows.
    """
    ledger = Ledger()
    for unit, rows in zip(manifest.units(), staged_rows(root, run_id, manifest), strict=True):
        listed = {(photo.key, photo.etag): 1 for photo in read_photos(root, run_id, unit)}
        _compare(f"{run_id}/{unit.name}", listed, Counter(_keys(rows)))
        ledger.add(rows)
        for inspector in inspectors:
            inspector.add(rows)
    return ledger


def _keys(rows: Unit) -> Iterator[tuple[str, str]]:
    for table in rows:
        yield from zip(table["image_key"].to_pylist(), table["etag"].to_pylist(), strict=True)


def _compare(unit: str, listed: Mapping[tuple[str, str], int], staged: Mapping[tuple[str, str], int]) -> None:
    if listed == staged:
        return
    wrong = [key for key in {**listed, **staged} if listed.get(key) != staged.get(key)]
    raise LedgerError(
        f"Unit {unit}: {len(wrong)} of {len(listed)} photos are not in exactly one row, first {wrong[0][0]!r}: listed "
        f"{listed.get(wrong[0], 0)}, staged {staged.get(wrong[0], 0)} times. Nothing was committed. Please report this."
    )
