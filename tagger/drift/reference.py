"""The distributions that a bundle keeps of its `calibrate` photos: written by training, read by the nightly run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.drift.profile import ALL, Answers, Profile, Profiles, by_type, profile_of

_LEAST_KNOWN = 0.9
"""Share of a prefix's photos whose type the reference must hold."""


def reference_document(answers: Answers, classes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The content of reference.json: the photos' distributions, and those of each predicted type under `by_type`."""
    types = {name.removeprefix("type="): _told(profile, classes) for name, profile in by_type(answers, classes).items()}
    return {**_told(profile_of(answers, classes), classes), "by_type": types}


def reference_profiles(document: Mapping[str, Any], classes: Mapping[str, Sequence[str]]) -> dict[str, Profile]:
    """The profiles that reference.json holds: "all", and the types where the file is new enough to have them.

    Empty for a document without them, or of other classes: then there is nothing to compare with.
    """
    try:
        found = {ALL: _read(document, classes)}
        found |= {f"type={name}": _read(part, classes) for name, part in document.get("by_type", {}).items()}
    except (KeyError, TypeError, AttributeError, ValueError):
        return {}
    return found


def with_prefixes(reference: Profiles, tonight: Profiles, classes: Mapping[str, Sequence[str]]) -> dict[str, Profile]:
    """The reference, and for each key prefix of tonight what it would hold of a prefix with the same predicted types.

    The bundle's photos have no prefixes. A prefix of shoes differs from all of them as shoes do; whether its photos
    are unlike others is asked of shoes alone (direct standardization: Fleiss, Levin and Paik 2003, Statistical Methods
    for Rates and Proportions, chapter 19). Such a profile has no column `type`.
    """
    asked = {name: group for name, group in tonight.items() if name.startswith("prefix=")}
    types = {name: reference[f"type={name}"] for name in classes.get("type", ()) if f"type={name}" in reference}
    expected = {
        name: _standardized(types, dict(zip(classes["type"], group.counts["type"], strict=True)))
        for name, group in asked.items()
    }
    return {**reference, **{name: profile for name, profile in expected.items() if profile}}


def _standardized(types: Mapping[str, Profile], mix: Mapping[str, int]) -> Profile | None:
    """The profiles of types in the shares of `mix` (type -> photos), as counts of as many photos as it is worth.

    With weight w and n photos of each type, that is 1 / sum(w^2 / n). None where more than a tenth of the photos are
    of types without a profile.
    """
    known = {name: count for name, count in mix.items() if count and name in types}
    total = sum(known.values())
    if not total or total < _LEAST_KNOWN * sum(mix.values()):
        return None
    weights = {name: count / total for name, count in known.items()}
    worth = 1 / sum(weight**2 / types[name].items for name, weight in weights.items())
    shares = {
        column: sum(weight * types[name].counts[column] / types[name].items for name, weight in weights.items())
        for column in ("color", "type_confidence", "color_confidence", "focus")
    }
    return Profile({column: np.rint(worth * values).astype(np.int64) for column, values in shares.items()})


def _told(profile: Profile, classes: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    told: dict[str, Any] = {"items": profile.items}
    for name in ("type", "color"):
        shares = profile.counts[name] / profile.items
        told[f"{name}_shares"] = dict(zip(classes[name], shares.tolist(), strict=True))
        told[f"{name}_confidence"] = profile.counts[f"{name}_confidence"].tolist()
    return told | {"focus": profile.counts["focus"][:-1].tolist()}


def _read(part: Mapping[str, Any], classes: Mapping[str, Sequence[str]]) -> Profile:
    items = int(part["items"])
    counts: dict[str, npt.NDArray[np.int64]] = {}
    for name in ("type", "color"):
        shares = np.array([part[f"{name}_shares"][each] for each in classes[name]], np.float64)
        counts[name] = np.rint(shares * items).astype(np.int64)
        counts[f"{name}_confidence"] = np.array(part[f"{name}_confidence"], np.int64)
    known = np.array(part["focus"], np.int64)
    return Profile(counts | {"focus": np.append(known, items - known.sum())})
