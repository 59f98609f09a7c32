"""Which number tells a decision made by the background from one made by the product?

Three maps x two cuts x three normalisations, and the product's area alone, on four sets of pictures. A decision is
called the background's where the color answer changes on at least half of four other backgrounds, put behind the
product by the truth of the set (the exact mask; for catalogue photos their own believed mask).

python -m benchmarks.focus_maps --model models/fashion-24x20/1 [--data FOLDER] [--products 250]
"""

import os
from dataclasses import dataclass

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks import scenes as sets
from benchmarks.scenes import Scenes
from tagger.evaluation.selective import auroc, bootstrap_by_group
from tagger.focus.mask import foreground_masks
from tagger.focus.measures import measure_focus
from tagger.focus.product import product_masks
from tagger.focus.repaint import plain_backgrounds, repainted
from tagger.model.bundle import NETWORK_FILES, find_bundle, load_network, read_info
from tagger.model.classmap import contrast_map, evidence_map, fold_head, relevance, runner_up_map
from tagger.model.engine import NetworkOutput, TensorFlowEngine

MAPS, CUTS, NUMBERS = (
    ("class", "contrast", "runner_up"),
    ("post_bn", "post_relu"),
    ("cam_on_product", "cam_lift", "focus"),
)


@dataclass(frozen=True)
class Networks:
    """Both networks of a bundle, and the heads of their maps."""

    engine: TensorFlowEngine
    heads: dict[str, object]
    colors: tuple[str, ...]
    name: str

    @classmethod
    def load(cls, model: str) -> "Networks":
        """Of a bundle's folder or name."""
        bundle = find_bundle(model, "")
        info = read_info(bundle)
        networks = {name: load_network(bundle, info, name) for name in NETWORK_FILES}
        heads = {name: fold_head(network) for name, network in networks.items()}
        return cls(TensorFlowEngine(networks), heads, info.classes["color"], f"{info.name} {info.version}")


@dataclass(frozen=True)
class Seen:
    """Numbers of one set by name, each (N,); is_background, is_wrong: (N,) truth, NaN where unknown."""

    numbers: dict[str, np.ndarray]
    area: np.ndarray
    quality: np.ndarray
    confidence: np.ndarray
    is_background: np.ndarray
    is_wrong: np.ndarray
    group: np.ndarray
    type: np.ndarray


def pictures(data: str, products: int) -> dict[str, Scenes]:
    """The sets: ordinary photos, moved to plain colors, moved to the street, and composites of real cut-outs."""
    rng = np.random.default_rng(5)
    ordinary = sets.believed(sets.catalogue(data, "calibrate"))
    few = ordinary.part(rng.permutation(len(ordinary))[:products])
    return {
        "ordinary": ordinary,
        "moved, plain": sets.before_plain(few),
        "moved, street": sets.joined([sets.before_street(few, data, rng) for _ in range(2)]),
        "composites": sets.composites(data, 94 * 6, rng),
    }


def seen(scenes: Scenes, networks: Networks, data: str) -> Seen:
    """Every number of every picture of a set, with its truth."""
    rng = np.random.default_rng(6)
    parts = [_seen_batch(part, networks, data, rng) for part in sets.batches(scenes)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    known = ("area", "quality", "confidence", "is_background", "is_wrong")
    numbers = {name: values for name, values in columns.items() if name not in known}
    return Seen(numbers, *(columns[name] for name in known), scenes.group, scenes.type)


def _seen_batch(scenes: Scenes, networks: Networks, data: str, rng: np.random.Generator) -> dict[str, np.ndarray]:
    outputs = networks.engine.run(scenes.pixels)
    color, found = outputs["color"], foreground_masks(scenes.pixels)
    product = product_masks(
        scenes.pixels, found.masks, _map("class", outputs["type"], networks.heads["type"], "post_bn")
    )
    answers = color.logits.argmax(axis=1)
    columns = {"area": product.mean(axis=(1, 2)), "quality": found.quality, "confidence": _confidence(color.logits)}
    for name in MAPS:
        for cut in CUTS:
            measures = measure_focus(_map(name, color, networks.heads["color"], cut), product)
            columns |= {f"{name} {cut} {number}": getattr(measures, number) for number in NUMBERS}
    labels = np.array([networks.colors.index(c) if c else -1 for c in scenes.color])
    columns["is_wrong"] = np.where(labels < 0, np.nan, answers != labels)
    columns["is_background"] = _flips(scenes, answers, networks, data, rng) >= 0.5
    return columns


def _map(name: str, output: NetworkOutput, head: object, cut: str) -> np.ndarray:
    classes = output.logits.argmax(axis=1)
    if name == "class":
        return relevance(evidence_map(output.features, head, classes, cut))
    make = contrast_map if name == "contrast" else runner_up_map
    return relevance(make(output.features, head, output.logits, classes, cut))


def _confidence(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares.max(axis=1) / shares.sum(axis=1)


def _flips(scenes: Scenes, answers: np.ndarray, networks: Networks, data: str, rng: np.random.Generator) -> np.ndarray:
    """Share of four other backgrounds on which the answer changes."""
    behind = [*plain_backgrounds(scenes.pixels, scenes.foreground)]
    behind += [sets.street_backgrounds(data, len(scenes), rng) for _ in range(2)]
    again = [
        networks.engine.color_logits(repainted(scenes.pixels, scenes.foreground, b)).argmax(axis=1) for b in behind
    ]
    return np.mean([other != answers for other in again], axis=0)


def within_quartiles(score: np.ndarray, truth: np.ndarray, area: np.ndarray) -> float:
    """Mean AUROC inside the quartiles of area, where both kinds occur at least five times."""
    quartile = np.searchsorted(np.quantile(area, [0.25, 0.5, 0.75]), area)
    inside = [quartile == q for q in range(4)]
    kept = [rows for rows in inside if min(truth[rows].sum(), (~truth[rows]).sum()) >= 5]
    return float(np.mean([auroc(score[rows], truth[rows]) for rows in kept])) if kept else float("nan")


def row(score: np.ndarray, truth: np.ndarray, result: Seen) -> str:
    """AUROC with a 95 % interval by group, and its mean within the quartiles of area; a low score is suspect."""
    known = ~np.isnan(score) & ~np.isnan(truth.astype(float)) & (result.quality >= 0.6)
    bad, suspect, groups = truth[known].astype(bool), -score[known], result.group[known]
    if min(bad.sum(), (~bad).sum()) < 10:
        return f"{'-':>24}"
    low, high = bootstrap_by_group(lambda rows: auroc(suspect[rows], bad[rows]), groups, np.random.default_rng(0), 200)
    inside = within_quartiles(suspect, bad, result.area[known])
    return f"{auroc(suspect, bad):>6.2f} {low:.2f}-{high:.2f} {inside:>5.2f}     "


def main() -> None:
    """One table a network and truth: numbers down, sets across."""
    options = sets.parser(__doc__)
    options.add_argument("--model", default="fashion-24x20")
    options.add_argument("--products", type=int, default=250)
    arguments = options.parse_args()
    networks = Networks.load(arguments.model)
    results = {n: seen(s, networks, arguments.data) for n, s in pictures(arguments.data, arguments.products).items()}
    print(f"{networks.name}; believed masks only; AUROC, 95 % interval by group, mean within area quartiles")
    for name, found in results.items():
        wrong = found.is_wrong[~np.isnan(found.is_wrong)]
        print(
            f"{name:<16} n {len(found.area):>5}, believed {np.mean(found.quality >= 0.6):.2f}, wrong "
            f"{wrong.mean() if len(wrong) else float('nan'):.2f}, decided by the background "
            f"{found.is_background.mean():.2f}, mean confidence {found.confidence.mean():.2f}"
        )
    for truth in ("is_background", "is_wrong"):
        print(f"\n{truth:<36}" + "".join(f"{name:<25}" for name in results))
        first = next(iter(results.values()))
        for number in ["area", "confidence", *first.numbers]:
            cells = [
                row(found.numbers.get(number, getattr(found, number, None)), getattr(found, truth), found)
                for found in results.values()
            ]
            print(f"{number:<36}" + " ".join(cells))


if __name__ == "__main__":
    main()
