"""Labels and photos -> decoded picture shards and the items' table.

One row of the Ray dataset is one shard of photos, so that a shard is decoded whole, by one task, in one atomic write. A
shard is named by the photos in it and how they are fitted: a training that meets the same photos again finds it there.
"""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tagger.catalog.labels import Labels
from tagger.errors import FetchFailed, LabelsError
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits, Reject
from tagger.picture.fit import Fit
from tagger.storage import Root, open_root
from tagger.train.pictures import Pictures, Shard, believed_masks, save_masks, save_shard

logger = logging.getLogger(__name__)

SHARD_SIZE = 512
_FORMAT = 1
"""Of the shards; raise it where the same photos would give other pixels or masks."""
_DOWNLOADS = 8
_MOST_REJECTED = 0.1


@dataclass(frozen=True)
class ShardTask:
    """What one decode task needs; travels as plain values. with_masks: keep the pictures' foreground masks too."""

    keys: tuple[str, ...]
    etags: tuple[str, ...]
    images_uri: str
    pictures_uri: str
    fit: Fit
    with_masks: bool

    @property
    def name(self) -> str:
        """The same for the same photos, fitted in the same way."""
        content = json.dumps([_FORMAT, self.fit.policy, self.fit.size_px, self.images_uri, self.keys, self.etags])
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
    labels: Labels, etags: Mapping[str, str], images_uri: str, pictures: Root, fit: Fit, with_masks: bool
) -> list[ShardTask]:
    """The labelled photos, cut into shards in the labels' order: photos that are added at the end leave the others."""
    keys = labels.table["image_key"].tolist()
    starts = range(0, len(keys), SHARD_SIZE)
    cuts = [tuple(keys[start : start + SHARD_SIZE]) for start in starts]
    return [ShardTask(cut, tuple(etags[key] for key in cut), images_uri, pictures.uri, fit, with_masks) for cut in cuts]


def decode_shard(task: ShardTask) -> dict[str, Any]:
    """Decode one shard, write its pictures, and say which photos were rejected. What is there is not made again."""
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
    with DecodeChildren(1, task.fit, DecodeLimits()) as children:
        answers = list(_decoded(task, children))
    good = [answer.pixels for answer in answers if isinstance(answer, DecodedPhoto)]
    save_shard(
        pictures, task.name, np.stack(good) if good else np.empty((0, task.fit.size_px, task.fit.size_px, 3), np.uint8)
    )
    rejected = {
        key: answer.reason for key, answer in zip(task.keys, answers, strict=True) if isinstance(answer, Reject)
    }
    return {"shard": task.name, "count": len(good), "rejected": rejected}


def _decoded(task: ShardTask, children: DecodeChildren) -> Iterator[DecodedPhoto | Reject]:
    images = open_root(task.images_uri)

    def fetch(key: str, etag: str) -> bytes | Reject:
        try:
            return images.fetch(key, etag)
        except FetchFailed as error:
            return Reject(error.reason, error.detail)

    with ThreadPoolExecutor(_DOWNLOADS) as threads:
        for data in threads.map(fetch, task.keys, task.etags):
            yield data if isinstance(data, Reject) else children.decode([data])[0]


def join_items(labels: Labels, roles: pd.Series, summaries: list[dict[str, Any]]) -> PreparedItems:
    """The items whose picture was decoded. summaries: of the shards, in the labels' order.

    LabelsError where more than a tenth of the photos were rejected.
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
    shards = tuple(Shard(summary["shard"], summary["count"]) for summary in summaries)
    return PreparedItems(shards, table.assign(row=np.arange(len(table))), labels)
