"""Shards of pictures: rows in the order asked for, from this disk or elsewhere, few of them open at a time."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import fsspec
import numpy as np
import psutil
import pyarrow.fs
import pytest

from tagger.catalog.synth.writer import write_catalogue
from tagger.errors import StorageUnavailable
from tagger.focus.mask import foreground_masks
from tagger.focus.repaint import BELIEVED_QUALITY
from tagger.picture.decode import DecodedPhoto, DecodeLimits, decode_photo
from tagger.picture.fit import Fit
from tagger.storage import Root, open_root
from tagger.train.pictures import Pictures, Shard, believed_masks, save_masks, save_shard
from tests.unit.train.shards import COUNT, numbered

SHARDS = [Shard("a", 9), Shard("b", 0), Shard("c", 14)]


class Watched(pyarrow.fs.FSSpecHandler):
    """This disk as if it were elsewhere: streams of bytes alone, `delay_s` late and noted; `is_lost`: none comes."""

    def __init__(self):
        super().__init__(fsspec.filesystem("file"))
        self.reads, self.is_lost, self.delay_s = [], False, 0.0

    def open_input_stream(self, path):
        time.sleep(self.delay_s)
        if self.is_lost:
            raise OSError("no answer")
        self.reads.append(Path(path).name)
        return super().open_input_stream(path)


class ElsewhereRoot(Root):
    """A root that is not on this disk."""

    def __init__(self, folder):
        super().__init__("elsewhere")
        self.folder, self.handler = folder, Watched()

    def arrow(self):
        return pyarrow.fs.PyFileSystem(self.handler), self.folder


@pytest.fixture
def local(tmp_path):
    root = open_root(str(tmp_path))
    for shard, part in zip(SHARDS, (numbered()[:9], numbered()[:0], numbered()[9:]), strict=True):
        save_shard(root, shard.name, part)
    return root


@pytest.fixture
def elsewhere(local):
    return ElsewhereRoot(local.uri)


def numbers(pixels):
    return pixels[:, 0, 0, 0].tolist()


def at_once(take, rows, threads=4):
    """Futures of the same rows, asked for by several threads at the same moment."""
    start = Barrier(threads)

    def taken():
        start.wait()
        return numbers(take(rows))

    with ThreadPoolExecutor(threads) as pool:
        return [pool.submit(taken) for _ in range(threads)]


def test_pictures_come_in_the_order_asked_for(local):
    pictures = Pictures(local, SHARDS)
    assert len(pictures) == COUNT
    assert numbers(pictures.take(np.array([22, 0, 9, 9, 10, 8]))) == [22, 0, 9, 9, 10, 8]
    assert pictures.take(np.array([], np.int64)).shape == (0, 4, 4, 3)


def test_every_row_knows_its_shard(local):
    assert Pictures(local, SHARDS).shard_of(np.array([0, 8, 9, 22])).tolist() == [0, 0, 2, 2]


def test_shards_elsewhere_are_read_as_those_on_this_disk_and_once(elsewhere):
    pictures = Pictures(elsewhere, SHARDS)
    for _ in range(3):
        assert numbers(pictures.take(np.array([5, 12]))) == [5, 12]
    assert sorted(elsewhere.handler.reads) == ["a.npy", "c.npy"]


def test_a_shard_beyond_the_most_open_is_fetched_again(elsewhere):
    pictures = Pictures(elsewhere, SHARDS, most_open=1)
    for row in (5, 12, 5):
        assert numbers(pictures.take(np.array([row]))) == [row]
    assert elsewhere.handler.reads == ["a.npy", "c.npy", "a.npy"]


@pytest.mark.parametrize("place", ["local", "elsewhere"])
def test_a_walk_over_many_shards_fetches_each_once_and_holds_few_of_them(place, request, tmp_path):
    for number in range(300):
        save_shard(open_root(str(tmp_path)), f"{number}", numbered(2))
    root, before = request.getfixturevalue(place), psutil.Process().num_fds()
    pictures, most = Pictures(root, [Shard(f"{number}", 2) for number in range(300)]), 0
    for start in range(0, 600, 64):
        pictures.take(np.arange(start, min(start + 64, 600)))
        most = max(most, psutil.Process().num_fds() - before)
    assert 0 < most <= 64
    if place == "elsewhere":
        assert root.handler.reads == [f"{number}.npy" for number in range(300)]


def test_threads_that_need_the_same_shards_fetch_each_once(elsewhere):
    elsewhere.handler.delay_s = 0.1
    taken = at_once(Pictures(elsewhere, SHARDS).take, np.array([5, 12, 20]))
    assert [each.result() for each in taken] == [[5, 12, 20]] * 4
    assert elsewhere.handler.reads == ["a.npy", "c.npy"]


def test_threads_get_their_pictures_also_where_few_shards_may_be_open(elsewhere):
    elsewhere.handler.delay_s = 0.01
    taken = at_once(Pictures(elsewhere, SHARDS, most_open=1).take, np.array([5, 12, 6]))
    assert [each.result() for each in taken] == [[5, 12, 6]] * 4


def test_an_outage_is_told_to_all_that_wait_and_over_when_it_is_over(elsewhere):
    pictures = Pictures(elsewhere, SHARDS)
    elsewhere.handler.delay_s, elsewhere.handler.is_lost = 0.1, True
    for each in at_once(pictures.take, np.array([5])):
        with pytest.raises(StorageUnavailable, match="no answer"):
            each.result()
    elsewhere.handler.is_lost = False
    assert numbers(pictures.take(np.array([5]))) == [5]


def test_what_was_opened_ahead_is_not_fetched_again(elsewhere):
    pictures = Pictures(elsewhere, SHARDS)
    pictures.open([0, 2])
    pictures.take(np.arange(COUNT))
    assert elsewhere.handler.reads == ["a.npy", "c.npy"]


def test_masks_come_back_to_the_bit(local):
    rng = np.random.default_rng(0)
    for shard in SHARDS:
        save_masks(local, shard.name, rng.random((shard.count, 16, 16)) < 0.5)
    rng = np.random.default_rng(0)
    expected = np.concatenate([rng.random((shard.count, 16, 16)) < 0.5 for shard in SHARDS])
    rows = np.array([22, 0, 13])
    np.testing.assert_array_equal(Pictures(local, SHARDS).masks(rows), expected[rows].astype(np.float32))


def test_masks_are_those_of_the_foreground_where_they_are_believed(tmp_path):
    root = open_root(str(tmp_path))
    write_catalogue(root, 6, 3)
    photos = [decode_photo(root.read_bytes(o.key), Fit(), DecodeLimits()) for o in root.list_objects("images/")]
    plain = np.stack([photo.pixels for photo in photos if isinstance(photo, DecodedPhoto)])
    noise = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3)).astype(np.uint8)
    pixels = np.concatenate([plain, noise])
    found = foreground_masks(pixels)
    assert (found.quality >= BELIEVED_QUALITY).any() and (found.quality < BELIEVED_QUALITY).any()
    for mask, own, quality in zip(believed_masks(pixels), found.masks, found.quality, strict=True):
        np.testing.assert_array_equal(mask, own >= 0.5 if quality >= BELIEVED_QUALITY else np.zeros_like(mask))


def test_a_storage_that_stays_away_is_told(elsewhere):
    elsewhere.handler.is_lost = True
    with pytest.raises(StorageUnavailable, match="elsewhere did not answer: no answer"):
        Pictures(elsewhere, SHARDS).take(np.array([1]))
