"""A small disk of its own for a trial, and a way to keep it full."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path


class DiskLeftOut(Exception):
    """Why no small disk can be had here."""


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[Path]:
    """A file system of so many MiB in memory, mounted at the folder. DiskLeftOut where mounting is not permitted."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "none", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        raise DiskLeftOut(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextlib.contextmanager
def kept_full(disk: Path) -> Iterator[None]:
    """No space on the disk for the length of the block, whatever is deleted meanwhile."""
    filler, ended = disk / "filler", threading.Event()

    def keep() -> None:
        while not ended.is_set():
            _fill(filler)
            ended.wait(0.1)

    thread = threading.Thread(target=keep)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        filler.unlink()


def _fill(file: Path) -> None:
    with file.open("ab", buffering=0) as out, contextlib.suppress(OSError):  # the disk is full
        while True:
            out.write(bytes(4096))
