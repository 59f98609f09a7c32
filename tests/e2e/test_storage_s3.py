"""Roots on S3: the contract of the local ones, four clients with one view, and what is said when storage says no."""

import contextlib
import itertools
import logging
import pickle
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import botocore.endpoint
import pyarrow as pa
import pytest
import tenacity
from deltalake import DeltaTable, write_deltalake
from moto.backends import get_backend
from moto.server import ThreadedMotoServer

from tagger.errors import AccessDenied, BadInput, FetchFailed, StorageUnavailable
from tagger.picture.decode import DecodeLimits
from tagger.picture.fit import Fit
from tagger.storage import LocalRoot, open_root
from tagger.tag.fetch import FetchSettings, decode_children, fetch_and_decode
from tests.e2e.faulty_s3 import FaultyS3, Garble, Rule, Truncate, Unanswered
from tests.unit.picture.photos import png

ODD_KEYS = [
    "a b",
    "a+b",
    "a%2Fb",
    "a%20b",
    "é",
    "e\u0301",  # the same to the eye, another key
    "雪/😀",
    "a//b",
    "/a",
    "a/./b",
    "a/../b",
    "..",
    "a#b?c&d=e;f",
    "a\\b",
    "<a>&amp;'\"",
    "a\tb",
    "a\rb",
    "[a]{b}~*^`|",
    "100%",
    " a ",
    "x" * 900,
]


@pytest.fixture(scope="module")
def endpoint():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def environment(monkeypatch, tmp_path):
    for name in ("PROFILE", "SESSION_TOKEN", "ENDPOINT_URL_S3", "DEFAULT_REGION", "DEFAULT_PROFILE"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    for name in ("CONFIG_FILE", "SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(f"AWS_{name}", str(tmp_path / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return monkeypatch


@pytest.fixture
def root(request, endpoint, environment):
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    boto3.Session().client("s3", endpoint_url=endpoint).create_bucket(Bucket="catalogue")
    return open_root(f"s3://catalogue/{request.node.name.partition('[')[0]}")


def listed(root, **where):
    return [stored.key for stored in root.list_objects(**where)]


def put_behind_the_back(root, keys):
    """Empty objects, without asking the server, which is slow and cannot be asked for a line break."""
    for key in keys:
        get_backend("s3")["123456789012"]["aws"].put_object(root.bucket, f"{root.prefix}/{key}", b"")


def test_objects_come_and_go(root):
    assert not root.exists("a/b") and listed(root) == []
    with pytest.raises(FileNotFoundError):
        root.read_bytes("a/b")
    root.write_bytes("a/b", b"one")
    root.write_bytes("a/b", b"two")
    assert root.exists("a/b") and root.read_bytes("a/b") == b"two" and listed(root) == ["a/b"]
    root.delete("a/b")
    root.delete("a/b")
    assert not root.exists("a/b")


def test_the_listing_tells_etag_size_and_time(root):
    root.write_bytes("a", b"12345")
    (stored,) = root.list_objects()
    assert (stored.key, stored.size_bytes, '"' in stored.etag) == ("a", 5, False)
    assert stored.last_modified.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - stored.last_modified) < timedelta(minutes=1)


def test_the_listing_is_ordered_by_bytes_and_starts_anywhere(root):
    keys = ["a", "a!b", "a.b", "a/b", "a0", "b", "é", "😀"]
    for key in reversed(keys):
        root.write_bytes(key, b"")
    assert listed(root) == keys == sorted(keys, key=str.encode)
    assert listed(root, after="a.b") == keys[3:] and listed(root, after="a.c") == keys[3:]
    assert listed(root, prefix="a", after="a/") == ["a/b", "a0"]


def test_pages_are_invisible(root):
    keys = [f"images/{number:05d}.jpg" for number in range(2345)]
    put_behind_the_back(root, keys)
    assert listed(root) == keys
    assert listed(root, prefix="images/01", after="images/01500.jpg") == keys[1501:2000]


def test_the_listing_keeps_within_its_bounds(root):
    keys = ["a", "a!b", "a.b", "a/b", "a0", "b", "é", "\uffee", "😀"]
    for key in keys:
        root.write_bytes(key, b"")
    for start, end in itertools.product(["", "a", "a.", "a.b", "c", "é", "\uffee", "😀"], repeat=2):
        wanted = [key for key in keys if key >= start and (not end or key < end)]
        assert listed(root, start=start, end=end) == wanted, (start, end)
    assert listed(root, prefix="a", after="a!b", start="a", end="b") == ["a.b", "a/b", "a0"]
    assert listed(root, prefix="a/", start="a", end="a0") == ["a/b"]


def test_the_first_key_skips_folder_marks(root):
    for key in ["a/", "a/b", "c"]:
        root.write_bytes(key, b"")
    assert [root.first_key(), root.first_key("a"), root.first_key("", "a/b"), root.first_key("", "c")] == [
        "a/b",
        "a/b",
        "c",
        None,
    ]


def test_the_facts_of_one_object_are_those_of_the_listing(root):
    root.write_bytes("a b/é", b"12345")
    (stored,) = root.list_objects()
    found = root.stat("a b/é")
    assert (found.key, found.etag, found.size_bytes) == (stored.key, stored.etag, 5)
    assert abs(found.last_modified - stored.last_modified) < timedelta(seconds=1)
    with pytest.raises(FileNotFoundError):
        root.stat("a b")


def test_a_neighbour_with_a_longer_name_and_folder_marks_are_not_listed(root):
    open_root(root.uri + "-copy").write_bytes("a", b"")
    root.write_bytes("b", b"")
    root.write_bytes("folder/", b"")
    assert listed(root) == ["b"]


@pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: ascii(key)[:20])
def test_odd_keys_come_back_as_they_are(root, key):
    root.write_bytes(key, b"photo")
    (stored,) = root.list_objects(prefix=key)
    assert stored.key == key and root.fetch(stored.key, stored.etag) == root.read_bytes(key) == b"photo"
    assert listed(root, prefix=key, after=key) == []
    root.delete(key)


def test_control_characters_are_listed_as_they_are(root):
    keys = ["a\x01b", "a\nb%0A"]
    put_behind_the_back(root, keys)
    assert listed(root) == keys


def test_only_the_first_creates(root):
    assert root.create_once("lock", b"first") and not root.create_once("lock", b"second")
    assert root.read_bytes("lock") == b"first"


def test_a_photo_is_fetched_as_listed_or_told_why_not(root):
    root.write_bytes("a", b"photo")
    (stored,) = root.list_objects()
    assert root.fetch("a", stored.etag) == b"photo"
    root.write_bytes("a", b"another")
    assert reason(root, "a", stored.etag) == "changed_during_run"
    root.delete("a")
    assert reason(root, "a", stored.etag) == "not_found"


def reason(root, key, etag):
    with pytest.raises(FetchFailed) as failed:
        root.fetch(key, etag)
    assert failed.value.detail
    return failed.value.reason


def test_a_travelled_root_serves_many_threads_at_once(root):
    root.write_bytes("a", b"photo")
    copy = pickle.loads(pickle.dumps(root))
    barrier = threading.Barrier(16)

    def read(_):
        barrier.wait()
        return copy.read_bytes("a")

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(read, range(16))) == {b"photo"}


@pytest.mark.parametrize("region", ["AWS_REGION", "AWS_DEFAULT_REGION"])
@pytest.mark.parametrize("name", ["plain", "a b/ü#1?+&"])
def test_the_four_clients_see_the_same_objects(root, environment, region, name):
    environment.delenv("AWS_REGION")
    environment.setenv(region, "eu-central-1")
    place = root.child(name, region)
    uri, options = place.child("table").delta()
    write_deltalake(uri, pa.table({"n": [1, 2]}), storage_options=options)
    filesystem, base = place.arrow()
    for key in (stored.key for stored in place.list_objects()):
        expected = place.read_bytes(key)
        with filesystem.open_input_stream(f"{base}/{key}") as stream:
            assert stream.read() == expected
        assert place.files().cat_file(f"{base}/{key}") == expected
    with filesystem.open_output_stream(f"{base}/from-arrow") as stream:
        stream.write(b"1")
    place.files().pipe_file(f"{base}/from-fsspec", b"2")
    assert (place.read_bytes("from-arrow"), place.read_bytes("from-fsspec")) == (b"1", b"2")
    assert DeltaTable(uri, storage_options=options).to_pyarrow_table()["n"].to_pylist() == [1, 2]


def test_another_clients_new_file_is_seen_at_once(root):
    files, base = root.files(), root.arrow()[1]
    root.write_bytes("a", b"")
    assert len(files.ls(base)) == 1
    root.write_bytes("b", b"")
    assert len(files.ls(base)) == 2


ACTIONS = {
    "list": lambda root: list(root.list_objects()),
    "read": lambda root: root.read_bytes("a"),
    "write": lambda root: root.write_bytes("a", b""),
    "create": lambda root: root.create_once("a", b""),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_bucket_that_is_not_there(root, action):
    with pytest.raises(BadInput, match="The bucket 'absent' does not exist .*Create it or correct the root"):
        ACTIONS[action](open_root("s3://absent/shop"))


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AWS_ACCESS_KEY_ID", None, "No AWS credentials to {action} .*Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("AWS_PROFILE", "absent", r"No AWS credentials to {action} .*profile \(absent\) could not be found"),
        ("AWS_ENDPOINT_URL", "localhost:9000", "Write it with its scheme, for example http://host:9000"),
        ("AWS_REGION", "no region", "Could not {action} .*'no region'"),
    ],
)
def test_settings_that_a_person_must_correct(root, environment, action, name, value, told):
    environment.setenv(name, value) if value else environment.delenv(name)
    with pytest.raises(BadInput, match=told.format(action=action)):
        ACTIONS[action](open_root("s3://catalogue/shop"))


def test_a_place_is_checked_by_looking(root):
    root.check()
    with pytest.raises(BadInput, match="The bucket 'absent' does not exist"):
        open_root("s3://absent/shop").check()


def test_a_bucket_name_that_none_can_have(root):
    with pytest.raises(BadInput, match=r"(?s)Could not read .*Invalid bucket name"):
        open_root("s3://catalogue!/shop").read_bytes("a")


@contextlib.contextmanager
def serving(handler):
    """A server of this process, in a thread."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with the server's `status` and S3 error `code`; a success breaks off in the middle."""

    def do_GET(self):
        body = f"<Error><Code>{self.server.code}</Code><Message>told so</Message></Error>".encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body) + (10 if self.server.status == 200 else 0)))
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    do_PUT = do_HEAD = do_GET

    def log_message(self, *arguments):
        """Quiet."""


@pytest.fixture
def refusing(environment):
    """Starts a storage that refuses, and returns a root on it. The pauses between tries are left out."""
    environment.setattr(botocore.endpoint.time, "sleep", lambda seconds: None)
    environment.setattr(tenacity.nap.time, "sleep", lambda seconds: None)
    with serving(Refusing) as server:
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")

        def start(status, code):
            server.status, server.code = status, code
            return open_root("s3://catalogue/shop")

        yield start


@pytest.mark.parametrize(
    ("status", "code", "error", "why"),
    [
        (403, "AccessDenied", AccessDenied, "access_denied"),
        (403, "InvalidAccessKeyId", AccessDenied, "access_denied"),
        (400, "ExpiredToken", AccessDenied, "access_denied"),
        (403, "InvalidObjectState", StorageUnavailable, "access_denied"),  # archived
        (400, "KMS.DisabledException", StorageUnavailable, "access_denied"),
        (400, "KMS.ThrottlingException", StorageUnavailable, "download_failed"),
        (400, "RequestTimeout", StorageUnavailable, "download_failed"),
        (403, "RequestTimeTooSkewed", StorageUnavailable, "download_failed"),
        (429, "TooManyRequests", StorageUnavailable, "download_failed"),
        (503, "SlowDown", StorageUnavailable, "download_failed"),
        (500, "InternalError", StorageUnavailable, "download_failed"),
        (200, "", StorageUnavailable, "download_failed"),  # the connection broke in the middle
    ],
)
def test_what_a_person_must_correct_and_what_may_work_later(refusing, status, code, error, why):
    root = refusing(status, code)
    with pytest.raises(error, match="s3://catalogue/shop/a"):
        root.read_bytes("a")
    assert reason(root, "a", "etag") == why


@pytest.mark.parametrize("status", [400, 403])
def test_one_object_that_may_not_be_looked_up(refusing, status):
    """The answer to HEAD has no body: its status is all there is."""
    with pytest.raises(AccessDenied, match=f"look up s3://catalogue/shop/a .{status}"):
        refusing(status, "AccessDenied").stat("a")


class OwnEtags(BaseHTTPRequestHandler):
    """Answers every request with one photo, an etag of its own making, and the server's `headers`."""

    def do_GET(self):
        self.server.seen.append(self.path)
        self.send_response(200)
        for name, value in {"Content-Length": "5", "ETag": f'"{"0" * 32}"', **self.server.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"photo")

    def log_message(self, *arguments):
        """Quiet."""


@pytest.fixture
def own_etags(environment):
    """Starts a storage that draws its etags, and returns a root on it and the requests that it saw."""
    with serving(OwnEtags) as server:
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")

        def start(headers):
            server.headers, server.seen = headers, []
            return open_root("s3://catalogue/shop"), server.seen

        yield start


class Trickling(BaseHTTPRequestHandler):
    """Promises a body of 1,000 bytes and sends one every 50 ms: no time-out between two of them strikes."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                self.wfile.write(b"x")
                self.server.stopped.wait(0.05)

    def log_message(self, *arguments):
        """Quiet."""


@pytest.fixture
def trickling(environment):
    """A root on a storage that sends its bytes one by one."""
    with serving(Trickling) as server:
        server.stopped = threading.Event()
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        yield open_root("s3://catalogue/shop")
        server.stopped.set()


def test_a_body_that_trickles_is_given_up_and_the_client_goes_on(trickling):
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(FetchFailed, match=r"did not arrive within 0\.5 s") as failed:
            trickling.fetch("a", "etag", 0.5)
        assert failed.value.reason == "download_failed" and time.monotonic() - started < 10


def test_one_photo_that_trickles_is_a_reject_and_its_neighbours_are_pictures(trickling, tmp_path):
    class SlowInPart(LocalRoot):
        """Photos on disk, but for one on the slow storage."""

        def fetch(self, key, etag, within_s):
            return (trickling if key == "slow" else super()).fetch(key, etag, within_s)

    images = SlowInPart(str(tmp_path))
    for key in ("a", "slow", "z"):
        images.write_bytes(key, png(16, 16, 8, 0, (b"\0" + bytes(16)) * 16))
    settings = FetchSettings(images, 4, 1, Fit(), DecodeLimits(), download_wall_s=0.3, pauses_s=(0,))
    fetched = fetch_and_decode(list(images.list_objects()), settings)
    decode_children(1, Fit(), DecodeLimits()).close()
    assert [each.photo.key for each in fetched.decoded] == ["a", "z"]
    assert [(r.photo.key, r.reject.reason, r.attempts) for r in fetched.rejected] == [("slow", "download_failed", 2)]


@contextlib.contextmanager
def behind(endpoint, environment, root, *rules):
    """The same root, behind a proxy that follows the rules, and the proxy."""
    with closing(FaultyS3(endpoint, rules)) as proxy:
        environment.setenv("AWS_ENDPOINT_URL", proxy.uri)
        yield open_root(root.uri), proxy


def test_a_body_that_breaks_off_or_arrives_damaged_is_read_again(root, endpoint, environment):
    root.write_bytes("a", b"0123456789")
    for fault in (Truncate(), Garble()):
        with behind(endpoint, environment, root, Rule("GET", fault, times=2)) as (place, proxy):
            assert place.read_bytes("a") == b"0123456789" and proxy.struck == 2


def test_a_photo_whose_bytes_changed_on_the_way_is_fetched_again_though_no_checksum_tells(root, endpoint, environment):
    root.write_bytes("a", b"0123456789")
    (stored,) = root.list_objects()
    unseen = Garble("x-amz-checksum")
    with behind(endpoint, environment, root, Rule("GET", unseen, times=1)) as (place, proxy):
        assert place.fetch("a", stored.etag) == b"0123456789" and proxy.struck == 1
    with behind(endpoint, environment, root, Rule("GET", unseen)) as (place, _):
        assert reason(place, "a", stored.etag) == "download_failed"


@pytest.mark.parametrize(
    ("headers", "requests"),
    [({}, 2), ({"x-amz-server-side-encryption": "aws:kms"}, 1), ({"x-amz-server-side-encryption": "AES256"}, 2)],
)
def test_an_etag_that_is_no_digest_of_the_bytes_is_believed_when_they_come_twice(own_etags, headers, requests):
    root, seen = own_etags(headers)
    assert root.fetch("a", "0" * 32) == b"photo" and len(seen) == requests


def test_whoever_created_an_object_knows_it_though_the_answer_got_lost(root, endpoint, environment):
    with behind(endpoint, environment, root, Rule("PUT", Unanswered(), times=1)) as (place, proxy):
        assert place.create_once("mine", b"first") and proxy.struck == 1
        assert not place.create_once("mine", b"second") and place.read_bytes("mine") == b"first"


def test_an_error_whose_words_break_off_is_an_outage(root, endpoint, environment):
    with behind(endpoint, environment, root, Rule("GET", Truncate())) as (place, _):
        with pytest.raises(StorageUnavailable, match="Could not read .*/absent"):
            place.read_bytes("absent")
        assert reason(place, "absent", "etag") == "download_failed"


def test_an_endpoint_that_does_not_answer_is_an_outage(environment):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    environment.setattr(botocore.endpoint.time, "sleep", lambda seconds: None)
    root = open_root("s3://catalogue/shop")
    for action in ACTIONS.values():
        with pytest.raises(StorageUnavailable, match="Could not .* s3://catalogue/shop"):
            action(root)
    assert reason(root, "a", "etag") == "download_failed"
