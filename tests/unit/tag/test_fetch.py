import datetime as dt
import io
import itertools
from dataclasses import replace

import pytest
from PIL import Image

from tagger.errors import FetchFailed, StorageUnavailable
from tagger.picture.decode import DecodeLimits
from tagger.picture.fit import Fit
from tagger.storage import Root, StoredObject
from tagger.tag import fetch
from tagger.tag.fetch import FetchSettings, Losses, chunked, decode_children, fetch_and_decode, is_outage

NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


class Flaky(Root):
    """Each key answers its errors in turn, then its bytes."""

    def __init__(self, errors: dict[str, list[str]], data: bytes = b"photo") -> None:
        super().__init__("flaky://images")
        self.errors, self.data, self.calls, self.is_away, self.first = errors, data, 0, False, None

    def check(self):
        if self.is_away:
            raise StorageUnavailable("nothing answers")

    def first_key(self, prefix="", after=""):
        return self.first

    def fetch(self, key, etag, within_s):
        self.calls += 1
        if self.errors.get(key):
            raise FetchFailed(self.errors[key].pop(0), "told by storage")
        return self.data


def photos(count, size_bytes=5):
    return [StoredObject(f"{n:03d}", "e", size_bytes, NOON) for n in range(count)]


LIMITS = DecodeLimits(max_bytes=1000)


def settings(images, pauses_s=(0, 0)):
    return FetchSettings(images, 4, 1, Fit(), LIMITS, pauses_s=pauses_s)


def download(listed, given):
    """A unit of one chunk."""
    losses, answers = Losses(len(listed)), fetch.download(listed, given)
    losses.add(answers)
    losses.check(given.images)
    return answers


@pytest.fixture(scope="module", autouse=True)
def no_children_left():
    yield
    decode_children(1, Fit(), LIMITS).close()


def test_a_download_that_fails_in_passing_is_tried_again():
    images = Flaky({"001": ["download_failed", "download_failed"]})
    answers = download(photos(3), settings(images))
    assert [(a.data, a.attempts) for a in answers] == [(b"photo", 1), (b"photo", 3), (b"photo", 1)]


@pytest.mark.parametrize("reason", ["not_found", "access_denied", "changed_during_run"])
def test_what_will_not_change_is_not_tried_again(reason):
    answer = download(photos(1), settings(Flaky({"000": [reason]})))[0]
    assert (answer.failure.reason, answer.failure.detail, answer.attempts) == (reason, "told by storage", 1)


def test_a_photo_that_keeps_failing_alone_is_a_reject():
    images = Flaky({"007": ["download_failed"] * 9})
    fetched = fetch_and_decode(photos(100, 5), settings(images))
    reject = next(r for r in fetched.rejected if r.photo.key == "007")
    assert (reject.reject.reason, reject.attempts) == ("download_failed", 3)
    assert len(fetched.rejected) == 100  # b"photo" is no picture either


def test_a_photo_out_of_reach_does_not_stop_a_unit_that_holds_nothing_else():
    images = Flaky({"000": ["download_failed"] * 99})
    [answer] = download(photos(1), settings(images))
    assert (answer.failure.reason, answer.attempts) == ("download_failed", 3)
    images.is_away = True
    with pytest.raises(StorageUnavailable, match="1 of 1 downloads"):
        download(photos(1), settings(images))


def test_an_outage_rejects_nobody_and_does_not_try_everything():
    images = Flaky({f"{n:03d}": ["download_failed"] * 9 for n in range(100)})
    with pytest.raises(StorageUnavailable, match="of 100 downloads from flaky://images failed.*told by storage"):
        download(photos(100), settings(images))
    assert images.calls < 50


def test_a_node_that_lost_the_images_rejects_nobody():
    def found(count, first):
        images = Flaky({f"{n:03d}": ["not_found"] for n in range(count)})
        images.first = first
        return [answer for answer in download(photos(40), settings(images)) if answer.data]

    with pytest.raises(StorageUnavailable, match="finds nothing under flaky://images, where 30 photos were listed"):
        found(30, first=None)
    assert len(found(30, first="later.jpg")) == 10  # those were removed after they had been listed
    assert len(found(19, first=None)) == 21


@pytest.mark.parametrize(("reason", "told"), [("download_failed", "4 of 4"), ("not_found", "where 20 photos")])
def test_large_photos_hide_no_outage_though_they_come_in_chunks_of_a_few(monkeypatch, reason, told):
    monkeypatch.setattr(fetch, "CHUNK_BYTES", 20)
    images = Flaky({f"{n:03d}": [reason] * 9 for n in range(100)})
    with pytest.raises(StorageUnavailable, match=told):
        fetch_and_decode(photos(100, size_bytes=10), settings(images))


def test_a_few_bad_photos_in_a_row_are_no_outage_of_a_unit_of_large_ones(monkeypatch):
    monkeypatch.setattr(fetch, "CHUNK_BYTES", 20)
    images = Flaky({f"{n:03d}": ["download_failed"] * 9 for n in (0, 1, 3, 4)})
    fetched = fetch_and_decode(photos(100, size_bytes=10), settings(images))
    assert sum(r.reject.reason == "download_failed" for r in fetched.rejected) == 4


def test_a_short_outage_is_waited_for():
    images = Flaky({f"{n:03d}": ["download_failed"] for n in range(100)})
    assert all(answer.data for answer in download(photos(100), settings(images, pauses_s=(0,) * 25)))


def test_an_outage_is_waited_for_as_long_as_is_asked_and_a_lone_failure_is_not(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))

    def patient(failures):
        images = Flaky({"000": ["download_failed"] * failures})
        images.is_away = True
        return replace(settings(images, pauses_s=(1, 10)), outage_wait_s=60)

    assert download(photos(1), patient(6))[0].attempts == 7 and now[0] == 51
    now[0] = 0.0
    with pytest.raises(StorageUnavailable):
        download(photos(1), patient(99))
    assert now[0] == 61
    now[0] = 0.0
    assert download(photos(100), patient(99))[0].attempts == 3 and now[0] == 11


def test_a_unit_that_waits_for_storage_stands_still_no_longer_than_is_allowed():
    waiting = replace(settings(Flaky({})), limits=DecodeLimits(wall_s=2.0), outage_wait_s=7200)
    assert waiting.longest_s(256) == 7200 + 512 + 256 * 60 / 4


@pytest.mark.parametrize(
    ("failed", "tried", "is_out"),
    [(0, 0, False), (0, 5, False), (1, 1, True), (1, 2, False), (3, 20, False), (4, 20, True), (12, 256, False),
     (13, 256, True)],
)  # fmt: skip
def test_more_than_five_percent_are_an_outage(failed, tried, is_out):
    assert is_outage(failed, tried) == is_out


def test_chunks_hold_every_photo_within_the_limit():
    sizes = [3, 9, 1, 1, 1, 4, 20, 2]
    listed = [StoredObject(str(n), "e", size, NOON) for n, size in enumerate(sizes)]
    chunks = list(chunked(listed, 10))
    assert list(itertools.chain(*chunks)) == listed
    assert [[p.size_bytes for p in chunk] for chunk in chunks] == [[3], [9, 1], [1, 1, 4], [20], [2]]


def test_a_unit_becomes_pictures_and_rejects():
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (7, 8, 9)).save(buffer, "PNG")
    images = Flaky({"001": ["not_found"]}, buffer.getvalue())
    listed = [*photos(3), StoredObject("big", "e", 1001, NOON)]
    fetched = fetch_and_decode(listed, settings(images))
    assert [d.photo.key for d in fetched.decoded] == ["000", "002"]
    assert fetched.decoded[0].picture.pixels[0, 0].tolist() == [7, 8, 9]
    reasons = {r.photo.key: (r.reject.reason, r.attempts) for r in fetched.rejected}
    assert reasons == {"001": ("not_found", 1), "big": ("file_too_large", 0)}
    assert set(fetched.seconds) == {"download", "decode"}
