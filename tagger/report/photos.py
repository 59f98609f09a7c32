"""A row's photo as a picture for people: upright, in its own shape, or grey with the reason why it is not there.

Networks see a square; people trust a picture more that is not squeezed. Maps and masks are stretched back with it.
"""

import io
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from tagger.errors import BundleError
from tagger.focus.overlay import resized
from tagger.model.bundle import SHIPPED, BundleInfo, read_info
from tagger.picture.decode import DECODER_ERRORS, DecodedPhoto, DecodeLimits, Reject, decode_photo
from tagger.picture.fit import Fit, Policy
from tagger.storage import Root, open_root

Pixels: TypeAlias = npt.NDArray[np.uint8]
Row: TypeAlias = Mapping[str, Any]

_LOG = logging.getLogger(__name__)

_GREY = 190
_DOWNLOADS = 16
_TURNED = (5, 6, 7, 8)
"""EXIF orientations that exchange width and height."""


@dataclass(frozen=True)
class Shown:
    """picture: (H, W, 3) uint8, the longer side as asked. missing: why it is grey instead of the photo, else empty."""

    picture: Pixels
    missing: str = ""


def show_photo(data: bytes, policy: Policy, side_px: int) -> Shown | Reject:
    """A photo in the shape in which maps of the network's square lie over it: its own for "stretch", which is undone;
    the square for "pad", which squeezes nothing."""
    decoded = decode_photo(data, Fit(policy, side_px), DecodeLimits())
    if isinstance(decoded, Reject):
        return decoded
    width, height = _upright_size(data, decoded) if policy == "stretch" else (1, 1)
    return Shown(resized(decoded.pixels, *_within(width, height, side_px)))


def show_rows(
    rows: Sequence[Row], images: Root, infos: Mapping[tuple[str, str], BundleInfo], side_px: int
) -> list[Shown]:
    """The photo of each row of `tags`, or a grey picture of its shape. infos: as by `known_bundles`."""
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        fetched = list(pool.map(lambda row: _fetched(images, row), rows))
    return [_show(row, data, fit_of(row, infos), side_px) for row, data in zip(rows, fetched, strict=True)]


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
    """The photo's bytes, or why they are not shown."""
    try:
        data = images.read_bytes(row["image_key"])
    except FileNotFoundError:
        return "the photo is gone"
    except OSError as error:
        return f"the photo cannot be read: {error.strerror}"
    # Another photo under the same key would give its maps a meaning that they do not have.
    return data if row.get("size_bytes") in (None, len(data)) else "the photo has changed since it was tagged"


def _show(row: Row, data: bytes | str, policy: Policy, side_px: int) -> Shown:
    shown = show_photo(data, policy, side_px) if isinstance(data, bytes) else data
    if isinstance(shown, Shown):
        return shown
    reason = f"the photo cannot be read: {shown.reason}" if isinstance(shown, Reject) else shown
    sides = (row.get("width") or 1, row.get("height") or 1) if policy == "stretch" else (1, 1)
    width, height = _within(*sides, side_px)
    return Shown(np.full((height, width, 3), _GREY, np.uint8), reason)


def _within(width: int, height: int, side_px: int) -> tuple[int, int]:
    """(width, height) scaled until the longer one is `side_px`."""
    longer = max(width, height)
    return max(1, round(width * side_px / longer)), max(1, round(height * side_px / longer))


def _upright_size(data: bytes, decoded: DecodedPhoto) -> tuple[int, int]:
    """(width, height) as a viewer shows the photo: the stored ones, exchanged where its orientation turns it."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation) in _TURNED
    except DECODER_ERRORS:
        turned = False
    return (decoded.height, decoded.width) if turned else (decoded.width, decoded.height)
