"""What the maps, masks and focus numbers cost beside the two networks, on one batch in memory.

python -m benchmarks.tagging [--model fashion-24x20] [--width 1.0] [--batch 64] [--rounds 7]
"""

import argparse
import datetime
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tagger import __version__
from tagger.catalog.synth.writer import Recipe, encode_picture, make_item
from tagger.focus.mask import foreground_masks
from tagger.focus.product import product_masks
from tagger.model.bundle import NETWORK_FILES, find_bundle, load_network, read_info
from tagger.model.engine import TensorFlowEngine
from tagger.model.network import build_network, seed_cnn
from tagger.model.shape import NetworkShape
from tagger.picture.decode import DecodeLimits, decode_photo
from tagger.picture.fit import Fit
from tagger.tag.predict import Tagger

_DIFFERENT = 16  # pictures that are drawn; a batch repeats them


def seconds(cases: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Of each case in each round, forwards and backwards by turns, after one warm-up."""
    for call in cases.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        for name in list(cases)[:: 1 if number % 2 == 0 else -1]:
            started = time.perf_counter()
            cases[name]()
            taken[name].append(time.perf_counter() - started)
    return taken


def pictures(count: int) -> np.ndarray:
    """(count, 128, 128, 3) uint8, synthetic."""
    drawn = (make_item(Recipe(1), number) for number in range(_DIFFERENT))
    photos = [encode_picture(item, rng)[1] for item, _, rng in drawn]
    decoded = np.stack([decode_photo(photo, Fit("stretch"), DecodeLimits()).pixels for photo in photos])
    return decoded[np.arange(count) % _DIFFERENT]


def main() -> None:
    """Time the cases in one process and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="fashion-24x20")
    parser.add_argument(
        "--width", type=float, default=0.0, help="untrained networks of this width in the bundle's place"
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    bundle = find_bundle(arguments.model, "")
    info = read_info(bundle)
    networks = {name: load_network(bundle, info, name) for name in NETWORK_FILES}
    if arguments.width:
        info, shape = replace(info, width=arguments.width, scope_reference={}), NetworkShape(arguments.width)
        networks = {name: build_network(seed_cnn(shape), len(info.classes[name]), shape) for name in NETWORK_FILES}
    engine, tagger, pixels = TensorFlowEngine(networks), Tagger(info, networks), pictures(arguments.batch)
    keys, today = [f"{n}.jpg" for n in range(len(pixels))], datetime.date(2026, 11, 22)
    rows = tagger.tag(pixels, keys, today)
    type_maps = tagger.maps(pixels)["type"]
    assert rows["logit_residual"] < 1e-4 and len(rows["type"]) == len(pixels)
    cases: dict[str, Callable[[], object]] = {
        "both networks": lambda: engine.run(pixels),
        "foreground masks": lambda: foreground_masks(pixels),
        "foreground and product masks": lambda: product_masks(pixels, foreground_masks(pixels).masks, type_maps),
        "networks, maps, masks, focus": lambda: tagger.observe(pixels),
        "whole rows": lambda: tagger.tag(pixels, keys, today),
    }
    print(f"tagger {__version__}, {platform.machine()}, {os.cpu_count()} cores, {arguments.model} width {info.width}")
    print(f"{'case':<30} {'n':>4} {'median s':>9} {'spread s':>9} {'photos/s':>9} {'ratio':>6}")
    taken = seconds(cases, arguments.rounds)
    first, *_ = taken.values()
    for name, own in taken.items():
        middle, spread = statistics.median(own), max(own) - min(own)
        ratio = statistics.median(mine / theirs for mine, theirs in zip(own, first, strict=True))
        figures = f"{middle:>9.3f} {spread:>9.3f} {len(pixels) / middle:>9.0f} {ratio:>6.2f}"
        print(f"{name:<30} {len(pixels):>4} {figures}")


if __name__ == "__main__":
    main()
