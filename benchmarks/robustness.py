"""What is left of a bundle's accuracy before other backgrounds, in another shop, on small photos. One row a bundle.

plain           catalogue photos of the split as they are: type and color
products        such photos whose own mask is believed: as they are, before six plain colors, before street photos;
                lost: color accuracy as they are minus moved, 95 % interval by group of near duplicates
second shop     another shop's photos; half of its groups are kept for either split
small           catalogue photos of 60x80 px that are not among the larger ones
focus, flips    of the plain ones: mean focus; share of believed masks whose color changes on both repainted backgrounds

A recipe is chosen by the split `select`; figures are published from `report`.

python -m benchmarks.robustness --model fashion-24x20 [MORE ...] [--data FOLDER] [--json FILE] [--split select|report]
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

from benchmarks import scenes as sets
from benchmarks.focus_flags import Judged, judged, loaded
from benchmarks.scenes import Scenes
from tagger import __version__
from tagger.catalog.split import assign_roles, hashed_share
from tagger.evaluation.selective import bootstrap_by_group
from tagger.picture.fit import Fit
from tagger.tag.predict import Tagger

MEDIUM, SMALL, SECOND = "catalog-medium.zip", "catalog-small.zip", "second-catalog.zip"
SEED = 7
_FEWEST = 5
"""Items of a class below which its share of right answers is left out."""
COLUMNS = (
    "bundle",
    "type",
    "color",
    "products: color",
    "before plain colors (lost)",
    "before the street (lost)",
    "products: type, as they are / plain / street",
    "second shop: type / color",
    "small: type / color",
    "focus",
    "flips",
)


@dataclass(frozen=True)
class Sizes:
    """How many products are moved, how many photos of the second shop and small ones are taken: at most."""

    products: int
    second: int
    small: int


@dataclass(frozen=True)
class Figures:
    """Of one bundle. sets: by set n, and the shares of right types and colors. lost: estimate, low and high end.

    second_classes: by attribute and class of the second shop, items and the share of them that is right.
    """

    bundle: str
    sets: dict[str, dict[str, float]]
    lost: dict[str, tuple[float, float, float]]
    focus: float
    flips: float
    second_classes: dict[str, dict[str, tuple[int, float]]]


def pictures(data: str, split: str, sizes: Sizes, fit: Fit) -> dict[str, Scenes]:
    """The sets, the same for every bundle that fits photos alike."""
    rng = np.random.default_rng(SEED)
    medium = sets.catalogue_table(data, MEDIUM)
    plain = sets.photos(data, medium[assign_roles(medium) == split], MEDIUM, fit)
    own = sets.believed(plain)
    products = own.part(rng.permutation(len(own))[: sizes.products])
    second, small = second_table(data, split), sets.catalogue_table(data, SMALL)
    small = small[(assign_roles(small) == split) & (small["in_medium"].astype(int) == 0)]
    return {
        "plain": plain,
        "products": products,
        "before plain": sets.before_plain(products),
        "before street": sets.before_street(products, data, rng),
        "second": sets.photos(data, _some(second, sizes.second), SECOND, fit),
        "small": sets.photos(data, _some(small, sizes.small), SMALL, fit),
    }


def second_table(data: str, split: str) -> pd.DataFrame:
    """The half of the second shop's groups that belongs to a split: nothing is ever trained on either."""
    table = sets.catalogue_table(data, SECOND)
    is_first = table["group"].map(lambda group: hashed_share(str(group)) < 0.5)
    return table[is_first if split == "select" else ~is_first]


def _some(table: pd.DataFrame, count: int) -> pd.DataFrame:
    return table.sample(min(count, len(table)), random_state=SEED)


def measured(tagger: Tagger, scenes: dict[str, Scenes]) -> Figures:
    """Every figure of one bundle."""
    found = {name: judged(tagger, part, everything=name == "plain") for name, part in scenes.items()}
    plain, products = found["plain"], found["products"]
    return Figures(
        f"{tagger.info.name} {tagger.info.version}",
        {name: _accuracy(part) for name, part in found.items()},
        {name: lost(products, found[f"before {name}"]) for name in ("plain", "street")},
        float(np.nanmean(plain.signals.focus)),
        float(np.nanmean(plain.flip)),
        _by_class(scenes["second"], found["second"]),
    )


def _accuracy(part: Judged) -> dict[str, float]:
    return {"n": len(part.wrong), "type": 1 - part.wrong_type.mean(), "color": 1 - part.wrong.mean()}


def lost(products: Judged, moved: Judged) -> tuple[float, float, float]:
    """Color accuracy of products as they are minus that of their moved copies, and its 95 % interval by group."""
    difference = moved.wrong.reshape(-1, len(products.wrong)).mean(axis=0) - products.wrong
    low, high = bootstrap_by_group(lambda rows: difference[rows].mean(), products.groups, np.random.default_rng(SEED))
    return float(difference.mean()), low, high


def _by_class(scenes: Scenes, found: Judged) -> dict[str, dict[str, tuple[int, float]]]:
    """Attribute -> class -> items and share that is right, the worst first."""
    result = {}
    for attribute, labels, wrong in (("type", scenes.type, found.wrong_type), ("color", scenes.color, found.wrong)):
        names, counts = np.unique(labels, return_counts=True)
        shares = [(str(n), int(c), float(1 - wrong[labels == n].mean())) for n, c in zip(names, counts, strict=True)]
        ordered = sorted(shares, key=lambda share: share[2])
        result[attribute] = {name: (count, right) for name, count, right in ordered if count >= _FEWEST}
    return result


def row(figures: Figures) -> str:
    """One line of the table."""
    part = {name: {k: f"{v:.3f}" for k, v in each.items()} for name, each in figures.sets.items()}
    change = {name: "{:.3f}, {:.3f} to {:.3f}".format(*interval) for name, interval in figures.lost.items()}
    cells = [
        figures.bundle,
        part["plain"]["type"],
        part["plain"]["color"],
        part["products"]["color"],
        f"{part['before plain']['color']} ({change['plain']})",
        f"{part['before street']['color']} ({change['street']})",
        " / ".join(part[name]["type"] for name in ("products", "before plain", "before street")),
        f"{part['second']['type']} / {part['second']['color']}",
        f"{part['small']['type']} / {part['small']['color']}",
        f"{figures.focus:.2f}",
        f"{figures.flips:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def arguments() -> argparse.Namespace:
    """Of the command line."""
    options = sets.parser(__doc__)
    options.add_argument("--model", nargs="+", default=["fashion-24x20"], help="bundles: folders or names")
    options.add_argument("--split", choices=["select", "report"], default="report")
    options.add_argument("--products", type=int, default=400, help="products moved")
    options.add_argument("--second", type=int, default=1000, help="photos of the second shop")
    options.add_argument("--small", type=int, default=800, help="small photos")
    options.add_argument("--json", type=Path, help="all figures, with the second shop's classes")
    return options.parse_args()


def main() -> None:
    """Print the table; write the same and more as JSON."""
    given, started = arguments(), time.perf_counter()
    sizes = Sizes(given.products, given.second, given.small)
    known: dict[Fit, dict[str, Scenes]] = {}
    results = []
    for model in given.model:
        tagger = loaded(model)
        fit = Fit(tagger.info.fit, tagger.info.size_px)
        known[fit] = known.get(fit) or pictures(given.data, given.split, sizes, fit)
        results.append(measured(tagger, known[fit]))
    print_table(results, given.split, time.perf_counter() - started)
    if given.json:
        given.json.write_text(json.dumps({"split": given.split, "bundles": [vars(each) for each in results]}, indent=1))


def print_table(results: Sequence[Figures], split: str, taken_s: float) -> None:
    """What was measured on how many, then a row a bundle."""
    counts = ", ".join(f"{name} {each['n']}" for name, each in results[0].sets.items())
    print(f"tagger {__version__}, {platform.machine()}, {os.cpu_count()} cores, {taken_s:.0f} s; {split}: {counts}\n")
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for figures in results:
        print(row(figures))


if __name__ == "__main__":
    main()
