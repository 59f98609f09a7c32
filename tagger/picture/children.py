"""Decoding photos from strangers in plain child processes, each with a limit on time and on memory.

No limit inside a process stops a decoder that hangs in C, and none saves the process from one that crashes. A child
holds no TensorFlow and no Ray, knows no credentials (its environment is cut down), and decodes one photo at a time, so
that a death has exactly one suspect.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from multiprocessing.connection import Pipe
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from tagger.errors import ClusterUnavailable
from tagger.picture.child import NO_MEMORY_STATUS, READY, STARVED_WAITS, unpack_answer
from tagger.picture.decode import DecodedPhoto, DecodeLimits, Reject, decode_photo
from tagger.picture.fit import Fit

_PACKAGE_HOME = str(Path(__file__).parents[2])
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "PYTHONPATH", "LANG", "LC_ALL", "TMPDIR")

# One thread and one heap a child: each further one would reserve address space that the limit counts.
_FRUGAL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}

_START_LIMIT_S = 120.0

# A dying interpreter closes its connection some moments before it has an exit status.
_LAST_WORDS_S = 2.0

# A child that a photo has taken over may not fill this process's memory: a longer answer counts as its death.
_FACTS_BYTES = 4096

# A child with less processor time than this share of the wall limit is starved: its photo is not to blame.
_STARVED_SHARE = 0.5

# A death is blamed on the photo only when it happens again: the kernel may take memory from an innocent child.
_ATTEMPTS = 2

# The kernel may also take a child that is only starting.
_STARTS = 3


class DecodeChildren:
    """`count` decode children, started at once and kept until `close` (or the end of the `with` block).

    They end with this process too, however it ends. `decode` may be called from several threads.
    """

    def __init__(self, count: int, fit: Fit, limits: DecodeLimits) -> None:
        if count < 1:
            raise ValueError(f"decode children: at least 1 is needed. Received: {count}")
        self._fit, self._limits = fit, limits
        self._children = [_Child(fit, limits) for _ in range(count)]
        self._idle: SimpleQueue[_Child] = SimpleQueue()
        for child in self._children:
            self._idle.put(child)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="decode")

    def decode(self, photos: Sequence[bytes]) -> list[DecodedPhoto | Reject]:
        """What `decode_photo` says of each photo, in order; also `decode_timeout`, `decode_memory`, `decode_crashed`.

        A photo whose child dies is tried once more in a new child. The pixels are read-only. ClusterUnavailable where
        a child cannot be started.
        """
        return list(self._threads.map(self._decode_one, photos))

    def pids(self) -> list[int]:
        """Process numbers of the children, for those who watch memory; a number changes when its child is replaced."""
        return [child.pid for child in self._children]

    def close(self) -> None:
        """Ends the children. Photos in hand are finished first, within their limits."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for child in self._children:
            child.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _decode_one(self, photo: bytes) -> DecodedPhoto | Reject:
        if len(photo) > self._limits.max_bytes:
            return decode_photo(photo, self._fit, self._limits)  # refused by its length, before anything looks inside
        child = self._idle.get()
        try:
            return child.decode(photo)
        finally:
            self._idle.put(child)


class _Child:
    """One child process and the connection to it; used by one thread at a time."""

    def __init__(self, fit: Fit, limits: DecodeLimits) -> None:
        self._fit, self._limits = fit, limits
        self._longest_answer = 3 * fit.size_px**2 + _FACTS_BYTES
        self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def decode(self, photo: bytes) -> DecodedPhoto | Reject:
        for _ in range(_ATTEMPTS):
            self._await_ready()
            is_late = threading.Event()
            try:
                with self._killed_at_last(is_late):
                    self._connection.send_bytes(photo)
                    if self._is_answered():
                        return unpack_answer(self._connection.recv_bytes(self._longest_answer), self._fit.size_px)
                    is_late.set()
            except (EOFError, OSError, ValueError):
                pass  # it died, or answers anything else
            status = self._restart(0.0 if is_late.is_set() else _LAST_WORDS_S)
            if is_late.is_set():
                return Reject("decode_timeout", f"not decoded within {self._limits.wall_s:g} s")
        return _death_reject(status)

    @contextmanager
    def _killed_at_last(self, is_late: threading.Event) -> Iterator[None]:
        """Kills the child where the block takes longer than any wait for an answer.

        A child that stands still takes no long photo, and one that a photo has taken over may stop within its answer.
        """
        process = self._process

        def kill() -> None:
            is_late.set()
            process.kill()

        timer = threading.Timer(STARVED_WAITS * self._limits.wall_s, kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _is_answered(self) -> bool:
        """Whether an answer comes within the wall limit. A child that the machine did not let work is waited for."""
        before_s = _processor_s(self.pid)
        for _ in range(STARVED_WAITS):
            if self._connection.poll(self._limits.wall_s):
                return True
            if _processor_s(self.pid) - before_s > _STARVED_SHARE * self._limits.wall_s:
                return False
        return False

    def end(self, patience_s: float = 0.0) -> int:
        """Exit status, negative for a signal: its own if it ends within the patience, else that of the kill."""
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(patience_s)
        self._process.kill()
        return self._process.wait()

    def _start(self) -> None:
        self._connection, inherited = Pipe()
        described = [json.dumps(asdict(part)) for part in (self._fit, self._limits)]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tagger.picture.child", str(inherited.fileno()), *described],
                pass_fds=[inherited.fileno()],
                env=_child_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        except OSError as error:
            raise ClusterUnavailable(f"{platform.node()} can start no decode child: {error}.") from error
        finally:
            inherited.close()
        self._is_ready = False

    def _restart(self, patience_s: float) -> int:
        status = self.end(patience_s)
        self._start()
        return status

    def _await_ready(self) -> None:
        """ClusterUnavailable where one child after the other ends before it can decode."""
        status = 0
        for _ in range(_STARTS):
            if self._is_ready or self._becomes_ready():
                return
            status = self._restart(_LAST_WORDS_S)
        raise ClusterUnavailable(
            f"{_STARTS} decode children ({sys.executable} on {platform.node()}) ended before they were ready, the last "
            f"with status {status}. Its messages stand above; give the node more memory where they name none."
        )

    def _becomes_ready(self) -> bool:
        try:
            self._is_ready = self._connection.poll(_START_LIMIT_S) and self._connection.recv_bytes() == READY
        except (EOFError, OSError):
            self._is_ready = False
        return self._is_ready


def _processor_s(pid: int) -> float:
    """Processor time that a process has had, in seconds (proc(5)); where there is no /proc, the time on the wall."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return time.monotonic()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _child_environment() -> dict[str, str]:
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    search_path = os.pathsep.join(filter(None, (_PACKAGE_HOME, passed_on.get("PYTHONPATH"))))
    return passed_on | _FRUGAL | {"PYTHONPATH": search_path}


def _death_reject(status: int) -> Reject:
    if status == -signal.SIGKILL:
        return Reject(
            "decode_memory", f"the child was killed {_ATTEMPTS} times, as the kernel does when memory runs out"
        )
    if status == NO_MEMORY_STATUS:
        return Reject("decode_memory", "the child has no memory for the file itself")
    cause = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    return Reject("decode_crashed", f"the decoder died {_ATTEMPTS} times ({cause})")
