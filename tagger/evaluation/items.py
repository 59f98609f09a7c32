"""The labelled photos that a bundle is measured or fitted on: table, pictures, class numbers, groups."""

import errno
import logging
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt
import pandas as pd

from tagger.catalog.labels import (
    Labels,
    LabelSpace,
    check_images,
    labels_place,
    only_classes,
    read_label_space,
    read_labels,
)
from tagger.catalog.photos import fetch_photo
from tagger.catalog.split import assign_roles
from tagger.config import Config
from tagger.errors import BadInput, StorageUnavailable
from tagger.evaluation.fitting import LabelledRows
from tagger.model.bundle import BundleInfo
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits
from tagger.picture.fit import Fit
from tagger.storage import open_root

logger = logging.getLogger(__name__)

_CHUNK = 256
_DOWNLOADS = 16


@dataclass(frozen=True)
class LabelledPictures:
    """pixels: (N, size, size, 3) uint8, on disk. items: rows 0 .. N - 1. keys: N image keys. is_fresh: (N,) bool, not
    of the role `fit`. unreadable: labelled photos that do not decode, left out."""

    pixels: npt.NDArray[np.uint8]
    items: LabelledRows
    keys: tuple[str, ...]
    is_fresh: npt.NDArray[np.bool_]
    unreadable: int

    def take(self, rows: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
        """The pictures of these rows."""
        return np.asarray(self.pixels[rows])


def labelled_table(config: Config, info: BundleInfo) -> pd.DataFrame:
    """The labelled items whose photo is there: image_key, group, etag, type_number and color_number of the bundle's
    classes, and `split` where the labels have it. LabelsError where labels and bundle or photos do not fit."""
    labels = _labels(config, info)
    wanted = set(labels.table["image_key"])
    etags = {o.key: o.etag for o in open_root(config.images_uri).list_objects() if o.key in wanted}
    labels = check_images(labels, etags, 1.0 if config.catalog.missing_images == "drop" else 0.0)
    table = labels.table.assign(type_number=labels.indices("type"), color_number=labels.indices("color"))
    if "group" not in table:
        table = table.assign(group=table["image_key"])
    return table.assign(etag=[etags[key] for key in table["image_key"]])


def of_role(table: pd.DataFrame, role: str) -> pd.DataFrame:
    """The rows of one role, or of "all"; see `tagger.catalog.split`."""
    chosen = table if role == "all" else table[(assign_roles(table) == role).to_numpy()]
    return chosen.reset_index(drop=True)


def read_pictures(config: Config, info: BundleInfo, table: pd.DataFrame) -> LabelledPictures:
    """The pictures of a `labelled_table`'s rows, as the bundle's networks see them.

    Photos that do not decode are left out. BadInput where none does, StorageUnavailable where the temporary folder has
    no room for the pictures; raises what `fetch_photo` does.
    """
    fit = Fit(info.fit, info.size_px)  # type: ignore[arg-type]
    keys, etags = table["image_key"].tolist(), dict(zip(table["image_key"], table["etag"], strict=True))
    readable: list[bool] = []
    with _temporary_file() as file, DecodeChildren(2, fit, DecodeLimits()) as children:
        for photos in photo_chunks(config, keys, etags):
            answers = children.decode(photos)
            file.writelines(answer.pixels.tobytes() for answer in answers if isinstance(answer, DecodedPhoto))
            readable += [isinstance(answer, DecodedPhoto) for answer in answers]
            logger.info("read %d of %d photos", len(readable), len(keys))
        if not any(readable):
            raise BadInput(f"None of the {len(keys)} labelled photos could be read. Check images={config.images_uri}.")
        file.flush()
        pixels = np.memmap(file, np.uint8, "r", shape=(sum(readable), fit.size_px, fit.size_px, 3))
    kept = table[readable]
    labels = {name: kept[f"{name}_number"].to_numpy() for name in ("type", "color")}
    items = LabelledRows(np.arange(len(kept)), labels, kept["group"].to_numpy())
    is_fresh = (assign_roles(kept) != "fit").to_numpy()
    return LabelledPictures(pixels, items, tuple(kept["image_key"]), is_fresh, len(keys) - len(kept))


@contextmanager
def _temporary_file() -> Iterator[IO[bytes]]:
    """Without a name; a memory map of it outlives it. StorageUnavailable where the block finds that disk full."""
    try:
        with tempfile.TemporaryFile() as file:
            yield file
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        place = tempfile.gettempdir()
        raise StorageUnavailable(f"{place} has no room for the decoded photos. Make space, or set TMPDIR.") from error


def _labels(config: Config, info: BundleInfo) -> Labels:
    """In the bundle's classes. `catalog.drop_rare` left classes out of it: their items are left out here."""
    catalog, (types, colors) = config.catalog, (info.classes["type"], info.classes["color"])
    place = labels_place(config.labels, config.root, catalog.labels_glob)
    shop = read_label_space(catalog.label_space) if catalog.label_space else None
    if catalog.drop_rare:
        return only_classes(read_labels(*place, shop, ignore_columns=catalog.ignore_columns), types, colors)
    merges = (shop.merge_types, shop.merge_colors) if shop else ({}, {})
    return read_labels(*place, LabelSpace(types, colors, *merges), ignore_columns=catalog.ignore_columns)


def photo_chunks(config: Config, keys: list[str], etags: Mapping[str, str]) -> Iterator[list[bytes]]:
    """The photos below `images` in chunks, in order. Raises what `fetch_photo` does."""
    images = open_root(config.images_uri)

    def fetch(key: str) -> bytes:
        return fetch_photo(images, key, etags[key])

    with ThreadPoolExecutor(_DOWNLOADS) as threads:
        for start in range(0, len(keys), _CHUNK):
            yield list(threads.map(fetch, keys[start : start + _CHUNK]))
