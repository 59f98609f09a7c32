"""Inventories: the bucket's photos as a listing would show them, from files in no order, or a sentence why not."""

import csv
import gzip
import hashlib
import io
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagger.catalog.inventory import InventoryListing
from tagger.catalog.listing import KeyRange
from tagger.errors import BadInput
from tagger.storage import StoredObject, open_root

IMAGES = open_root("s3://shop/images")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FIELDS = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass"
MESSAGE = (
    "message s3.inventory {  required binary bucket (STRING);  required binary key (STRING);  "
    "optional binary version_id (STRING);  optional boolean is_latest;  optional boolean is_delete_marker;  "
    "optional int64 size;  optional int64 last_modified_date (TIMESTAMP(MILLIS,true));  "
    "optional binary e_tag (STRING);  optional binary storage_class (STRING);}"
)
ALL = KeyRange()


def row(key, encoded=None, *, latest=True, deleted=False, size=3, etag="e1"):
    """A photo's row: its fields for Parquet, and the key as CSV has it."""
    values = {"bucket": "shop", "key": key, "version_id": "v", "is_latest": latest, "is_delete_marker": deleted}
    values |= {"size": size, "last_modified_date": NOON, "e_tag": etag, "storage_class": "STANDARD"}
    return values | {"encoded": encoded or key}


ROWS = [
    row("images/b.jpg"),
    row("images/a b+c%.jpg", "images/a+b%2Bc%25.jpg"),
    row("images/雪/1.jpg", "images/%E9%9B%AA/1.jpg", etag='"d41d8cd9"', size=0),
    row("images/😀.jpg", "images/%F0%9F%98%80.jpg"),
    row('images/quote",comma.jpg', "images/quote%22%2Ccomma.jpg"),
    row("images/a.jpg", etag="e2"),
    row("images/a.jpg", latest=False),
    row("images/gone.jpg", deleted=True, size=None, etag=None),
    row("images/folder/", "images/folder/"),
    row("images-old/a.jpg"),
    row("other/a.jpg"),
]
EXPECTED = [
    StoredObject("a b+c%.jpg", "e1", 3, NOON),
    StoredObject("a.jpg", "e2", 3, NOON),
    StoredObject("b.jpg", "e1", 3, NOON),
    StoredObject('quote",comma.jpg', "e1", 3, NOON),
    StoredObject("雪/1.jpg", "d41d8cd9", 0, NOON),
    StoredObject("😀.jpg", "e1", 3, NOON),
]


def as_csv(rows):
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for each in rows:
        flags = [str(each[name]).lower() for name in ("is_latest", "is_delete_marker")]
        size, etag = ("" if each[name] is None else each[name] for name in ("size", "e_tag"))
        when = each["last_modified_date"].strftime("%Y-%m-%dT%H:%M:%S.000Z")
        writer.writerow([each["bucket"], each["encoded"], "v", *flags, size, when, etag, each["storage_class"]])
    return gzip.compress(text.getvalue().encode())


def as_parquet(rows):
    table = pa.Table.from_pylist([{name: each[name] for name in each if name != "encoded"} for each in rows])
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def write_inventory(folder, contents, form, schema, **changes):
    """Files and manifest, as S3 lays them out. Returns the manifest's path."""
    place, named = folder / "lists" / "shop" / "nightly", []
    (place / "data").mkdir(parents=True)
    for number, data in enumerate(contents):
        name = f"{number}.{'csv.gz' if form == 'CSV' else 'parquet'}"
        (place / "data" / name).write_bytes(data)
        digest = hashlib.md5(data).hexdigest()
        named.append({"key": f"lists/shop/nightly/data/{name}", "size": len(data), "MD5checksum": digest})
    told = {"sourceBucket": "shop", "fileFormat": form, "fileSchema": schema, "files": named} | changes
    manifest = place / "2026-11-22T01-00Z" / "manifest.json"
    manifest.parent.mkdir()
    manifest.write_text(json.dumps(told))
    return str(manifest)


@pytest.fixture
def into(tmp_path):
    return open_root(str(tmp_path / "work"))


FORMS = {"CSV": (as_csv, FIELDS), "Parquet": (as_parquet, MESSAGE)}


@pytest.fixture(params=FORMS)
def manifest(request, tmp_path):
    write, schema = FORMS[request.param]
    return write_inventory(tmp_path, [write(ROWS[:4]), write(ROWS[4:])], request.param, schema)


def listed(listing, part=ALL, after=""):
    return list(listing.photos(part, after))


def test_the_current_photos_below_images_come_in_order(manifest, into):
    assert listed(InventoryListing.prepare(manifest, IMAGES, "", into)) == EXPECTED


def test_only_a_prefix_or_a_whole_bucket(manifest, into):
    listing = InventoryListing.prepare(manifest, IMAGES, "a", into.child("1"))
    assert [photo.key for photo in listed(listing)] == ["a b+c%.jpg", "a.jpg"]
    listing = InventoryListing.prepare(manifest, open_root("s3://shop"), "o", into.child("2"))
    assert [photo.key for photo in listed(listing)] == ["other/a.jpg"]


def test_any_range_of_a_travelled_listing(manifest, into):
    listing = pickle.loads(pickle.dumps(InventoryListing.prepare(manifest, IMAGES, "", into)))
    assert listed(listing, KeyRange("a.jpg", "q")) == EXPECTED[1:3]
    assert listed(listing, KeyRange("a.jpg", "r"), after="a.jpg") == EXPECTED[2:4]
    assert listed(listing, KeyRange("q", ""), after="雪") == EXPECTED[4:]


def test_it_is_sorted_once(manifest, into):
    InventoryListing.prepare(manifest, IMAGES, "", into)
    before = into.stat("index.json")
    InventoryListing.prepare(manifest, IMAGES, "", into)
    assert into.stat("index.json") == before
    assert listed(InventoryListing.prepare(manifest, IMAGES, "b", into)) == EXPECTED[2:3]


def test_a_bucket_without_objects(tmp_path, into):
    path = write_inventory(tmp_path, [], "CSV", FIELDS)
    listing = InventoryListing.prepare(path, IMAGES, "", into)
    assert listing.ranges(8) == [ALL] and listed(listing) == []


@pytest.mark.parametrize(
    "fields", ["{sql}, Key, Size, ETag, LastModifiedDate", "Key, Size, ETag, LastModifiedDate, {sql}"]
)
def test_whoever_writes_a_manifest_cannot_write_files(tmp_path, into, fields):
    kept = tmp_path / "kept.txt"
    kept.write_text("kept")
    sql = f"x WHERE false) AS t) AS u; COPY (SELECT 1) TO '{kept}'; SELECT 1 FROM (SELECT * FROM (SELECT 1 AS a"
    path = write_inventory(tmp_path, [], "CSV", fields.format(sql=sql))
    with pytest.raises(BadInput, match="no plain name of a column or a file. Name a manifest.json that S3 wrote"):
        InventoryListing.prepare(path, IMAGES, "", into)
    assert kept.read_text() == "kept"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sourceBucket": "another"}, "the inventory of the bucket another, and the images are at s3://shop/images"),
        ({"fileFormat": "ORC"}, "in the format ORC. Set the inventory's output format to Parquet or CSV"),
        ({"fileSchema": "Bucket, Key, Size"}, "does not tell Last modified, ETag. Switch these additional fields on"),
        ({"files": [{"key": "a/b/x.csv.gz", "MD5checksum": "0"}]}, "names x.csv.gz, which is not in .*/nightly/data"),
        ({"files": [{"key": "x.csv.gz"}]}, "is no manifest of an S3 inventory"),
        ({"fileSchema": "Bucket, Size, LastModifiedDate, ETag"}, "does not tell Key"),
        ({"fileSchema": f'{FIELDS}, a"b'}, "names 'a\"b', which is no plain name of a column or a file"),
        ({"fileSchema": ""}, "names '', which is no plain name"),
        ({"files": [{"key": "data/..", "MD5checksum": "0"}]}, "names '..', which is no plain name"),
        ({"files": [{"key": "data/*.csv", "MD5checksum": "0"}]}, r"names '\*.csv', which is no plain name"),
    ],
)
def test_an_inventory_that_does_not_serve(tmp_path, into, changes, told):
    path = write_inventory(tmp_path, [as_csv(ROWS)], "CSV", FIELDS, **changes)
    with pytest.raises(BadInput, match=told):
        InventoryListing.prepare(path, IMAGES, "", into)
    assert list(into.list_objects()) == []


def test_a_file_that_was_replaced(manifest, into):
    (path, *_) = Path(manifest).parents[1].glob("data/0.*")
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(BadInput, match=r"data/0\..* is not the file that .*manifest.json names"):
        InventoryListing.prepare(manifest, IMAGES, "", into)


@pytest.mark.parametrize("rows", [[row("images/a", "images/%FF")], [row("images/a", size="many")]])
def test_a_row_that_cannot_be_read(tmp_path, into, rows):
    path = write_inventory(tmp_path, [as_csv(rows)], "CSV", FIELDS)
    with pytest.raises(BadInput, match="manifest.json: a file cannot be read: .* Take another day's"):
        InventoryListing.prepare(path, IMAGES, "", into)


def test_a_photo_without_its_facts(tmp_path, into):
    path = write_inventory(tmp_path, [as_csv([row("images/a", etag=None)])], "CSV", FIELDS)
    with pytest.raises(BadInput, match="manifest.json: etag of 'a' is empty"):
        InventoryListing.prepare(path, IMAGES, "", into)


@pytest.mark.parametrize("name", ["absent/manifest.json", "s3://shop/manifest.json"])
def test_a_manifest_that_is_not_there(tmp_path, into, name):
    path = name if "://" in name else str(tmp_path / name)
    with pytest.raises(BadInput, match="There is no manifest|does not lie in a dated folder"):
        InventoryListing.prepare(path, IMAGES, "", into)
