"""Lists of keys that people write: what is there comes as listed, what is not is told, and odd files are refused."""

import dataclasses
import gzip
import pickle
from datetime import UTC, datetime

import pandas as pd
import pytest

from tagger.catalog.keys_file import KeysListing
from tagger.catalog.listing import KeyRange
from tagger.errors import AccessDenied, BadInput, FetchFailed
from tagger.storage import LocalRoot, open_root
from tagger.tables.schema import TRANSIENT_REASONS

ALL = KeyRange()
STORED = ["a b.jpg", "a.jpg", "b/1.jpg", "é.jpg", "雪.jpg"]


@pytest.fixture
def images(tmp_path):
    root = open_root(str(tmp_path / "images"))
    for key in STORED:
        root.write_bytes(key, key.encode())
    return root


@pytest.fixture
def prepared(tmp_path, images):
    def prepare(data, name="keys.txt", prefix=""):
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return KeysListing.prepare(str(tmp_path / name), images, prefix, open_root(str(tmp_path / "work" / name)))

    return prepare


def listed(listing, part=ALL, after=""):
    return [photo.key for photo in listing.photos(part, after)]


def test_keys_come_once_in_order_with_what_the_listing_says(prepared, images):
    listing = prepared("雪.jpg\nb/1.jpg\n\na b.jpg\r\nb/1.jpg\na.jpg\né.jpg")
    assert list(listing.photos(ALL)) == list(images.list_objects())
    assert listing.asked() == 5 and listing.ranges(8) == [ALL]


def test_what_is_not_there_is_told(prepared):
    listing = pickle.loads(pickle.dumps(prepared("a.jpg\nz.jpg\n a.jpg\nb\né.jpg\nb//1.jpg\n")))
    assert listed(listing) == ["a.jpg", "é.jpg"]
    assert list(listing.missing(ALL)) == [" a.jpg", "b", "b//1.jpg", "z.jpg"]
    assert [key for key, found in listing.looked_up(KeyRange("b", "z"), after="b")] == ["b//1.jpg"]
    assert listing.asked() == 6


def test_a_part_of_the_list(prepared):
    listing = prepared("\n".join(STORED))
    assert listed(listing, KeyRange("a.jpg", "é.jpg")) == ["a.jpg", "b/1.jpg"]
    assert listed(listing, ALL, after="b/1.jpg") == ["é.jpg", "雪.jpg"]
    assert listed(prepared("\n".join(STORED), "prefixed.txt", prefix="a")) == ["a b.jpg", "a.jpg"]


FRAME = pd.DataFrame({"type": ["x", "y"], "image_key": ["é.jpg", "a b.jpg"]})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("keys.csv", FRAME.to_csv(index=False).encode()),
        ("keys.csv.gz", gzip.compress(FRAME.to_csv(index=False).encode(), mtime=0)),
        ("keys.parquet", FRAME.to_parquet()),
        ("keys.txt.gz", gzip.compress("é.jpg\na b.jpg".encode(), mtime=0)),
        ("keys", b"\xef\xbb\xbf" + "a b.jpg\né.jpg\n".encode()),
    ],
)
def test_the_files_that_can_be_read(prepared, name, data):
    assert listed(prepared(data, name)) == ["a b.jpg", "é.jpg"]


def test_a_csv_keeps_numbers_and_words_for_nothing_as_text(prepared, images):
    for key in ("007", "NULL", "a,b"):
        images.write_bytes(key, b"1")
    assert listed(prepared('image_key\n007\nNULL\n"a,b"\n', "keys.csv")) == ["007", "NULL", "a,b"]


def test_an_empty_list_has_no_photos(prepared):
    assert listed(prepared("\n\n")) == []


@pytest.mark.parametrize("key", ["..", "../a.jpg", "a/../../b.jpg", "a/.."])
def test_a_key_that_leads_upward_is_refused(prepared, key):
    with pytest.raises(BadInput, match="keys.txt holds the key '.*', which leads upward. Remove it"):
        prepared(f"a.jpg\n{key}\n")


def test_dots_within_a_name_are_fine(prepared):
    assert list(prepared("a..jpg\n..a\n.../b\n").missing(ALL)) == [".../b", "..a", "a..jpg"]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("keys.txt", b"a\xff.jpg\n", "keys.txt is not UTF-8"),
        ("keys.csv", b"key\na.jpg\n", "keys.csv cannot be read: .*image_key.* Give it a column image_key"),
        ("keys.csv", b"", "keys.csv cannot be read"),
        ("keys.parquet", b"a.jpg\n", "keys.parquet cannot be read"),
        ("keys.txt.gz", b"a.jpg\n", "keys.txt.gz is not whole, or no gzip file"),
        ("keys.txt.gz", gzip.compress(b"a.jpg\n" * 99, mtime=0)[:-20], "keys.txt.gz is not whole"),
        ("keys.parquet", FRAME[["type"]].to_parquet(), "keys.parquet cannot be read: .*image_key"),
    ],
)
def test_a_file_that_cannot_be_read(prepared, name, data, told):
    with pytest.raises(BadInput, match=told):
        prepared(data, name)


def test_a_file_that_is_not_there(images, tmp_path):
    with pytest.raises(BadInput, match="There is no file of keys .*absent.txt. Correct the path"):
        KeysListing.prepare(str(tmp_path / "absent.txt"), images, "", open_root(str(tmp_path / "work")))


def test_a_file_that_changed_is_sorted_again(prepared):
    assert listed(prepared("a.jpg\n")) == ["a.jpg"]
    assert listed(prepared("é.jpg\na.jpg\n")) == ["a.jpg", "é.jpg"]


class Withholding(LocalRoot):
    """A folder of which some keys may not be looked up, nor read."""

    withheld = ()

    def check(self):
        if self.withheld == "everything":
            raise AccessDenied("Not allowed to list the folder.")

    def stat(self, key):
        if self.withheld == "everything" or key in self.withheld:
            raise AccessDenied(f"Not allowed to look up {key}.")
        return super().stat(key)


@pytest.fixture
def withholding(prepared, images):
    def prepare(keys, withheld):
        root = Withholding(images.uri)
        root.withheld = withheld
        return dataclasses.replace(prepared("\n".join(keys)), images=root)

    return prepare


def test_a_key_that_is_withheld_is_a_photo_that_will_not_come(withholding, images):
    began = datetime.now(UTC)
    listing = withholding(["a.jpg", "b/1.jpg", "absent", "é.jpg"], {"b/1.jpg", "absent"})
    listing.check()
    known, absent, withheld, last = listing.photos(ALL)
    assert [known, last] == [images.stat("a.jpg"), images.stat("é.jpg")]
    assert [(photo.key, photo.etag, photo.size_bytes) for photo in (absent, withheld)] == [
        ("absent", "", 0),
        ("b/1.jpg", "", 0),
    ]
    assert withheld.last_modified >= began
    with pytest.raises(FetchFailed) as failed:
        images.fetch(withheld.key, withheld.etag)
    assert failed.value.reason in TRANSIENT_REASONS


def test_a_list_of_which_every_key_is_withheld_is_refused(withholding):
    with pytest.raises(AccessDenied, match="any of the 2 keys .* the first is 'a.jpg'. Check the credentials"):
        withholding(["é.jpg", "a.jpg"], {"a.jpg", "é.jpg"}).check()
    withholding(["absent", "a.jpg"], {"a.jpg"}).check()
    withholding([], "everything").check()


def test_wrong_credentials_are_no_matter_of_a_few_photos(withholding):
    with pytest.raises(AccessDenied, match="list the folder"):
        list(withholding(["a.jpg"], "everything").photos(ALL))
