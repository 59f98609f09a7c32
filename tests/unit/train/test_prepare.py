"""Photos to shards: named by what is in them, made once, and joined with the labels that can be read."""

import json

import numpy as np
import pandas as pd
import pytest

from tagger.catalog.labels import Labels, LabelSpace
from tagger.catalog.synth.writer import write_catalogue
from tagger.errors import LabelsError
from tagger.picture.fit import Fit
from tagger.storage import open_root
from tagger.train.pictures import Pictures
from tagger.train.prepare import SHARD_SIZE, ShardTask, decode_shard, join_items, shard_tasks

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
    found = sorted(images.list_objects(), key=lambda each: each.key)
    keys, etags = tuple(o.key for o in found), tuple(o.etag for o in found)
    return ShardTask(keys, etags, images.uri, shop.child("cache").uri, fit or Fit(), with_masks)


def test_a_shard_holds_what_could_be_read_and_says_what_could_not(shop):
    summary = decode_shard(task(shop))
    assert summary["count"] == 4 and summary["rejected"] == {"broken.jpg": "not_an_image"}
    assert len(np.load(f"{shop.child('cache').uri}/{summary['shard']}.npy")) == 4


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
        ShardTask(one.keys, (*one.etags[:-1], "other"), one.images_uri, one.pictures_uri, one.fit, False),
        ShardTask(one.keys, one.etags, "elsewhere", one.pictures_uri, one.fit, False),
    ]
    assert len({one.name, *(other.name for other in others)}) == 4
    assert task(shop, with_masks=True).name == one.name


def test_photos_added_at_the_end_leave_the_shards_before(shop):
    keys = [f"{n}.jpg" for n in range(SHARD_SIZE + 40)]
    etags = dict.fromkeys(keys, "etag")
    early = shard_tasks(labelled(keys[:-20]), etags, "images", shop, Fit(), False)
    late = shard_tasks(labelled(keys), etags, "images", shop, Fit(), False)
    assert len(early) == len(late) == 2
    assert early[0].name == late[0].name and early[1].name != late[1].name


def test_items_keep_their_pictures_where_others_are_rejected(shop):
    summary = json.loads(json.dumps(decode_shard(task(shop))))
    keys = list(task(shop).keys)
    many = labelled([*keys, *(f"more-{n}.jpg" for n in range(6))])
    more = {"shard": "more", "count": 6, "rejected": {}}
    items = join_items(many, pd.Series(["fit"] * len(many)), [summary, more])
    assert "broken.jpg" not in set(items.table["image_key"]) and items.table["row"].tolist() == list(range(10))
    assert len(Pictures(shop.child("cache"), items.shards)) == 10


def test_too_many_rejected_photos_stop_the_training(shop):
    summary = decode_shard(task(shop))
    with pytest.raises(LabelsError, match=r"1 of 5 labelled photos could not be read \(\{'not_an_image': 1\}"):
        join_items(labelled(list(task(shop).keys)), pd.Series(["fit"] * 5), [summary])
