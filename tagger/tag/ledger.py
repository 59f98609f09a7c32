"""The ledger of a run: every photo of its manifest is in exactly one staged row, as it was listed."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from tagger.storage import Root
from tagger.tables.schema import FINAL_REASONS
from tagger.tables.units import Unit, read_unit
from tagger.tag.manifest import Manifest, read_rows


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
        self.flagged += pc.sum(unit.tags["needs_review"]).as_py() or 0
        self.rejected_by_reason.update(_counted(unit.rejects["reason"]))
        self.flagged_by_reason.update(_counted(pc.list_flatten(unit.tags["review_reasons"])))


def staged_rows(root: Root, run_id: str, manifest: Manifest) -> Iterator[Unit]:
    """The staged units of a run, in the manifest's order."""
    return (read_unit(root, run_id, unit.name) for unit in manifest.units())


def check_ledger(root: Root, run_id: str, manifest: Manifest, *inspectors: Inspector) -> Ledger:
    """The counts of a run whose ledger is right; LedgerError where it is not. Holds one unit in memory.

    inspectors: see every unit in the same pass, since a pass reads all staged rows.
    """
    ledger = Ledger()
    for unit, rows in zip(manifest.units(), staged_rows(root, run_id, manifest), strict=True):
        listed, staged = (_sorted_keys(tables) for tables in ([read_rows(root, run_id, unit)], rows))
        if listed != staged:
            raise LedgerError(_difference(f"{run_id}/{unit.name}", listed, staged))
        ledger.add(rows)
        for inspector in inspectors:
            inspector.add(rows)
    return ledger


def _sorted_keys(tables: Iterable[pa.Table]) -> pa.Table:
    """(image_key, etag) of all rows."""
    rows = pa.concat_tables([table.select(["image_key", "etag"]) for table in tables], promote_options="default")
    return rows.sort_by([("image_key", "ascending"), ("etag", "ascending")]).combine_chunks()


def _counted(labels: pa.Array) -> dict[str, int]:
    counts = pc.value_counts(labels)
    return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))


def _difference(unit: str, *sides: pa.Table) -> str:
    listed, staged = (Counter(zip(*side.to_pydict().values(), strict=True)) for side in sides)
    wrong = [key for key in listed | staged if listed[key] != staged[key]]
    return (
        f"Unit {unit}: {len(wrong)} of {len(listed)} photos are not in exactly one row, first {wrong[0][0]!r}: listed "
        f"{listed[wrong[0]]}, staged {staged[wrong[0]]} times. Nothing was committed. Please report this."
    )
