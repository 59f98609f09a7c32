"""Batches for training: every picture once an epoch, and the same ones however many workers share them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.picture.augment import Augmentation
from tagger.storage import Root, open_root
from tagger.train.feed import BatchPlan, Pictures, evaluation_batches, save_shard, training_batches

COUNT, SIDE = 23, 4


class ElsewhereRoot(Root):
    """A root that is not on this disk: whole objects come over in one piece."""

    def __init__(self, objects):
        super().__init__("elsewhere")
        self.objects = objects

    def read_bytes(self, key):
        return self.objects[key]


def numbered(count=COUNT):
    """Pictures that carry their number in every pixel."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, SIDE, SIDE, 3))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = open_root(str(tmp_path_factory.mktemp("pictures")))
    for name, part in {"0": numbered()[:9], "1": numbered()[9:10], "2": numbered()[10:]}.items():
        save_shard(root, name, part)
    return Pictures(root, ["0", "1", "2"])


def plan(batch_size=4, rank=0, world=1, seed=0, augmentation=None):
    return BatchPlan(batch_size, rank, world, seed, augmentation or Augmentation())


ROWS, LABELS = np.arange(COUNT), np.arange(COUNT) * 10


def numbers(pixels):
    return pixels[:, 0, 0, 0].tolist()


def test_pictures_come_in_the_order_asked_for(pictures):
    assert len(pictures) == COUNT
    assert numbers(pictures.take(np.array([22, 0, 9, 9, 10, 8]))) == [22, 0, 9, 9, 10, 8]


def test_shards_elsewhere_are_read_as_those_on_this_disk(tmp_path):
    local = open_root(str(tmp_path))
    save_shard(local, "a", numbered())
    elsewhere = Pictures(ElsewhereRoot({"a.npy": local.read_bytes("a.npy")}), ["a"])
    assert numbers(elsewhere.take(np.array([5, 2]))) == [5, 2]


@settings(max_examples=20)
@given(st.integers(1, 12), st.integers(0, 3), st.integers(0, 99))
def test_no_picture_comes_twice_in_an_epoch(pictures, batch_size, epoch, seed):
    batches = list(training_batches(pictures, ROWS, LABELS, plan(batch_size, seed=seed), epoch))
    seen = [number for pixels, _ in batches for number in numbers(pixels)]
    assert len(seen) == len(set(seen)) == COUNT // batch_size * batch_size


def test_labels_stay_with_their_pictures(pictures):
    rows = np.array([20, 3, 4, 11])
    for pixels, labels in training_batches(pictures, rows, rows * 10, plan(2), 0):
        assert [10 * number for number in numbers(pixels)] == labels.tolist()
        assert set(numbers(pixels)) <= set(rows)


def test_epochs_and_seeds_have_orders_of_their_own(pictures):
    def order(seed, epoch):
        batches = training_batches(pictures, ROWS, LABELS, plan(1, seed=seed), epoch)
        return tuple(number for pixels, _ in batches for number in numbers(pixels))

    assert order(0, 0) == order(0, 0) and len({order(0, 0), order(0, 1), order(1, 0), order(1, 1)}) == 4


@pytest.mark.parametrize("world", [2, 4])
def test_the_workers_batches_together_are_those_of_one_worker(world):
    rng = np.random.default_rng(3)
    pictures = InMemory(rng.integers(0, 256, (COUNT, 16, 16, 3)).astype(np.uint8))
    augmentation = Augmentation(flip=True, shift=0.25)
    alone = list(training_batches(pictures, ROWS, LABELS, plan(8, augmentation=augmentation), 1))
    workers = [
        list(training_batches(pictures, ROWS, LABELS, plan(8, rank, world, augmentation=augmentation), 1))
        for rank in range(world)
    ]
    together = list(zip(*workers, strict=True))
    assert len(together) == len(alone) == 2
    for (pixels, labels), parts in zip(alone, together, strict=True):
        np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), pixels)
        np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), labels)


class InMemory:
    """Pictures that need no shards."""

    def __init__(self, pixels):
        self.pixels = pixels

    def take(self, rows):
        return self.pixels[rows]


def test_fewer_pictures_than_a_batch_give_no_batch(pictures):
    assert list(training_batches(pictures, ROWS[:3], LABELS[:3], plan(4), 0)) == []


def test_a_training_left_early_ends(pictures):
    batches = training_batches(pictures, ROWS, LABELS, plan(4), 0)
    next(batches)
    batches.close()


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("count", [1, 4, 8, 21])
def test_evaluation_weighs_every_row_once(pictures, world, count):
    rows, weighed, batches = np.arange(count)[::-1].copy(), np.zeros(COUNT), []
    for rank in range(world):
        mine = list(evaluation_batches(pictures, rows, rows * 10, plan(4, rank, world)))
        batches.append(len(mine))
        for pixels, labels, weights in mine:
            assert len(pixels) == 4 // world and [10 * number for number in numbers(pixels)] == labels.tolist()
            np.add.at(weighed, numbers(pixels), weights)
    assert weighed.tolist() == [1] * count + [0] * (COUNT - count)
    assert set(batches) == {-(-count // 4)}


def test_evaluation_of_no_rows_is_no_batch(pictures):
    assert list(evaluation_batches(pictures, ROWS[:0], LABELS[:0], plan())) == []
