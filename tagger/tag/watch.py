"""Is tonight like other nights? Counts staged rows, compares them with the bundle's photos and with recent runs.

Nothing here refuses a run: what is unusual becomes a sentence in the log and in the run's row.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tagger.drift.accuracy import ConfidenceSum, ExpectedAccuracy, expected_accuracy
from tagger.drift.compare import LEAST_ITEMS, TRAINING, Comparison, compare, compare_with_nights, controlled
from tagger.drift.profile import ALL, Answers, Census, from_rows, to_rows
from tagger.drift.reference import reference_profiles, with_prefixes
from tagger.drift.shares import LARGEST_DEVIATION, Share, comparable, deviation, usual_share
from tagger.printable import printable
from tagger.storage import Root
from tagger.tables.history import PastRun, recent_runs
from tagger.tables.units import Unit
from tagger.tag.ledger import Ledger
from tagger.tag.runs import RunIdentity

_LOG = logging.getLogger(__name__)

NIGHTS = 14
"""Recent runs that tonight is compared with."""
_MOST_TOLD = 5
_ACTIONS = {
    "flagged": "See flagged_by_reason, and look at some of the photos before annotators do",
    "rejected": "See rejected_by_reason, and ask who delivers the photos",
    "type": "If the shop did not change what it photographs, look at photos of the types that grew",
    "color": "If the shop did not change what it sells, look at photos of the colors that grew",
    "type_confidence": "Look at photos of low confidence: new products or another photographer need new labels",
    "color_confidence": "Look at photos of low confidence: new products or another photographer need new labels",
    "focus": "Look at contact sheets: other backgrounds or crops move the evidence off the product",
}


@dataclass(frozen=True)
class Known:
    """What the bundle says of itself. classes: attribute -> ordered names. reference: its reference.json, or none."""

    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reference: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Findings:
    """What a night's rows say beside its counts; the columns of `runs` of the same names."""

    accuracy: Mapping[str, ExpectedAccuracy | None]
    warnings: Sequence[str]
    comparisons: Sequence[Comparison]
    distributions: Sequence[Mapping[str, Any]]

    def columns(self) -> dict[str, Any]:
        """Fields of the run's record. Of the comparisons, those of all photos and those that moved."""
        estimates: dict[str, Any] = {}
        for attribute, found in self.accuracy.items():
            estimates[f"estimated_{attribute}_accuracy"] = found and found.estimate
            estimates[f"estimated_{attribute}_accuracy_margin"] = found and found.margin
        kept = [each for each in self.comparisons if each.group == ALL or each.is_moved]
        drift = [asdict(each) | {"is_alarming": each.is_alarming} for each in kept]
        return {**estimates, "warnings": self.warnings, "drift": drift, "distributions": self.distributions}


class Watch:
    """Counts a run's tags, unit after unit, in memory that does not grow with the run.

    depth: leading folders of a key that make its prefix group; 0 makes no such groups. With a bundle whose classes are
    unknown, only confidences are counted.
    """

    def __init__(self, known: Known, depth: int) -> None:
        self._known = known
        self._depth = depth
        self._census = Census(known.classes)
        self._confidences = {"type": ConfidenceSum(), "color": ConfidenceSum()}

    def add(self, unit: Unit) -> None:
        """Take the next unit, whose rows keep their promises."""
        for attribute, total in self._confidences.items():
            total.add(_numbers(unit.tags, f"{attribute}_confidence"))
        if self._known.classes:
            prefixes = _prefixes(unit.tags["image_key"].to_pylist(), self._depth)
            self._census.add(_answers(unit.tags, self._known.classes), prefixes)

    def findings(self, root: Root, identity: RunIdentity, ledger: Ledger) -> Findings:
        """Compare the whole run with the bundle's photos and with the root's recent runs; unusual things are logged."""
        profiles = self._census.profiles()
        runs = recent_runs(root, NIGHTS, LEAST_ITEMS)
        own = recent_runs(root, NIGHTS, LEAST_ITEMS, _model(identity))
        reference = reference_profiles(self._known.reference or {}, self._known.classes)
        if not reference:
            _LOG.info("The bundle has no reference of its photos: tonight is compared with recent runs alone")
        nights = [from_rows(run.distributions) for run in own if run.distributions]
        trained = compare(with_prefixes(reference, profiles, self._known.classes), profiles, TRAINING)
        found = controlled([*trained, *compare_with_nights(nights, profiles)])
        calibrated_on = reference[ALL].items if reference else 0
        accuracy = {name: expected_accuracy(total, calibrated_on) for name, total in self._confidences.items()}
        warnings = [*share_warnings(ledger, runs, own), *drift_warnings(found)]
        for warning in warnings:
            _LOG.warning("%s", printable(warning))  # a group is named by a folder of keys
        return Findings(accuracy, warnings, found, to_rows(profiles))


def share_warnings(ledger: Ledger, runs: Sequence[PastRun], own: Sequence[PastRun]) -> list[str]:
    """Sentences about unusual shares of rejected photos, among `runs`, and of flagged ones, among the model's `own`."""
    photos = ledger.tagged + ledger.rejected
    rejected = [Share(run.rejected, run.new) for run in runs]
    flagged = [Share(run.flagged, run.tagged) for run in own]
    told = [
        _share_told("rejected", Share(ledger.rejected, photos), rejected),
        _share_told("flagged", Share(ledger.flagged, ledger.tagged), flagged),
    ]
    return [sentence for sentence in told if sentence]


def drift_warnings(comparisons: Sequence[Comparison]) -> list[str]:
    """Sentences about the alarming comparisons, the largest first, at most five a reference and one on the rest."""
    told: list[str] = []
    for name in sorted({each.reference for each in comparisons}):
        alarming = [each for each in comparisons if each.reference == name and each.is_alarming]
        alarming.sort(key=lambda each: (each.group != ALL, -each.psi))
        told += map(_drift_told, alarming[:_MOST_TOLD])
        if len(alarming) > _MOST_TOLD:
            told.append(f"{len(alarming) - _MOST_TOLD} more groups moved as far {_against(name)}: see runs.drift.")
    return told


def _share_told(name: str, tonight: Share, nights: Sequence[Share]) -> str | None:
    nights = comparable(nights)
    found = deviation(tonight, nights)
    if found is None or abs(found) <= LARGEST_DEVIATION:
        return None
    return (
        f"{tonight.count} of {tonight.items} photos ({tonight.value:.1%}) were {name}, against a usual "
        f"{usual_share(nights):.1%}: {found:+.1f} standard deviations of the last {len(nights)} runs. {_ACTIONS[name]}."
    )


def _drift_told(found: Comparison) -> str:
    usual = "" if found.usual_psi is None else f"; recent runs at most {found.usual_psi:.2f}"
    where = "all photos" if found.group == ALL else found.group
    return (
        f"{found.column} of {where} moved {_against(found.reference)}: stability index {found.psi:.2f} "
        f"over {found.items} photos{usual}. {_ACTIONS[found.column]}."
    )


def _against(reference: str) -> str:
    return "against the bundle's photos" if reference == TRAINING else "against recent runs"


def _answers(tags: pa.Table, classes: Mapping[str, Sequence[str]]) -> Answers:
    numbers = {name: pc.index_in(tags[name], value_set=pa.array(classes[name])) for name in ("type", "color")}
    numbers |= {name: _numbers(tags, name) for name in ("type_confidence", "color_confidence", "focus")}
    return Answers(**{name: np.asarray(values) for name, values in numbers.items()})


def _numbers(rows: pa.Table, name: str) -> np.ndarray:
    """float64, NaN for null."""
    return np.asarray(rows[name].to_numpy(), np.float64)


def _prefixes(keys: Iterable[str], depth: int) -> np.ndarray:
    """The first `depth` folders of each key; the same one for all keys where depth is 0."""
    return np.array(["/".join(key.split("/")[:-1][:depth]) for key in keys], np.str_)


def _model(identity: RunIdentity) -> tuple[str, str]:
    return identity.model_name, identity.model_version
