"""The first operator: the photos of a unit from storage to pictures, or to rejects.

Downloads run in threads, decoding in child processes that outlive the unit. An outage of storage is told from a few
failing photos by their share; it ends the run, which is resumed later, and rejects nobody.
"""

import itertools
import platform
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tagger.errors import FetchFailed, PhotosLost, StorageUnavailable
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits, Reject
from tagger.picture.fit import Fit
from tagger.storage import FETCH_WITHIN_S, Root, StoredObject

OUTAGE_SHARE = 0.05
"""When more than this share of a unit's downloads fail, storage is out, not the photos."""
OUTAGE_AT_LEAST = 4
"""Fewer failures are no outage, unless nothing at all comes: a unit can be small. Then storage is asked for something
else, for a few photos alone must not stop a night."""

LOST_AT_LEAST = 20
"""From so many photos that are not found on, and most of a unit, the node is asked whether it finds any photo."""

CHUNK_BYTES = 128 * 2**20
"""Photos held encoded at once, by their listed sizes; one larger photo is a chunk of its own."""


@dataclass(frozen=True)
class FetchSettings:
    """Where photos come from and what they may cost.

    download_wall_s: longest time for the bytes of one photo, in one try. pauses_s: waits before downloads are tried
    again; in an outage the last of them is repeated for outage_wait_s seconds.
    """

    images: Root
    threads: int
    children: int
    fit: Fit
    limits: DecodeLimits
    download_wall_s: float = FETCH_WITHIN_S
    pauses_s: tuple[float, ...] = (0.5, 2.0, 8.0)
    outage_wait_s: float = 0.0

    def longest_s(self, photos: int) -> float:
        """Time that a unit of so many photos may take: an outage is waited for, and each photo may take the decoder's
        wall limit, one after the other, and its download as long as is allowed, `threads` at once."""
        return self.outage_wait_s + photos * (self.limits.wall_s + self.download_wall_s / self.threads)


@dataclass(frozen=True)
class Decoded:
    """A photo as listed, with its picture."""

    photo: StoredObject
    picture: DecodedPhoto


@dataclass(frozen=True)
class Rejected:
    """A photo as listed, and why it has no answer."""

    photo: StoredObject
    reject: Reject
    attempts: int = 1


@dataclass(frozen=True)
class Download:
    """One photo's bytes, or why there are none; neither where an outage came first."""

    photo: StoredObject
    data: bytes | None = None
    failure: FetchFailed | None = None
    attempts: int = 0

    @property
    def is_open(self) -> bool:
        """Whether trying again may help."""
        return self.data is None and (self.failure is None or self.failure.reason == "download_failed")


@dataclass(frozen=True)
class Fetched:
    """What became of a unit. seconds: wall time by stage. downloaded_bytes: of photos, tries that failed left out."""

    decoded: tuple[Decoded, ...]
    rejected: tuple[Rejected, ...]
    seconds: dict[str, float]
    downloaded_bytes: int


def fetch_and_decode(photos: Sequence[StoredObject], settings: FetchSettings) -> Fetched:
    """Every photo of a unit, decoded or rejected. StorageUnavailable in an outage."""
    decoded: list[Decoded] = []
    rejected = [_too_large(p, settings.limits) for p in photos if p.size_bytes > settings.limits.max_bytes]
    seconds = {"download": 0.0, "decode": 0.0}
    downloaded_bytes = 0
    fetched = [p for p in photos if p.size_bytes <= settings.limits.max_bytes]
    losses = Losses(len(fetched))
    for chunk in chunked(fetched, CHUNK_BYTES):
        started = time.monotonic()
        downloads = download(chunk, settings)
        losses.add(downloads)
        losses.check(settings.images)
        downloaded = time.monotonic()
        downloaded_bytes += sum(len(d.data) for d in downloads if d.data is not None)
        rejected += [_failed(d.photo, d.failure, d.attempts) for d in downloads if d.failure]
        answers = _decode(downloads, settings)
        decoded += [answer for answer in answers if isinstance(answer, Decoded)]
        rejected += [answer for answer in answers if isinstance(answer, Rejected)]
        seconds["download"] += downloaded - started
        seconds["decode"] += time.monotonic() - downloaded
    return Fetched(tuple(decoded), tuple(rejected), seconds, downloaded_bytes)


def chunked(photos: Sequence[StoredObject], limit_bytes: int) -> Iterator[list[StoredObject]]:
    """The photos in runs whose listed sizes sum to at most `limit_bytes`, or of one photo."""
    chunk: list[StoredObject] = []
    for photo in photos:
        if chunk and sum(p.size_bytes for p in chunk) + photo.size_bytes > limit_bytes:
            yield chunk
            chunk = []
        chunk.append(photo)
    if chunk:
        yield chunk


def download(photos: Sequence[StoredObject], settings: FetchSettings) -> list[Download]:
    """The photos in order, failed ones tried again after each pause."""
    answers = [Download(photo) for photo in photos]
    pauses, until_s = iter(settings.pauses_s), time.monotonic() + settings.outage_wait_s
    while waiting := [n for n, answer in enumerate(answers) if answer.is_open]:
        tried = _download_once([answers[n] for n in waiting], len(answers), settings)
        for n, answer in zip(waiting, tried, strict=True):
            answers[n] = answer
        failed = sum(answer.is_open for answer in answers)
        is_awaited = is_outage(failed, len(answers)) and time.monotonic() < until_s
        pause_s = next(pauses, settings.pauses_s[-1] if is_awaited else None)
        if not failed or pause_s is None:
            break
        time.sleep(pause_s)
    return answers


class Losses:
    """What did not come of a unit's downloads so far, chunk after chunk: large photos make chunks of a few.

    total: photos of the unit that are downloaded.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._tried = 0
        self._failures: list[FetchFailed | None] = []
        self._not_found = 0

    def add(self, downloads: Sequence[Download]) -> None:
        """Take the next chunk."""
        self._tried += len(downloads)
        self._failures += [each.failure for each in downloads if each.is_open]
        self._not_found += sum(each.failure is not None and each.failure.reason == "not_found" for each in downloads)

    def check(self, images: Root) -> None:
        """StorageUnavailable in an outage, PhotosLost where this node finds neither most of the photos nor any."""
        failed = len(self._failures)
        is_out = is_outage(failed, self._total) or 0 < failed == self._tried
        is_few = failed < OUTAGE_AT_LEAST  # of a small unit, all of whose photos may be out of reach
        if is_out and not (is_few and _answers(images)):
            detail = next((failure.detail for failure in self._failures if failure), "no answer")
            raise StorageUnavailable(
                f"{failed} of {self._tried} downloads from {images.uri} failed again and again: {detail}. "
                "Nothing is lost: start the command again when storage answers, and the run goes on."
            )
        is_most = self._not_found >= LOST_AT_LEAST and 2 * self._not_found > self._tried
        if is_most and images.first_key() is None:
            raise PhotosLost(
                f"The node {platform.node()} finds nothing under {images.uri}, where {self._not_found} photos were "
                "listed. Mount it there. Nothing is lost: start the command again, and the run goes on. If they are "
                "gone for good, tagger runs abort gives the run up."
            )


def is_outage(failed: int, tried: int) -> bool:
    """Whether so many failures in a window of downloads mean that storage is out."""
    return failed > 0 and (failed == tried or failed >= max(OUTAGE_AT_LEAST, OUTAGE_SHARE * tried))


def _answers(images: Root) -> bool:
    """Whether storage answers anything at all."""
    try:
        images.check()
    except StorageUnavailable:
        return False
    return True


def _download_once(waiting: Sequence[Download], window: int, settings: FetchSettings) -> list[Download]:
    """One try each. In an outage the rest is left untried: each try alone takes the client's whole patience."""
    failures = itertools.count(1)
    is_out = False

    def one(answer: Download) -> Download:
        nonlocal is_out
        if is_out:
            return answer
        photo, attempts = answer.photo, answer.attempts + 1
        try:
            data = settings.images.fetch(photo.key, photo.etag, settings.download_wall_s)
            return Download(photo, data, None, attempts)
        except FetchFailed as error:
            if error.reason == "download_failed" and is_outage(next(failures), window):
                is_out = True
            return Download(photo, None, error, attempts)

    with ThreadPoolExecutor(settings.threads) as pool:
        return list(pool.map(one, waiting))


def _decode(downloads: Sequence[Download], settings: FetchSettings) -> list[Decoded | Rejected]:
    present = {d.photo: d.data for d in downloads if d.data is not None}
    if not present:
        return []
    children = decode_children(settings.children, settings.fit, settings.limits)
    return [
        Rejected(photo, answer) if isinstance(answer, Reject) else Decoded(photo, answer)
        for photo, answer in zip(present, children.decode(list(present.values())), strict=True)
    ]


_running: dict[tuple[int, Fit, DecodeLimits], DecodeChildren] = {}


def decode_children(count: int, fit: Fit, limits: DecodeLimits) -> DecodeChildren:
    """This process's decode children, kept from unit to unit; others are closed. They end with the process."""
    wanted = count, fit, limits
    if wanted not in _running:
        while _running:
            _running.popitem()[1].close()
        _running[wanted] = DecodeChildren(*wanted)
    return _running[wanted]


def _too_large(photo: StoredObject, limits: DecodeLimits) -> Rejected:
    detail = f"{photo.size_bytes} bytes; the limit is {limits.max_bytes}"
    return Rejected(photo, Reject("file_too_large", detail), 0)


def _failed(photo: StoredObject, failure: FetchFailed, attempts: int) -> Rejected:
    return Rejected(photo, Reject(failure.reason, failure.detail), attempts)
