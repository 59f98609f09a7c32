"""Labels and photos -> decoded picture shards and the items' table.

One row of the Ray dataset is one shard of photos, so that a shard is decoded whole, by one task, in one atomic write. A
shard is named by the photos in it and how they are fitted: a training that meets the same photos again finds it there.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tagger.catalog.labels import Labels
from tagger.catalog.photos import fetch_photos
from tagger.catalog.split import check_roles
from tagger.errors import LabelsError
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits, Reject
from tagger.picture.fit import Fit
from tagger.storage import Root, StoredObject, open_root
from tagger.train.pictures import Pictures, Shard, believed_masks, save_masks, save_shard

logger = logging.getLogger(__name__)

SHARD_SIZE = 512
_FORMAT = 2
"""Of the shards; raise it where the same photos would give other pixels or masks, or another part of them."""
_MOST_REJECTED = 0.1


@dataclass(frozen=True)
class ShardTask:
    """What one decode task needs; travels as plain values. photos: as listed. with_masks: keep the pictures' foreground
    masks too."""

    photos: tuple[StoredObject, ...]
    images_uri: str
    pictures_uri: str
    fit: Fit
    with_masks: bool

    @property
    def name(self) -> str:
        """The same for the same photos, fitted in the same way."""
        keys, etags = [photo.key for photo in self.photos], [photo.etag for photo in self.photos]
        content = json.dumps([_FORMAT, self.fit.policy, self.fit.size_px, self.images_uri, keys, etags])
        return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True)
class PreparedItems:
    """table: image_key, type, color, group, role and `row`, the picture's place in `shards`."""

    shards: tuple[Shard, ...]
    table: pd.DataFrame
    labels: Labels

    def of_role(self, role: str) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.int64]], npt.NDArray[Any]]:
        """Rows of the pictures, class numbers by attribute, and groups of one role's items."""
        chosen = (self.table["role"] == role).to_numpy()
        labels = {name: self.table[f"{name}_number"].to_numpy()[chosen] for name in ("type", "color")}
        return self.table["row"].to_numpy()[chosen], labels, self.table["group"].to_numpy()[chosen]


def shard_tasks(
    labels: Labels, listed: Mapping[str, StoredObject], images_uri: str, pictures: Root, fit: Fit, with_masks: bool
) -> list[ShardTask]:
    """The labelled photos, cut into shards in the labels' order: photos that are added at the end leave the others.

    listed: key -> photo.
    """
    photos = [listed[key] for key in labels.table["image_key"]]
    cuts = [tuple(photos[start : start + SHARD_SIZE]) for start in range(0, len(photos), SHARD_SIZE)]
    return [ShardTask(cut, images_uri, pictures.uri, fit, with_masks) for cut in cuts]


def decode_shard(task: ShardTask) -> dict[str, Any]:
    """Decode one shard, write its pictures, and say which photos were rejected. What is there is not made again.

    Raises what `fetch_photos` does; nothing is kept of the shard then.
    """
    pictures = open_root(task.pictures_uri)
    facts = f"{task.name}.json"
    if not pictures.exists(facts):
        pictures.write_bytes(facts, json.dumps(_decode(task, pictures)).encode())
    summary = dict(json.loads(pictures.read_bytes(facts)))
    if task.with_masks and not pictures.exists(f"{task.name}.masks.json"):
        whole = Pictures(pictures, [Shard(task.name, summary["count"])]).take(np.arange(summary["count"]))
        save_masks(pictures, task.name, believed_masks(whole))
        pictures.write_bytes(f"{task.name}.masks.json", b"{}")
    return summary


def _decode(task: ShardTask, pictures: Root) -> dict[str, Any]:
    limits = DecodeLimits()
    with DecodeChildren(1, task.fit, limits) as children:
        answers = list(_decoded(task, children, limits))
    good = [answer.pixels for answer in answers if isinstance(answer, DecodedPhoto)]
    save_shard(
        pictures, task.name, np.stack(good) if good else np.empty((0, task.fit.size_px, task.fit.size_px, 3), np.uint8)
    )
    rejected = {
        photo.key: answer.reason
        for photo, answer in zip(task.photos, answers, strict=True)
        if isinstance(answer, Reject)
    }
    return {"shard": task.name, "count": len(good), "rejected": rejected}


def _decoded(task: ShardTask, children: DecodeChildren, limits: DecodeLimits) -> Iterator[DecodedPhoto | Reject]:
    """Of each photo, in order. One that is too large by the listing is not even fetched."""
    images = open_root(task.images_uri)
    fetched = fetch_photos(images, [photo for photo in task.photos if photo.size_bytes <= limits.max_bytes])
    for photo in task.photos:
        if photo.size_bytes > limits.max_bytes:
            yield Reject("file_too_large", f"{photo.size_bytes} bytes; the limit is {limits.max_bytes}")
        else:
            yield children.decode([next(fetched)])[0]


def join_items(labels: Labels, roles: pd.Series, summaries: list[dict[str, Any]]) -> PreparedItems:
    """The items whose picture was decoded. summaries: of the shards, in the labels' order.

    LabelsError where more than a tenth of the photos were rejected, or all of a role.
    """
    rejected = {key: reason for summary in summaries for key, reason in summary["rejected"].items()}
    reasons = dict(Counter(rejected.values()))
    if len(rejected) > _MOST_REJECTED * len(labels):
        raise LabelsError(
            f"{len(rejected)} of {len(labels)} labelled photos could not be read ({reasons}; "
            f"first {next(iter(rejected))!r}). Correct the photos or their labels first."
        )
    if rejected:
        logger.warning(
            "%d of %d labelled photos could not be read and are left out: %s", len(rejected), len(labels), reasons
        )
    table = labels.table.assign(role=roles, type_number=labels.indices("type"), color_number=labels.indices("color"))
    if "group" not in table:
        table = table.assign(group=table["image_key"])
    table = table[~table["image_key"].isin(list(rejected))].reset_index(drop=True)
    check_roles(table["role"])
    shards = tuple(Shard(summary["shard"], summary["count"]) for summary in summaries)
    return PreparedItems(shards, table.assign(row=np.arange(len(table))), labels)
