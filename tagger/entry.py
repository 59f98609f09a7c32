"""From a command to an exit code: one sentence on standard error where something went wrong."""

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import typer
from typer.exceptions import TyperException

from tagger.errors import TaggerError
from tagger.printable import printable

EXIT_WORDS = {
    0: "done",
    1: "unexpected error",
    2: "usage or configuration",
    3: "a quality gate said no: nothing was promoted or committed",
    4: "another run holds the date",
    5: "a dependency did not answer: the same command may work later",
    130: "interrupted, resumable",
    143: "terminated, resumable",
}
"""What each exit code means; jobs print it, since `ray job submit` turns every failure into 1."""


class _State:
    """Whether tracebacks are wanted; set by the command being run."""

    verbose = False


def start_logging(verbose: bool) -> None:
    """Logs of this package to standard error; `verbose` adds debug logs, and tracebacks to errors."""
    _State.verbose = verbose
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    level = logging.DEBUG if verbose else logging.INFO
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("tagger").setLevel(level)


def run(command: Callable[[], Any]) -> int:
    """The exit code of a command; its error, if any, told in one sentence."""
    try:
        result = command()
    except typer.Exit as stop:
        return stop.exit_code
    except TaggerError as error:
        return _told(error, error.exit_code, str(error))
    except typer.Abort:
        return _told(None, 130, EXIT_WORDS[130])
    except KeyboardInterrupt:
        return _told(None, 130, EXIT_WORDS[130])
    except SystemExit as stop:
        return int(stop.code or 0)
    except TyperException as error:
        return _told(error, 2, error.format_message())
    return result if isinstance(result, int) else 0


class _Formatter(logging.Formatter):
    """A message may quote a key: it must neither forge a line of the log nor command the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _lines(super().formatMessage(record), "\n  ")


def _lines(text: str, between: str = "\n") -> str:
    """Lines of our own sentences stay lines, the later ones as they are joined; what they hold is made printable."""
    return between.join(map(printable, text.split("\n")))


def _told(error: BaseException | None, code: int, sentence: str) -> int:
    if error is not None and _State.verbose:
        traceback.print_exception(error)
    print(f"tagger: {_lines(sentence)}", file=sys.stderr)
    return code


def _terminated(number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def finish(command: Callable[[], Any], told: bool = False) -> NoReturn:
    """Run a command and exit with its code; told: the code in words too, for `ray job submit` hides it."""
    signal.signal(signal.SIGTERM, _terminated)
    code = run(command)
    if told:
        print(f"tagger: exit code {code}: {EXIT_WORDS.get(code, 'unexpected error')}", file=sys.stderr)
    sys.exit(code)
