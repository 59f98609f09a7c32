"""Labelled pictures to batches for one worker.

Pictures are decoded once per training into shards `work/<run_id>/pictures/<n>.npy` (uint8) under the root, and read
through memory maps, so that a worker holds no more of them than the system's page cache does.
"""

import io
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tagger.focus.repaint import with_drawn_backgrounds
from tagger.picture.augment import Augmentation, changed, draw_changes
from tagger.storage import LocalRoot, Root

Pixels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.integer]


def save_shard(root: Root, name: str, pixels: Pixels) -> None:
    """Write pictures (n, H, W, 3) uint8 as one immutable shard."""
    buffer = io.BytesIO()
    np.save(buffer, pixels)
    root.write_bytes(f"{name}.npy", buffer.getvalue())


class Pictures:
    """All pictures of a training, addressed by row; shards stay on disk."""

    def __init__(self, root: Root, shards: Sequence[str]) -> None:
        self._shards = [_open_shard(root, name) for name in shards]
        self._starts = np.cumsum([0] + [len(shard) for shard in self._shards])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, rows: Rows) -> Pixels:
        """Pictures at `rows`, in their order: (n, H, W, 3) uint8."""
        shard_of = np.searchsorted(self._starts, rows, side="right") - 1
        taken = np.empty((len(rows), *self._shards[0].shape[1:]), np.uint8)
        for shard in np.unique(shard_of):
            here = np.flatnonzero(shard_of == shard)
            taken[here] = self._shards[shard][rows[here] - self._starts[shard]]
        return taken


def _open_shard(root: Root, name: str) -> Pixels:
    key = f"{name}.npy"
    if isinstance(root, LocalRoot):
        return np.asarray(np.load(Path(root.uri, key), mmap_mode="r"))
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        file.write(root.read_bytes(key))
        file.flush()
        # The map keeps the data reachable after the name is gone, so nothing is left behind.
        return np.asarray(np.load(file.name, mmap_mode="r"))


@dataclass(frozen=True)
class BatchPlan:
    """How one worker cuts its share out of every global batch."""

    batch_size: int
    rank: int
    world: int
    seed: int
    augmentation: Augmentation

    @property
    def share(self) -> slice:
        """This worker's part of a global batch."""
        size = self.batch_size // self.world
        return slice(self.rank * size, (self.rank + 1) * size)


def training_batches(
    pictures: Pictures, rows: Rows, labels: Rows, plan: BatchPlan, epoch: int
) -> Iterator[tuple[Pixels, Rows]]:
    """One epoch of this worker's batches: (b, H, W, 3) uint8 and (b,) int.

    All workers walk the same permutation, drawn from (seed, epoch), and the same changes, so no picture is seen twice
    in an epoch and the global batches do not depend on the number of workers. The last, smaller batch is left out.
    The next batch is made while the caller works on the present one.
    """
    order = np.random.default_rng([plan.seed, epoch]).permutation(len(rows))
    steps = len(rows) // plan.batch_size

    def make(step: int) -> tuple[Pixels, Rows]:
        chosen = order[step * plan.batch_size : (step + 1) * plan.batch_size]
        changes = draw_changes(plan.batch_size, plan.augmentation, np.random.default_rng([plan.seed, epoch, step]))
        mine, own = chosen[plan.share], changes.part(plan.share)
        return changed(with_drawn_backgrounds(pictures.take(rows[mine]), own.backgrounds), own), labels[mine]

    if not steps:
        return
    with ThreadPoolExecutor(1) as ahead:
        upcoming = ahead.submit(make, 0)
        for step in range(1, steps):
            batch, upcoming = upcoming.result(), ahead.submit(make, step)
            yield batch
        yield upcoming.result()


def evaluation_batches(
    pictures: Pictures, rows: Rows, labels: Rows, plan: BatchPlan
) -> Iterator[tuple[Pixels, Rows, npt.NDArray[np.float32]]]:
    """This worker's part of all rows in order, with weights: 0 marks rows repeated to fill the last batch.

    Every worker gets the same number of batches, which collective operations need.
    """
    steps = -(-len(rows) // plan.batch_size)
    filled = np.arange(steps * plan.batch_size)
    for start in range(0, len(filled), plan.batch_size):
        mine = filled[start : start + plan.batch_size][plan.share]
        weight = (mine < len(rows)).astype(np.float32)
        chosen = np.minimum(mine, len(rows) - 1)
        yield pictures.take(rows[chosen]), labels[chosen], weight
