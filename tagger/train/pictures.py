"""Decoded training pictures on disk: shards of uint8 pixels and their foreground masks, read through memory maps.

A shard is immutable and named by what is in it, so that trainings share it. A worker holds no more of it in memory than
the system's page cache does. One picture takes 48 KiB and, where masks are kept, 2 KiB more.
"""

import io
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt

from tagger.focus.mask import foreground_masks
from tagger.focus.repaint import BELIEVED_QUALITY
from tagger.storage import LocalRoot, Root, outages_told

Pixels = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.integer]

_MASKS = ".masks"
_MASK_BATCH = 64
_MOST_OPEN = 64
"""As many as 64 rows can lie in; 1.6 GB where they are copies. Enough where rows come in ascending order."""


def save_shard(root: Root, name: str, pixels: Pixels) -> None:
    """Write pictures (n, H, W, 3) uint8 as one immutable shard."""
    root.write_bytes(f"{name}.npy", _npy(pixels))


def save_masks(root: Root, name: str, masks: npt.NDArray[np.bool_]) -> None:
    """Write the masks (n, H, W) of a shard's pictures; one that is all False says that there is none to believe."""
    root.write_bytes(f"{name}{_MASKS}.npy", _npy(np.packbits(masks, axis=2)))


def believed_masks(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Foreground of pictures (n, H, W, 3) -> (n, H, W), all False where the mask is not good enough to repaint with."""
    masks = np.zeros(pixels.shape[:3], np.bool_)
    for start in range(0, len(pixels), _MASK_BATCH):
        part = slice(start, start + _MASK_BATCH)
        found = foreground_masks(pixels[part])
        masks[part] = (found.masks >= 0.5) & (found.quality >= BELIEVED_QUALITY)[:, None, None]
    return masks


def _npy(array: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


@dataclass(frozen=True)
class Shard:
    """A shard's name below its root, and how many pictures it holds."""

    name: str
    count: int


class Pictures:
    """All pictures of a training, addressed by row. At most `most_open` shards are held open between two calls.

    On this disk that costs a file handle each. A shard that is elsewhere is copied to an unnamed temporary file when it
    is first needed, once however many threads need it, and the copy is gone when the shard is closed.
    """

    def __init__(self, root: Root, shards: Sequence[Shard], most_open: int = _MOST_OPEN) -> None:
        self._names = [shard.name for shard in shards]
        self._open = _OpenShards(partial(_open_shard, root), most_open)
        self.starts = np.cumsum([0] + [shard.count for shard in shards])
        """(shards + 1,): the first row of every shard, and the number of rows."""

    def __len__(self) -> int:
        return int(self.starts[-1])

    def shard_of(self, rows: Rows) -> Rows:
        """The number of the shard that holds each row."""
        return np.searchsorted(self.starts, rows, side="right") - 1

    def open(self, shards: Iterable[int]) -> None:
        """Have the pixels of these shards at hand before they are asked for."""
        for shard in shards:
            self._open(self._names[shard])

    def take(self, rows: Rows) -> Pixels:
        """Pictures at `rows`, in their order: (n, H, W, 3) uint8."""
        return self._gathered(rows, "")

    def masks(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Foreground of the pictures at `rows`: (n, H, W) float32, 0 or 1; all zeros where there is none to believe."""
        return np.unpackbits(self._gathered(rows, _MASKS), axis=2).astype(np.float32)

    def _gathered(self, rows: Rows, kind: str) -> Pixels:
        shard_of = self.shard_of(rows)
        parts = {shard: self._open(f"{self._names[shard]}{kind}") for shard in np.unique(shard_of)}
        any_part = next(iter(parts.values())) if parts else self._open(f"{self._names[0]}{kind}")
        taken = np.empty((len(rows), *any_part.shape[1:]), np.uint8)
        for shard, pixels in parts.items():
            here = np.flatnonzero(shard_of == shard)
            taken[here] = pixels[rows[here] - self.starts[shard]]
        return taken


class _OpenShards:
    """The shards that were asked for last, at most `most`. Who asks for one that is being opened waits for it.

    An error is told to all who wait and then forgotten: who asks later tries again.
    """

    def __init__(self, open_shard: Callable[[str], Pixels], most: int) -> None:
        self._open_shard, self._most = open_shard, most
        self._lock, self._held = Lock(), OrderedDict[str, Future[Pixels]]()

    def __call__(self, name: str) -> Pixels:
        shard, is_new = self._held_or_new(name)
        if is_new:
            try:
                shard.set_result(self._open_shard(name))
            except BaseException as error:
                self._forget(name, shard)
                shard.set_exception(error)
                raise
        return shard.result()

    def _held_or_new(self, name: str) -> tuple[Future[Pixels], bool]:
        with self._lock:
            is_new = name not in self._held
            shard = self._held.setdefault(name, Future())
            self._held.move_to_end(name)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
            return shard, is_new

    def _forget(self, name: str, shard: Future[Pixels]) -> None:
        with self._lock:
            if self._held.get(name) is shard:
                del self._held[name]


def _open_shard(root: Root, name: str) -> Pixels:
    key = f"{name}.npy"
    if isinstance(root, LocalRoot):
        return np.asarray(np.load(Path(root.uri, key), mmap_mode="r", allow_pickle=False))
    # pyarrow's reader waits out an outage of half a minute: a lost worker costs more.
    filesystem, base = root.arrow()
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        with outages_told(root), filesystem.open_input_stream(f"{base}/{key}") as stored:
            shutil.copyfileobj(stored, file)
        file.flush()
        # The map keeps the data reachable after the name is gone, so nothing is left behind.
        return np.asarray(np.load(file.name, mmap_mode="r", allow_pickle=False))
