"""What 241,000 and 10 million images ask of a cluster, from figures of one machine: docs/training-scale.md.

python -m benchmarks.training_arithmetic [--rate R] [--decode-ms D] [--input-ms I]

The three figures are those of `python -m benchmarks.training`: --rate of its case `ray` (one Ray Train worker,
seed_cnn at half width), --decode-ms and --input-ms of `flat` (CPU ms of prepare and of an epoch). Parameters and
multiply-adds are counted from the layers; bytes of the items' table and of an epoch's order are measured here. The rest
is arithmetic on the constants below. No GPU was at hand: what is said of GPUs follows from the assumptions alone.
"""

import argparse
import os
import time
import tracemalloc
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from benchmarks.training_sides import Plain, built, multiply_adds
from tagger.catalog.labels import OPTIONAL_COLUMNS, REQUIRED_COLUMNS
from tagger.catalog.split import assign_roles
from tagger.model.shape import NetworkShape
from tagger.train.feed import SHUFFLE_SHARDS, shuffled
from tagger.train.prepare import SHARD_SIZE

COUNTS = (241_000, 10_000_000)
PICTURE_BYTES = 128 * 128 * 3  # 48 KiB of uint8
MASK_BYTES = 128 * 128 // 8  # 2 KiB of bits
FIT_SHARE = 0.70  # of the items, where the labels have no column `split` (tagger/catalog/split.py)
OBSERVED_SHARES = (0.12, 0.09, 0.09, 0.09)  # select, calibrate, report; report again by the bundle that serves
OBSERVED_RATE = 33.0  # photos a second and core with masks and maps, and with decoding: docs/scale.md
EVIDENCE_BYTES = 1012  # an item, 24 types, 20 colors and 192 features: tagger/tag/observe.py
WORKERS, BATCH = 8, 1024  # configs/multi-gpu.yaml
DECODE_CPUS = 48  # 8 workers x 6 CPUs, before they start
WEIGHT_BYTES = 4  # float32, whatever layers compute in
CHECKPOINT_COPIES = 5  # weights, two moments of Adam, their moving average, the best epoch's weights
STATE_BYTES_A_ROW = 16  # a row number and a class number, int64, sent to every worker
BACKWARD = 2  # gradients of the inputs and of the kernels cost what forwards does, each
LINK_BYTES_S = 25e9 / 8  # a node's network card of 25 Gbit/s
PEAK_FLOPS = {"FP32": 19.5e12, "BF16": 312e12}  # NVIDIA A100, dense, from its data sheet
UTILISATION = {"FP32": 0.30, "BF16": 0.10}
"""Assumed, not measured: small convolutions, and between them ReLU, BatchNorm and pooling that are bound by memory."""
NETWORKS = {
    "seed_cnn 0.5": NetworkShape(width=0.5),
    "seed_cnn 1.0": NetworkShape(width=1.0),
    "residual_pool_cnn 1.0": NetworkShape(width=1.0, trunk="residual_pool_cnn"),
}
MEASURED_NETWORK = "seed_cnn 0.5"
_SAMPLE = 200_000  # rows of which the table's bytes are measured


@dataclass(frozen=True)
class Measured:
    """Of one machine. rate: pictures/s of one worker on its CPUs; decode_ms, input_ms: of one core, a picture."""

    rate: float
    decode_ms: float
    input_ms: float


def table_bytes() -> float:
    """Of the items' table, a row, as `join_items` leaves it: keys of 40 letters, groups, type, color, role, numbers."""
    keys = [f"images/{number:030}.jpg"[:40] for number in range(_SAMPLE)]
    texts = [keys, ["T-Shirt"] * _SAMPLE, ["Navy Blue"] * _SAMPLE]
    table = pd.DataFrame(dict(zip(REQUIRED_COLUMNS, texts, strict=True)) | {OPTIONAL_COLUMNS[1]: keys}, dtype="str")
    numbers = {name: np.arange(_SAMPLE) for name in ("type_number", "color_number", "row")}
    table = table.assign(role=assign_roles(table), **numbers)
    return float(table.memory_usage(deep=True).sum() / _SAMPLE)


def order_costs(count: int) -> tuple[float, float]:
    """Seconds and peak MiB of drawing an epoch's order of `count` pictures, in every worker."""
    shard_of = np.arange(count) // SHARD_SIZE
    started = time.perf_counter()
    shuffled(shard_of, SHUFFLE_SHARDS, np.random.default_rng(0))
    seconds = time.perf_counter() - started
    tracemalloc.start()
    shuffled(shard_of, SHUFFLE_SHARDS, np.random.default_rng(0))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak / 2**20


def catalogue_lines(count: int, row_bytes: float, measured: Measured) -> dict[str, str]:
    """What follows from the number of images alone."""
    bytes_all, fit = count * (PICTURE_BYTES + MASK_BYTES), round(count * FIT_SHARE)
    hours = count * measured.decode_ms / 3.6e6
    order_s, order_mib = order_costs(fit)
    windows = min(2 * SHUFFLE_SHARDS * SHARD_SIZE, count) * (PICTURE_BYTES + MASK_BYTES)
    # Whole shards, whatever the role of the pictures in them: once to train on, and the pixels once more to measure.
    traffic = WORKERS * count * (2 * PICTURE_BYTES + MASK_BYTES)
    return {
        "shards of 512 pictures": f"{-(-count // SHARD_SIZE):,}",
        "disk for shards and masks": f"{bytes_all / 1e9:,.1f} GB",
        f"decoding, at {measured.decode_ms:g} ms a picture": f"{hours:.1f} CPU-hours",
        f"the same on {DECODE_CPUS} CPUs": f"{60 * hours / DECODE_CPUS:.1f} min",
        "the driver's table of items": f"{count * row_bytes / 1e9:.2f} GB",
        "rows and labels sent to each worker": f"{fit * STATE_BYTES_A_ROW / 1e6:,.0f} MB",
        "an epoch's order, in each worker": f"{order_s:.1f} s, {order_mib:,.0f} MiB",
        "two windows of shards on each worker's disk": f"{windows / 1e9:.1f} GB",
        f"steps an epoch, batch {BATCH}": f"{fit // BATCH:,}",
        "an epoch's traffic of shards, all workers": f"{traffic / 1e9:,.0f} GB",
        "the same through one node's 25 Gbit/s": f"{traffic / LINK_BYTES_S / 60:.1f} min",
        f"an epoch on CPUs, seed_cnn 0.5, one worker at {measured.rate:g}/s": f"{fit / measured.rate / 3600:.1f} h",
        "an epoch's input, one thread a worker": f"{fit * measured.input_ms / 1000 / WORKERS / 60:.1f} min",
        **_last_lines(count),
    }


def _last_lines(count: int) -> dict[str, str]:
    """What the one process after the workers has to do."""
    observed, once = count * sum(OBSERVED_SHARES), count * sum(OBSERVED_SHARES[:-1])
    # Every shard holds items of every role: each pass reads them all.
    traffic = len(OBSERVED_SHARES) * count * PICTURE_BYTES
    return {
        "items observed to calibrate and measure": f"{observed:,.0f}",
        f"calibrating and measuring, one process at {OBSERVED_RATE:g}/s": f"{observed / OBSERVED_RATE / 3600:.1f} h",
        "shards read for it": f"{traffic / 1e9:,.0f} GB",
        "answers held for it": f"{once * EVIDENCE_BYTES / 1e9:.2f} GB",
    }


def network_line(name: str, shape: NetworkShape, measured: Measured) -> list[str]:
    """What follows from a network."""
    network = built(Plain(shape))
    weights, flops = network.count_params(), 2 * (1 + BACKWARD) * multiply_adds(network)
    # Ring all-reduce: every worker sends, and receives, 2 (n - 1) / n times the gradients.
    reduced = 2 * (WORKERS - 1) / WORKERS * weights * WEIGHT_BYTES
    cells = [f"{weights / 1e6:.2f} M", f"{flops / 6e6:,.0f} M", f"{flops / 1e9:.1f} GFLOP", f"{reduced / 1e6:.1f} MB"]
    cells += [f"{1000 * reduced / LINK_BYTES_S:.1f} ms", f"{CHECKPOINT_COPIES * weights * WEIGHT_BYTES / 1e6:.0f} MB"]
    for kind, peak in PEAK_FLOPS.items():
        rate = peak * UTILISATION[kind] / flops
        minutes = [count * FIT_SHARE / (WORKERS * rate) / 60 for count in COUNTS]
        threads = rate * measured.input_ms / 1000
        cells += [f"{rate:,.0f}/s", " / ".join(f"{each:.1f}" for each in minutes), f"{threads:.0f}"]
    return [name, *cells]


def main() -> None:
    """Two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=97.0, help="default: docs/experiments.md, two cores")
    parser.add_argument("--decode-ms", type=float, default=6.6, help="default: half of it decoding, half the mask")
    parser.add_argument("--input-ms", type=float, default=1.0)
    arguments = parser.parse_args()
    measured, row_bytes = Measured(arguments.rate, arguments.decode_ms, arguments.input_ms), table_bytes()
    columns = [catalogue_lines(count, row_bytes, measured) for count in COUNTS]
    print("| | " + " | ".join(f"{count:,} images" for count in COUNTS) + " |\n|---|" + "---|" * len(COUNTS))
    for first, *others in zip(*(column.items() for column in columns), strict=True):
        print(f"| {first[0]} | " + " | ".join([first[1], *(other[1] for other in others)]) + " |")
    heads = ["network", "parameters", "multiply-adds", "a picture trained", "all-reduce a step", "at 25 Gbit/s"]
    heads += ["checkpoint"]
    for kind in PEAK_FLOPS:
        heads += [f"{kind}, a GPU", f"{kind}, min an epoch (241K / 10M)", f"{kind}, input threads a GPU"]
    print(f"\n| {' | '.join(heads)} |\n|" + "---|" * len(heads))
    for name, shape in NETWORKS.items():
        print(f"| {' | '.join(network_line(name, shape, measured))} |")


if __name__ == "__main__":
    main()
