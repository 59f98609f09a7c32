"""What a training costs, part by part: ratios from one run in which all sides take turns, on drawn pictures.

python -m benchmarks.training [--case ray input workers memory flat torch graph] [--width 0.5] [--steps 10] [--rounds 7]

ray      a Ray Train worker against loops without Ray and strategy, all on the same batch in memory, with equal threads
input    the same Learner fed by training_batches with the changes of configs/best.yaml, against one batch in memory
workers  two workers with half of the threads each against one with all, same global batch
memory   peak memory of each worker while it trains on fed batches, pages of the shards' files left out
flat     a picture's cost in preparing (--data FOLDER: photos of its catalog-small.zip) and in an epoch's input
torch    the same layers in PyTorch, channels last, where torch can be imported (--torch-python: by another interpreter)
graph    precision, XLA, BatchNorm, picture size and trunk in the plain loop

Timed is the middle of a training: after compiling, without evaluation and checkpoints. A ratio is the median of the
rounds' own ratios, with their smallest and largest; above 1 is faster. `flat` gives ms a picture: above 1 is dearer.
CPU ms: processor time a picture, over all threads of the side's processes; steadier than the clock on a busy machine.
"""

import argparse
import contextlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path

from benchmarks import training_flat as flat
from benchmarks import training_sides as sides
from benchmarks.training_sides import Plain, process
from benchmarks.training_turns import Entry, Host, Rates, Side, interleaved, rates_of
from tagger import __version__
from tagger.cluster import connected
from tagger.config import RayConfig
from tagger.config_file import load_config
from tagger.storage import LocalRoot
from tagger.train.recipe import StagePlan, stage_plan

CONFIGS = Path(__file__).parents[1] / "configs"
LEAST_RAY, MOST_INPUT = 0.97, 0.05
"""Targets: pictures per second of a Ray Train worker by those of a plain loop; what input may add to a step."""
VERSIONS = ("tensorflow", "tensorflow-cpu", "tensorflow_cpu", "keras", "ray", "numpy")
"""Distributions that are named in the first line, where they are installed."""
_SHARDS = 8  # 4,096 pictures to be fed from
_EPOCHS_MOST = 3  # rounds of whole epochs' input, which are long


@dataclass(frozen=True)
class Row:
    """One line of the table; ratio: as text."""

    case: str
    name: str
    n: int
    figures: list[float]
    unit: str
    ratio: str = "1.00"
    note: str = ""
    cpu_ms: float | None = None

    def __str__(self) -> str:
        middle, spread = statistics.median(self.figures), max(self.figures) - min(self.figures)
        cpu = "" if self.cpu_ms is None else f"{self.cpu_ms:.2f}"
        cells = [self.case, self.name, str(self.n), f"{middle:.4g}", f"{spread:.2g}", self.unit, self.ratio, cpu]
        return f"| {' | '.join([*cells, self.note])} |"


@dataclass(frozen=True)
class Bench:
    """What the cases share. folder: of temporary files."""

    arguments: argparse.Namespace
    folder: str
    host: Host

    def plan(self, file: str | None, threads: int, *overrides: str) -> StagePlan:
        """The type stage of a configuration, at the benchmark's width and batch."""
        a = self.arguments
        path = str(CONFIGS / file) if file else None
        own = [f"root={self.folder}", f"train.width={a.width}", f"train.batch_size={a.batch}", "train.trunk=seed_cnn"]
        config = load_config(path, [*own, f"train.threads={threads}", *overrides])
        pictures = LocalRoot(self.folder).child("pictures")
        return stage_plan("type", config, "bench", pictures, {"type": sides.CLASSES})

    def shape(self, **changes: object) -> object:
        """Of the plain loops: the seed's recipe at the benchmark's width."""
        return sides.NetworkShape(**{"width": self.arguments.width, **changes})

    def ray(self, name: str, plan: StagePlan, shards: tuple, workers: int = 1) -> Side:
        """Ray Train workers as one side; Ray must be connected."""
        start = sides.ray_workers(plan, shards, workers, f"{self.folder}/ray", bool(gpus()))
        return self.host.add(name, start, workers)

    def shards(self) -> tuple:
        """Shards of drawn pictures, written once."""
        folder = Path(self.folder, "pictures")
        return sides.write_shards(folder, _SHARDS)

    def rows(self, case: str, entries: dict[str, Entry], notes: Callable[[Rates], str] | None = None) -> list[Row]:
        """Let all take turns; one row each, compared with its base."""
        a = self.arguments
        rates = interleaved(entries, a.steps, a.rounds)
        rows = []
        for name, own in rates.items():
            ratio = ratio_text(own.ratios(rates[entries[name].base]))
            note, cpu = notes(own) if notes else "", statistics.median(own.cpu_ms)
            rows.append(Row(case, name, own.answer["pictures"], own.pictures_per_s, "pictures/s", ratio, note, cpu))
        return rows


def ratio_text(ratios: list[float]) -> str:
    """Median, smallest and largest."""
    return f"{statistics.median(ratios):.3f} ({min(ratios):.2f}-{max(ratios):.2f})"


def gpus() -> list[str]:
    """Names of the GPUs that the driver knows."""
    if not shutil.which("nvidia-smi"):
        return []
    told = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
    return told.stdout.split("\n")[:-1] if told.returncode == 0 else []


def ray_case(bench: Bench) -> Iterator[Row]:
    """One Ray Train worker against loops without Ray."""
    a, shape, shards = bench.arguments, bench.shape(), bench.shards()
    variants = {
        "plain step, fused BatchNorm": Plain(shape),
        "plain step, Keras BatchNorm": Plain(shape, is_fused=False),
        "Keras fit": Plain(shape, is_fused=False, by="fit"),
        "Keras fit as it comes": Plain(shape, is_fused=False, by="fit as it comes"),
    }
    base = next(iter(variants))
    entries = {
        name: Entry(bench.host.add(name, process(sides.run_plain, {name: each}, a.batch, a.threads)), name, base)
        for name, each in variants.items()
    }
    worker = bench.ray("one Ray Train worker", bench.plan(None, a.threads), shards)
    alone = process(sides.run_learner, bench.plan(None, a.threads), shards)
    entries["the Learner without Ray"] = Entry(bench.host.add("Learner", alone), "one batch 128", base)
    entries[worker.name] = Entry(worker, "one batch 128", base)
    for row in bench.rows("ray", entries):
        target = f"target: {LEAST_RAY} or more" if row.name == worker.name else ""
        yield replace(row, note=target)


def input_case(bench: Bench) -> Iterator[Row]:
    """What making the batches adds to a step."""
    plan = bench.plan("best.yaml", bench.arguments.threads)
    side = bench.host.add("Learner", process(sides.run_learner, plan, bench.shards()))
    entries = {}
    for size in sides.SIZES:
        base = f"{size} px, one batch"
        entries |= {base: Entry(side, f"one batch {size}", base)}
        entries |= {f"{size} px, fed": Entry(side, f"fed {size}", base)}
    for row in bench.rows("input", entries):
        over = 1 / float(row.ratio.split()[0]) - 1
        note = f"overhead {over:.1%}, target: {MOST_INPUT:.0%} or less" if "fed" in row.name else ""
        yield replace(row, note=note)


def workers_case(bench: Bench) -> Iterator[Row]:
    """The same global batch on one worker and on two."""
    if len(gpus()) == 1:
        yield Row("workers", "two workers", 0, [float("nan")], "pictures/s", "-", "needs two GPUs")
        return
    threads, shards = bench.arguments.threads, bench.shards()
    half = max(1, threads // 2)
    one = bench.ray(f"1 worker x {threads} threads", bench.plan(None, threads), shards)
    two = bench.ray(f"2 workers x {half} threads", bench.plan(None, half), shards, 2)
    yield from bench.rows("workers", {each.name: Entry(each, "one batch 128", one.name) for each in (one, two)})


def memory_case(bench: Bench) -> Iterator[Row]:
    """Who holds how much while they train at full size on fed batches."""
    a, shards, plan = bench.arguments, bench.shards(), bench.plan("best.yaml", bench.arguments.threads)
    found = {"Learner without Ray": bench.host.add("Learner", process(sides.run_learner, plan, shards))}
    found["1 Ray worker"] = bench.ray("1 Ray worker", plan, shards)
    if len(gpus()) != 1:
        found["each of 2 Ray workers"] = bench.ray("2 Ray workers", plan, shards, 2)
    own = [pid for side in found.values() for pid, _, _ in side.lines]
    base, rays = 0.0, flat.Peak()
    for name, side in found.items():
        peak = flat.Peak()
        for _ in range(3):
            side.ask("fed 128", a.steps, peak.watch)
        figures = list(peak.anonymous.values())
        base = base or max(figures)
        yield Row("memory", name, len(figures), figures, "MiB", f"{max(figures) / base:.2f}", peak.text())
    rays.watch(flat.descendants(without=own))
    total = sum(rays.anonymous.values())
    yield Row("memory", "Ray's own processes together", len(rays.anonymous), [total], "MiB", f"{total / base:.2f}")


def flat_case(bench: Bench) -> Iterator[Row]:
    """A picture's cost at several counts; the counts take turns."""
    a, images = bench.arguments, f"{bench.folder}/images"
    flat.write_photos(Path(images), max(a.counts), a.data)
    found = {}
    for count in a.counts:
        plan = replace(bench.plan("best.yaml", a.threads), pictures_uri=f"{bench.folder}/flat-{count}")
        found[count] = bench.host.add(f"{count} pictures", process(flat.run_flat, plan, images, count))
    for turn, rounds in (("prepare", 1), ("epoch", min(a.rounds, _EPOCHS_MOST))):
        peaks = {count: flat.Peak() for count in found}
        answers: dict[int, list] = {count: [] for count in found}
        for number in range(rounds):
            for count, side in found.items():
                answers[count].append(side.ask(turn, number, peaks[count].watch))
        yield from flat_rows(turn, {count: rates_of(own) for count, own in answers.items()}, peaks)


def flat_rows(turn: str, rates: dict[int, Rates], peaks: dict[int, flat.Peak]) -> Iterator[Row]:
    """Milliseconds a picture, compared with the first count."""
    first = next(iter(rates.values()))
    for count, own in rates.items():
        costs = [1000 / speed for speed in own.pictures_per_s]
        ratio = ratio_text(first.ratios(own))
        cpu = statistics.median(own.cpu_ms)
        yield Row("flat", f"{turn}, {count} pictures", count, costs, "ms/picture", ratio, peaks[count].text(), cpu)


def torch_case(bench: Bench) -> Iterator[Row]:
    """The same layers in PyTorch."""
    a = bench.arguments
    python = a.torch_python or sys.executable
    if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode:
        note = f"torch is not installed for {'--torch-python' if a.torch_python else 'this interpreter'}"
        yield Row("torch", "PyTorch", 0, [float("nan")], "pictures/s", "-", note)
        return
    options = {"width": a.width, "batch": a.batch, "threads": a.threads, "side": 128}
    base = "one Ray Train worker"
    worker = bench.ray(base, bench.plan(None, a.threads), bench.shards())
    torch = bench.host.add("PyTorch, channels last", sides.torch_process(python, options))
    plain = {"step": Plain(bench.shape())}
    step = bench.host.add("plain step, fused BatchNorm", process(sides.run_plain, plain, a.batch, a.threads))
    entries = {base: Entry(worker, "one batch 128", base), step.name: Entry(step, "step", base)}
    entries[torch.name] = Entry(torch, "train", base)
    yield from bench.rows("torch", entries, lambda rates: f"torch {v}" if (v := rates.answer.get("version")) else "")


def graph_case(bench: Bench) -> Iterator[Row]:
    """One thing changed at a time."""
    a, shape = bench.arguments, bench.shape()
    base = f"seed_cnn {a.width}, fused BatchNorm, float32, 128 px"
    variants = {
        base: Plain(shape),
        "XLA": Plain(shape, jit=True),
        "XLA, Keras BatchNorm": Plain(shape, is_fused=False, jit=True),
        "bfloat16": Plain(shape, precision="bfloat16"),
        "bfloat16, XLA": Plain(shape, precision="bfloat16", jit=True),
        "Keras BatchNorm": Plain(shape, is_fused=False),
        "64 px": Plain(shape, side=64),
        "96 px": Plain(shape, side=96),
        "seed_cnn 1.0": Plain(bench.shape(width=1.0)),
        "residual_pool_cnn 1.0": Plain(bench.shape(width=1.0, trunk="residual_pool_cnn")),
    }
    side = bench.host.add("plain loops", process(sides.run_plain, variants, a.batch, a.threads))

    def counted(rates: Rates) -> str:
        weights, work = rates.answer["parameters"], rates.answer["multiply_adds"]
        # Backwards costs twice what forwards does: gradients of the inputs and of the kernels.
        speed = 3 * 2 * work * rates.median / 1e9
        return f"{weights / 1e6:.2f} M parameters, {work / 1e6:.0f} M multiply-adds, {speed:.0f} GFLOP/s"

    yield from bench.rows("graph", {name: Entry(side, name, base) for name in variants}, counted)


CASES = {
    "ray": ray_case,
    "input": input_case,
    "workers": workers_case,
    "memory": memory_case,
    "flat": flat_case,
    "torch": torch_case,
    "graph": graph_case,
}
WITH_RAY = {"ray", "workers", "memory", "torch"}


def run_case(name: str, arguments: argparse.Namespace) -> list[Row]:
    """One case in a folder of its own, its processes ended after it."""
    print(f"{name} ...", file=sys.stderr, flush=True)
    cluster = connected(RayConfig(num_cpus=8)) if name in WITH_RAY else contextlib.nullcontext()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, cluster:
        with contextlib.closing(Host(folder)) as host:
            rows = list(CASES[name](Bench(arguments, folder, host)))
        sides.wait_for_trainers()
        return rows


def first_line(arguments: argparse.Namespace) -> str:
    """Machine, commit, versions."""
    asked = ["git", "-C", str(CONFIGS), "describe", "--always", "--dirty"]
    commit = subprocess.run(asked, capture_output=True, text=True).stdout.strip() or "no commit"
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    machine = f"{os.cpu_count()} x {cpus[0].split(': ')[1] if cpus else platform.machine()}, {gpus() or 'no GPU'}"
    installed = {each.metadata["Name"]: each.version for each in distributions()}
    named = [name for name in VERSIONS if name in installed]
    versions = ", ".join(f"{name} {installed[name]}" for name in named)
    settings = f"seed_cnn {arguments.width}, batch {arguments.batch}, {arguments.threads} threads"
    load = f"load {os.getloadavg()[0]:.1f} at the start"
    return f"tagger {__version__} ({commit}), {machine}, {load}; {versions}; {settings}"


def main() -> None:
    """Run the cases one after the other; each prints its lines of the one table when it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--width", type=float, default=0.5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10, help="in one turn")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 5000, 20000], help="pictures, for flat")
    parser.add_argument("--data", type=Path, help="folder with catalog-small.zip, for flat")
    parser.add_argument("--torch-python", help="interpreter that can import torch")
    arguments = parser.parse_args()
    print(first_line(arguments))
    print(
        "\n| case | side | n | median | spread | unit | ratio | CPU ms | note |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name in arguments.case:
        print("\n".join(map(str, run_case(name, arguments))), flush=True)


if __name__ == "__main__":
    main()
