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

from tagger import logs, stop
from tagger.errors import TaggerError
from tagger.printable import printable_lines

logger = logging.getLogger(__name__)
# Where logging could not start, Python would print the bare message beside the sentence.
logger.addHandler(logging.NullHandler())

EXIT_WORDS = {
    0: "done",
    1: "unexpected error",
    2: "usage or configuration",
    3: "a gate or a proof said no: what it names is not promoted or committed",
    4: "another command holds the date or the training",
    5: "a dependency did not answer: the same command may work later",
    130: "interrupted, resumable",
    143: "terminated, resumable",
}
"""What each exit code means; jobs print it, since `ray job submit` turns every failure into 1."""

_HOW_TO_GO_ON = "Start the same command again; a training goes on with --resume last."


class _State:
    """Whether tracebacks are wanted; set by the command being run."""

    verbose = False


def start_logging(verbose: bool) -> None:
    """Logs of this package to standard error; `verbose` adds debug logs, and tracebacks to errors."""
    _State.verbose = verbose
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logs.start(logging.DEBUG if verbose else logging.INFO, told_elsewhere=__name__)


def run(command: Callable[[], Any]) -> int:
    """The exit code of a command; its error, if any, told in one sentence."""
    try:
        start_logging(False)
        result = command()
    except typer.Exit as ended:
        return ended.exit_code
    except TaggerError as error:
        return _told(error, error.exit_code, str(error))
    except (typer.Abort, KeyboardInterrupt):
        return _stopped(130)
    except SystemExit as ended:
        code = int(ended.code or 0)
        return _stopped(code) if code in (130, 143) else code
    except TyperException as error:
        return _told(error, 2, error.format_message())
    return result if isinstance(result, int) else 0


def finish(command: Callable[[], Any], told: bool = False) -> NoReturn:
    """Run a command and exit with its code; told: the code in words too, for `ray job submit` hides it."""

    def last_words(code: int, advice: str) -> None:
        _stopped(code, advice or _HOW_TO_GO_ON)
        if told:
            _tell_code(code)
        logging.shutdown()

    stop.watch(last_words)
    try:
        code = run(command)
    except Exception:
        code = 1
        logger.exception(EXIT_WORDS[code], extra={"fields": {"exit_code": code}})
        traceback.print_exc()
    if told:
        _tell_code(code)
    sys.exit(code)


def _stopped(code: int, advice: str = _HOW_TO_GO_ON) -> int:
    return _told(None, code, f"stopped by {signal.Signals(code - 128).name}. {advice}")


def _tell_code(code: int) -> None:
    _told(None, code, f"exit code {code}: {EXIT_WORDS.get(code, 'unexpected error')}")


def _told(error: BaseException | None, code: int, sentence: str) -> int:
    """The sentence as people and scripts know it, in every format; where logs are JSON, a line for machines before."""
    logger.log(logging.ERROR if code else logging.INFO, "%s", sentence, extra={"fields": {"exit_code": code}})
    if error is not None and _State.verbose:
        traceback.print_exception(error)
    try:
        print(f"tagger: {printable_lines(sentence)}", file=sys.stderr, flush=True)
    except OSError:  # the log is on a full disk, say; what Python could not write at its end would change the exit code
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    return code
