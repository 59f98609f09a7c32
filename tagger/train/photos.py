"""Labelled photos from storage, fetched a little ahead of the decoder. One that does not come ends the training.

Without it the shard, which is kept for all later trainings of the same photos, would lack a good photo in each of them.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tenacity import retry, retry_if_exception, stop_after_attempt, wait_exponential

from tagger.errors import BadInput, FetchFailed, StorageUnavailable, TaggerError
from tagger.storage import Root, StoredObject

AHEAD_BYTES = 128 * 2**20
"""Photos held encoded at once, by their listed sizes; one larger photo is held alone."""

_DOWNLOADS = 8
_TRIES = 4


def fetch_photos(images: Root, photos: Sequence[StoredObject]) -> Iterator[bytes]:
    """The photos' bytes, in order, those that are fetched ahead of the reader within `AHEAD_BYTES`.

    StorageUnavailable where a download fails again and again, or the photo is no longer the one that was listed;
    BadInput where storage refuses it.
    """
    threads = ThreadPoolExecutor(_DOWNLOADS, thread_name_prefix="photos")
    ahead: deque[tuple[int, Future[bytes]]] = deque()
    try:
        for photo in photos:
            while ahead and sum(size for size, _ in ahead) + photo.size_bytes > AHEAD_BYTES:
                yield ahead.popleft()[1].result()
            ahead.append((photo.size_bytes, threads.submit(_photo, images, photo)))
        while ahead:
            yield ahead.popleft()[1].result()
    finally:
        threads.shutdown(cancel_futures=True)


def _photo(images: Root, photo: StoredObject) -> bytes:
    try:
        return _fetched(images, photo)
    except FetchFailed as failure:
        raise _told(f"The photo '{photo.key}' under {images.uri}", failure) from failure


def _is_passing(error: BaseException) -> bool:
    return isinstance(error, FetchFailed) and error.reason == "download_failed"


@retry(
    retry=retry_if_exception(_is_passing),
    stop=stop_after_attempt(_TRIES),
    wait=wait_exponential(multiplier=0.5, exp_base=4),
    reraise=True,
)
def _fetched(images: Root, photo: StoredObject) -> bytes:
    return images.fetch(photo.key, photo.etag)


def _told(photo: str, failure: FetchFailed) -> TaggerError:
    if failure.reason == "access_denied":
        return BadInput(
            f"{photo} may not be read: {failure.detail}. Check the credentials and the bucket's policy, restore it "
            "from an archive, or take it out of the labels."
        )
    if failure.reason == "download_failed":
        return StorageUnavailable(
            f"{photo} could not be fetched in {_TRIES} tries: {failure.detail}. Start the command again when storage "
            "answers; if it is this photo each time, take it out of the labels."
        )
    return StorageUnavailable(
        f"{photo} is no longer the one that was listed ({failure.reason}: {failure.detail}). Start the command again: "
        "it lists the photos anew."
    )
