"""Does the estimate tell the truth, do the flags find the errors, and does repainting confirm them? For one bundle.

Sets: `report` photos of the catalogue as they are; the same products moved to plain colors and to street photos;
another shop's catalogue. The risk models are fitted on `calibrate` photos: alone, and with their moved copies.

python -m benchmarks.focus_flags --model models/fashion-24x20/5 [--data FOLDER] [--products 250]
"""

import os
from dataclasses import dataclass, replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from scipy.stats import spearmanr

from benchmarks import scenes as sets
from benchmarks.scenes import Scenes
from tagger.config import FocusConfig
from tagger.evaluation.localisation import pixel_average_precision, pixel_histograms, relevance_rank_accuracy
from tagger.evaluation.risk_fit import compare_with_confidence, fit_risk_model
from tagger.evaluation.selective import (
    area_under_risk_coverage,
    auroc,
    bootstrap_by_group,
    flagged_error_rates,
)
from tagger.flags.reasons import Signals, excesses, review_reasons
from tagger.focus.measures import cam_on_product
from tagger.model.bundle import find_bundle
from tagger.tag.predict import Tagger

NUMBERS = {"confidence": "color_confidence", "focus": "focus"}


@dataclass(frozen=True)
class Judged:
    """One set: its signals, which colors are wrong, which types; groups, types; flip: (N,), NaN where not believed."""

    signals: Signals
    wrong: np.ndarray
    wrong_type: np.ndarray
    groups: np.ndarray
    types: np.ndarray
    flip: np.ndarray


def judged(tagger: Tagger, scenes: Scenes, everything: bool = True) -> Judged:
    """Observe a set; repaint the background of everything in it, or of nothing."""
    names = {attribute: np.array(classes) for attribute, classes in tagger.info.classes.items()}
    parts, wrong, wrong_type, flips = [], [], [], []
    for part in sets.batches(scenes):
        seen = tagger.observe(part.pixels)
        answers = tagger.probabilities(seen.evidence)
        parts.append(tagger.signals(seen.evidence, np.ones(len(part))))
        wrong.append(names["color"][answers["color"].argmax(axis=1)] != part.color)
        wrong_type.append(names["type"][answers["type"].argmax(axis=1)] != part.type)
        asked = np.full(len(part), everything)
        flips.append(tagger.repaint(part.pixels, seen, answers["color"], asked).flip)
    signals = Signals(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})
    columns = (np.concatenate(each) for each in (wrong, wrong_type))
    return Judged(signals, *columns, scenes.group, scenes.type, np.concatenate(flips))


def moved(scenes: Scenes, data: str, products: int, rng: np.random.Generator) -> dict[str, Scenes]:
    """Believed products of a role before plain colors and before the street."""
    own = sets.believed(scenes)
    few = own.part(rng.permutation(len(own))[:products])
    return {"moved, plain": sets.before_plain(few), "moved, street": sets.before_street(few, data, rng)}


def loaded(model: str) -> Tagger:
    """A bundle's tagger with the default thresholds of focus and mask quality, so that bundles can be compared."""
    tagger, given = Tagger.load(find_bundle(model, "").uri), FocusConfig()
    tagger.thresholds = replace(tagger.thresholds, focus=given.low, mask_quality=given.least_mask_quality)
    return tagger


def truth_table(tagger: Tagger, data: str, drawn: int) -> None:
    """cam_on_product by the estimated mask against the exact one."""
    rng = np.random.default_rng(1)
    print("\ncam_on_product, estimated mask against the exact one; believed: mask_quality at least the threshold")
    print("| pictures | n | believed | mean error | Spearman |\n|---|---|---|---|---|")
    for name, scenes in {"drawn": sets.synthetic(drawn, 78), "composite": sets.composites(data, 564, rng)}.items():
        seen = [(tagger.observe(part.pixels), part) for part in sets.batches(scenes)]
        estimated = np.concatenate([s.measures.cam_on_product for s, _ in seen])
        exact = np.concatenate([cam_on_product(s.color_map, part.product) for s, part in seen])
        quality = np.concatenate([s.evidence.mask_quality for s, _ in seen])
        believed = (quality >= (tagger.thresholds.mask_quality or 0)) & ~np.isnan(estimated) & ~np.isnan(exact)
        for kind in [*np.unique(scenes.kind), "all"]:
            own = np.ones(len(scenes), bool) if kind == "all" else scenes.kind == kind
            rows = own & believed
            error = np.abs(estimated[rows] - exact[rows]).mean()
            rank = spearmanr(estimated[rows], exact[rows]).statistic
            print(f"| {name}, {kind} | {own.sum()} | {rows.sum() / own.sum():.2f} | {error:.3f} | {rank:.2f} |")
        localisation_lines(name, [(observed.color_map, part.product) for observed, part in seen])


def localisation_lines(name: str, parts: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Mass accuracy, rank accuracy and PxAP on the exact masks: of the color map, and of a map even everywhere."""
    for title, even in (("color map", False), ("even map", True)):
        pairs = [(np.ones_like(relevance) if even else relevance, truth) for relevance, truth in parts]
        mass = np.nanmean(np.concatenate([cam_on_product(*pair) for pair in pairs]))
        rank = np.nanmean(np.concatenate([relevance_rank_accuracy(*pair) for pair in pairs]))
        precision = pixel_average_precision(np.concatenate([pixel_histograms(*pair) for pair in pairs]))
        print(f"{name}, {title}: mass accuracy {mass:.3f}, rank accuracy {rank:.3f}, PxAP {precision:.3f}")


def errors_table(found: dict[str, Judged], models: dict[str, object]) -> None:
    """Which score finds the wrong colors, set by set."""
    print("\nAUROC for a wrong color (95 % by group); area under the risk-coverage curve")
    print("| score | " + " | ".join(found) + " |\n|---|" + "---|" * len(found))
    for name in [*NUMBERS, *models]:
        cells = []
        for part in found.values():
            score = models[name].probability(part.signals) if name in models else -getattr(part.signals, NUMBERS[name])
            score = np.where(np.isnan(score), np.nanmedian(score), score)
            low, high = bootstrap_by_group(
                lambda rows, s=score, p=part: auroc(s[rows], p.wrong[rows]), part.groups, np.random.default_rng(0), 300
            )
            area = area_under_risk_coverage(score, part.wrong)
            cells.append(f"{auroc(score, part.wrong):.3f} ({low:.2f}-{high:.2f}); {area:.3f}")
        print(f"| {name} | " + " | ".join(cells) + " |")
    for name, model in models.items():
        for where, part in found.items():
            score = model.probability(part.signals)
            text = compare_with_confidence(score, part.signals, part.wrong, part.groups, np.random.default_rng(1))
            print(f"{name}, {where}: {text.as_text()}")


def flags_table(tagger: Tagger, found: dict[str, Judged]) -> None:
    """Error rates among the flagged and the others, and what repainting says."""
    columns = ["set", "n", "wrong", "flagged", "wrong of flagged", "wrong of the others"]
    columns += ["low_focus", "of these flip", "others flip"]
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for name, part in found.items():
        reasons = review_reasons(part.signals, tagger.thresholds)
        rates = flagged_error_rates(np.array([bool(each) for each in reasons]), part.wrong)
        low = ~np.isnan(excesses(part.signals, tagger.thresholds)["low_focus"])
        known = ~np.isnan(part.flip)
        flips = [np.mean(part.flip[rows & known]) if (rows & known).any() else np.nan for rows in (low, ~low)]
        figures = [part.wrong.mean(), rates.flagged_share, rates.flagged_wrong, rates.passed_wrong, low.mean(), *flips]
        print(f"| {name} | {len(part.wrong)} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")


def types_table(tagger: Tagger, part: Judged) -> None:
    """low_focus by type on ordinary pictures: none may be flagged for being thin."""
    low = ~np.isnan(excesses(part.signals, tagger.thresholds)["low_focus"])
    rows = []
    for name in np.unique(part.types):
        own = part.types == name
        raw = np.nanmean(part.signals.focus[own])
        rows.append(f"| {name} | {own.sum()} | {low[own].mean():.2f} | {raw:.2f} | {np.nanmean(part.flip[own]):.2f} |")
    print("\n| type | n | low_focus | mean focus | flips when repainted |\n|---|---|---|---|---|\n" + "\n".join(rows))


def main() -> None:
    """The tables."""
    options = sets.parser(__doc__)
    options.add_argument("--model", default="fashion-24x20")
    options.add_argument("--products", type=int, default=250)
    options.add_argument("--drawn", type=int, default=400)
    arguments = options.parse_args()
    tagger, rng = loaded(arguments.model), np.random.default_rng(3)
    print(f"{tagger.info.name} {tagger.info.version}, thresholds {tagger.thresholds.to_dict()}")
    report, calibrate = (sets.catalogue(arguments.data, role) for role in ("report", "calibrate"))
    scenes = {"ordinary": report, **moved(report, arguments.data, arguments.products, rng)}
    second = sets.catalogue(arguments.data, "all", "second-catalog.zip")
    scenes["second shop"] = second.part(rng.permutation(len(second))[:800])
    found = {name: judged(tagger, part) for name, part in scenes.items()}
    ordinary = judged(tagger, calibrate, everything=False)
    others = moved(calibrate, arguments.data, arguments.products, rng).values()
    mixed = judged(tagger, sets.joined([calibrate, *others]), everything=False)
    models = {
        f"risk model, {name}": fit_risk_model(part.signals, part.wrong, part.groups)
        for name, part in (("ordinary", ordinary), ("ordinary and moved", mixed))
    }
    errors_table(found, models)
    flags_table(tagger, found)
    types_table(tagger, found["ordinary"])
    truth_table(tagger, arguments.data, arguments.drawn)


if __name__ == "__main__":
    main()
