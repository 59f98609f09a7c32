"""Logs on standard error: on a terminal lines for people and a live line of progress, elsewhere a JSON object a line.

TAGGER_LOG_FORMAT chooses: `auto` (the default, as above), `text` or `json`. It is a variable and no option, since it
belongs to the place where a command runs, holds for its usage errors too, and goes into a job's environment.

A record may carry `fields`, a mapping that JSON lines hold beside the message, and `live`: a function that gives the
text of the live line from now on, or None, which ends it. Records with `live` are seldom enough to be lines elsewhere.
"""

import datetime
import json
import logging
import os
import sys
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from tagger.errors import ConfigError
from tagger.printable import printable_lines

VARIABLE = "TAGGER_LOG_FORMAT"
FORMATS = ("auto", "text", "json")
REFRESHES_PER_S = 2.0


def start(level: int, told_elsewhere: str) -> None:
    """Send logs to standard error, those of this package from `level` on, of libraries from WARNING on.

    told_elsewhere: the logger whose records people read in another form; only JSON lines show them.
    ConfigError where TAGGER_LOG_FORMAT is something else.
    """
    handler = _handler(told_elsewhere)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("tagger").setLevel(level)


class JsonLines(logging.Formatter):
    """One JSON object a record: time (ISO 8601, UTC), level, logger, message, the fields, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        at = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        told = {"time": at.isoformat(timespec="milliseconds"), "level": record.levelname.lower()}
        told |= {"logger": record.name, "message": record.getMessage()} | getattr(record, "fields", {})
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


class TextLines(logging.Formatter):
    """Time and message. A message may quote a key: it must neither forge a line of the log nor command the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The message with its deceptive characters shown by number."""
        return printable_lines(super().formatMessage(record), "\n  ")


class TerminalLines(logging.Handler):
    """Lines on a terminal, above the live line while there is one."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._live: Live | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, or let the live line tell it."""
        source: Callable[[], str] | None = getattr(record, "live", None)
        if source is not None:
            self._show(source)
            return
        if hasattr(record, "live"):
            self.close_live()
        self._console.print(self.format(record), markup=False, highlight=False, soft_wrap=True)

    def close_live(self) -> None:
        """Take the live line away and give the cursor back."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def close(self) -> None:
        """At the end of the process."""
        self.close_live()
        super().close()

    def _show(self, source: Callable[[], str]) -> None:
        if self._live is None:
            self._live = Live(
                get_renderable=lambda: Text(source(), no_wrap=True, overflow="ellipsis"),
                console=self._console,
                refresh_per_second=REFRESHES_PER_S,
                transient=True,
            )
            self._live.start()


def _handler(told_elsewhere: str) -> logging.Handler:
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted not in FORMATS:
        raise ConfigError(f"{VARIABLE}={wanted} is not known. Set it to {', '.join(FORMATS[:-1])} or {FORMATS[-1]}.")
    is_terminal = sys.stderr.isatty()
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if wanted == "json" or (wanted == "auto" and not is_terminal):
        handler.setFormatter(JsonLines())
        return handler
    if is_terminal:
        handler = TerminalLines(Console(stderr=True))
    handler.setFormatter(TextLines("%(asctime)s %(message)s", "%H:%M:%S"))
    handler.addFilter(lambda record: record.name != told_elsewhere)
    return handler
