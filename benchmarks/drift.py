"""How often drift warnings come without drift, what they find, and how good the accuracy estimate is.

Photos are tagged once by a bundle: the catalogue's own (role `report`), those of another shop, and the catalogue's at
60x80 px. Nights are then drawn from their answers, with replacement: fourteen ordinary ones, and one tonight.

python -m benchmarks.drift [--model fashion-24x20] [--data FOLDER] [--answers FILE.npz] [--nights 200]

--answers keeps what the networks said, so that nights can be drawn again without them.
"""

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks import scenes as sets
from tagger import __version__
from tagger.catalog.split import assign_roles
from tagger.drift.accuracy import ConfidenceSum, expected_accuracy
from tagger.drift.compare import TRAINING, Comparison, compare, compare_with_nights, controlled
from tagger.drift.profile import ALL, Answers, Census, Profiles
from tagger.drift.reference import reference_profiles, with_prefixes
from tagger.drift.shares import LARGEST_DEVIATION, Share, deviation
from tagger.model.bundle import find_bundle, read_info, read_reference
from tagger.picture.fit import Fit

SEED = 11
NIGHTS = 14
OWN, OTHER, SMALL = "own", "other shop", "60x80 px"
MOST_PHOTOS = 400
"""Of each of the two foreign sets."""
PREFIXES = ["men", "women", "children"]
POOL = 100
"""Ordinary nights that are drawn; each repeat takes fifteen of them at random."""
MIXED = 30.0
"""Concentration of the Dirichlet distribution that a night's types are drawn from where nights differ by themselves."""


@dataclass(frozen=True)
class Seen:
    """What a bundle said of some photos. right: attribute -> (N,) whether it was right."""

    answers: Answers
    right: Mapping[str, np.ndarray]


def tagged(model: str, data: str) -> dict[str, Seen]:
    """The three sets, through the networks."""
    from tagger.tag.predict import Tagger

    tagger = Tagger.load(find_bundle(model, "").uri)
    medium, small = (sets.catalogue_table(data, f"catalog-{size}.zip") for size in ("medium", "small"))
    small = small[(assign_roles(small) == "report") & (small["in_medium"].astype(int) == 0)]
    tables = {
        OWN: ("catalog-medium.zip", medium[assign_roles(medium) == "report"]),
        OTHER: (
            "second-catalog.zip",
            sets.catalogue_table(data, "second-catalog.zip").sample(MOST_PHOTOS, random_state=1),
        ),
        SMALL: ("catalog-small.zip", small.sample(MOST_PHOTOS, random_state=1)),
    }
    fit = Fit(tagger.info.fit, tagger.info.size_px)
    return {name: seen(tagger, sets.photos(data, table, archive, fit)) for name, (archive, table) in tables.items()}


def seen(tagger, scenes: sets.Scenes) -> Seen:
    """Answers and their truth."""
    parts = [tagger.observe(part.pixels).evidence for part in sets.batches(scenes)]
    probabilities = [tagger.probabilities(part) for part in parts]
    joined = {name: np.concatenate([part[name] for part in probabilities]) for name in ("type", "color")}
    numbers = {name: values.argmax(axis=1) for name, values in joined.items()}
    sure = {f"{name}_confidence": values.max(axis=1) for name, values in joined.items()}
    focus = np.concatenate([part.focus for part in parts])
    labels = {"type": scenes.type, "color": scenes.color}
    right = {n: np.array(tagger.info.classes[n])[values] == labels[n] for n, values in numbers.items()}
    return Seen(Answers(**numbers, **sure, focus=focus), right)


def kept(file: Path | None, model: str, data: str) -> dict[str, Seen]:
    """The sets, from the file where it is there, else from the networks and into the file."""
    if file and file.exists():
        stored = np.load(file)
        return {name: _unpacked(stored, name) for name in (OWN, OTHER, SMALL)}
    found = tagged(model, data)
    if file:
        np.savez(file, **{f"{n}/{k}": v for n, each in found.items() for k, v in {**vars(each.answers), **{
            f"right_{a}": r for a, r in each.right.items()}}.items()})  # fmt: skip
    return found


def _unpacked(stored: Mapping[str, np.ndarray], name: str) -> Seen:
    answers = Answers(*(stored[f"{name}/{field.name}"] for field in fields(Answers)))
    return Seen(answers, {a: stored[f"{name}/right_{a}"] for a in ("type", "color")})


@dataclass(frozen=True)
class Shop:
    """Draws nights of `items` photos, a share of them from a foreign set. is_mixed: the types' mix differs by night."""

    own: Answers
    classes: Mapping[str, Sequence[str]]
    items: int
    rng: np.random.Generator
    is_mixed: bool = False

    def night(self, foreign: Answers | None = None, share: float = 0.0, prefix: str = "") -> Profiles:
        """The profiles of one night. prefix: of the foreign photos; else theirs are drawn as those of all are."""
        guests = self.rng.binomial(self.items, share)
        drawn = [self._drawn(self.own, self.items - guests, self._weights())]
        if foreign is not None:
            drawn.append(self._drawn(foreign, guests, None))
        census = Census(self.classes)
        for answers, prefixes in zip(drawn, (PREFIXES, [prefix] if prefix else PREFIXES), strict=False):
            census.add(answers, self.rng.choice(prefixes, len(answers.type)))
        return census.profiles()

    def _weights(self) -> np.ndarray | None:
        if not self.is_mixed:
            return None
        counts = np.bincount(self.own.type, minlength=len(self.classes["type"]))
        shares = counts / counts.sum()
        factors = self.rng.dirichlet(MIXED * shares + 1e-9) / np.maximum(shares, 1e-9)
        weights = factors[self.own.type]
        return weights / weights.sum()

    def _drawn(self, answers: Answers, items: int, weights: np.ndarray | None) -> Answers:
        rows = self.rng.choice(len(answers.type), items, p=weights)
        return Answers(*(values[rows] for values in vars(answers).values()))


def compared(
    reference: Profiles, nights: Sequence[Profiles], tonight: Profiles, classes: Mapping[str, Sequence[str]]
) -> list[Comparison]:
    """As the nightly run compares."""
    trained = compare(with_prefixes(reference, tonight, classes), tonight, TRAINING)
    return controlled([*trained, *compare_with_nights(nights, tonight)])


def rates(shop: Shop, reference: Profiles, tonights: Mapping[str, tuple], repeats: int) -> dict[str, dict[str, float]]:
    """By kind of night: share of nights with any warning by reference, with one on all photos, and with any difference
    that the test alone, or the index alone, would have told."""
    found: dict[str, list[dict[str, bool]]] = {name: [] for name in tonights}
    ordinary = [shop.night() for _ in range(POOL)]
    for _ in range(repeats):
        nights = [ordinary[n] for n in shop.rng.choice(POOL, NIGHTS, replace=False)]
        for name, drawn in tonights.items():
            found[name].append(_told(compared(reference, nights, shop.night(*drawn), shop.classes)))
    return {name: {k: float(np.mean([each[k] for each in told])) for k in told[0]} for name, told in found.items()}


def _told(comparisons: Sequence[Comparison]) -> dict[str, bool]:
    recent = [each for each in comparisons if each.reference != TRAINING]
    training = [each for each in comparisons if each.reference == TRAINING]
    return {
        "bundle's photos": any(each.is_alarming for each in training),
        "bundle's photos, prefixes": any(each.is_alarming for each in training if each.group.startswith("prefix=")),
        "recent runs": any(each.is_alarming for each in recent),
        "recent runs, all photos": any(each.is_alarming for each in recent if each.group == ALL),
        "index alone": any(each.psi >= 0.1 for each in recent),
        "test alone": any(each.p_value < 0.01 for each in recent),
    }


def shares_table(repeats: int) -> None:
    """How often a share of ordinary nights is called unusual, at several limits."""
    print("\n| nights before | spread between nights | beyond 3 | beyond 3.5 (used) | beyond 4 | doubled share found |")
    print("|---|---|---|---|---|---|")
    rng = np.random.default_rng(SEED)
    for nights in (7, NIGHTS):
        for spread in (0.0, 0.02):
            drawn = [[_share(rng, 0.1, spread) for _ in range(nights + 1)] for _ in range(repeats)]
            found = np.abs([deviation(each[-1], each[:-1]) or 0.0 for each in drawn])
            doubled = [(deviation(_share(rng, 0.2, spread), each[:-1]) or 0.0) > LARGEST_DEVIATION for each in drawn]
            cells = [f"{np.mean(found > limit):.3f}" for limit in (3, LARGEST_DEVIATION, 4)]
            print(f"| {nights} | {spread} | {' | '.join(cells)} | {np.mean(doubled):.2f} |")


def _share(rng: np.random.Generator, mean: float, spread: float) -> Share:
    return Share(int(rng.binomial(1000, np.clip(rng.normal(mean, spread), 0, 1))), 1000)


def accuracy_table(found: Mapping[str, Seen], calibrated_on: int) -> None:
    """The estimate beside the truth."""
    print(
        "\n| photos | n | type: estimated | type: right | color: estimated | color: right |\n|---|---|---|---|---|---|"
    )
    for name, each in found.items():
        cells = []
        for attribute in ("type", "color"):
            total = ConfidenceSum()
            total.add(getattr(each.answers, f"{attribute}_confidence"))
            estimate = expected_accuracy(total, calibrated_on)
            cells += [f"{estimate.estimate:.3f} ± {estimate.margin:.3f}", f"{each.right[attribute].mean():.3f}"]
        print(f"| {name} | {len(each.answers.type)} | {' | '.join(cells)} |")


def rates_table(title: str, told: Mapping[str, Mapping[str, float]]) -> None:
    """Shares of nights with a warning."""
    names = list(next(iter(told.values())))
    print(f"\n{title}\n| tonight | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for night, each in told.items():
        print(f"| {night} | {' | '.join(f'{each[name]:.3f}' for name in names)} |")


def main() -> None:
    """All tables."""
    options = sets.parser(__doc__)
    options.add_argument("--model", default="fashion-24x20")
    options.add_argument("--answers", type=Path)
    options.add_argument("--nights", type=int, default=200, help="nights drawn without drift; a quarter of it with")
    given, started = options.parse_args(), time.perf_counter()
    place = find_bundle(given.model, "")
    info = read_info(place)
    reference = reference_profiles(read_reference(place, info) or {}, info.classes)
    found = kept(given.answers, given.model, given.data)
    print(f"{platform.machine()}, tagger {__version__}, bundle {info.name} {info.version}; seed {SEED}")
    accuracy_table(found, reference[ALL].items)
    shares_table(given.nights * 20)
    rng = np.random.default_rng(SEED)
    for items, is_mixed in ((300, False), (1000, False), (3000, False), (1000, True)):
        shop = Shop(found[OWN].answers, info.classes, items, rng, is_mixed)
        title = f"{given.nights} nights of {items} photos{', types mixed anew every night' if is_mixed else ''}"
        rates_table(title, rates(shop, reference, {"no drift": ()}, given.nights))
    foreign = {
        f"{share:.0%} {name}": (found[name].answers, share)
        for name in (OTHER, SMALL)
        for share in (0.1, 0.25, 0.5, 1.0)
    }
    foreign |= {f"20% {name}, a prefix of its own": (found[name].answers, 0.2, "new") for name in (OTHER, SMALL)}
    shop = Shop(found[OWN].answers, info.classes, 1000, rng)
    rates_table(f"{given.nights // 4} nights of 1000 photos", rates(shop, reference, foreign, given.nights // 4))
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
