"""Stopping by a signal within the 3 seconds that `ray job stop` allows before it kills.

Ray's own shutdown, a query or a commit can each hold the main thread for longer, and Python runs signal handlers there
alone. So a thread of its own is told of the signal too. Where a command has said that it can be resumed, that thread
ends the process at once; elsewhere the main thread unwinds, and the thread only ends what takes too long.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NamedTuple

from tagger.errors import TaggerError

SIGNALS = (signal.SIGTERM, signal.SIGINT)
GRACE_S = 2.0
"""How long the main thread may go on: to unwind, or to finish what must not be cut in two."""
LEAVE_S = 0.5
"""How long it may take, after that, to leave things in order: storage may be what does not answer."""
WORDS_S = 0.2
"""And to say so."""

LastWords = Callable[[int, str], None]
"""Tells the exit code and what the command advises; empty where it advised nothing."""


class _Resumable(NamedTuple):
    advice: str
    leave: Callable[[], object]


_resumable: list[_Resumable] = []
_whole = threading.RLock()
_is_stopping = threading.Event()


def watch(last_words: LastWords) -> None:
    """From now on a signal of SIGNALS ends the process with 128 + its number. Call it once, from the main thread."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, _unwind)
    threading.Thread(target=_end_on_signal, args=(reading, last_words), name="stop", daemon=True).start()


@contextlib.contextmanager
def resumable(advice: str, leave: Callable[[], object]) -> Iterator[None]:
    """In the block, a signal ends the process as soon as `leave` has run, in another thread and only then.

    advice: how to go on, for people. The innermost block's advice is told; every block's `leave` runs, innermost first.
    """
    _resumable.append(_Resumable(advice, leave))
    try:
        yield
    finally:
        _resumable.pop()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """In the block, a signal waits: for its end, and for GRACE_S at most. No block begins after a signal."""
    while _is_stopping.is_set():
        time.sleep(GRACE_S)
    with _whole:
        yield


def _unwind(number: int, frame: FrameType | None) -> None:
    """The handler, in the main thread."""
    if _resumable:
        return
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise SystemExit(128 + number)


def _end_on_signal(reading: int, last_words: LastWords) -> None:
    number = _first_signal(reading)
    _is_stopping.set()
    if not _resumable:
        time.sleep(GRACE_S)
    _whole.acquire(timeout=GRACE_S)
    left = _resumable[::-1]
    _within(LEAVE_S, lambda: _leave(left))
    _within(WORDS_S, lambda: last_words(128 + number, left[0].advice if left else ""))
    os._exit(128 + number)


def _leave(left: list[_Resumable]) -> None:
    for each in left:
        with contextlib.suppress(TaggerError):
            each.leave()


def _within(limit_s: float, act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(limit_s)


def _first_signal(reading: int) -> int:
    """The pipe tells of every signal that Python handles, also of those that are none of ours."""
    while True:
        number = os.read(reading, 1)[0]
        if number in SIGNALS:
            return number
