"""What standard error holds: lines for people on a terminal, JSON objects elsewhere, and the contract's sentences."""

import io
import json
import logging
import os
import pty
import subprocess
import sys
import textwrap
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from tagger.logs import JsonLines, TerminalLines

CHECKOUT = Path(__file__).parents[2]
COMMAND = textwrap.dedent("""
    import logging
    from tagger.entry import finish
    from tagger.errors import GateRefused

    def command():
        log = logging.getLogger("tagger.tag.progress")
        log.info("%d photos", 3, extra={"fields": {"done": 3, "eta_s": None, "rejected": {"empty": 1}}, "live": None})
        logging.getLogger("somebody").info("noise")
        raise GateRefused("Too many rejects.")

    finish(command, told=True)
""")
SENTENCES = [
    "tagger: Too many rejects.",
    "tagger: exit code 3: a gate or a proof said no: what it names is not promoted or committed",
]


def ran(body: str = COMMAND, terminal: int | None = None, **environment: str) -> tuple[int, list[str]]:
    """Exit code and lines on standard error: a pipe, or the given terminal."""
    done = subprocess.run(
        [sys.executable, "-c", body], cwd=CHECKOUT, text=True, stderr=terminal or subprocess.PIPE,
        env={"PYTHONPATH": str(CHECKOUT), "TERM": "xterm"} | environment,
    )  # fmt: skip
    return done.returncode, (done.stderr or "").splitlines()


@pytest.mark.parametrize("environment", [{}, {"TAGGER_LOG_FORMAT": "auto"}, {"TAGGER_LOG_FORMAT": "json"}])
def test_in_a_pipe_a_line_is_an_object_and_the_sentences_stand_beside_it(environment):
    code, lines = ran(**environment)
    objects = [json.loads(line) for line in lines if line.startswith("{")]
    assert code == 3 and [line for line in lines if not line.startswith("{")] == SENTENCES
    progress, error, last = objects
    assert {progress.pop(name) for name in ("level", "logger", "message")} == {
        "info", "tagger.tag.progress", "3 photos",
    }  # fmt: skip
    assert datetime.fromisoformat(progress.pop("time")).utcoffset().total_seconds() == 0
    assert progress == {"done": 3, "eta_s": None, "rejected": {"empty": 1}}
    assert (error["level"], error["message"], error["exit_code"]) == ("error", "Too many rejects.", 3)
    assert (last["level"], last["exit_code"]) == ("error", 3)


def test_as_text_there_are_the_lines_and_the_sentences_alone():
    code, (progress, *rest) = ran(TAGGER_LOG_FORMAT="text")
    assert code == 3 and progress.endswith(" 3 photos") and rest == SENTENCES


def test_a_wrong_format_is_a_usage_error():
    code, lines = ran(TAGGER_LOG_FORMAT="yaml")
    assert code == 2 and lines[0] == "tagger: TAGGER_LOG_FORMAT=yaml is not known. Set it to auto, text or json."


def test_a_defect_is_an_object_with_its_traceback_and_a_traceback_for_people():
    body = COMMAND.replace('raise GateRefused("Too many rejects.")', "1 / 0")
    code, lines = ran(body)
    told = [json.loads(line) for line in lines if line.startswith("{")][1]
    assert code == 1 and told["exit_code"] == 1 and "ZeroDivisionError" in told["traceback"]
    assert "Traceback (most recent call last):" in lines and lines[-1] == "tagger: exit code 1: unexpected error"


def test_on_a_terminal_auto_means_text():
    controller, terminal = pty.openpty()
    try:
        code, _ = ran(terminal=terminal)
        text = os.read(controller, 65536).decode()
    finally:
        os.close(controller)
        os.close(terminal)
    assert code == 3 and " 3 photos" in text and "{" not in text
    assert [line for line in text.split("\r\n") if line.startswith("tagger: ")] == SENTENCES


def record(message: str, **extra: object) -> logging.LogRecord:
    return logging.getLogger("tagger.some").makeRecord("tagger.some", 20, "f", 1, message, (), None, extra=extra)


def test_a_line_is_json_whatever_it_says():
    message = 'Größe "x"\n\udc80 %s'
    assert json.loads(JsonLines().format(record(message, fields={"at": datetime(2026, 11, 22)})))["at"][:4] == "2026"
    line = JsonLines().format(record(message))
    assert "\n" not in line and json.loads(line)["message"] == message


def test_the_live_line_stands_below_the_lines_until_it_is_ended():
    shown = io.StringIO()
    lines = TerminalLines(Console(file=shown, force_terminal=True, width=60))
    lines.emit(record("begun", live=lambda: "1 of 9 photos"))
    lines.emit(record("a word in between"))
    lines.emit(record("ignored, for the live line tells it", live=lambda: "2 of 9 photos"))
    lines.emit(record("9 of 9 photos", live=None))
    text = shown.getvalue()
    assert "1 of 9 photos" in text and "a word in between\n" in text and "ignored" not in text and "begun" not in text
    assert text.endswith("9 of 9 photos\n") and text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor
