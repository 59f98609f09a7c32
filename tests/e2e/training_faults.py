"""Faults in a real training through the command line, each compared with the undisturbed one of the same seed.

`python -m tests.e2e.training_faults [--only NAME ...] [--work FOLDER]` prints one table, and ends with exit 1 where
weights differ or a command told a traceback. A named folder keeps the drawn catalogue, the undisturbed training and the
rows so far, so that the series can be run in parts.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import boto3
import numpy as np
import psutil
from moto.server import ThreadedMotoServer

from tagger.catalog.synth.writer import write_catalogue
from tagger.storage import Root, open_root
from tagger.train.checkpoint import unpack_weights
from tests.e2e.faulty_s3 import FaultyS3, Outage, Rule
from tests.e2e.small_disk import DiskLeftOut, kept_full, small_disk
from tests.e2e.training_watch import cut_short, kill_a_worker, newest_arrays, place, registered

OUTAGE_S = 30
DISK_MB = 96
EPOCHS = 2
CHECKOUT = Path(__file__).parents[2]
SETTINGS = [
    "train.width=0.06", "train.batch_size=16", "train.batch_norm_momentum=0.9", "train.threads=1",
    f"train.epochs_type={EPOCHS}", f"train.epochs_color={EPOCHS}", "train.sizes={32: 0.5}", "train.save_every=48",
    "catalog.ignore_columns=[background,pose]", "catalog.min_per_class=1", "ray.num_cpus=2", "ray.object_store_mb=300",
]  # fmt: skip
MIDDLE = (1, 3)
"""Epoch and step of the checkpoint after which faults strike: the second epoch is under way."""
_TRACEBACK = "TRACEBACK"


class Training:
    """One training under its own root, started as often as it takes."""

    def __init__(self, place: Path, root_uri: str, endpoint: str | None = None, cache: str | None = None) -> None:
        self.root, self.log = open_root(root_uri), place / f"{Path(root_uri).name}.log"
        self.seconds, self.codes, self._endpoint = 0.0, list[int](), endpoint
        data = place / "catalogue"
        self._arguments = [f"root={root_uri}", f"images={data}/images", f"labels={data}/labels/labels.csv", *SETTINGS]
        self._arguments += [f"train.cache={cache}"] if cache else []
        self.log.write_bytes(b"")

    def start(self, resume: bool = False) -> None:
        """In a process of its own."""
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "RAY_USAGE_STATS_ENABLED": "0"}
        environment |= {"TAGGER_LOG_FORMAT": "text"}
        environment |= {"AWS_ENDPOINT_URL": self._endpoint} if self._endpoint else {}
        command = [sys.executable, "-c", "from tagger.cli import main; main()", "train", *self._arguments]
        self._started = time.monotonic()
        with self.log.open("ab") as log:
            extra = ["--resume", "last"] if resume else []
            self.process = subprocess.Popen([*command, *extra], env=environment, stdout=log, stderr=log)

    def end(self) -> int:
        """Wait for the exit code."""
        code = self.process.wait(1800)
        self.seconds += time.monotonic() - self._started
        self.codes.append(code)
        return code

    def reach(self, stage: str, at: tuple[int, int]) -> Root:
        """Wait until a checkpoint of this epoch and step, or a later one, is registered; returns the stage's folder."""
        while self.process.poll() is None:
            for run in {found.key.split("/")[1] for found in self.root.list_objects("work/train-")}:
                folder = self.root.child("work", run, f"stage-{stage}")
                if any(place(each) >= at for each in registered(folder)):
                    return folder
            time.sleep(0.2)
        raise AssertionError(f"The training ended before {stage} {at}:\n{self.log.read_text()[-3000:]}")

    def weights(self) -> list[np.ndarray]:
        """Of both networks."""
        keys = [found.key for found in self.root.list_objects("work/train-")]
        files = [key for name in ("type", "color") for key in keys if key.endswith(f"/{name}.npz")]
        assert len(files) == 2, files
        return [array for key in files for array in unpack_weights(self.root.read_bytes(key))]

    def epochs(self) -> int:
        """Epochs that were finished, those that were done again included."""
        return self.log.read_text().count("select accuracy")


@dataclass(frozen=True)
class Row:
    """One line of the table. repeated: whole epochs; difference: the largest between two weights."""

    fault: str
    happened: str
    seconds_lost: float
    repeated: int
    difference: float

    @property
    def is_broken(self) -> bool:
        """Whether the training did not end as the undisturbed one, or told a traceback."""
        return self.difference != 0 or _TRACEBACK in self.happened

    def as_text(self) -> str:
        same = "yes" if self.difference == 0 else f"no, {self.difference:.1e}"
        return f"| {self.fault} | {self.happened} | {self.seconds_lost:.0f} | {self.repeated} | {same} |"


class Series:
    """The place of the series: its catalogue, an S3 server, and the training that nothing disturbed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, str(folder / "pictures")
        if not (folder / "catalogue" / "labels").is_dir():
            write_catalogue(
                open_root(str(folder / "catalogue")),
                200, 1, types=("T-Shirt", "Jeans", "Handbag"), colors=("Black", "White", "Red"),
            )  # fmt: skip
        self.server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self.server.start()
        self.endpoint = "http://{}:{}".format(*self.server.get_host_and_port())
        names = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
        os.environ.update({f"AWS_{name}": value for name, value in names.items()} | {"AWS_ENDPOINT_URL": self.endpoint})
        boto3.client("s3", endpoint_url=self.endpoint).create_bucket(Bucket="shop")
        self.undisturbed = Training(folder, str(folder / "undisturbed"), cache=self.cache)
        if not (folder / "undisturbed.seconds").exists():
            self.undisturbed = self.local("undisturbed")
            self.undisturbed.start()
            assert self.undisturbed.end() == 0, self.undisturbed.log.read_text()
            (folder / "undisturbed.seconds").write_text(str(self.undisturbed.seconds))

    def local(self, name: str) -> Training:
        """A training under a new root on this disk."""
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return Training(self.folder, str(self.folder / name), cache=self.cache)

    def row(self, fault: str, training: Training) -> Row:
        """What came of a training, compared with the undisturbed one."""
        usual = float((self.folder / "undisturbed.seconds").read_text())
        text = training.log.read_text()
        words = [_word(code) for code in training.codes] + ([_TRACEBACK] if _has_traceback(text) else [])
        same = zip(training.weights(), self.undisturbed.weights(), strict=True)
        difference = max(float(np.abs(one - other).max()) for one, other in same)
        lost, repeated = training.seconds - usual, training.epochs() - 2 * EPOCHS
        return Row(fault, ", then ".join(words), lost, repeated, difference)


def _word(code: int) -> str:
    return "finished" if code == 0 else f"killed ({-code})" if code < 0 else f"stopped with code {code}"


def _has_traceback(text: str) -> bool:
    return any(line.startswith("Traceback") for line in text.splitlines())


def _finish(series: Series, fault: str, training: Training) -> Row:
    """To the end, resumed once where it stopped."""
    if training.end() != 0:
        training.start(resume=True)
        training.end()
    return series.row(fault, training)


def worker_killed(series: Series, fault: str) -> Row:
    """SIGKILL to the process that trains."""
    training = series.local(fault)
    training.start()
    training.reach("type", MIDDLE)
    kill_a_worker(training.process.pid)
    return _finish(series, fault, training)


def _driver_killed(series: Series, fault: str, stage: str, damage: Callable[[Root], None] = lambda folder: None) -> Row:
    training = series.local(fault)
    training.start()
    folder = training.reach(stage, MIDDLE)
    below = psutil.Process(training.process.pid).children(recursive=True)
    training.process.kill()
    left = psutil.wait_procs(below, 60)[1]
    damage(folder)
    row = _finish(series, fault, training)
    return replace(row, happened=f"{row.happened}; {len(left)} processes left behind") if left else row


def driver_killed_in_type(series: Series, fault: str) -> Row:
    """SIGKILL to the command itself, then --resume."""
    return _driver_killed(series, fault, "type")


def driver_killed_in_color(series: Series, fault: str) -> Row:
    """As before, while color is trained."""
    return _driver_killed(series, fault, "color")


def checkpoint_cut_short(series: Series, fault: str) -> Row:
    """The command is killed and its newest checkpoint loses its end; then --resume."""
    return _driver_killed(series, fault, "type", lambda folder: cut_short(folder, newest_arrays(folder)))


def full_disk(series: Series, fault: str) -> Row | None:
    """The root's disk is kept full until the command stops; space is made; then --resume."""
    try:
        with small_disk(series.folder / "disk", DISK_MB) as disk:
            training = Training(series.folder, str(disk / "full"), cache=series.cache)
            training.start()
            training.reach("type", MIDDLE)
            with kept_full(disk):
                training.process.wait(1800)
            return _finish(series, fault, training)
    except DiskLeftOut as reason:
        print(f"{fault} is left out: {reason}")
        return None


def _store_lost(series: Series, fault: str, lose: Callable[[FaultyS3, Training], None]) -> Row:
    proxy = FaultyS3(series.endpoint)
    try:
        training = Training(series.folder, f"s3://shop/{fault}", endpoint=proxy.uri)
        training.start()
        lose(proxy, training)
        row = _finish(series, fault, training)
        assert proxy.struck == 1, "the store was never lost"
        return row
    finally:
        proxy.close()


def store_lost_in_training(series: Series, fault: str) -> Row:
    """The object store breaks all connections for 30 s."""

    def lose(proxy: FaultyS3, training: Training) -> None:
        training.reach("type", MIDDLE)
        proxy.follow([Rule("", Outage(OUTAGE_S), times=1)])

    return _store_lost(series, fault, lose)


def store_lost_in_a_save(series: Series, fault: str) -> Row:
    """The same, in the middle of the request that writes a checkpoint."""
    rule = Rule(r"(PUT|POST) \S*arrays\.npz", Outage(OUTAGE_S), skip=1, times=1)
    return _store_lost(series, fault, lambda proxy, _: proxy.follow([rule]))


FAULTS: dict[str, Callable[[Series, str], Row | None]] = {
    each.__name__.replace("_", "-"): each
    for each in (
        worker_killed, driver_killed_in_type, driver_killed_in_color, checkpoint_cut_short, full_disk,
        store_lost_in_training, store_lost_in_a_save,
    )
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="NAME", help=", ".join(FAULTS)
    )
    parser.add_argument("--work", type=Path, help="folder that keeps what was made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        series, rows = Series(folder.absolute()), folder / "rows.json"
        found = json.loads(rows.read_text()) if rows.exists() else {}
        for name in options.only:
            row = FAULTS[name](series, name)
            found |= {name: asdict(row)} if row else {}
            rows.write_text(json.dumps(found))
            print(row.as_text() if row else f"| {name} | left out | | | |", flush=True)
        usual = float((folder / "undisturbed.seconds").read_text())
        print(f"\n{platform.machine()}, {os.cpu_count()} cores; the undisturbed training takes {usual:.0f} s\n")
        print("| fault | what happened | seconds lost | epochs repeated | weights identical |\n|---|---|---|---|---|")
        told = [Row(**found[name]) for name in FAULTS if name in found]
        print("\n".join(row.as_text() for row in told))
        series.server.stop()
    raise SystemExit(any(row.is_broken for row in told))


if __name__ == "__main__":
    main()
