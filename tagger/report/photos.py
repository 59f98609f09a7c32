"""A row's photo as a picture for people: upright, in its own shape, or grey with the reason why it is not there.

Networks see a square; people trust a picture more that is not squeezed. Maps and masks are stretched back with it.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from tagger.errors import BadInput, BundleError, FetchFailed
from tagger.focus.overlay import resized
from tagger.model.bundle import SHIPPED, BundleInfo, read_info
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits, Reject
from tagger.picture.fit import Fit, Policy
from tagger.storage import Root, open_root

Pixels: TypeAlias = npt.NDArray[np.uint8]
Row: TypeAlias = Mapping[str, Any]

_LOG = logging.getLogger(__name__)

_GREY = 190
_DOWNLOADS = 16
_CHILDREN = 2

_GONE, _UNREAD = "the photo is gone", "the photo cannot be read"
_CHANGED = "the photo has changed since it was tagged"
# Another photo under the same key would give its maps a meaning that they do not have.
_MISSING = {"not_found": _GONE, "changed_during_run": _CHANGED}


@dataclass(frozen=True)
class Shown:
    """picture: (H, W, 3) uint8, the longer side as asked. missing: why it is grey instead of the photo, else empty."""

    picture: Pixels
    missing: str = ""


def show_photos(photos: Sequence[bytes], policy: Policy, side_px: int) -> list[Shown | Reject]:
    """Photos in the shape in which maps of the network's square lie over them: their own for "stretch", which is
    undone; the square for "pad", which squeezes nothing. Decoded in limited child processes, as a night's photos are.
    """
    if not photos:
        return []
    with DecodeChildren(min(_CHILDREN, len(photos)), Fit(policy, side_px), DecodeLimits()) as children:
        answers = children.decode(photos)
    return [answer if isinstance(answer, Reject) else _in_shape(answer, policy, side_px) for answer in answers]


def show_rows(
    rows: Sequence[Row], images: Root, infos: Mapping[tuple[str, str], BundleInfo], side_px: int
) -> list[Shown]:
    """The photo of each row of `tags`, or a grey picture of its shape. infos: as by `known_bundles`.

    A photo is shown only where it still has the etag of its row, or the size where the row tells no etag.
    StorageUnavailable in an outage.
    """
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        fetched = list(pool.map(lambda row: _fetched(images, row), rows))
    fits = [fit_of(row, infos) for row in rows]
    answers: dict[int, Shown | Reject | str] = {n: why for n, why in enumerate(fetched) if isinstance(why, str)}
    for policy in sorted(set(fits)):
        photos = {n: data for n, data in enumerate(fetched) if isinstance(data, bytes) and fits[n] == policy}
        answers |= zip(photos, show_photos(list(photos.values()), policy, side_px), strict=True)
    return [_or_grey(row, answers[n], fits[n], side_px) for n, row in enumerate(rows)]


def known_bundles(rows: Sequence[Row], root: Root, model: str = "") -> dict[tuple[str, str], BundleInfo]:
    """By name and version, what is known of the bundles that made the rows; their networks are not loaded.

    Looked for under `<root>/models`, among the shipped ones, and in `model`, a folder that holds one or its versions.
    A bundle that is not found is warned of and left out.
    """
    pairs = {(str(row["model_name"]), str(row["model_version"])) for row in rows}
    found = {pair: _bundle(_places(*pair, root, model), *pair) for pair in sorted(pairs)}
    for name, version in (pair for pair, info in found.items() if info is None):
        _LOG.warning("bundle %s %s is not found; its photos are taken as stretched, thresholds unknown", name, version)
    return {pair: info for pair, info in found.items() if info}


def fit_of(row: Row, infos: Mapping[tuple[str, str], BundleInfo]) -> Policy:
    """How the row's photo filled the network's square; "stretch", the default, where its bundle is not known."""
    info = infos.get((str(row["model_name"]), str(row["model_version"])))
    return cast(Policy, info.fit) if info else "stretch"


def _places(name: str, version: str, root: Root, model: str) -> list[Root]:
    places = [root.child("models", name, version), open_root(str(SHIPPED / name / version))]
    return [*places, open_root(model), open_root(model).child(version)] if model else places


def _bundle(places: Sequence[Root], name: str, version: str) -> BundleInfo | None:
    for place in places:
        try:
            info = read_info(place) if place.exists("bundle.json") else None
        except BundleError as error:
            _LOG.warning("%s", error)
            continue
        if info and (info.name, info.version) == (name, version):
            return info
    return None


def _fetched(images: Root, row: Row) -> bytes | str:
    """The photo's bytes, or why they are not shown. StorageUnavailable in an outage."""
    key, etag = row["image_key"], row.get("etag")
    try:
        return images.fetch(key, etag) if etag else _by_size(images.read_bytes(key), row)
    except FileNotFoundError:
        return _GONE
    except BadInput as error:
        _LOG.warning("%s", error)
        return _UNREAD
    except FetchFailed as failure:
        return _why_missing(images, key, failure)


def _by_size(data: bytes, row: Row) -> bytes | str:
    """What can be told of a row without an etag."""
    return data if row.get("size_bytes") in (None, len(data)) else _CHANGED


def _why_missing(images: Root, key: str, failure: FetchFailed) -> str:
    if failure.reason in _MISSING:
        return _MISSING[failure.reason]
    _LOG.warning("The photo '%s' under %s cannot be read: %s", key, images.uri, failure.detail)
    if failure.reason == "download_failed" and not images.exists(key):  # which raises in an outage
        return _GONE
    return _UNREAD


def _or_grey(row: Row, answer: Shown | Reject | str, policy: Policy, side_px: int) -> Shown:
    if isinstance(answer, Shown):
        return answer
    reason = f"the photo cannot be read: {answer.reason}" if isinstance(answer, Reject) else answer
    sides = (row.get("width") or 1, row.get("height") or 1) if policy == "stretch" else (1, 1)
    width, height = _within(*sides, side_px)
    return Shown(np.full((height, width, 3), _GREY, np.uint8), reason)


def _in_shape(photo: DecodedPhoto, policy: Policy, side_px: int) -> Shown:
    sides = (photo.height, photo.width) if photo.is_turned else (photo.width, photo.height)
    return Shown(resized(photo.pixels, *_within(*(sides if policy == "stretch" else (1, 1)), side_px)))


def _within(width: int, height: int, side_px: int) -> tuple[int, int]:
    """(width, height) scaled until the longer one is `side_px`."""
    longer = max(width, height)
    return max(1, round(width * side_px / longer)), max(1, round(height * side_px / longer))
