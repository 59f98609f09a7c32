"""Shards of pictures: rows in the order asked for, from this disk or elsewhere, few of them open at a time."""

import numpy as np
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


class ElsewhereRoot(Root):
    """A root that is not on this disk: whole objects come over in one piece."""

    def __init__(self, objects):
        super().__init__("elsewhere")
        self.objects, self.reads = objects, []

    def read_bytes(self, key):
        self.reads.append(key)
        return self.objects[key]


class LostRoot(ElsewhereRoot):
    """A root that does not answer for a while."""

    def __init__(self, objects, failures):
        super().__init__(objects)
        self.failures = failures

    def read_bytes(self, key):
        data = super().read_bytes(key)
        if len(self.reads) <= self.failures:
            raise StorageUnavailable("Could not read it.")
        return data


@pytest.fixture
def local(tmp_path):
    root = open_root(str(tmp_path))
    for shard, part in zip(SHARDS, (numbered()[:9], numbered()[:0], numbered()[9:]), strict=True):
        save_shard(root, shard.name, part)
    return root


@pytest.fixture
def elsewhere(local):
    return ElsewhereRoot({f"{shard.name}.npy": local.read_bytes(f"{shard.name}.npy") for shard in SHARDS})


def numbers(pixels):
    return pixels[:, 0, 0, 0].tolist()


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
    assert sorted(elsewhere.reads) == ["a.npy", "c.npy"]


def test_a_shard_beyond_the_most_open_is_fetched_again(elsewhere):
    pictures = Pictures(elsewhere, SHARDS, most_open=1)
    for row in (5, 12, 5):
        assert numbers(pictures.take(np.array([row]))) == [row]
    assert elsewhere.reads == ["a.npy", "c.npy", "a.npy"]


def test_what_was_opened_ahead_is_not_fetched_again(elsewhere):
    pictures = Pictures(elsewhere, SHARDS)
    pictures.open([0, 2])
    pictures.take(np.arange(COUNT))
    assert elsewhere.reads == ["a.npy", "c.npy"]


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


def test_a_storage_that_comes_back_is_waited_for(elsewhere, monkeypatch):
    waits = []
    monkeypatch.setattr("time.sleep", waits.append)
    pictures = Pictures(LostRoot(elsewhere.objects, 3), SHARDS)
    assert numbers(pictures.take(np.array([1]))) == [1]
    assert sum(waits) >= 30


def test_a_storage_that_stays_away_is_told(elsewhere, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(StorageUnavailable, match="Could not read it."):
        Pictures(LostRoot(elsewhere.objects, 99), SHARDS).take(np.array([1]))
