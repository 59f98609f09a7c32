"""How answers are distributed: counts by group and column, small whatever the night's size, and addable.

A group is all photos ("all"), those of one predicted type ("type=Shirt"), or those of one key prefix ("prefix=shoes").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Counts: TypeAlias = npt.NDArray[np.int64]

ALL = "all"
REST = "prefix=*"
"""The group of all prefixes that have no group of their own."""
CONFIDENCE_BINS = 10
"""Of equal width over [0, 1]."""
FOCUS_BINS = CONFIDENCE_BINS + 1
"""Those ten, what lies below 0 counted in the lowest, and one for null."""
MOST_PREFIXES = 16
_MOST_WAITING = 1024


@dataclass(frozen=True)
class Answers:
    """Predictions of N photos. type, color: (N,) class numbers. type_confidence, color_confidence: (N,) in [0, 1].
    focus: (N,) at most 1, NaN where it is undefined."""

    type: npt.NDArray[np.integer]
    color: npt.NDArray[np.integer]
    type_confidence: npt.NDArray[np.floating]
    color_confidence: npt.NDArray[np.floating]
    focus: npt.NDArray[np.floating]

    def of(self, rows: npt.NDArray[np.bool_]) -> "Answers":
        """The photos where `rows` (N,) is true."""
        return Answers(*(values[rows] for values in vars(self).values()))


@dataclass(frozen=True)
class Profile:
    """One group of photos: column -> counts. `type`, `color`: a count for each class, in the bundle's order.
    `type_confidence`, `color_confidence`: ten bins of [0, 1]. `focus`: eleven, the last for null."""

    counts: Mapping[str, Counts]

    @property
    def items(self) -> int:
        """Photos in the group."""
        return int(self.counts["color"].sum())

    def __add__(self, other: "Profile") -> "Profile":
        return Profile({name: values + other.counts[name] for name, values in self.counts.items()})

    def __sub__(self, other: "Profile") -> "Profile":
        return Profile({name: values - other.counts[name] for name, values in self.counts.items()})


Profiles: TypeAlias = Mapping[str, Profile]
"""Group -> its profile."""


def profile_of(answers: Answers, classes: Mapping[str, Sequence[str]]) -> Profile:
    """The counts of these photos. classes: attribute -> ordered names."""
    focus = answers.focus
    counts = {
        "type": np.bincount(answers.type, minlength=len(classes["type"])),
        "color": np.bincount(answers.color, minlength=len(classes["color"])),
        "type_confidence": _binned(answers.type_confidence),
        "color_confidence": _binned(answers.color_confidence),
        "focus": np.append(_binned(focus[~np.isnan(focus)]), np.isnan(focus).sum()),
    }
    return Profile({name: values.astype(np.int64) for name, values in counts.items()})


def by_type(answers: Answers, classes: Mapping[str, Sequence[str]]) -> dict[str, Profile]:
    """The profiles of each predicted type that occurs."""
    return {
        f"type={classes['type'][number]}": profile_of(answers.of(answers.type == number), classes)
        for number in np.unique(answers.type)
    }


class Census:
    """Counts a night, batch after batch, in memory that does not grow with it.

    classes: attribute -> ordered names. Of the prefixes, the largest stay apart. Exact where keys come in order, as in
    a manifest; in any other order a prefix can lose photos to the rest.
    """

    def __init__(self, classes: Mapping[str, Sequence[str]]) -> None:
        self._classes = classes
        self._groups: dict[str, Profile] = {}
        self._prefixes: dict[str, Profile] = {}

    def add(self, answers: Answers, prefixes: npt.NDArray[np.str_]) -> None:
        """Count a batch. prefixes: (N,), each photo's."""
        if not len(answers.type):
            return
        found = {ALL: profile_of(answers, self._classes), **by_type(answers, self._classes)}
        self._groups = merged(self._groups, found)
        for prefix in np.unique(prefixes):
            part = {f"prefix={prefix}": profile_of(answers.of(prefixes == prefix), self._classes)}
            self._prefixes = merged(self._prefixes, part)
        if len(self._prefixes) > _MOST_WAITING:
            self._prefixes = largest(self._prefixes, _MOST_WAITING // 2)

    def profiles(self) -> dict[str, Profile]:
        """All groups; no prefixes where there is only one, which is the whole night."""
        apart = largest(self._prefixes, MOST_PREFIXES) if len(self._prefixes) > 1 else {}
        return {**self._groups, **apart}


def merged(first: Profiles, second: Profiles) -> dict[str, Profile]:
    """Both sets of groups, photos of the same group added up."""
    both = {name: first[name] + second[name] for name in first if name in second}
    return {**first, **second, **both}


def largest(prefixes: Profiles, most: int) -> dict[str, Profile]:
    """The `most` largest prefixes by name, all others together as REST."""
    others = sorted((name for name in prefixes if name != REST), key=lambda name: -prefixes[name].items)
    return keeping(prefixes, others[:most])


def keeping(profiles: Profiles, prefixes: Sequence[str]) -> dict[str, Profile]:
    """The groups with only these prefixes apart, all other prefixes together as REST."""
    kept: dict[str, Profile] = {}
    for name, profile in profiles.items():
        group = name if not name.startswith("prefix=") or name in prefixes else REST
        kept[group] = kept[group] + profile if group in kept else profile
    return kept


def to_rows(profiles: Profiles) -> list[dict[str, Any]]:
    """Plain rows `{group, column, counts}`; the inverse of `from_rows`."""
    return [
        {"group": group, "column": column, "counts": counts.tolist()}
        for group, profile in profiles.items()
        for column, counts in profile.counts.items()
    ]


def from_rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, Profile]:
    """The profiles that `to_rows` wrote."""
    counts: dict[str, dict[str, Counts]] = {}
    for row in rows:
        counts.setdefault(row["group"], {})[row["column"]] = np.array(row["counts"], np.int64)
    return {group: Profile(columns) for group, columns in counts.items()}


def _binned(values: npt.NDArray[np.floating]) -> Counts:
    return np.histogram(np.clip(values, 0, 1), CONFIDENCE_BINS, (0, 1))[0]
