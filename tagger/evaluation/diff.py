"""Which photos change their tag between two models: how many, from what to what, where the evidence or its lack was."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tagger.catalog.labels import ATTRIBUTES
from tagger.printable import printable

CONFIDENCE_BANDS = ("below 0.5", "0.5 to 0.8", "0.8 to 0.95", "from 0.95")
"""Of the model before: a change of what it was sure of deserves the first look."""
FOCUS_BANDS = ("low", "ok", "unknown")
_CONFIDENCE_EDGES = (0.5, 0.8, 0.95)
_SHOWN_TRANSITIONS = 25
_SHOWN_PHOTOS = 20


@dataclass(frozen=True)
class Band:
    """The photos of one band, and how many of them change."""

    name: str
    item_count: int
    changed_count: int


@dataclass(frozen=True)
class Transition:
    """item_count photos change from one class to another. by_focus, by_confidence: band -> how many of them.

    better_count, worse_count: how many become right, and how many were; None without labels.
    """

    before: str
    after: str
    item_count: int
    by_focus: Mapping[str, int]
    by_confidence: Mapping[str, int]
    better_count: int | None
    worse_count: int | None


@dataclass(frozen=True)
class AttributeDiff:
    """One attribute's changes; transitions: the most frequent first."""

    attribute: str
    item_count: int
    changed_count: int
    better_count: int | None
    worse_count: int | None
    by_focus: tuple[Band, ...]
    by_confidence: tuple[Band, ...]
    transitions: tuple[Transition, ...]

    def as_text(self) -> str:
        """For a terminal: the sum, the bands, the most frequent transitions."""
        share = self.changed_count / self.item_count
        lines = [
            f"{self.attribute}: {self.changed_count} of {self.item_count} photos change ({share:.1%}){self._judged()}"
        ]
        for name, bands in (("focus", self.by_focus), ("confidence before", self.by_confidence)):
            told = (f"{band.name} {band.changed_count}/{band.item_count}" for band in bands if band.item_count)
            lines.append(f"  by {name}: {', '.join(told)}")
        shown = self.transitions[:_SHOWN_TRANSITIONS]
        if shown:
            lines += ["", pd.DataFrame([_transition_row(each) for each in shown]).to_string(index=False)]
        if len(self.transitions) > len(shown):
            lines.append(f"and {len(self.transitions) - len(shown)} rarer ones")
        return "\n".join(lines)

    def _judged(self) -> str:
        return "" if self.better_count is None else f"; {self.better_count} become right, {self.worse_count} were right"


@dataclass(frozen=True)
class TagDiff:
    """before, after: "name version" of both models. low_focus: focus of the model before below which a photo is `low`:
    its threshold, or the median where it has none. photos: one row a photo that changes, the surest before first."""

    before: str
    after: str
    item_count: int
    unreadable: int
    low_focus: float | None
    attributes: tuple[AttributeDiff, ...]
    photos: tuple[Mapping[str, Any], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; None, never NaN."""
        return asdict(self)

    def as_text(self) -> str:
        """For a terminal."""
        head = f"{self.before} -> {self.after}: {self.item_count} photos; could not be read: {self.unreadable}"
        if self.low_focus is not None:
            head += f"; focus is low below {self.low_focus:.3f}"
        shown = [_photo_line(photo) for photo in self.photos[:_SHOWN_PHOTOS]]
        rest = len(self.photos) - len(shown)
        more = [f"and {rest} more photos: --format json lists all"] if rest else []
        listed = ["\n".join(["the surest before:", *shown, *more])] if shown else []
        return "\n\n".join([head, *(each.as_text() for each in self.attributes), *listed])


def diff_tags(names: tuple[str, str], tags: pd.DataFrame, low_focus: float | None, unreadable: int = 0) -> TagDiff:
    """Compare the tags of two models on the same photos. names: of both models.

    tags: image_key, focus (of the model before, NaN where null), and of each attribute A: A_before, A_after,
    A_confidence_before, A_confidence_after; with labels also label_A. low_focus: the threshold of the model before.
    """
    known = tags["focus"].dropna()
    limit = low_focus if low_focus is not None else (float(known.median()) if len(known) else None)
    focus = _focus_band(tags["focus"].to_numpy(dtype=float), limit)
    attributes = tuple(_attribute_diff(name, tags, focus) for name in ATTRIBUTES)
    return TagDiff(*names, len(tags), unreadable, limit, attributes, _changed_photos(tags))


def _attribute_diff(name: str, tags: pd.DataFrame, focus: npt.NDArray[np.str_]) -> AttributeDiff:
    table = pd.DataFrame({"before": tags[f"{name}_before"], "after": tags[f"{name}_after"], "focus": focus})
    places = np.digitize(tags[f"{name}_confidence_before"], _CONFIDENCE_EDGES)
    table["confidence"] = np.array(CONFIDENCE_BANDS)[places]
    if is_labelled := f"label_{name}" in tags:
        label = tags[f"label_{name}"]
        table["better"], table["worse"] = table["after"] == label, table["before"] == label
    changed = table[table["before"] != table["after"]]
    pairs = [_transition(part) for _, part in changed.groupby(["before", "after"])]
    return AttributeDiff(
        name,
        len(table),
        len(changed),
        int(changed["better"].sum()) if is_labelled else None,
        int(changed["worse"].sum()) if is_labelled else None,
        _bands(FOCUS_BANDS, table["focus"], changed["focus"]),
        _bands(CONFIDENCE_BANDS, table["confidence"], changed["confidence"]),
        tuple(sorted(pairs, key=lambda pair: (-pair.item_count, pair.before, pair.after))),
    )


def _transition(part: pd.DataFrame) -> Transition:
    """Of photos that all change alike."""
    by_focus, by_confidence = (
        {band: int((part[column] == band).sum()) for band in bands}
        for column, bands in (("focus", FOCUS_BANDS), ("confidence", CONFIDENCE_BANDS))
    )
    better, worse = (int(part[name].sum()) if name in part else None for name in ("better", "worse"))
    before, after = part["before"].iloc[0], part["after"].iloc[0]
    return Transition(before, after, len(part), by_focus, by_confidence, better, worse)


def _bands(names: tuple[str, ...], every: pd.Series, changed: pd.Series) -> tuple[Band, ...]:
    return tuple(Band(name, int((every == name).sum()), int((changed == name).sum())) for name in names)


def _focus_band(focus: npt.NDArray[np.floating], limit: float | None) -> npt.NDArray[np.str_]:
    low = focus < (limit if limit is not None else -np.inf)
    return np.select([np.isnan(focus), low], [FOCUS_BANDS[2], FOCUS_BANDS[0]], default=FOCUS_BANDS[1])


def _changed_photos(tags: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """All columns of the photos that change, ordered by the confidence of the tag that is given up."""
    given_up = [
        np.where(tags[f"{name}_before"] != tags[f"{name}_after"], tags[f"{name}_confidence_before"], -1.0)
        for name in ATTRIBUTES
    ]
    surest = np.max(given_up, axis=0)
    order = np.argsort(-surest, kind="stable")
    rows = tags.iloc[order[surest[order] >= 0]].to_dict("records")
    return tuple({str(name): _plain(value) for name, value in row.items()} for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if np.isnan(value) else float(value)
    return value


def _transition_row(each: Transition) -> dict[str, Any]:
    row: dict[str, Any] = {"before": each.before, "after": each.after, "photos": each.item_count}
    row |= {f"focus {band}": count for band, count in each.by_focus.items()} | dict(each.by_confidence)
    return (
        row if each.better_count is None else row | {"become right": each.better_count, "were right": each.worse_count}
    )


def _photo_line(photo: Mapping[str, Any]) -> str:
    changes = [
        f"{photo[f'{name}_before']} {photo[f'{name}_confidence_before']:.2f} -> "
        f"{photo[f'{name}_after']} {photo[f'{name}_confidence_after']:.2f}"
        for name in ATTRIBUTES
        if photo[f"{name}_before"] != photo[f"{name}_after"]
    ]
    return f"  {printable(photo['image_key'])}: {', '.join(changes)}"
