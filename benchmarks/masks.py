"""How good product masks are and what they cost: methods compared where the truth is known.

Foreground IoU (mean, median, share below 0.7) by source and background, milliseconds a picture on one core; then how
well `mask_quality` predicts the IoU, on pictures its numbers were not fitted on (odd groups; --fit prints numbers
fitted on the even ones); then the product's IoU where a person wears it.

python -m benchmarks.masks [--data FOLDER] [--drawn 600] [--model NAME] [--fit] [--pictures FOLDER]
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
from scipy.optimize import minimize

from benchmarks import scenes as sets
from benchmarks.scenes import Scenes
from tagger.focus.background import NEAR, fit_border, half_lab, plane_distance
from tagger.focus.mask import foreground_masks, plain_masks
from tagger.focus.overlay import outline_mask
from tagger.focus.product import product_masks
from tagger.focus.quality import PLAIN, expected_iou, mask_clues
from tagger.focus.scene import scene_masks
from tagger.model.bundle import NETWORK_FILES, find_bundle, load_network, read_info
from tagger.tag.observe import Observer

Method = Callable[[np.ndarray], np.ndarray]


def border_color(pictures: np.ndarray) -> np.ndarray:
    """The simplest method: what is not within NEAR of the border's plane."""
    half = half_lab(pictures)
    far = plane_distance(half, fit_border(half)).shaded > NEAR
    return far.repeat(2, axis=1).repeat(2, axis=2).astype(np.float32)


def flood_alone(pictures: np.ndarray) -> np.ndarray:
    """The default without its second method."""
    return plain_masks(pictures)[2]


METHODS: dict[str, Method] = {
    "border color, thresholded": border_color,
    "flood from the border": flood_alone,
    "GrabCut from the middle": scene_masks,
    "flood, GrabCut where it fails": lambda pictures: foreground_masks(pictures).masks,
}


def iou(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N, H, W) twice -> (N,)."""
    a, b = found >= 0.5, truth >= 0.5
    return (a & b).sum(axis=(1, 2)) / np.maximum((a | b).sum(axis=(1, 2)), 1)


def pictures(data: str, drawn: int) -> dict[str, Scenes]:
    """Every source; one row a person's photo."""
    persons = sets.persons(data)
    once = np.unique(persons.group, return_index=True)[1][:250]
    rng = np.random.default_rng(1)
    return {
        "drawn": sets.synthetic(drawn, 77),
        "cut-out": sets.cutouts(data),
        "composite": sets.composites(data, 94 * 3, rng),
        "person": persons.part(once),
    }


def compare(found: dict[str, Scenes]) -> None:
    """The table of methods."""
    kinds = [(name, str(kind)) for name, scenes in found.items() for kind in np.unique(scenes.kind)]
    table: dict[tuple[str, str], list[str]] = {kind: [] for kind in kinds}
    costs = []
    for method in METHODS.values():
        seconds, count = 0.0, 0
        for name, scenes in found.items():
            started = time.process_time()
            masks = np.concatenate([method(part.pixels) for part in sets.batches(scenes)])
            seconds, count = seconds + time.process_time() - started, count + len(scenes)
            values = iou(masks, scenes.foreground)
            for kind in np.unique(scenes.kind):
                own = values[scenes.kind == kind]
                cell = f"{own.mean():.3f} {np.median(own):.3f} {(own < 0.7).mean():4.2f}"
                table[(name, str(kind))].append(cell)
        costs.append(f"{1000 * seconds / count:.2f} ms")
    print("foreground IoU: mean, median, share below 0.7\n")
    print(f"| {'source':<24} | n | " + " | ".join(METHODS) + " |")
    print("|---|---|" + "---|" * len(METHODS))
    for (name, kind), cells in table.items():
        print(f"| {name}, {kind:<16} | {(found[name].kind == kind).sum()} | " + " | ".join(cells) + " |")
    print("| one core, a picture | | " + " | ".join(costs) + " |")


def calibration(found: dict[str, Scenes]) -> None:
    """mask_quality against IoU on the odd groups."""
    quality, truth, kind = [], [], []
    for name, scenes in found.items():
        odd = scenes.part(_group_bit(name, scenes))
        for part in sets.batches(odd):
            seen = foreground_masks(part.pixels)
            quality.append(seen.quality)
            truth.append(iou(seen.masks, part.foreground))
            kind += [f"{name}, {k}" for k in part.kind]
    expected, actual, kinds = np.concatenate(quality), np.concatenate(truth), np.array(kind)
    error = np.abs(expected - actual).mean()
    print(f"\nmask_quality, odd groups: mean error {error:.3f}, correlation {np.corrcoef(expected, actual)[0, 1]:.2f}")
    print("| mask_quality | n | mean IoU |\n|---|---|---|")
    for low in np.arange(0, 1, 0.1):
        inside = (expected >= low) & (expected < low + 0.1)
        if inside.any():
            print(f"| {low:.1f} to {low + 0.1:.1f} | {inside.sum()} | {actual[inside].mean():.2f} |")
    print("\n| source | n | mean IoU | mean mask_quality | at least 0.6 | IoU of these |\n|---|---|---|---|---|---|")
    for name in np.unique(kinds):
        own, good = kinds == name, (kinds == name) & (expected >= 0.6)
        of_good = actual[good].mean() if good.any() else float("nan")
        figures = (
            f"{actual[own].mean():.2f} | {expected[own].mean():.2f} | {good.sum() / own.sum():.2f} | {of_good:.2f}"
        )
        print(f"| {name} | {own.sum()} | {figures} |")


def _group_bit(name: str, scenes: Scenes) -> np.ndarray:
    """Half of the groups, all pictures of a cut-out together."""
    return np.array([int(group) % 2 == 1 for group in scenes.group])


def fit(found: dict[str, Scenes]) -> None:
    """Print the numbers of tagger/focus/quality.py, fitted on the even groups."""
    clues: dict[str, list[np.ndarray]] = {"plain": [], "scene": []}
    truth: dict[str, list[np.ndarray]] = {"plain": [], "scene": []}
    weight = []
    for name, scenes in found.items():
        even = scenes.part(~_group_bit(name, scenes))
        for part in sets.batches(even):
            ground, small, masks = plain_masks(part.pixels)
            cut = scene_masks(part.pixels)
            clues["plain"].append(mask_clues(small, *ground.clue_sources()))
            clues["scene"].append(mask_clues(cut[:, ::2, ::2] >= 0.5, *ground.clue_sources()))
            truth["plain"].append(iou(masks, part.foreground))
            truth["scene"].append(iou(cut, part.foreground))
            weight += [(even.kind == kind).sum() ** -0.5 for kind in part.kind]
    low = expected_iou(np.concatenate(clues["plain"]), PLAIN) < 0.65
    for name, rows in (("plain", np.ones(len(low), bool)), ("scene", low)):
        x, y = np.concatenate(clues[name])[rows], np.concatenate(truth[name])[rows]
        print(name, np.round(_logistic(x, y, np.array(weight)[rows]), 4).tolist())


def _logistic(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Intercept and weights of the logistic function nearest to y, (n, k), (n,) -> (k + 1,)."""
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    design = np.column_stack([np.ones(len(x)), (x - mean) / spread])

    def loss(b: np.ndarray) -> float:
        return float((weight * (1 / (1 + np.exp(-design @ b)) - y) ** 2).sum() + 1e-3 * (b[1:] ** 2).sum())

    b = minimize(loss, np.zeros(design.shape[1])).x
    return np.append(b[0] - (mean / spread * b[1:]).sum(), b[1:] / spread)


def products(found: dict[str, Scenes], model: str) -> None:
    """The product's IoU with and without the type map, alone and worn, on pictures of types that the bundle knows."""
    bundle = find_bundle(model, "")
    info = read_info(bundle)
    networks = {name: load_network(bundle, info, name) for name in NETWORK_FILES}
    observer = Observer(networks, "class", "post_bn")
    drawn = found["drawn"].part(np.isin(found["drawn"].type, info.classes["type"]))
    before, after = [], []
    for part in sets.batches(drawn):
        masks = foreground_masks(part.pixels).masks
        before.append(iou(masks, part.product))
        after.append(iou(product_masks(part.pixels, masks, observer.maps(part.pixels)["type"]), part.product))
    is_worn = iou(drawn.product, drawn.foreground) < 0.9
    print(f"\nproduct IoU, drawn pictures, type maps of {info.name} {info.version}")
    print("| picture | n | foreground | by the type map's colors |\n|---|---|---|---|")
    for name, rows in (("product alone", ~is_worn), ("worn, with other garments", is_worn)):
        cells = " | ".join(f"{np.concatenate(values)[rows].mean():.3f}" for values in (before, after))
        print(f"| {name} | {rows.sum()} | {cells} |")


def draw(found: dict[str, Scenes], folder: str) -> None:
    """Contact sheets of the worst, middle and best masks of each kind, the outline drawn in."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name, scenes in found.items():
        seen = np.concatenate([foreground_masks(part.pixels).masks for part in sets.batches(scenes)])
        values = iou(seen, scenes.foreground)
        for kind in np.unique(scenes.kind):
            rows = np.flatnonzero(scenes.kind == kind)
            rows = rows[np.argsort(values[rows])][np.linspace(0, len(rows) - 1, min(24, len(rows))).astype(int)]
            tiles = [outline_mask(scenes.pixels[row], seen[row]) for row in rows]
            tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 8)
            sheet = np.concatenate([np.concatenate(tiles[n : n + 8], axis=1) for n in range(0, len(tiles), 8)])
            cv2.imwrite(str(Path(folder, f"{name}-{kind}.png".replace(" ", "-"))), sheet[:, :, ::-1])


def main() -> None:
    """The tables."""
    options = sets.parser(__doc__)
    options.add_argument("--drawn", type=int, default=600)
    options.add_argument("--model", default="")
    options.add_argument("--fit", action="store_true")
    options.add_argument("--pictures", default="")
    arguments = options.parse_args()
    cv2.setNumThreads(1)
    found = pictures(arguments.data, arguments.drawn)
    if arguments.fit:
        fit(found)
        return
    compare(found)
    calibration(found)
    if arguments.model:
        products(found, arguments.model)
    if arguments.pictures:
        draw(found, arguments.pictures)


if __name__ == "__main__":
    main()
