"""One photo that a person named: drawn from its newest committed row, or else shown to the networks first."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from tagger.disk import kind_of, read
from tagger.errors import BadInput, BundleError
from tagger.flags.reasons import Thresholds
from tagger.model.bundle import BundleInfo
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits, Reject
from tagger.picture.fit import Fit, Policy
from tagger.printable import printable
from tagger.report.canvas import Canvas
from tagger.report.explain import SIDE_PX, WORDS, explain_canvas, explain_row
from tagger.report.photos import known_bundles, show_photos, show_rows
from tagger.report.rows import newest_row, unknown_key
from tagger.storage import Root

Array: TypeAlias = npt.NDArray[np.floating]
Pixels: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = Callable[[Mapping[str, Any], Thresholds | None], list[str]]

_NO_NIGHT = datetime.date(1970, 1, 1)


class InfoLike(Protocol):
    """What is asked of a bundle's description: how a photo fills the input."""

    @property
    def fit(self) -> str: ...
    @property
    def size_px(self) -> int: ...


class ObservationLike(Protocol):
    """What is asked of an observation: the product masks, (B, H, W) in [0, 1]."""

    @property
    def product(self) -> Array: ...


class Explainer(Protocol):
    """What is asked of a Tagger."""

    thresholds: Thresholds

    @property
    def info(self) -> InfoLike: ...
    def maps(self, pixels: Pixels) -> Mapping[str, Array]: ...
    def observe(self, pixels: Pixels) -> ObservationLike: ...
    def tag(self, pixels: Pixels, image_keys: Sequence[str], run_date: datetime.date) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Places:
    """Where to look. root: of the tables, None where none is named. images: of the photos, likewise. model: a name or
    folder, where a row's bundle may be beside the root's own. date: the night, None for the newest row."""

    root: Root | None
    images: Root | None
    model: str = ""
    date: datetime.date | None = None


@dataclass(frozen=True)
class Explained:
    """canvas: the drawing. row: columns of `tags`, with `reasons_in_words`."""

    canvas: Canvas
    row: Mapping[str, Any]


def explain_photo(name: str, places: Places, words: Words, load: Callable[[], Explainer]) -> Explained:
    """Explain a photo: a key below the images root, or a file on this machine.

    Where the tables hold a row of it, that row alone is drawn; else `load` gives the Tagger, which tags it now. `words`
    tells the row's reasons. BadInput where there is no such photo, with the keys that come near.
    """
    row = _committed(name, places)
    if row is not None and places.root and places.images:
        return _explain_committed(row, places.root, places.images, places.model, words)
    # A wrong name is told before the networks are loaded, which takes seconds.
    photo = _photo_bytes(name, places)
    return explain_file(load(), photo, name, words)


def explain_file(tagger: Explainer, photo: bytes, name: str, words: Words) -> Explained:
    """A photo tagged now, with the maps of type and color, and of the color against others.

    The random audit belongs to a night and is left out of the reasons. BadInput where the photo cannot be decoded.
    """
    decoded = _decoded(Fit(cast(Policy, tagger.info.fit), tagger.info.size_px), photo, name)
    pixels = decoded.pixels[None]
    row = {"image_key": name, **_stored(decoded), **_only_row(tagger.tag(pixels, [name], _NO_NIGHT))}
    row["review_reasons"] = [reason for reason in row["review_reasons"] if reason != "audit"]
    row["needs_review"] = bool(row["review_reasons"])
    row[WORDS] = words(row, tagger.thresholds)
    maps = {attribute: grids[0] for attribute, grids in tagger.maps(pixels).items()}
    [shown] = show_photos([photo], cast(Policy, tagger.info.fit), SIDE_PX)
    if isinstance(shown, Reject):
        raise _refusal(name, shown)
    return Explained(explain_canvas(shown, maps, tagger.observe(pixels).product[0], row), row)


def _committed(name: str, places: Places) -> dict[str, Any] | None:
    """The newest row of a key, or of a file that lies below the images root."""
    if places.root is None or places.images is None:
        return None
    row = newest_row(places.root, name, places.date)
    path = Path(name).absolute()
    if row is None and kind_of(path) == "file" and path.is_relative_to(places.images.uri):
        row = newest_row(places.root, path.relative_to(places.images.uri).as_posix(), places.date)
    return row


def _explain_committed(row: dict[str, Any], root: Root, images: Root, model: str, words: Words) -> Explained:
    infos = known_bundles([row], root, model)
    [shown] = show_rows([row], images, infos, SIDE_PX)
    told = row | {WORDS: words(row, _thresholds(next(iter(infos.values()), None)))}
    return Explained(explain_row(told, shown), told)


def _thresholds(info: BundleInfo | None) -> Thresholds | None:
    """Those of the bundle; None where it, or their form, is not known: words are no reason to stop."""
    try:
        return Thresholds.from_dict(info.thresholds) if info and info.thresholds else None
    except BundleError:
        return None


def _photo_bytes(name: str, places: Places) -> bytes:
    """A local file's bytes, else those of a key below the images root that has no row yet."""
    if kind_of(Path(name)) == "file":
        return read(Path(name))
    if places.images is None:
        raise BadInput(
            f"There is no photo '{printable(name)}' here. Name a local file, or give root= or images= for a key."
        )
    if places.date is None and not Path(name).is_absolute() and places.images.exists(name):
        return places.images.read_bytes(name)
    if places.root is None:
        raise BadInput(f"There is no photo '{printable(name)}', neither here nor under {places.images.uri}.")
    raise BadInput(unknown_key(places.root, name, places.date))


def _decoded(fit: Fit, photo: bytes, name: str) -> DecodedPhoto:
    with DecodeChildren(1, fit, DecodeLimits()) as children:
        [decoded] = children.decode([photo])
    if isinstance(decoded, Reject):
        raise _refusal(name, decoded)
    return decoded


def _refusal(name: str, reject: Reject) -> BadInput:
    detail = f" ({reject.detail})" if reject.detail else ""
    return BadInput(f"{printable(name)} cannot be explained: {reject.reason}{detail}. Give a photo that can be read.")


def _stored(decoded: DecodedPhoto) -> dict[str, Any]:
    return {"width": decoded.width, "height": decoded.height, "format": decoded.format, "phash": decoded.phash}


def _only_row(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The one row of columns of length 1; what is no column (one number for the batch) is left out."""
    return {name: values[0] for name, values in columns.items() if not isinstance(values, float)}
