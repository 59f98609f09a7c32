"""Tonight's distributions against others: how far they moved, whether that is chance, and whether it is usual.

A difference counts when it is large and not chance: large nights make any difference significant, small ones make any
index large. Which differences are chance is decided for all comparisons of a night together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2_contingency, false_discovery_control

from tagger.drift.profile import REST, Counts, Profile, Profiles, keeping, merged

TRAINING = "training"
RECENT = "recent"

MODERATE_PSI = 0.1
MAJOR_PSI = 0.25
"""The usual marks: below 0.1 nothing to speak of, from 0.25 another population. Sources: Lewis 1994, An Introduction to
Credit Scoring; Siddiqi 2006, Credit Risk Scorecards, chapter 6."""
FALSE_DISCOVERY_RATE = 0.01
"""Expected share of chance among the differences called significant in a night."""
LEAST_ITEMS = 100
"""Fewer photos on either side are not compared: with ten bins, chance alone then moves the index by 0.1."""
LEAST_NIGHTS = 7
"""Fewer nights do not say what is usual: a week has its own rhythm."""
LEAST_EXPECTED = 5
"""Expected count that a bin needs for the chi-square approximation. Source: Cochran 1954, Biometrics 10."""


@dataclass(frozen=True)
class Comparison:
    """One column of one group, tonight against a reference.

    reference: TRAINING or RECENT. items: photos tonight. psi: population stability index beyond chance. p_value:
    chi-square, adjusted for all comparisons of the night once they went through `controlled`. usual_psi: the largest
    index of any recent night against the other recent ones; None against the training.
    """

    reference: str
    group: str
    column: str
    items: int
    psi: float
    p_value: float
    usual_psi: float | None = None

    @property
    def is_moved(self) -> bool:
        """Too large for chance, and at least moderate."""
        return self.p_value < FALSE_DISCOVERY_RATE and self.psi >= MODERATE_PSI

    @property
    def is_alarming(self) -> bool:
        """Moved by a major amount, and more than any recent night."""
        return self.is_moved and self.psi >= MAJOR_PSI and self.psi > (self.usual_psi or 0.0)


def pooled(first: Counts, second: Counts, least: float = LEAST_EXPECTED) -> tuple[Counts, Counts]:
    """Both counts (B,) with the bins that are too rare for a test joined: (b,), b <= B, in the order of the bins.

    A bin is too rare where either side should hold fewer than `least` photos if both were alike. The joined bin stands
    last; where it is still too rare, it goes to the rarest of the others.
    """
    both = first + second
    smaller = min(first.sum(), second.sum()) / max(both.sum(), 1)
    rare = both * smaller < least
    if not rare.any():
        return first, second
    is_enough = both[rare].sum() * smaller >= least
    if not is_enough and not rare.all():
        rare[np.argmin(np.where(rare, both.max() + 1, both))] = True
    return _joined(first, rare), _joined(second, rare)


def stability_index(first: Counts, second: Counts) -> float:
    """Population stability index of two counts (B,): sum of (p - q) ln(p / q), symmetric, 0 for equal shares.

    Half a photo is added to every bin, so that an empty one does not make it infinite. For two samples of one
    population it is about (B - 1) (1 / n + 1 / m) on average. Sources: Kullback and Leibler 1951 (their J); Yurdakul
    and Naranjo 2020, Statistical properties of the population stability index, Journal of Risk Model Validation 14.
    """
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (first, second))
    return float(((p - q) * np.log(p / q)).sum())


def index_beyond_chance(first: Counts, second: Counts) -> float:
    """`stability_index` less its average between two samples of one population of these sizes; at least 0.

    Without this, three hundred photos of twenty types pass 0.1 on every other night by chance.
    """
    by_chance = (len(first) - 1) * (1 / max(first.sum(), 1) + 1 / max(second.sum(), 1))
    return max(stability_index(first, second) - float(by_chance), 0.0)


def chi_square_p_value(first: Counts, second: Counts) -> float:
    """Probability of counts (B,) at least as different if both came from one population: Pearson's test.

    1.0 where fewer than two bins are left. It takes photos as independent; several photos of one product are not, so
    that it is too small on a catalogue: hence the index beside it.
    """
    held = (first + second) > 0
    if held.sum() < 2 or not first.sum() or not second.sum():
        return 1.0
    return float(chi2_contingency(np.stack([first[held], second[held]]), correction=False).pvalue)


def compare(reference: Profiles, tonight: Profiles, name: str) -> list[Comparison]:
    """All columns of all groups that both sides have and that are large enough, p-values not adjusted yet."""
    return [
        _compared(reference[group], tonight[group], name, group, column)
        for group in tonight
        if group in reference and min(tonight[group].items, reference[group].items) >= LEAST_ITEMS
        for column in _columns(group)
        if column in reference[group].counts
    ]


def compare_with_nights(nights: Sequence[Profiles], tonight: Profiles) -> list[Comparison]:
    """Tonight against the sum of recent nights, with what is usual among these.

    Only groups of which LEAST_NIGHTS nights hold LEAST_ITEMS photos each are compared. Prefixes that are no such group
    stand together as one.
    """
    prefixes = [name for name in tonight if name.startswith("prefix=") and name != REST and _is_steady(nights, name)]
    aligned = [keeping(night, prefixes) for night in nights]
    # Without a prefix apart, the rest is all photos once more.
    asked = {name: group for name, group in keeping(tonight, prefixes).items() if prefixes or name != REST}
    steady = {name: group for name, group in asked.items() if _is_steady(aligned, name)}
    past = _total(aligned)
    found = compare(past, steady, RECENT)
    return [replace(each, usual_psi=_usual(past, aligned, each.group, each.column)) for each in found]


def controlled(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with p-values adjusted so that the share of false discoveries among all stays in bounds.

    Source: Benjamini and Hochberg 1995; it holds under the positive dependence that columns of the same photos show.
    """
    if not comparisons:
        return []
    adjusted = false_discovery_control([each.p_value for each in comparisons])
    return [replace(each, p_value=float(p)) for each, p in zip(comparisons, adjusted, strict=True)]


def _columns(group: str) -> Iterable[str]:
    columns = ("type", "color", "type_confidence", "color_confidence", "focus")
    return columns[1:] if group.startswith("type=") else columns


def _compared(reference: Profile, tonight: Profile, name: str, group: str, column: str) -> Comparison:
    first, second = pooled(reference.counts[column], tonight.counts[column])
    return Comparison(
        name, group, column, tonight.items, index_beyond_chance(first, second), chi_square_p_value(first, second)
    )


def _is_steady(nights: Sequence[Profiles], group: str) -> bool:
    return len(_large(nights, group)) >= LEAST_NIGHTS


def _large(nights: Sequence[Profiles], group: str) -> list[Profile]:
    """The group on the nights that hold enough of it."""
    return [night[group] for night in nights if group in night and night[group].items >= LEAST_ITEMS]


def _usual(past: Profiles, nights: Sequence[Profiles], group: str, column: str) -> float:
    """The largest index of one recent night against the others together."""
    apart = _large(nights, group)
    others = [(past[group] - night, night) for night in apart]
    return max(index_beyond_chance(*pooled(rest.counts[column], night.counts[column])) for rest, night in others)


def _total(nights: Sequence[Profiles]) -> dict[str, Profile]:
    total: dict[str, Profile] = {}
    for night in nights:
        total = merged(total, night)
    return total


def _joined(counts: Counts, rare: npt.NDArray[np.bool_]) -> Counts:
    return np.append(counts[~rare], counts[rare].sum())
