"""Ranges of a bucket on real servers: every key once, whatever characters it has, and the keys that come later."""

import gzip
import hashlib
import json
import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote_plus

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tagger.catalog.inventory import InventoryListing
from tagger.catalog.keys_file import KeysListing
from tagger.catalog.keyspace import key_cuts
from tagger.catalog.listing import KeyRange, StorageListing, ranges_between
from tagger.storage import open_root

# Without U+D7FF, U+FFFF and U+10FFFF, which no alphabet has: Swift takes two of them not as a prefix's last character,
# and moto cannot answer about the third.
LETTERS = "!+%/0aZ~é߿ࠀ雪\ud7fb\ue000\ufffd\U00010000😀\U0010fffd"
KEYS = [f"{a}{b}{n}" for a in LETTERS for b in "/1" + LETTERS[-5:] for n in "01"]
SWIFT = os.environ.get("SWIFT_S3", "")


@pytest.fixture(scope="module")
def moto():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    server.stop()


@pytest.fixture(scope="module")
def swift(tmp_path_factory):
    if not SWIFT:
        pytest.skip("SWIFT_S3 does not name a command that starts a Swift server")
    folder = tmp_path_factory.mktemp("swift")
    command = [sys.executable, SWIFT]
    subprocess.run([*command, "start", "--dir", folder], check=True, capture_output=True)
    told = subprocess.run([*command, "env", "--dir", folder], check=True, capture_output=True, text=True).stdout
    words = told.replace("export ", "").replace("'", "").split()
    yield dict(word.rstrip(";").partition("=")[::2] for word in words if "=" in word)
    subprocess.run([*command, "stop", "--dir", folder], check=True, capture_output=True)


@pytest.fixture(scope="module", params=["moto", "swift"])
def environment(request):
    """What reaches a server on which the bucket holds all the keys below `shop`."""
    variables = {"AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"} | request.getfixturevalue(
        request.param
    )
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        boto3.Session().client("s3", endpoint_url=variables["AWS_ENDPOINT_URL"]).create_bucket(Bucket="ranges")
        root = open_root("s3://ranges/shop")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: root.write_bytes(key, b""), KEYS))
    return variables


@pytest.fixture
def root(environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return open_root("s3://ranges/shop")


def found(listing, ranges):
    return [photo.key for part in ranges for photo in listing.photos(part)]


def test_the_whole_bucket_is_one_range_or_many(root):
    expected = sorted(KEYS, key=str.encode)
    assert found(StorageListing(root), [KeyRange()]) == expected
    cuts = key_cuts(root, "", 8, page_keys=10)
    assert len(cuts) >= 4
    assert found(StorageListing(root), ranges_between(cuts)) == expected


def test_a_range_starts_and_ends_at_any_character(root):
    cuts = {letter + rest for letter in LETTERS for rest in ("", "/", "1", "10")}
    assert found(StorageListing(root), ranges_between(sorted(cuts, key=str.encode))) == sorted(KEYS, key=str.encode)


def test_a_prefix_is_cut_on_its_own(root):
    expected = [key for key in sorted(KEYS, key=str.encode) if key.startswith("雪")]
    cuts = key_cuts(root, "雪", 4, page_keys=4)
    assert cuts and all(cut.startswith("雪") for cut in cuts)
    assert found(StorageListing(root, "雪"), ranges_between(cuts)) == expected


def test_an_inventory_is_read_and_sorted_in_the_bucket(root):
    lists, sorted_rows = open_root("s3://ranges/lists/ranges/nightly"), open_root("s3://ranges/sorted")
    stored = list(root.list_objects())
    lines = [f'"ranges","shop/{quote_plus(o.key)}","0","{o.last_modified.isoformat()}","{o.etag}"' for o in stored]
    data = gzip.compress("\n".join(reversed(lines)).encode())
    lists.write_bytes("data/1.csv.gz", data)
    files = [{"key": "lists/ranges/nightly/data/1.csv.gz", "MD5checksum": hashlib.md5(data).hexdigest()}]
    told = {"sourceBucket": "ranges", "fileFormat": "CSV", "files": files}
    told["fileSchema"] = "Bucket, Key, Size, LastModifiedDate, ETag"
    lists.write_bytes("2026-11-22T01-00Z/manifest.json", json.dumps(told).encode())
    manifest = f"{lists.uri}/2026-11-22T01-00Z/manifest.json"
    assert list(InventoryListing.prepare(manifest, root, "", sorted_rows).photos(KeyRange())) == stored


def test_a_file_of_keys_is_read_and_looked_up_in_the_bucket(root):
    open_root("s3://ranges").write_bytes("keys.txt", "\n".join([*KEYS[::-1], "absent"]).encode())
    listing = KeysListing.prepare("s3://ranges/keys.txt", root, "", open_root("s3://ranges/keys"))
    facts = [(photo.key, photo.etag, photo.size_bytes) for photo in listing.photos(KeyRange())]
    assert facts == [(photo.key, photo.etag, photo.size_bytes) for photo in root.list_objects()]
    assert list(listing.missing(KeyRange("a", "b"))) == ["absent"]
