"""Photos from storage to learn from or to measure on: one that does not come ends the command.

Without it a training's shard, which is kept for all later trainings of the same photos, would lack a good photo in each
of them, and figures, thresholds and gates would rest on what an outage left.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_exponential

from tagger.errors import BadInput, FetchFailed, StorageUnavailable, TaggerError
from tagger.printable import printable
from tagger.storage import Root, StoredObject

AHEAD_BYTES = 128 * 2**20
"""Photos held encoded at once, by their listed sizes; one larger photo is held alone."""

_DOWNLOADS = 8
_TRIES = 4


def fetch_photos(images: Root, photos: Sequence[StoredObject]) -> Iterator[bytes]:
    """The photos' bytes, in order, those that are fetched ahead of the reader within `AHEAD_BYTES`.

    Raises what `fetch_photo` does.
    """
    threads = ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="photos")
    ahead: deque[tuple[int, Future[bytes]]] = deque()
    try:
        for photo in photos:
            while ahead and sum(size for size, _ in ahead) + photo.size_bytes > AHEAD_BYTES:
                yield ahead.popleft()[1].result()
            ahead.append((photo.size_bytes, threads.submit(fetch_photo, images, photo.key, photo.etag)))
        while ahead:
            yield ahead.popleft()[1].result()
    finally:
        threads.shutdown(cancel_futures=True)


def fetch_photo(images: Root, key: str, etag: str) -> bytes:
    """A listed photo's bytes.

    StorageUnavailable where the download fails again and again, or the photo is no longer the one that was listed;
    BadInput where storage refuses it.
    """
    try:
        return _fetched(images, key, etag)
    except FetchFailed as failure:
        raise _told(f"The photo '{printable(key)}' under {images.uri}", failure) from failure


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, FetchFailed) and error.reason == "download_failed"


@retry(
    retry=retry_if_exception(_is_passing),
    stop=stop_after_attempt(_TRIES),
    wait=wait_exponential(multiplier=0.5, exp_base=4),
    reraise=True,
)
def _fetched(images: Root, key: str, etag: str) -> bytes:
    return images.fetch(key, etag)


def _told(photo: str, failure: FetchFailed) -> TaggerError:
    if failure.reason == "access_denied":
        return BadInput(
            f"{photo} may not be read: {failure.detail}. Check the credentials and the bucket's policy, restore it "
            "from an archive, or take it out of the labels or the folder."
        )
    if failure.reason == "download_failed":
        return StorageUnavailable(
            f"{photo} could not be fetched in {_TRIES} tries: {failure.detail}. Start the command again when storage "
            "answers; if it is this photo each time, take it out of the labels or the folder."
        )
    return StorageUnavailable(
        f"{photo} is no longer the one that was listed ({failure.reason}: {failure.detail}). Start the command again: "
        "it lists the photos anew."
    )
