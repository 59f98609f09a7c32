"""For `flat` and `memory` of benchmarks.training: what a picture costs before any network, and who holds memory."""

import itertools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil

from benchmarks.training_sides import CLASSES, OPEN_SHARDS, photos
from benchmarks.training_turns import Turn, serve, started
from tagger.catalog.labels import Labels, LabelSpace
from tagger.catalog.split import assign_roles
from tagger.model.shape import INPUT_PX
from tagger.picture.fit import Fit
from tagger.storage import open_root
from tagger.train.feed import BatchPlan, training_batches
from tagger.train.pictures import Pictures
from tagger.train.prepare import PreparedItems, decode_shard, join_items, shard_tasks
from tagger.train.recipe import StagePlan

_SPACE = LabelSpace(tuple(f"type {number}" for number in range(CLASSES)), ("one color", "another"))


class Peak:
    """The largest memory seen, MiB: proportional set size (shared pages by halves, thirds ...), and its part that
    belongs to no file. Pages of shards count for the first; the system takes them back when it needs them."""

    def __init__(self) -> None:
        self.whole: dict[int, float] = {}
        self.anonymous: dict[int, float] = {}

    def watch(self, pids: list[int]) -> None:
        """Look at processes once."""
        for pid in pids:
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            mib = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
            self.whole[pid] = max(self.whole.get(pid, 0), mib["Pss"])
            self.anonymous[pid] = max(self.anonymous.get(pid, 0), mib["Pss_Anon"])

    def text(self) -> str:
        """Of the largest process."""
        whole, anonymous = (max(each.values(), default=0.0) for each in (self.whole, self.anonymous))
        return f"peak {anonymous:.0f} MiB, {whole:.0f} with files' pages, shared ones in part"


def descendants(without: list[int]) -> list[int]:
    """Pids of everything that this process has started, some left out."""
    return [child.pid for child in psutil.Process().children(recursive=True) if child.pid not in without]


def archive_photos(data: Path | None) -> list[bytes]:
    """The photos of catalog-small.zip, or drawn ones where no folder is named."""
    if data is None:
        return photos()
    with zipfile.ZipFile(data / "catalog-small.zip") as file:
        return [file.read(name) for name in file.namelist() if name.lower().endswith((".jpg", ".jpeg", ".png"))]


def write_photos(folder: Path, count: int, data: Path | None) -> None:
    """`count` photos under a folder, repeated where there are not as many."""
    folder.mkdir()
    for number, photo in enumerate(itertools.islice(itertools.cycle(archive_photos(data)), count)):
        (folder / f"{number:07}.jpg").write_bytes(photo)


def prepared(images_uri: str, pictures_uri: str, count: int) -> PreparedItems:
    """The first `count` photos listed, cut into shards, decoded with masks, and joined to their labels: all that
    `tagger.train.sequence.prepare_items` does, one shard after the other instead of through Ray Data."""
    images, pictures = open_root(images_uri), open_root(pictures_uri)
    listed = {found.key: found for found in itertools.islice(images.list_objects(), count)}
    keys, numbers = list(listed), np.arange(len(listed))
    names = {"type": np.array(_SPACE.types)[numbers % CLASSES], "color": np.array(_SPACE.colors)[numbers % 2]}
    labels = Labels(pd.DataFrame({"image_key": keys, **names}), _SPACE)
    tasks = shard_tasks(labels, listed, images.uri, pictures, Fit("stretch"), with_masks=True)
    return join_items(labels, assign_roles(labels.table), [decode_shard(task) for task in tasks])


def flat_turns(plan: StagePlan, images_uri: str, count: int) -> dict[str, Turn]:
    """Turns: "prepare", once, and then "epoch", all batches of an epoch at full size, thrown away."""
    kept: list[PreparedItems] = []

    def prepare(_: int) -> dict[str, Any]:
        since = started()
        kept.append(prepared(images_uri, plan.pictures_uri, count))
        return since() | {"pictures": len(kept[-1].table)}

    def epoch(number: int) -> dict[str, Any]:
        (rows, labels, _), size = kept[-1].of_role("fit"), plan.recipe.batch_size
        since = started()
        store = Pictures(open_root(plan.pictures_uri), kept[-1].shards, OPEN_SHARDS)
        cut = BatchPlan(size, 0, 1, plan.seed, plan.augmentation, INPUT_PX)
        seen = sum(len(batch) for batch, _ in training_batches(store, rows, labels["type"], cut, number))
        assert seen == len(rows) // size * size > 0, f"{seen} of {len(rows)} pictures"
        return since() | {"pictures": seen}

    return {"prepare": prepare, "epoch": epoch}


def run_flat(address: str, plan: StagePlan, images_uri: str, count: int) -> None:
    """A process that prepares pictures and reads them."""
    serve(address, flat_turns(plan, images_uri, count))
