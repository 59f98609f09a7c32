"""Listings: ranges that divide the key space whatever is in it, and photos in order without repeats."""

import os
import pickle
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.catalog.keyspace import increasing, key_cuts
from tagger.catalog.listing import KeyRange, StorageListing, ranges_between
from tagger.errors import BadInput
from tagger.storage import Root, StoredObject, open_root

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Shelf(Root):
    """A storage in memory that lists as S3 does and counts how often it is asked."""

    def __init__(self, keys):
        super().__init__("s3://shelf")
        self.keys = sorted(set(keys), key=str.encode)
        self.asked = 0

    def list_objects(self, prefix="", after="", start="", end=""):
        self.asked += 1
        for key in self.keys:
            name = key.encode()
            is_within = name > after.encode() and name >= start.encode() and (not end or name < end.encode())
            if key.startswith(prefix) and is_within:
                yield StoredObject(key, "e", 1, NOON)


# All lengths of UTF-8, their first and last characters, and what surrounds the surrogates.
characters = st.sampled_from("\x01 /09aAz\x7f\x80éߺ߿ࠀ一雪\ud7ff\ue000\uffff𐀀😀\U0010ffff")
keys = st.text(characters | st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)
shelves = st.lists(keys, max_size=60).map(Shelf)


def found(listing, ranges):
    return [[photo.key for photo in listing.photos(part)] for part in ranges]


def by_bytes(texts):
    return sorted(texts, key=str.encode)


@given(shelves, st.text(characters, max_size=1), st.integers(1, 12), st.integers(2, 5))
def test_ranges_divide_whatever_is_there(shelf, prefix, wanted, page_keys):
    cuts = key_cuts(shelf, prefix, wanted, page_keys)
    assert cuts == by_bytes(set(cuts)) and all(cut.startswith(prefix) and cut for cut in cuts)
    assert len(cuts) < wanted
    parts = found(StorageListing(shelf, prefix), ranges_between(cuts))
    assert sum(parts, []) == [key for key in shelf.keys if key.startswith(prefix)]


@given(shelves, st.sets(keys, max_size=5), st.text(characters, max_size=3))
def test_ranges_divide_what_comes_later_and_can_be_gone_on_with(shelf, cuts, after):
    ranges = ranges_between(by_bytes(cuts))
    assert (ranges[0].start, ranges[-1].end) == ("", "")
    assert all(before.end == part.start for before, part in pairwise(ranges))
    left = [[photo.key for photo in StorageListing(shelf).photos(part, after)] for part in ranges]
    assert sum(left, []) == [key for key in shelf.keys if key.encode() > after.encode()]


SHOPS = {
    "numbers": [f"images/{n:06d}.jpg" for n in range(4000)],
    "days": [f"images/2026/{n % 12 + 1:02d}/{n % 28 + 1:02d}/{n}.jpg" for n in range(4000)],
    "hashes": [f"shop/{n * 2654435761 % 2**32:08x}.jpg" for n in range(4000)],
    "chinese": [f"图/{chr(0x4E00 + n * 5 % 20000)}{n}.jpg" for n in range(4000)],
    "emoji": [chr(0x1F300 + n % 700) + str(n) for n in range(4000)],
}


REQUESTS_A_PART = {"emoji": 16}
"""Where it is more than 10: each first character of a large alphabet is asked for."""


@pytest.mark.parametrize("wanted", [2, 8, 32])
@pytest.mark.parametrize("shop", SHOPS)
def test_ranges_are_of_similar_size_and_cost_few_requests(shop, wanted):
    shelf = Shelf(SHOPS[shop])
    cuts = key_cuts(shelf, "", wanted, page_keys=20)
    assert 1 <= len(cuts) < wanted
    assert shelf.asked <= REQUESTS_A_PART.get(shop, 10) * wanted + 10
    sizes = [len(part) for part in found(StorageListing(shelf), ranges_between(cuts))]
    assert max(sizes) <= min(3.2 / wanted, 0.8) * 4000, sizes


def test_a_small_listing_takes_one_request_and_is_one_range():
    shelf = Shelf(f"{n}.jpg" for n in range(999))
    assert StorageListing(shelf).ranges(64) == [KeyRange()] and shelf.asked == 1


def test_some_pages_are_worth_a_cut():
    assert len(StorageListing(Shelf(f"{n}.jpg" for n in range(5000))).ranges(4)) == 4


def test_a_few_strange_keys_do_not_hide_the_many():
    many = [f"photos/{n:05d}" for n in range(3000)]
    cuts = key_cuts(Shelf(["a", "photos", "é", "😀", *many]), "", 8, page_keys=20)
    sizes = [len(part) for part in found(StorageListing(Shelf(many)), ranges_between(cuts))]
    assert max(sizes) <= 1000


def test_a_folder_is_one_range_and_keeps_names_that_are_no_utf8(tmp_path):
    for name in (b"a.jpg", b"b\xff.jpg", b"\xc3\xa9.jpg"):
        (tmp_path / os.fsdecode(name)).touch()
    listing = StorageListing(open_root(str(tmp_path)))
    assert listing.ranges(64) == [KeyRange()]
    assert found(listing, [KeyRange()]) == [["a.jpg", "b\udcff.jpg", "é.jpg"]]


def test_a_folder_that_this_node_lacks_is_not_an_empty_one(tmp_path):
    with pytest.raises(BadInput, match="There is no folder"):
        list(StorageListing(open_root(str(tmp_path / "elsewhere"))).photos(KeyRange()))


def test_a_listing_travels():
    listing = pickle.loads(pickle.dumps(StorageListing(open_root("s3://bucket/images"), "shop/")))
    assert (listing.images.uri, listing.prefix) == ("s3://bucket/images", "shop/")


def photos(*keys):
    return [StoredObject(key, "e", 1, NOON) for key in keys]


def test_repeated_keys_come_once():
    assert list(increasing(photos("a", "a", "b"), "x")) == photos("a", "b")


def test_another_order_is_told():
    with pytest.raises(
        BadInput, match="s3://x is not listed in the order of its keys: 'a' comes after 'b'. Take .* in"
    ):
        list(increasing(photos("b", "a"), "s3://x"))


class Unordered(Shelf):
    """A storage that starts every listing at its beginning."""

    def list_objects(self, prefix="", after="", start="", end=""):
        return super().list_objects(prefix)


def test_a_storage_that_cannot_start_anywhere_is_cut_without_end():
    assert key_cuts(Unordered(str(n) for n in range(100, 200)), "", 8, page_keys=20) in ([], ["10"], ["11"])
