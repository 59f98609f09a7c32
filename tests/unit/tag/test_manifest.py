import datetime as dt

import pytest

from tagger.storage import StoredObject, open_root
from tagger.tag.manifest import Counts, Manifest, load_manifest, read_photos, save_manifest, write_shards

NOON = dt.datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=dt.UTC)
PHOTOS = [StoredObject(f"ü {n:02d}#?.jpg", f"e{n}", n, NOON) for n in range(10)]
COUNTS = Counts(listed=12, vanished=None, older_answers=1, unreadable_names=0)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


@pytest.mark.parametrize("shard_photos", [1, 3, 4, 10, 11])
@pytest.mark.parametrize("unit_size", [1, 2, 3, 256])
def test_units_hold_every_photo_once_and_in_order(root, shard_photos, unit_size):
    manifest = Manifest(write_shards(root, "r1", iter(PHOTOS), shard_photos), unit_size, COUNTS)
    units = list(manifest.units())
    assert [photo for unit in units for photo in read_photos(root, "r1", unit)] == PHOTOS
    assert manifest.new == 10 and max(unit.count for unit in units) <= unit_size
    assert [unit.name for unit in units] == sorted({unit.name for unit in units})


def test_a_manifest_without_its_marker_does_not_exist(root):
    shards = write_shards(root, "r1", PHOTOS)
    assert load_manifest(root, "r1") is None
    save_manifest(root, "r1", Manifest(shards, 256, COUNTS))
    assert load_manifest(root, "r1") == Manifest((("00000", 10),), 256, COUNTS)


def test_nothing_new_is_a_manifest_without_shards(root):
    manifest = Manifest(write_shards(root, "r1", []), 256, COUNTS)
    assert manifest.new == 0 and list(manifest.units()) == []
