"""Programs that wait for their turn, so that several trainings alternate on one machine. Standard library alone.

A busy machine then hits all of them alike, and the ratio within a round means something. A side connects to a socket in
a private folder, says who it is, and answers each order, one JSON line, with one JSON line.
"""

import json
import os
import select
import socket
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Turn = Callable[[int], dict[str, Any]]
"""Steps -> {"seconds", "cpu_s", "pictures", "loss"}, and what else is to be told; cpu_s: of all threads."""

_START_S = 600.0  # a machine under load takes minutes to import TensorFlow in a Ray worker
_WATCH_S = 0.1


def serve(address: str, turns: Mapping[str, Turn]) -> None:
    """Take turns until the other end closes."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(address)
        file = line.makefile("rw", encoding="utf-8")
        _say(file, {"pid": os.getpid()})
        for text in file:
            order = json.loads(text)
            _say(file, turns[order["turn"]](order["steps"]))


def _say(file: Any, words: dict[str, Any]) -> None:
    file.write(json.dumps(words) + "\n")
    file.flush()


def repeated(step: Callable[[], Any], pictures: int, **facts: Any) -> Turn:
    """A turn that makes the same step again and again. pictures: of all workers in one step; facts: told with it.

    The first step is not timed: it compiles, and brings whatever prepares the next batch into its rhythm.
    """

    def turn(steps: int) -> dict[str, Any]:
        float(step())
        since = started()
        for _ in range(steps):
            loss = step()
        loss = float(loss)  # waits for the device
        return since() | {"pictures": steps * pictures, "loss": loss, **facts}

    return turn


def started() -> Callable[[], dict[str, Any]]:
    """Starts both clocks; what it returns reads them."""
    wall, cpu = time.perf_counter(), _cpu_s()
    return lambda: {"seconds": time.perf_counter() - wall, "cpu_s": _cpu_s() - cpu}


def _cpu_s() -> float:
    """Processor time of this process's threads, and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


@dataclass
class Side:
    """One side: a process, or several that work together. lines: (pid, socket, file) of each."""

    name: str
    lines: list[tuple[int, Any, Any]] = field(default_factory=list)

    def ask(self, turn: str, steps: int, watch: Callable[[list[int]], None] | None = None) -> dict[str, Any]:
        """Give one order and wait for all answers: the slowest one's, with the processors' time of all.

        watch: called with the pids while they work.
        """
        pids = [pid for pid, _, _ in self.lines]
        for _, _, file in self.lines:
            _say(file, {"turn": turn, "steps": steps})
        answers = []
        if watch:
            watch(pids)
        for _, line, file in self.lines:
            while watch and not select.select([line], [], [], _WATCH_S)[0]:
                watch(pids)
            text = file.readline()
            if not text:
                raise RuntimeError(f"{self.name} stopped before its answer to '{turn}'; its own words stand above.")
            answers.append(json.loads(text))
        slowest = max(answers, key=lambda answer: float(answer["seconds"]))
        return slowest | {"cpu_s": sum(answer["cpu_s"] for answer in answers)}


class Host:
    """Where the sides connect: a socket in `folder`, which only this user may enter."""

    def __init__(self, folder: str) -> None:
        self.address = str(Path(folder, "turns"))
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(self.address)
        self._server.listen()
        self._server.settimeout(_START_S)
        self._sides: list[Side] = []

    def add(self, name: str, start: Callable[[str], object], ranks: int = 1) -> Side:
        """Start a side, one at a time, and wait until all its processes are there."""
        side = Side(name)
        self._sides.append(side)
        start(self.address)
        for _ in range(ranks):
            line, _ = self._server.accept()
            line.settimeout(None)
            file = line.makefile("rw", encoding="utf-8")
            side.lines.append((json.loads(file.readline())["pid"], line, file))
        return side

    def close(self) -> None:
        """End all sides."""
        for side in self._sides:
            for _, line, file in side.lines:
                file.close()
                line.close()
        self._server.close()


@dataclass(frozen=True)
class Entry:
    """One row of the table to come: a turn of a side, and the row that it is compared with (its own name: none)."""

    side: Side
    turn: str
    base: str


@dataclass(frozen=True)
class Rates:
    """pictures_per_s, cpu_ms (a picture): one figure a round. answer: the last one."""

    pictures_per_s: list[float]
    cpu_ms: list[float]
    answer: dict[str, Any]

    def ratios(self, base: "Rates") -> list[float]:
        """Round by round."""
        return [own / other for own, other in zip(self.pictures_per_s, base.pictures_per_s, strict=True)]

    @property
    def median(self) -> float:
        """Pictures per second."""
        return statistics.median(self.pictures_per_s)


def interleaved(entries: Mapping[str, Entry], steps: int, rounds: int) -> dict[str, Rates]:
    """Everybody's turn in every round, forwards and backwards by turns, after one warm-up. AssertionError where a loss
    is not a number, or where it did not fall on the pictures that come again and again."""
    first = {name: entry.side.ask(entry.turn, 2) for name, entry in entries.items()}
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in entries}
    for number in range(rounds):
        for name in list(entries)[:: 1 if number % 2 == 0 else -1]:
            answers[name].append(entries[name].side.ask(entries[name].turn, steps))
    for name, own in answers.items():
        before, after = first[name]["loss"], own[-1]["loss"]
        assert after == after and (rounds * steps < 20 or after < before), f"{name}: loss {before} -> {after}"
    return {name: rates_of(own) for name, own in answers.items()}


def rates_of(answers: list[dict[str, Any]]) -> Rates:
    """One entry's answers, a round each, as figures."""
    speeds = [answer["pictures"] / answer["seconds"] for answer in answers]
    return Rates(speeds, [1000 * answer["cpu_s"] / answer["pictures"] for answer in answers], answers[-1])
