"""Roots on a local disk: order of the listing, whole writes, one winner, reasons why a photo did not come."""

import contextlib
import errno
import io
import os
import pickle
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.fs
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import AccessDenied, BadInput, FetchFailed, StorageUnavailable
from tagger.storage import open_file, open_root, outages_told

# Few characters around "/" (0x2F) in byte order, so that folders and files with a common start are frequent.
names = st.text("a!-.0é😀", min_size=1, max_size=4).filter(lambda name: name.strip(".") != "")
keys = st.lists(names, min_size=1, max_size=3).map("/".join)


def possible(keys):
    """Keys that can be files at once: on a disk "a" cannot be a file and a folder."""
    folders = {key[:n] for key in keys for n, letter in enumerate(key) if letter == "/"}
    return set(keys) - folders


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path / "shop"))


def listed(root, **where):
    return [stored.key for stored in root.list_objects(**where)]


@given(st.sets(keys, max_size=12).map(possible), st.text("a!-.0/é😀", max_size=4), st.text("a!-.0/é😀", max_size=4))
def test_the_listing_is_the_sorted_keys_from_any_place(tmp_path_factory, keys, prefix, after):
    root = open_root(str(tmp_path_factory.mktemp("shop")))
    for key in keys:
        root.write_bytes(key, b"")
    by_bytes = sorted(keys, key=str.encode)
    assert listed(root) == by_bytes
    wanted = [key for key in by_bytes if key.startswith(prefix) and key.encode() > after.encode()]
    assert listed(root, prefix=prefix, after=after) == wanted
    assert root.first_key(prefix, after) == next(iter(wanted), None)


places = st.text("a!-.0/é😀", max_size=4)


@given(st.sets(keys, max_size=12).map(possible), places, places, places)
def test_the_listing_keeps_within_its_bounds(tmp_path_factory, keys, after, start, end):
    root = open_root(str(tmp_path_factory.mktemp("shop")))
    for path in (Path(root.uri, key) for key in keys):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    low, first, last = after.encode(), start.encode(), end.encode()
    by_bytes = sorted(key.encode() for key in keys)
    wanted = [key.decode() for key in by_bytes if key > low and key >= first and (not last or key < last)]
    assert listed(root, after=after, start=start, end=end) == wanted


def test_an_absent_root_lists_nothing(root):
    assert listed(root) == []


def test_a_place_is_checked_by_looking(root):
    with pytest.raises(BadInput, match="There is no folder '.*shop'"):
        root.check()
    root.write_bytes("a", b"")
    root.check()


def test_the_listing_tells_size_and_time(root):
    root.write_bytes("images/a.jpg", b"12345")
    (stored,) = root.list_objects()
    assert (stored.key, stored.size_bytes) == ("images/a.jpg", 5)
    assert stored.last_modified.tzinfo is UTC and abs(datetime.now(UTC) - stored.last_modified) < timedelta(minutes=1)


def test_the_facts_of_one_file_are_those_of_the_listing(root):
    root.write_bytes("a b/é", b"12345")
    assert [root.stat("a b/é")] == list(root.list_objects())


@pytest.mark.parametrize("key", ["b", "a", "a/", "a//b", "a/./b", "./a/b", "a/b/c"])
def test_what_the_listing_would_not_show_has_no_facts(root, key):
    root.write_bytes("a/b", b"")
    with pytest.raises(FileNotFoundError):
        root.stat(key)


@pytest.mark.parametrize("uri", ["/shop/keys.txt", "s3://bucket/keys.txt", "s3://bucket/a/b/keys.txt"])
def test_a_file_is_opened_by_its_uri(uri):
    root, key = open_file(uri)
    assert f"{root.uri}/{key}" == uri and key == "keys.txt"


def test_a_file_without_a_folder_is_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root, key = open_file("keys.txt")
    assert (root.uri, key) == (str(tmp_path), "keys.txt")


def test_the_etag_changes_with_the_file(root):
    root.write_bytes("a", b"one")
    (before,) = root.list_objects()
    os.utime(Path(root.uri, "a"), ns=(1, 1))
    (after,) = root.list_objects()
    assert before.etag != after.etag


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX alone")
def test_a_file_name_that_is_no_utf8_can_be_listed_past_and_read(root):
    root.write_bytes("a", b"1")
    Path(os.fsdecode(os.fsencode(root.uri) + b"/b\xff")).write_bytes(b"2")
    first, second = listed(root)
    assert (first, root.read_bytes(second)) == ("a", b"2")
    assert listed(root, after=first) == [second] and listed(root, after=second) == []
    assert listed(root, start=second) == [second] and listed(root, end=second) == [first]


def test_what_is_being_written_is_not_listed(root):
    root.write_bytes("a", b"")
    Path(root.uri, ".writing-x").touch()
    assert listed(root) == ["a"]


def test_a_write_replaces_the_whole_object(root):
    root.write_bytes("deep/er/a", b"a long first text")
    root.write_bytes("deep/er/a", b"second")
    assert root.read_bytes("deep/er/a") == b"second" and listed(root) == ["deep/er/a"]


def test_a_reader_sees_the_old_object_or_the_new_never_a_part(root):
    old, new = b"o" * 300_000, b"n" * 300_000
    root.write_bytes("a", old)
    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(lambda: [root.write_bytes("a", text) for text in [new, old] * 10])
        seen = {root.read_bytes("a")}
        while not writing.done():
            seen.add(root.read_bytes("a"))
        writing.result()
    assert seen <= {old, new}


def test_a_write_that_fails_leaves_nothing_behind(root):
    root.write_bytes("a/b", b"")
    with pytest.raises(BadInput, match="Is a directory"):
        root.write_bytes("a", b"a folder stands in the way")
    assert [path.name for path in Path(root.uri).iterdir()] == ["a"]


def test_a_place_that_cannot_be_written_or_listed_is_a_persons_to_mend(root):
    root.write_bytes("a", b"")
    for write in (root.write_bytes, root.create_once):
        with pytest.raises(BadInput, match="Could not write 1 bytes to .*/a/b: "):
            write("a/b", b"1")
    with pytest.raises(BadInput, match="Could not list .*/a: "):
        list(root.child("a").list_objects())


def test_a_disk_that_does_not_answer_is_an_outage_and_no_absence(root, monkeypatch):
    root.write_bytes("a", b"")

    def broken(path, **_):
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(Path, "stat", broken)
    for look in (lambda: root.stat("a"), root.check):
        with pytest.raises(StorageUnavailable, match="Could not look at .*: Input/output error"):
            look()


@pytest.mark.parametrize(
    ("number", "error", "told"),
    [
        (errno.EIO, StorageUnavailable, "Try again when that disk answers"),
        (errno.ESTALE, StorageUnavailable, "Try again when that disk answers"),
        (errno.EACCES, BadInput, "Correct the path or its permissions"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_like_one_that_cannot_be_written(root, monkeypatch, number, error, told):
    root.write_bytes("a", b"")

    def broken(path, **_):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "read_bytes", broken)
    for read in (lambda: root.read_bytes("a"), lambda: root.create_once("a", b"")):
        with pytest.raises(error, match=f"Could not read .*/a: {os.strerror(number)}. {told}"):
            read()
    monkeypatch.setattr(Path, "stat", broken)
    with pytest.raises(error, match="Could not look at"):
        root.exists("a")


def test_a_folder_is_read_as_no_file(root):
    root.write_bytes("a/b", b"")
    with pytest.raises(BadInput, match="Could not read .*/a: Is a directory"):
        root.read_bytes("a")


def test_what_cannot_be_a_photo_is_no_file(root):
    root.write_bytes("a", b"")
    os.mkfifo(Path(root.uri, "pipe"))
    Path(root.uri, "loop").symlink_to("loop")
    for key in ("pipe", "loop", "x" * 300, "a/b"):
        with pytest.raises(FileNotFoundError):
            root.stat(key)
    assert listed(root) == ["a"]


def test_links_are_followed_but_not_round_in_circles(root):
    root.write_bytes("new/a", b"")
    root.write_bytes("old/b", b"")
    for link, target in {"link": "new", "new/up": "..", "new/other": "../old", "old/back": "../new"}.items():
        Path(root.uri, link).symlink_to(target)
    assert listed(root) == ["link/a", "link/other/b", "new/a", "new/other/b", "old/b", "old/back/a"]


def test_an_object_that_is_not_there(root):
    assert not root.exists("a")
    with pytest.raises(FileNotFoundError):
        root.read_bytes("a")
    root.delete("a")


def test_a_deleted_object_is_gone(root):
    root.write_bytes("a", b"")
    root.delete("a")
    assert not root.exists("a") and listed(root) == []


def test_of_many_creators_at_once_one_wins(root):
    barrier = threading.Barrier(16)

    def create(number):
        barrier.wait()
        return root.create_once("lock", str(number).encode())

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(create, range(16)))
    assert sum(answers) == 1
    assert root.read_bytes("lock") == str(answers.index(True)).encode() and listed(root) == ["lock"]


def test_a_photo_is_fetched_as_it_was_listed(root):
    root.write_bytes("a", b"photo")
    (stored,) = root.list_objects()
    assert root.fetch("a", stored.etag) == b"photo"


def vanish(path):
    path.unlink()


def change(path):
    path.write_bytes(b"another photo")


def become_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("happens", "reason"),
    [(vanish, "not_found"), (change, "changed_during_run"), (become_folder, "download_failed")],
)
def test_why_a_photo_did_not_come(root, happens, reason):
    root.write_bytes("a", b"photo")
    (stored,) = root.list_objects()
    happens(Path(root.uri, "a"))
    with pytest.raises(FetchFailed) as failed:
        root.fetch("a", stored.etag)
    assert failed.value.reason == reason and failed.value.detail


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the system's administrator may read everything")
def test_a_photo_that_may_not_be_read(root):
    root.write_bytes("a", b"photo")
    (stored,) = root.list_objects()
    Path(root.uri, "a").chmod(0)
    with pytest.raises(FetchFailed) as failed:
        root.fetch("a", stored.etag)
    assert failed.value.reason == "access_denied"


@pytest.mark.parametrize("key", ["../a", "a/../../b", "..", "/etc/passwd"])
@pytest.mark.parametrize(
    ("action", "rest"),
    [
        ("read_bytes", ()),
        ("exists", ()),
        ("delete", ()),
        ("stat", ()),
        ("write_bytes", (b"",)),
        ("create_once", (b"",)),
        ("fetch", ("etag",)),
    ],
)
def test_a_key_outside_the_root_is_refused(root, action, rest, key):
    with pytest.raises(BadInput, match="leads outside"):
        getattr(root, action)(key, *rest)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("", "root is empty"),
        ("s3://", "names no bucket"),
        ("s3:///prefix", "names no bucket"),
        ("gs://bucket/x", "Only these two are supported"),
        ("https://host/x", "Only these two are supported"),
    ],
)
def test_a_place_that_is_no_root_is_refused(uri, told):
    with pytest.raises(BadInput, match=told):
        open_root(uri)


@pytest.mark.parametrize("uri", ["/shop", "s3://bucket/shop"])
@pytest.mark.parametrize("parts", [("..",), ("models", "../../other"), ("models", "a/../..", "b"), ("/..",)])
def test_a_child_outside_the_root_is_refused(uri, parts):
    with pytest.raises(BadInput, match="leads outside"):
        open_root(uri).child(*parts)


@pytest.mark.parametrize("part", ["/etc/passwd", "s3://other/x", "a..b", "..a"])
def test_a_child_stays_below_its_root(part):
    for uri in ("/shop", "s3://bucket/shop"):
        assert open_root(uri).child(part).uri.startswith(f"{uri}/")


@pytest.mark.parametrize("key", ["s3://other/photo.jpg", "file:///etc/passwd", "~/x", "a%2F..%2F..%2Fb"])
def test_a_key_that_looks_like_another_place_is_a_key(root, key):
    with pytest.raises(FileNotFoundError):
        root.read_bytes(key)


def test_a_key_of_another_bucket_is_asked_for_in_ones_own(monkeypatch):
    asked = []

    class Client:
        def get_object(self, **where):
            asked.append((where["Bucket"], where["Key"]))
            return {"Body": io.BytesIO(b"")}

    monkeypatch.setattr("tagger.storage.s3_client", Client)
    keys = ["s3://other/x", "/x", "../../x", "other/../x"]
    for key in keys:
        open_root("s3://bucket/shop").read_bytes(key)
    assert asked == [("bucket", f"shop/{key}") for key in keys]


class Refusing:
    """An S3 client that answers every request with the errors in turn, the last again and again."""

    def __init__(self, *codes):
        self.codes, self.requests = list(codes), 0

    def _answer(self, **_):
        self.requests += 1
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        if code:
            raise ClientError({"Error": {"Code": code}}, "Request")

    get_object = put_object = head_object = delete_object = list_objects_v2 = _answer


@pytest.fixture
def s3(monkeypatch):
    """Starts an S3 root of such a client. The pauses between tries are left out."""

    def start(*codes):
        client = Refusing(*codes)
        monkeypatch.setattr("tagger.storage.s3_client", lambda: client)
        return open_root("s3://bucket/shop"), client

    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    return start


def test_a_conditional_write_that_met_another_is_tried_again(s3):
    root, client = s3("ConditionalRequestConflict", "ConditionalRequestConflict", None)
    assert root.create_once("a", b"") and client.requests == 3


@pytest.mark.parametrize("codes", [("ConditionalRequestConflict",) * 5, ("PreconditionFailed",)])
def test_a_conditional_write_that_finds_nothing_there_is_an_outage(s3, codes):
    root, client = s3(*codes, "NoSuchKey")
    with pytest.raises(StorageUnavailable, match="Could not create s3://bucket/shop/a: another process"):
        root.create_once("a", b"")
    assert client.requests == len(codes) + 1


def test_an_expired_token_is_told_alike_whatever_is_done(s3):
    root, _ = s3("ExpiredToken")
    for act in (
        lambda: root.read_bytes("a"),
        lambda: root.write_bytes("a", b""),
        lambda: root.create_once("a", b""),
        lambda: root.delete("a"),
        lambda: root.stat("a"),
        root.check,
    ):
        with pytest.raises(BadInput, match="ExpiredToken"):
            act()


@pytest.mark.parametrize(
    "words", ["AWS Error UNKNOWN (HTTP status 400) during HeadObject operation: No response body", "<Code>ExpiredToken"]
)
def test_an_expired_token_is_told_alike_by_the_other_libraries(root, words):
    with pytest.raises(BadInput, match="Check the credentials"), outages_told(root):
        raise OSError(words)


def test_a_relative_folder_and_a_home_folder_are_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert open_root("shop").uri == str(tmp_path / "shop")
    assert open_root("~/shop").uri == str(tmp_path / "home" / "shop")


@pytest.mark.parametrize("uri", ["/shop", "s3://bucket/shop", "s3://bucket"])
def test_a_root_travels_as_its_uri_and_has_children(uri):
    root = pickle.loads(pickle.dumps(open_root(uri)))
    assert (type(root), root.uri) == (type(open_root(uri)), uri)
    assert root.child("models/", "x").uri == f"{uri}/models/x"


@pytest.mark.parametrize("uri", ["s3://bucket/shop/", "s3://bucket//shop", "s3://bucket/shop//"])
def test_slashes_that_name_nothing_do_not_divide_the_clients(uri):
    root = open_root(uri)
    assert root.uri == "s3://bucket/shop" and root.prefix == "shop"


def test_a_local_root_for_the_libraries_that_want_their_own(root):
    filesystem, path = root.arrow()
    assert isinstance(filesystem, pyarrow.fs.LocalFileSystem) and path == root.uri
    assert root.delta() == (root.uri, {})
    root.write_bytes("a", b"1")
    assert root.files().cat(f"{root.uri}/a") == b"1"


@pytest.mark.parametrize("write", ["write_bytes", "create_once"])
def test_a_full_disk_is_told_and_leaves_nothing(root, monkeypatch, write):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageUnavailable, match="write 3 bytes to .*/a/b: No space left on device. Make space"):
        getattr(root, write)("a/b", b"abc")
    assert not [path for path in Path(root.uri).rglob("*") if path.is_file()]


@pytest.fixture
def synced(monkeypatch):
    """The folders that were synced, with the names that they held at that moment."""
    seen, fsync = [], os.fsync

    def watched(handle):
        place = Path(os.readlink(f"/proc/self/fd/{handle}"))
        seen.extend([(place, {path.name for path in place.iterdir()})] if place.is_dir() else [])
        fsync(handle)

    monkeypatch.setattr("os.fsync", watched)
    return seen


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="only Linux tells which file a handle is of")
@pytest.mark.parametrize("write", ["write_bytes", "create_once"])
def test_names_are_on_the_disk_before_a_write_returns(root, synced, write):
    getattr(root, write)("a/b", b"1")
    made = [(place, name) for place, names in synced for name in names if not name.startswith(".")]
    shop = Path(root.uri)
    assert {(shop.parent, "shop"), (shop, "a"), (shop / "a", "b")} <= set(made)
    synced.clear()
    getattr(root, write)("a/c", b"1")
    assert [place for place, _ in synced] == [shop / "a"]


@pytest.mark.parametrize(("number", "kind"), [(errno.EIO, StorageUnavailable), (errno.EACCES, AccessDenied)])
def test_a_photo_that_the_disk_does_not_show_is_told_in_a_listing(root, monkeypatch, number, kind):
    root.write_bytes("a.jpg", b"x")

    def refuse(path, *, _stat=os.stat, **named):
        if str(path).endswith("a.jpg"):
            raise OSError(number, "no answer", path)
        return _stat(path, **named)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(kind, match=r"look at .*/a\.jpg: no answer"):
        list(root.list_objects())
    with pytest.raises(kind, match=r"look at .*/a\.jpg: no answer"):
        root.stat("a.jpg")


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_a_filesystem_that_syncs_no_folders_is_taken_and_one_that_fails_is_told(root, monkeypatch, number):
    fsync = os.fsync

    def refuse(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(handle)

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(StorageUnavailable) if number == errno.EIO else contextlib.nullcontext():
        root.write_bytes("a", b"1")
        assert root.read_bytes("a") == b"1"


def test_what_pickle_brings_to_a_worker_has_the_same_retries(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    filesystem, _ = open_root("s3://shop/a").arrow()
    assert pickle.loads(pickle.dumps(filesystem)) is filesystem  # made by our own function, not by pyarrow's
