import datetime as dt

import pytest

from tagger.catalog.listing import KeyRange
from tagger.errors import DateLocked
from tagger.storage import StoredObject, open_root
from tagger.tag.manifest import (
    Counts,
    Shard,
    Stand,
    complete,
    load_manifest,
    load_range,
    load_ranges,
    read_photos,
    save_range,
    save_ranges,
    write_shard,
    written_shards,
)

NOON = dt.datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=dt.UTC)
PHOTOS = [StoredObject(f"ü {n:02d}#?.jpg", f"e{n}", n, NOON) for n in range(10)]
COUNTS = Counts(listed=12, vanished=2, older_answers=1, unreadable_names=0)
STAND = Stand("ü", COUNTS)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def written(root, *sizes):
    """A planned run of one range whose shards have these sizes."""
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    shards = [
        write_shard(root, "r1", f"00000-{n:05d}", PHOTOS[start : start + size], STAND)
        for n, (start, size) in enumerate(zip(starts, sizes, strict=True))
    ]
    save_ranges(root, "r1", [KeyRange()])
    save_range(root, "r1", 0, shards, COUNTS)


@pytest.mark.parametrize("sizes", [(10,), (1,) * 10, (3, 3, 4), (4, 6)])
@pytest.mark.parametrize("unit_size", [1, 2, 3, 256])
def test_units_hold_every_photo_once_and_in_order(root, sizes, unit_size):
    written(root, *sizes)
    manifest = complete(root, "r1", unit_size, is_full=True)
    units = list(manifest.units())
    assert [photo for unit in units for photo in read_photos(root, "r1", unit)] == PHOTOS
    assert manifest.new == 10 and max(unit.count for unit in units) <= unit_size
    assert [unit.name for unit in units] == sorted({unit.name for unit in units})


def test_units_of_another_size_have_other_names(root):
    shard = Shard("00000-00000", 8)
    small, large = ({unit.name: (unit.start, unit.count) for unit in shard.units(size)} for size in (3, 4))
    assert set(small) & set(large) == set() and small["00000-00000-00006-00008"] == (6, 2)
    assert large == {"00000-00000-00000-00004": (0, 4), "00000-00000-00004-00008": (4, 4)}


def test_a_manifest_is_there_when_all_its_ranges_are(root):
    save_ranges(root, "r1", [KeyRange("", "m"), KeyRange("m", "")])
    save_range(root, "r1", 1, [], COUNTS)
    with pytest.raises(ValueError, match="1 ranges are not planned"):
        complete(root, "r1", 256, is_full=True)
    assert load_manifest(root, "r1") is None
    save_range(root, "r1", 0, [Shard("00000-00000", 3)], COUNTS)
    manifest = complete(root, "r1", 256, is_full=True)
    assert load_manifest(root, "r1") == manifest
    assert (manifest.shards, manifest.counts) == ((Shard("00000-00000", 3),), Counts(24, 4, 2, 0))


def test_a_run_that_another_command_removed_meanwhile_is_no_empty_one(root):
    with pytest.raises(DateLocked, match="Another command ended run r1"):
        complete(root, "r1", 256, is_full=True)
    assert load_manifest(root, "r1") is None


def test_what_vanished_is_unknown_unless_all_was_listed(root):
    written(root, 10)
    assert complete(root, "r1", 256, is_full=False).counts.vanished is None


def test_nothing_new_is_a_manifest_without_shards(root):
    written(root)
    manifest = complete(root, "r1", 256, is_full=True)
    assert manifest.new == 0 and list(manifest.units()) == []


def test_ranges_come_back_as_they_were(root):
    ranges = [KeyRange("", "a\n"), KeyRange("a\n", "\udcff"), KeyRange("\udcff", "")]
    assert load_ranges(root, "r1") is None
    save_ranges(root, "r1", ranges)
    assert load_ranges(root, "r1") == ranges
    save_ranges(root, "r1", [KeyRange()])  # shards of the first cut may be there
    assert load_ranges(root, "r1") == ranges


def test_a_range_says_how_far_it_is(root):
    assert written_shards(root, "r1", 0) == ([], Stand()) and load_range(root, "r1", 0) is None
    shards = [write_shard(root, "r1", f"00000-{n:05d}", PHOTOS[n : n + 1], Stand(str(n), COUNTS)) for n in range(3)]
    write_shard(root, "r1", "00001-00000", PHOTOS, STAND)
    assert written_shards(root, "r1", 0) == (shards, Stand("2", COUNTS))


def test_a_shard_is_written_once(root):
    write_shard(root, "r1", "00000-00000", PHOTOS, STAND)
    with pytest.raises(DateLocked, match="Another process plans run r1"):
        write_shard(root, "r1", "00000-00000", PHOTOS[:3], STAND)
    assert write_shard(root, "r1", "00000-00000", PHOTOS, STAND) == Shard("00000-00000", 10)  # its answer got lost
    assert written_shards(root, "r1", 0)[0] == [Shard("00000-00000", 10)]
