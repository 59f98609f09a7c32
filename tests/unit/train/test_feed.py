"""Batches for training: every picture once an epoch, and the same ones however many workers share them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.picture.augment import Augmentation
from tagger.storage import open_root
from tagger.train.feed import BatchPlan, evaluation_batches, shuffled, training_batches
from tagger.train.pictures import Pictures, Shard, save_masks, save_shard
from tests.unit.train.shards import COUNT, SIDE, numbered


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    root = open_root(str(tmp_path_factory.mktemp("pictures")))
    parts = {"0": numbered()[:9], "1": numbered()[9:10], "2": numbered()[10:]}
    for name, part in parts.items():
        save_shard(root, name, part)
    return Pictures(root, [Shard(name, len(part)) for name, part in parts.items()])


def plan(batch_size=4, rank=0, world=1, seed=0, augmentation=None, side=SIDE):
    return BatchPlan(batch_size, rank, world, seed, augmentation or Augmentation(), side)


ROWS, LABELS = np.arange(COUNT), np.arange(COUNT) * 10


def numbers(pixels):
    return pixels[:, 0, 0, 0].tolist()


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
    changes = Augmentation(flip=True, shift=0.25, scale=0.3, rotate=20, coarse=0.5, background=0.5)
    alone = list(training_batches(pictures, ROWS, LABELS, plan(8, augmentation=changes, side=12), 1))
    workers = [
        list(training_batches(pictures, ROWS, LABELS, plan(8, rank, world, augmentation=changes, side=12), 1))
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

    def masks(self, rows):
        return np.ones((len(rows), *self.pixels.shape[1:3]), np.float32)

    def shard_of(self, rows):
        return rows // 10

    def open(self, shards):
        pass


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


@pytest.mark.parametrize("first", [0, 1, 3, 5, 9])
def test_an_epoch_can_be_entered_at_any_step(pictures, first):
    whole = list(training_batches(pictures, ROWS, LABELS, plan(4), 2))
    rest = list(training_batches(pictures, ROWS, LABELS, plan(4), 2, first))
    assert [labels.tolist() for _, labels in rest] == [labels.tolist() for _, labels in whole[first:]]


@settings(max_examples=50)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=60), st.integers(1, 12), st.integers(0, 99))
def test_a_walk_passes_every_row_once_and_few_shards_at_a_time(shard_of, window, seed):
    shard_of = np.array(shard_of)
    walk = shuffled(shard_of, window, np.random.default_rng(seed))
    assert sorted(walk.order) == list(range(len(shard_of)))
    bounds = [*walk.starts, len(shard_of)]
    for start, end, shards in zip(bounds[:-1], bounds[1:], walk.shards, strict=True):
        assert len(shards) <= window and set(shard_of[walk.order[start:end]]) == set(shards)


def test_few_shards_are_shuffled_as_a_whole():
    shard_of = np.repeat(np.arange(4), 50)
    order = shuffled(shard_of, 4, np.random.default_rng(0)).order
    assert len(set(shard_of[order[:40]])) == 4 and order.tolist() != sorted(order)


def test_the_next_windows_shards_are_asked_for_one_window_ahead():
    walk = shuffled(np.repeat(np.arange(6), 10), 2, np.random.default_rng(0))
    assert walk.next_shards(0).tolist() == walk.next_shards(19).tolist() == walk.shards[1].tolist()
    assert walk.next_shards(20).tolist() == walk.shards[2].tolist()
    assert walk.next_shards(59).tolist() == []


@pytest.mark.parametrize("threads", [2, 3, 9])
def test_more_threads_make_the_same_batches(pictures, threads):
    one = list(training_batches(pictures, ROWS, LABELS, plan(4), 1, 1))
    many = list(training_batches(pictures, ROWS, LABELS, replace(plan(4), threads=threads), 1, 1))
    assert [labels.tolist() for _, labels in many] == [labels.tolist() for _, labels in one]
    assert [numbers(pixels) for pixels, _ in many] == [numbers(pixels) for pixels, _ in one]


def test_pictures_of_another_side_are_made(pictures):
    (pixels, _), *_ = training_batches(pictures, ROWS, LABELS, plan(4, side=7), 0)
    (seen, *_), *_ = evaluation_batches(pictures, ROWS, LABELS, plan(4, side=7))
    assert pixels.shape == seen.shape == (4, 7, 7, 3)


def test_a_drawn_background_needs_a_mask(tmp_path):
    root, side = open_root(str(tmp_path)), 32
    masks = np.zeros((2, side, side), bool)
    masks[1, 8:24, 8:24] = True
    save_shard(root, "a", np.full((2, side, side, 3), 200, np.uint8))
    save_masks(root, "a", masks)
    pictures = Pictures(root, [Shard("a", 2)])
    ((pixels, labels),) = training_batches(
        pictures, np.arange(2), np.arange(2), plan(2, augmentation=Augmentation(background=1.0), side=side), 0
    )
    without, with_mask = pixels[labels == 0][0], pixels[labels == 1][0]
    assert (without == 200).all()
    assert (with_mask[12:20, 12:20] == 200).all() and (with_mask[0] != 200).any()
