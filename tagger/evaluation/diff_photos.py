"""Two bundles asked about the same photos, labelled or not: what changes from one to the other."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np
import numpy.typing as npt
import pandas as pd

from tagger.catalog.labels import ATTRIBUTES
from tagger.config import Config
from tagger.errors import BadInput
from tagger.evaluation.diff import TagDiff, diff_tags
from tagger.evaluation.fitting import observe_rows
from tagger.evaluation.items import labelled_table, of_role, photo_chunks
from tagger.model.bundle import BundleInfo, find_bundle, read_info
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits
from tagger.picture.fit import Fit
from tagger.storage import open_root
from tagger.tag.predict import Tagger

logger = logging.getLogger(__name__)

_CHILDREN = 2


def run_diff(config: Config, before: str, after: str) -> TagDiff:
    """What changes for the photos below `images` from the bundle `before` to the bundle `after`, named as `model` is.

    With `labels` the labelled photos of the role evaluate.split, and whether a change is for the better; without, all
    photos. BadInput where there is no photo or none can be read.
    """
    places = [find_bundle(name, config.root) for name in (before, after)]
    table = _listing(config, read_info(places[0]))
    return diff_photos([Tagger.load(place.uri) for place in places], config, table)


def diff_photos(taggers: Sequence[Tagger], config: Config, table: pd.DataFrame) -> TagDiff:
    """As `run_diff`, of two taggers, on a table of image_key and etag, with label_type and label_color if known."""
    keys, etags = table["image_key"].tolist(), dict(zip(table["image_key"], table["etag"], strict=True))
    fits = [Fit(tagger.info.fit, tagger.info.size_px) for tagger in taggers]  # type: ignore[arg-type]
    parts: list[pd.DataFrame] = []
    readable: list[bool] = []
    with ExitStack() as stack:
        pools = {
            fit: stack.enter_context(DecodeChildren(_CHILDREN, fit, DecodeLimits())) for fit in dict.fromkeys(fits)
        }
        for photos in photo_chunks(config, keys, etags):
            pictures, good = _decoded(pools, photos)
            answers = zip(("before", "after"), taggers, fits, strict=True)
            readable += good
            if any(good):
                parts.append(pd.concat([_tags(tagger, pictures[fit], name) for name, tagger, fit in answers], axis=1))
            logger.info("tagged %d of %d photos", len(readable), len(keys))
    if not parts:
        raise BadInput(f"None of the {len(keys)} photos could be read. Check images={config.images_uri}.")
    kept = table[readable].drop(columns="etag").reset_index(drop=True)
    tags = pd.concat([kept, pd.concat(parts, ignore_index=True)], axis=1).rename(columns={"focus_before": "focus"})
    first, second = (f"{tagger.info.name} {tagger.info.version}" for tagger in taggers)
    return diff_tags((first, second), tags, taggers[0].thresholds.focus, len(keys) - len(kept))


def _listing(config: Config, info: BundleInfo) -> pd.DataFrame:
    if config.labels:
        table = of_role(labelled_table(config, info), config.evaluate.split)
        labels = {f"label_{name}": table[name] for name in ATTRIBUTES}
        table = table[["image_key", "etag"]].assign(**labels)
        missing = f"No labelled item has the role evaluate.split={config.evaluate.split}. Try evaluate.split=all."
    else:
        images = open_root(config.images_uri)
        images.check()
        found = [(o.key, o.etag) for o in images.list_objects() if _is_text(o.key)]
        table = pd.DataFrame(found, columns=["image_key", "etag"])
        missing = f"{images.uri} holds no photo. Name another images=FOLDER."
    if not len(table):
        raise BadInput(missing)
    return table


def _is_text(key: str) -> bool:
    """File names that are not UTF-8 come with lone surrogates; they are never tagged, and no table holds them."""
    return not any("\ud800" <= letter <= "\udfff" for letter in key)


def _decoded(
    pools: Mapping[Fit, DecodeChildren], photos: Sequence[bytes]
) -> tuple[dict[Fit, npt.NDArray[np.uint8]], list[bool]]:
    """By input, the pictures of the photos that can be read, and which photos those are."""
    answers = {fit: children.decode(photos) for fit, children in pools.items()}
    good = [all(isinstance(answer, DecodedPhoto) for answer in each) for each in zip(*answers.values(), strict=True)]
    pictures = {}
    for fit, each in answers.items():
        pixels = [a.pixels for a, ok in zip(each, good, strict=True) if ok and isinstance(a, DecodedPhoto)]
        pictures[fit] = np.stack(pixels) if pixels else np.empty((0, fit.size_px, fit.size_px, 3), np.uint8)
    return pictures, good


def _tags(tagger: Tagger, pixels: npt.NDArray[np.uint8], name: str) -> pd.DataFrame:
    """Columns A_<name>, A_confidence_<name> of both attributes, and focus_<name> of the model before."""
    evidence = observe_rows(tagger, lambda rows: np.asarray(pixels[rows]), np.arange(len(pixels)))
    columns: dict[str, npt.NDArray[np.generic]] = {}
    for attribute, probabilities in tagger.probabilities(evidence).items():
        columns[f"{attribute}_{name}"] = np.array(tagger.info.classes[attribute])[probabilities.argmax(axis=1)]
        columns[f"{attribute}_confidence_{name}"] = probabilities.max(axis=1)
    return pd.DataFrame(columns | {f"focus_{name}": evidence.focus})
