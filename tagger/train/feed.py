"""Training pictures to batches for one worker: shuffled, shared out, changed."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tagger.focus.repaint import with_drawn_backgrounds
from tagger.picture.augment import Augmentation, changed, draw_changes, resized
from tagger.train.pictures import Pictures, Pixels, Rows

SHUFFLE_SHARDS = 128
"""Shards that are shuffled together: 65,536 pictures, 3.2 GB on the worker's disk. Fewer are shuffled as a whole."""


@dataclass(frozen=True)
class BatchPlan:
    """How one worker cuts its share out of every global batch.

    side: of the pictures that it makes, pixels. threads: that make batches, and how many batches are made ahead.
    window: shards that are shuffled together.
    """

    batch_size: int
    rank: int
    world: int
    seed: int
    augmentation: Augmentation
    side: int
    threads: int = 1
    window: int = SHUFFLE_SHARDS

    @property
    def share(self) -> slice:
        """This worker's part of a global batch."""
        size = self.batch_size // self.world
        return slice(self.rank * size, (self.rank + 1) * size)


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Global batches of an epoch; the last, smaller one is left out."""
    return count // batch_size


def training_batches(
    pictures: Pictures, rows: Rows, labels: Rows, plan: BatchPlan, epoch: int, first_step: int = 0
) -> Iterator[tuple[Pixels, Rows]]:
    """One epoch of this worker's batches from `first_step` on: (b, side, side, 3) uint8 and (b,) int.

    All workers walk the same order, drawn from (seed, epoch), and the same changes, drawn from these and the step: no
    picture is seen twice in an epoch, the global batches do not depend on the number of workers, and an epoch can be
    entered at any step. The next batches are made while the caller works on the present one.
    """
    walk = shuffled(pictures.shard_of(rows), plan.window, np.random.default_rng([plan.seed, epoch]))
    steps = steps_per_epoch(len(rows), plan.batch_size)

    # Behind (seed, epoch) a 0 would be the same stream again.
    def make(step: int) -> tuple[Pixels, Rows]:
        chosen = walk.order[step * plan.batch_size : (step + 1) * plan.batch_size]
        changes = draw_changes(plan.batch_size, plan.augmentation, np.random.default_rng([plan.seed, epoch, 1 + step]))
        mine, own = chosen[plan.share], changes.part(plan.share)
        taken = pictures.take(rows[mine])
        if own.backgrounds.any():
            taken = with_drawn_backgrounds(taken, pictures.masks(rows[mine]), own.backgrounds)
        return changed(taken, own, plan.side), labels[mine]

    with ThreadPoolExecutor(plan.threads) as makers, ThreadPoolExecutor(1) as reader:
        coming = deque(makers.submit(make, step) for step in range(first_step, steps)[: plan.threads])
        for step in range(first_step, steps):
            reader.submit(pictures.open, walk.next_shards(step * plan.batch_size))
            batch = coming.popleft().result()
            if step + plan.threads < steps:
                coming.append(makers.submit(make, step + plan.threads))
            yield batch


@dataclass(frozen=True)
class Walk:
    """The order of an epoch. order: (n,) places among the rows. starts: first place of every window in the order.
    shards: the shards of every window."""

    order: Rows
    starts: Rows
    shards: list[Rows]

    def next_shards(self, place: int) -> Rows:
        """What the window after the one at this place of the order needs, none after the last."""
        window = int(np.searchsorted(self.starts, place, side="right"))
        return self.shards[window] if window < len(self.shards) else np.array([], np.int64)


def shuffled(shard_of: Rows, window: int, rng: np.random.Generator) -> Walk:
    """All rows once, (n,) -> the order: shards in random order, `window` of them at a time shuffled together.

    Only the pictures of two windows have to be at hand at any time, however many there are. shard_of: (n,) of each row.
    """
    shards = rng.permutation(np.unique(shard_of))
    place = np.empty(shard_of.max(initial=-1) + 1, np.int64)
    place[shards] = np.arange(len(shards)) // window
    window_of = place[shard_of]
    order = np.lexsort((rng.random(len(shard_of)), window_of))
    windows = [shards[start : start + window] for start in range(0, len(shards), window)]
    return Walk(order, np.searchsorted(window_of[order], np.arange(len(windows))), windows)


def evaluation_batches(
    pictures: Pictures, rows: Rows, labels: Rows, plan: BatchPlan
) -> Iterator[tuple[Pixels, Rows, npt.NDArray[np.float32]]]:
    """This worker's part of all rows in order, changed in size alone; weight 0 marks rows that fill the last batch.

    Every worker gets the same number of batches, which collective operations need.
    """
    steps = -(-len(rows) // plan.batch_size)
    filled = np.arange(steps * plan.batch_size)
    for start in range(0, len(filled), plan.batch_size):
        mine = filled[start : start + plan.batch_size][plan.share]
        weight = (mine < len(rows)).astype(np.float32)
        chosen = np.minimum(mine, len(rows) - 1)
        taken = pictures.take(rows[chosen])
        yield np.stack([resized(picture, plan.side) for picture in taken]), labels[chosen], weight
