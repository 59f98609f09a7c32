"""Faults in real nights through the command line, each compared with an undisturbed night over the same photos.

`python -m tests.e2e.night_faults [--only NAME ...] [--trials N] [--work FOLDER]` prints one table. A named folder keeps
the photos, the undisturbed night, the logs and `trials.jsonl`, one line a trial. A trial that is there is not made
again, so that the series can be run in parts, and `--table` prints what is there.
"""

import argparse
import contextlib
import json
import os
import platform
import random
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.e2e.night_answers import judged, open_keys, save_expected
from tests.e2e.night_cases import CASES, Case
from tests.e2e.night_run import HUNG, OF_COMMANDS
from tests.e2e.night_scene import Scene, on_disk
from tests.e2e.night_shop import REJECTED, Shop
from tests.e2e.small_disk import DiskLeftOut

PHOTOS = 2000
STRIKE_TRIALS = 40
"""Trials at most where a number of strikes is asked for."""
RESUMABLE = {0, 4, 5, -9, 137}
"""Exit codes after which the same command goes on; -9 is the trial's own SIGKILL."""
WORDS = {-9: "killed", HUNG: "hung"}


@dataclass(frozen=True)
class Trial:
    """One line of trials.jsonl. codes: of the commands in order. repeats: commands after the first until 0.
    nights: further runs for what the fault had rejected or hidden. strikes: how often the fault struck."""

    case: str
    number: int
    seed: int
    photos: int
    codes: tuple[int, ...] = ()
    repeats: int = 0
    nights: int = 0
    strikes: int = 0
    seconds: float = 0.0
    orphans: int = 0
    difference: float = 0.0
    problems: tuple[str, ...] = ()
    left_out: str = ""


class Series:
    """The place of the series, and the undisturbed night that all others are compared with."""

    def __init__(self, folder: Path, shop: Shop) -> None:
        self.folder, self.shop = folder, shop
        self.expected = folder / f"undisturbed-{shop.count}.parquet"
        if not self.expected.exists():
            with on_disk(self.shop, folder, "first", random.Random(0)) as scene:
                scene.night.start()
                scene.night.finish()
                assert scene.night.codes[-1] == 0, scene.night.log.read_text()
                assert open_keys(scene.night.root, scene.night.images) == set()
                save_expected(scene.night.root, str(self.expected))

    def run(self, case: Case, number: int) -> Trial:
        """One trial under a fresh root."""
        seed = random.Random(f"{case.name} {number}").getrandbits(31)
        try:
            with case.place(self.shop, self.folder, f"{case.name}-{number}", random.Random(seed)) as scene:
                return self._played(case, number, seed, scene)
        except DiskLeftOut as reason:
            return Trial(case.name, number, seed, self.shop.count, left_out=str(reason))

    def _played(self, case: Case, number: int, seed: int, scene: Scene) -> Trial:
        night = scene.night
        with case.fault(scene):
            night.start()
            night.finish()
        repeats, seconds = len(night.codes) - 1, night.seconds
        nights = settle(scene)
        verdict = judged(night.root, night.images, str(self.expected), REJECTED)
        problems = (*verdict.problems, *complaints(scene))
        return Trial(
            case.name, number, seed, self.shop.count, tuple(night.codes), repeats, nights, scene.strikes, seconds,
            verdict.orphans, verdict.difference, problems,
        )  # fmt: skip


def settle(scene: Scene) -> int:
    """The fault being over, the next night must answer for what it rejected or hid. Returns the commands it took."""
    before = len(scene.night.codes)
    if scene.night.codes[-1] == 0 and open_keys(scene.night.root, scene.night.images):
        scene.night.is_over = False
        scene.night.start()
        scene.night.finish()
    return len(scene.night.codes) - before


def complaints(scene: Scene) -> list[str]:
    """What is wrong besides the rows."""
    found = []
    unexpected = [code for code in scene.night.codes if code not in RESUMABLE]
    if unexpected:
        found.append(f"exit codes {unexpected}")
    if scene.night.codes[-1] != 0:
        found.append(f"no command of {len(scene.night.codes)} exited with 0")
    verified = scene.night.verify()
    if verified.returncode:
        found.append(f"verify: exit code {verified.returncode}: {verified.stderr.strip()[-200:]}")
    if not scene.strikes:
        found.append("the fault never struck")
    return found


class Record:
    """The trials that were made, in a file that grows by one line a trial."""

    def __init__(self, file: Path) -> None:
        self._file = file
        lines = file.read_text().splitlines() if file.exists() else []
        self.trials = [Trial(**json.loads(line)) for line in lines]

    def of(self, case: Case) -> list[Trial]:
        """A case's trials so far."""
        return [trial for trial in self.trials if trial.case == case.name]

    def add(self, trial: Trial) -> None:
        """Keep a trial."""
        self.trials.append(trial)
        with self._file.open("a") as out:
            out.write(json.dumps(asdict(trial)) + "\n")


def is_wanting(case: Case, made: list[Trial], trials: int | None) -> bool:
    """Whether the case needs another trial."""
    if any(trial.left_out for trial in made):
        return False
    if trials is not None or not case.strikes:
        return len(made) < (trials or case.trials)
    return sum(trial.strikes for trial in made) < case.strikes and len(made) < STRIKE_TRIALS


def table(record: Record) -> str:
    """One line a case, under one that says where and on what."""
    photos = "/".join(sorted({str(trial.photos) for trial in record.trials}))
    where = f"{platform.machine()}, {os.cpu_count()} cores, {photos} photos; largest difference between two numbers "
    where += f"{max((trial.difference for trial in record.trials), default=0.0):.1g}\n"
    head = "| case | what is done | trials | as undisturbed | commands end with | faults | further nights | seconds |"
    rows = [_row(case, record.of(case)) for case in CASES.values() if record.of(case)]
    return "\n".join([where, head, "|---|---|---|---|---|---|---|---|", *rows])


def _row(case: Case, trials: list[Trial]) -> str:
    if trials[0].left_out:
        return f"| `{case.name}` | {case.words} | left out: {trials[0].left_out} | | | | | |"
    kept = sum(not trial.problems for trial in trials)
    ends = Counter(
        " → ".join(WORDS.get(code, str(code)) for code in trial.codes[: trial.repeats + 1]) for trial in trials
    )
    told = "; ".join(f"{codes} ({count}x)" for codes, count in ends.most_common(3)) + ("; …" if len(ends) > 3 else "")
    strikes, nights = (sum(values) for values in zip(*((t.strikes, bool(t.nights)) for t in trials), strict=True))
    seconds = statistics.median(trial.seconds for trial in trials)
    return f"| `{case.name}` | {case.words} | {len(trials)} | {kept} | {told} | {strikes} | {nights} | {seconds:.0f} |"


def main() -> None:
    """Run what is wanting, then print the table; exit code 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--trials", type=int, help="of each case; else 3, and of nodes-killed until 50 were killed")
    parser.add_argument("--photos", type=int, default=PHOTOS)
    parser.add_argument("--work", type=Path, help="folder that keeps what was made")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--endpoint", help="of an S3 server to use, its credentials in the environment; else moto")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # leave no Ray behind
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.work or Path(temporary)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        _give_token(folder / "ray-token")
        os.environ.update(OF_COMMANDS)  # nodes that join in a trial must load this checkout too
        record = Record(folder / "trials.jsonl")
        if not options.table:
            with contextlib.closing(Shop(folder, options.photos, options.endpoint)) as shop:
                run_all([CASES[name] for name in options.only], record, Series(folder, shop), options.trials)
        print(f"\n{table(record)}")
    raise SystemExit(any(trial.problems for trial in record.trials))


def run_all(cases: list[Case], record: Record, series: Series, trials: int | None) -> None:
    """What is wanting, case after case."""
    for case in cases:
        while is_wanting(case, record.of(case), trials):
            started = time.monotonic()
            trial = series.run(case, len(record.of(case)))
            record.add(trial)
            said = trial.left_out or "; ".join(trial.problems) or "as undisturbed"
            print(f"{case.name} {trial.number}: {said} {trial.codes} {time.monotonic() - started:.0f} s", flush=True)


def _give_token(file: Path) -> None:
    """A Ray token for these nights alone, unless the environment has one for the cluster that is to be used."""
    if "RAY_AUTH_MODE" in os.environ:
        return
    file.write_text(secrets.token_hex(32))
    file.chmod(0o600)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(file))


if __name__ == "__main__":
    main()
