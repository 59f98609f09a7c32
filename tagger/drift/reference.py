"""The distributions that a bundle keeps of its `calibrate` photos: written by training, read by the nightly run."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.drift.profile import ALL, Answers, Profile, by_type, profile_of


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
