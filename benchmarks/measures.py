"""A bundle's figures by both measures, at home and in another shop: one row a bundle, photos and attribute.

home      the catalogue's `report` items, on which nothing was fitted
away      the half of another shop's groups that `benchmarks.robustness` publishes from; nothing was trained on them

Argmax: macro and weighted. By reference: a class counts as predicted only above a calibrated confidence of 0.5, and
classes weigh as many as they have labels.

python -m benchmarks.measures --model fashion-24x20 [MORE ...] [--data FOLDER] [--json FILE]
"""

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks import scenes as sets
from benchmarks.focus_flags import loaded
from benchmarks.robustness import MEDIUM, SECOND, second_table
from benchmarks.scenes import Scenes
from tagger import __version__
from tagger.catalog.split import assign_roles
from tagger.evaluation.fitting import LabelledRows, calibration_errors_before, evaluate_evidence, observe_rows
from tagger.evaluation.metrics import Averages, Evaluation
from tagger.picture.fit import Fit
from tagger.tag.predict import Tagger

COLUMNS = (
    "bundle",
    "photos",
    "attribute",
    "accuracy",
    "among three",
    "macro precision / recall",
    "weighted precision / recall",
    "by reference: precision / recall, coverage",
    "calibration error, before and after",
    "neighboring shades right",
    "mean focus",
)


@dataclass(frozen=True)
class Measured:
    """One row. before: calibration error of the plain softmax."""

    bundle: str
    photos: str
    evaluation: Evaluation
    before: float
    mean_focus: float


def photo_sets(data: str, fit: Fit) -> dict[str, Scenes]:
    """The photos at home and away, as bundles of this fit see them."""
    medium = sets.catalogue_table(data, MEDIUM)
    return {
        "home": sets.photos(data, medium[assign_roles(medium) == "report"], MEDIUM, fit),
        "away": sets.photos(data, second_table(data, "report"), SECOND, fit),
    }


def measured(tagger: Tagger, name: str, scenes: Scenes) -> list[Measured]:
    """Both attributes' rows."""
    names = {"type": scenes.type, "color": scenes.color}
    classes = tagger.info.classes
    labels = {each: np.array([classes[each].index(label) for label in names[each]]) for each in names}
    items = LabelledRows(np.arange(len(scenes)), labels, scenes.group)
    evidence = observe_rows(tagger, lambda rows: scenes.pixels[rows], items.rows)
    before, focus = calibration_errors_before(evidence, items), float(np.nanmean(evidence.focus))
    bundle = f"{tagger.info.name} {tagger.info.version}"
    evaluations = evaluate_evidence(tagger, evidence, items)
    return [Measured(bundle, name, each, before[each.attribute], focus) for each in evaluations.values()]


def row(measured: Measured) -> str:
    """One line of the table."""
    found = measured.evaluation
    shades, reference = found.shade_tolerant_accuracy, _pair(found.reference)
    cells = [
        measured.bundle,
        measured.photos,
        found.attribute,
        f"{found.accuracy:.1%}",
        f"{found.top3_accuracy:.1%}",
        _pair(found.macro),
        _pair(found.weighted),
        f"{reference}, {found.coverage:.1%}",
        f"{measured.before:.3f}, {found.calibration_error:.3f}",
        "" if shades is None else f"{shades:.1%}",
        f"{measured.mean_focus:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _pair(averages: Averages) -> str:
    return f"{averages.precision:.1%} / {averages.recall:.1%}"


def main() -> None:
    """Print the table; write all figures as JSON."""
    options = sets.parser(__doc__)
    options.add_argument("--model", nargs="+", default=["fashion-24x20"], help="bundles: folders or names")
    options.add_argument("--json", type=Path, help="all figures, by class too")
    given = options.parse_args()
    known: dict[Fit, dict[str, Scenes]] = {}
    rows: list[Measured] = []
    for model in given.model:
        tagger = loaded(model)
        fit = Fit(tagger.info.fit, tagger.info.size_px)
        known[fit] = known.get(fit) or photo_sets(given.data, fit)
        for name, scenes in known[fit].items():
            rows += measured(tagger, name, scenes)
    counts = ", ".join(f"{name} {len(scenes)}" for name, scenes in next(iter(known.values())).items())
    print(f"tagger {__version__}, {platform.machine()}, {os.cpu_count()} cores; photos: {counts}\n")
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for each in rows:
        print(row(each))
    if given.json:
        given.json.write_text(json.dumps([vars(each) | {"evaluation": each.evaluation.to_dict()} for each in rows]))


if __name__ == "__main__":
    main()
