"""Signals to real processes, as `ray job stop` and a terminal send them: 3 seconds are what there is."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
RAY_KILLS_AFTER_S = 3.0
START = """
import time
from tagger.entry import finish
from tagger.errors import StorageUnavailable
from tagger.stop import resumable, uninterrupted

def told(word):
    print(word, flush=True)
"""


def stopped(body: str, number: signal.Signals = signal.SIGTERM, times: int = 1) -> tuple[int, list[str], str, float]:
    """Signal `command()` of `body` when it prints "ready"; its code, what it printed then, its errors, and seconds."""
    code = START + textwrap.dedent(body) + "finish(command, told=True)\n"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={"TAGGER_LOG_FORMAT": "text", "PYTHONPATH": str(CHECKOUT)},
    ) as process:  # fmt: skip
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        started = time.monotonic()
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.02)
        out, errors = process.communicate(timeout=30)
        return process.returncode, out.split(), errors, time.monotonic() - started


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_resumable_command_leaves_things_in_order_and_says_how_to_go_on(number, code):
    body = """
    def command():
        with resumable("Go on so.", lambda: told("outer")), resumable("Go on thus.", lambda: told("inner")):
            told("ready")
            time.sleep(60)
            told("never")
    """
    returned, out, errors, seconds = stopped(body, number)
    assert (returned, out) == (code, ["inner", "outer"]) and seconds < RAY_KILLS_AFTER_S
    first, last = errors.splitlines()
    assert first == f"tagger: stopped by {number.name}. Go on thus."
    assert last == f"tagger: exit code {code}: {'terminated' if code == 143 else 'interrupted'}, resumable"


def test_a_commit_that_takes_a_second_is_finished_and_no_other_begins():
    body = """
    def command():
        with resumable("Go on.", lambda: told("left")):
            with uninterrupted():
                told("ready")
                time.sleep(1)
                told("committed")
            with uninterrupted():
                told("never")
    """
    code, out, _, seconds = stopped(body)
    assert (code, out) == (143, ["committed", "left"]) and seconds < RAY_KILLS_AFTER_S


def test_neither_a_long_commit_nor_dead_storage_holds_up_the_end():
    body = """
    def dead():
        told("tried")
        time.sleep(60)

    def command():
        with resumable("Go on.", dead), uninterrupted():
            told("ready")
            time.sleep(60)
    """
    code, out, errors, seconds = stopped(body)
    assert (code, out) == (143, ["tried"]) and seconds < RAY_KILLS_AFTER_S
    assert "tagger: stopped by SIGTERM. Go on." in errors


def test_what_cannot_be_left_in_order_does_not_keep_the_rest_from_being():
    body = """
    def fails():
        raise StorageUnavailable("away")

    def command():
        with resumable("Go on.", lambda: told("outer")), resumable("Go on.", fails):
            told("ready")
            time.sleep(60)
    """
    code, out, errors, _ = stopped(body)
    assert (code, out) == (143, ["outer"]) and "Traceback" not in errors


@pytest.mark.parametrize("times", [1, 2])
def test_any_other_command_unwinds(times):
    body = """
    def command():
        try:
            told("ready")
            time.sleep(60)
        finally:
            time.sleep(0.3)
            told("unwound")
    """
    code, out, errors, seconds = stopped(body, times=times)
    assert (code, out) == (143, ["unwound"]) and seconds < RAY_KILLS_AFTER_S
    assert "stopped by SIGTERM. Start the same command again" in errors and "Traceback" not in errors


def test_a_command_that_does_not_unwind_ends_all_the_same():
    body = """
    def command():
        try:
            told("ready")
            time.sleep(60)
        finally:
            time.sleep(60)
    """
    code, _, errors, seconds = stopped(body)
    assert code == 143 and seconds < RAY_KILLS_AFTER_S and "stopped by SIGTERM" in errors


def test_the_block_over_a_signal_unwinds_again():
    body = """
    def command():
        with resumable("Go on.", lambda: told("left")):
            pass
        try:
            told("ready")
            time.sleep(60)
        finally:
            told("unwound")
    """
    assert stopped(body)[:2] == (143, ["unwound"])
