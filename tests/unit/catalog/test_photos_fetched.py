"""Photos to learn from or to measure on: passing failures are waited out, lasting ones raised, memory is bounded."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from tagger.catalog.photos import AHEAD_BYTES, fetch_photos
from tagger.errors import BadInput, FetchFailed, StorageUnavailable
from tagger.storage import Root, StoredObject


class Store(Root):
    """Answers a photo's key, but each key's errors first, one a try."""

    def __init__(self, errors=None):
        super().__init__("s3://shop/images")
        self.errors, self.asked = errors or {}, []

    def fetch(self, key, etag, within_s=60.0):
        self.asked.append(key)
        if self.errors.get(key):
            raise FetchFailed(self.errors[key].pop(0), "told by storage")
        return key.encode()


def listed(count, size_bytes=5):
    noon = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
    return [StoredObject(f"{n:03d}.jpg", "e", size_bytes, noon) for n in range(count)]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)


def test_photos_come_in_order_and_passing_failures_are_waited_out():
    store = Store({"001.jpg": ["download_failed"] * 3})
    assert list(fetch_photos(store, listed(3))) == [b"000.jpg", b"001.jpg", b"002.jpg"]
    assert store.asked.count("001.jpg") == 4


@pytest.mark.parametrize(
    ("reason", "error", "words"),
    [
        ("download_failed", StorageUnavailable, "could not be fetched in 4 tries: told by storage. Start .* again"),
        ("not_found", StorageUnavailable, r"no longer the one that was listed \(not_found.*Start the command again"),
        ("changed_during_run", StorageUnavailable, "it lists the photos anew"),
        ("access_denied", BadInput, "may not be read: told by storage. Check the credentials"),
    ],
)
def test_a_lasting_failure_is_told_with_the_photo_and_what_to_do(reason, error, words):
    with pytest.raises(error, match=f"The photo '001.jpg' under s3://shop/images .*{words}"):
        list(fetch_photos(Store({"001.jpg": [reason] * 9}), listed(3)))


class AtOnce(ThreadPoolExecutor):
    """Has done what it is told to do before it returns, so that it can be counted."""

    def submit(self, *call):
        future = super().submit(*call)
        wait([future])
        return future


@pytest.mark.parametrize(("size_bytes", "held"), [(AHEAD_BYTES // 4, 4), (AHEAD_BYTES + 1, 1), (1, 20)])
def test_as_much_is_fetched_ahead_as_the_listed_sizes_allow_and_no_more(monkeypatch, size_bytes, held):
    monkeypatch.setattr("tagger.catalog.photos.ThreadPoolExecutor", AtOnce)
    store = Store()
    photos = fetch_photos(store, listed(20, size_bytes))
    assert next(photos) == b"000.jpg" and len(store.asked) == held
    assert len(list(photos)) == 19 and len(store.asked) == 20


def test_a_key_forges_no_line_of_a_sentence():
    photo = StoredObject("a\nb", "e", 5, dt.datetime(2026, 11, 22, tzinfo=dt.UTC))
    with pytest.raises(BadInput, match=r"The photo 'a\\nb' under"):
        list(fetch_photos(Store({"a\nb": ["access_denied"]}), [photo]))
