"""Photos to shards: named by what is in them, made once, and joined with the labels that can be read."""

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tagger.catalog.labels import Labels, LabelSpace
from tagger.catalog.synth.writer import write_catalogue
from tagger.errors import LabelsError, StorageUnavailable
from tagger.picture.fit import Fit
from tagger.storage import StoredObject, open_root
from tagger.train.pictures import Pictures
from tagger.train.prepare import SHARD_SIZE, ShardTask, decode_shard, join_items, shard_tasks
from tests.decoding import decode_nothing_here

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
SPACE = LabelSpace(("Shirt",), ("Red",), {}, {})


def labelled(keys):
    table = pd.DataFrame({"image_key": keys, "type": "Shirt", "color": "Red"})
    return Labels(table, SPACE)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Four photos and a broken one, and a place for shards."""
    root = open_root(str(tmp_path_factory.mktemp("shop")))
    write_catalogue(root, 4, 1)
    root.write_bytes("images/broken.jpg", b"no photo")
    return root


def task(shop, with_masks=False, fit=None):
    images = shop.child("images")
    photos = tuple(sorted(images.list_objects(), key=lambda each: each.key))
    return ShardTask(photos, images.uri, shop.child("cache").uri, fit or Fit(), with_masks)


def keys_of(task):
    return [photo.key for photo in task.photos]


def test_a_shard_holds_what_could_be_read_and_says_what_could_not(shop, monkeypatch):
    decode_nothing_here(monkeypatch)
    summary = decode_shard(task(shop))
    assert summary["count"] == 4 and summary["rejected"] == {"broken.jpg": "not_an_image"}
    assert len(np.load(f"{shop.child('cache').uri}/{summary['shard']}.npy")) == 4


def test_a_photo_that_does_not_come_ends_the_shard_and_nothing_is_kept_of_it(shop):
    """The same photo, there again with the same etag, is in the next training."""
    waiting = replace(task(shop), pictures_uri=shop.child("other-cache").uri)
    photo, aside = (Path(shop.uri, name) for name in (f"images/{waiting.photos[-1].key}", "aside"))
    photo.rename(aside)
    with pytest.raises(
        StorageUnavailable, match=r"no longer the one that was listed \(not_found.*Start the command again"
    ):
        decode_shard(waiting)
    assert list(shop.child("other-cache").list_objects()) == []
    aside.rename(photo)
    assert decode_shard(waiting)["rejected"] == {"broken.jpg": "not_an_image"}


def test_a_photo_that_is_too_large_by_its_listing_is_not_fetched(shop):
    one = task(shop)
    large = replace(one.photos[0], key="large.jpg", size_bytes=64_000_001)
    summary = decode_shard(replace(one, photos=(*one.photos[:2], large, *one.photos[2:])))
    assert summary["count"] == 4
    assert summary["rejected"] == {"broken.jpg": "not_an_image", "large.jpg": "file_too_large"}


def test_a_shard_that_is_there_is_not_made_again_but_for_its_masks(shop):
    name = decode_shard(task(shop))["shard"]
    cache = shop.child("cache")
    first = {o.key: o.last_modified for o in cache.list_objects(name)}
    assert decode_shard(task(shop, with_masks=True))["shard"] == name
    second = {o.key: o.last_modified for o in cache.list_objects(name)}
    assert first.items() <= second.items() and f"{name}.masks.npy" in second


def test_another_photo_another_fit_or_another_place_is_another_shard(shop):
    one = task(shop)
    others = [
        task(shop, fit=Fit("pad")),
        replace(one, photos=(*one.photos[:-1], replace(one.photos[-1], etag="other"))),
        replace(one, images_uri="elsewhere"),
    ]
    assert len({one.name, *(other.name for other in others)}) == 4
    assert task(shop, with_masks=True).name == one.name


def test_photos_added_at_the_end_leave_the_shards_before(shop):
    keys = [f"{n}.jpg" for n in range(SHARD_SIZE + 40)]
    listed = {key: StoredObject(key, "etag", 5, NOON) for key in keys}
    early = shard_tasks(labelled(keys[:-20]), listed, "images", shop, Fit(), False)
    late = shard_tasks(labelled(keys), listed, "images", shop, Fit(), False)
    assert len(early) == len(late) == 2
    assert early[0].name == late[0].name and early[1].name != late[1].name


def test_items_keep_their_pictures_where_others_are_rejected(shop):
    summary = json.loads(json.dumps(decode_shard(task(shop))))
    keys = keys_of(task(shop))
    many = labelled([*keys, *(f"more-{n}.jpg" for n in range(6))])
    more = {"shard": "more", "count": 6, "rejected": {}}
    items = join_items(
        many, pd.Series([*["select", "calibrate", "report"], *["fit"] * (len(many) - 3)]), [summary, more]
    )
    assert "broken.jpg" not in set(items.table["image_key"]) and items.table["row"].tolist() == list(range(10))
    assert len(Pictures(shop.child("cache"), items.shards)) == 10


def test_a_role_whose_photos_could_all_not_be_read_stops_the_training_before_it_costs_anything():
    many = labelled([f"{n}" for n in range(20)])
    roles = pd.Series([*["fit"] * 16, "select", "report", "calibrate", "calibrate"])
    summary = {"shard": "s", "count": 19, "rejected": {"16": "corrupt"}}
    with pytest.raises(LabelsError, match="No labelled item has the role select"):
        join_items(many, roles, [summary])


def test_too_many_rejected_photos_stop_the_training(shop):
    summary = decode_shard(task(shop))
    with pytest.raises(LabelsError, match=r"1 of 5 labelled photos could not be read \(\{'not_an_image': 1\}"):
        join_items(labelled(keys_of(task(shop))), pd.Series(["fit"] * 5), [summary])
