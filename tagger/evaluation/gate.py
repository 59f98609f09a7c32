"""The promotion gate: may a candidate take the place of the bundle that serves?

Both are asked about the same labelled items. The candidate is refused where, for type or for color,
- the whole 95 % interval of the difference in accuracy lies below 0: it is worse, however little; or
- the difference itself is below -evaluate.max_loss: it may be chance, but it is too much to risk.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import recall_score

from tagger.errors import BundleError, GateRefused
from tagger.evaluation.fitting import BOOTSTRAP_SEED, LabelledRows, Take, observe_rows
from tagger.evaluation.metrics import Evaluation
from tagger.evaluation.selective import bootstrap_by_group
from tagger.model.bundle import BundleInfo, find_bundle
from tagger.storage import Root
from tagger.tag.predict import Tagger

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.floating]
Numbers = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Comparison:
    """One attribute of a candidate and of the serving bundle on the same items; ratios in [0, 1].

    difference: accuracy of the candidate less that of the serving one; low, high: its 95 % interval, near duplicates
    drawn together.
    """

    attribute: str
    item_count: int
    group_count: int
    accuracy: float
    serving_accuracy: float
    macro_recall: float
    serving_macro_recall: float
    difference: float
    low: float
    high: float

    def is_worse(self, max_loss: float) -> bool:
        """Whether this attribute is a reason to refuse the candidate."""
        return self.high < 0 or self.difference < -max_loss

    def as_text(self) -> str:
        """One line for a terminal."""
        return (
            f"{self.attribute}: accuracy {self.accuracy:.1%} against {self.serving_accuracy:.1%}, difference "
            f"{self.difference:+.1%} (95 % interval {self.low:+.1%} to {self.high:+.1%}, {self.group_count} groups), "
            f"macro recall {self.macro_recall:.1%} against {self.serving_macro_recall:.1%}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def check_promotion(
    serving: Tagger,
    take: Take,
    items: LabelledRows,
    candidate: Mapping[str, Array],
    classes: Mapping[str, Sequence[str]],
    max_loss: float,
) -> tuple[Comparison, ...]:
    """Refuse a candidate that is worse than the serving bundle; else how the two compare, type and color.

    serving: as from `serving_tagger`. take, items: report items whose pictures are fitted as `serving` needs them, with
    labels as places in `classes`. candidate: attribute -> calibrated probabilities (N, K) of these items, columns as in
    `classes`; those of a training are `Fitted.probabilities`. max_loss: evaluate.max_loss.
    GateRefused, exit 3, names the figures. ValueError where the classes are not those of the serving bundle.
    """
    comparisons = compare_with(serving, take, items, candidate, classes)
    refuse_if_worse(comparisons, f"{serving.info.name} {serving.info.version}", max_loss)
    return comparisons


def serving_tagger(models: Root, info: BundleInfo) -> Tagger | None:
    """The bundle that serves under `models` (root/models/<name>), ready to be compared with the candidate `info`.

    None, with a line in the log, where no comparison is possible: nothing serves yet, other classes, another input, or
    a bundle that cannot be loaded and so cannot serve either.
    """
    if not models.exists("production.json"):
        return None
    try:
        tagger = Tagger.load(find_bundle(models.uri, "").uri)
    except BundleError as error:
        logger.warning("the promotion gate compares with nothing: %s", error)
        return None
    if difference := incomparable(tagger.info, info):
        logger.warning("the promotion gate compares with nothing: %s has %s", models.uri, difference)
        return None
    return tagger


def incomparable(serving: BundleInfo, info: BundleInfo) -> str:
    """Why two bundles cannot be asked about the same pictures: other classes, another input; empty where they can."""
    for name, classes in info.classes.items():
        if set(classes) != set(serving.classes[name]):
            return f"other {name} classes"
    if (serving.fit, serving.size_px) != (info.fit, info.size_px):
        return f"another input ({serving.fit}, {serving.size_px} px)"
    return ""


def compare_with(
    serving: Tagger,
    take: Take,
    items: LabelledRows,
    candidate: Mapping[str, Array],
    classes: Mapping[str, Sequence[str]],
) -> tuple[Comparison, ...]:
    """How a candidate and the serving bundle compare, type and color; arguments as of `check_promotion`."""
    answers = serving.probabilities(observe_rows(serving, take, items.rows))
    return tuple(
        compare(
            name,
            candidate[name].argmax(axis=1),
            _translated(answers[name].argmax(axis=1), serving.info.classes[name], classes[name]),
            items.labels[name],
            items.groups,
        )
        for name in ("type", "color")
    )


def compare(
    attribute: str, predicted: Numbers, serving: Numbers, labels: Numbers, groups: npt.NDArray[Any]
) -> Comparison:
    """Two answers to the same items. predicted, serving, labels: (N,) class numbers; groups: (N,) of near duplicates.

    Deterministic: the interval is drawn with a fixed seed. Macro recall is over the classes with labels.
    """
    gain = (predicted == labels).astype(float) - (serving == labels)
    low, high = bootstrap_by_group(lambda rows: float(gain[rows].mean()), groups, np.random.default_rng(BOOTSTRAP_SEED))
    return Comparison(
        attribute=attribute,
        item_count=len(labels),
        group_count=len(np.unique(groups)),
        accuracy=float(np.mean(predicted == labels)),
        serving_accuracy=float(np.mean(serving == labels)),
        macro_recall=_macro_recall(labels, predicted),
        serving_macro_recall=_macro_recall(labels, serving),
        difference=float(gain.mean()),
        low=low,
        high=high,
    )  # fmt: skip


def refuse_if_worse(comparisons: Sequence[Comparison], serving_name: str, max_loss: float) -> None:
    """GateRefused, with the figures, where a comparison is a reason to refuse."""
    worse = [comparison for comparison in comparisons if comparison.is_worse(max_loss)]
    if worse:
        raise GateRefused(
            f"Not promoted, for it is worse than {serving_name} on the same items: "
            f"{'; '.join(comparison.as_text() for comparison in worse)}; evaluate.max_loss = {max_loss}."
        )


def check_accuracy(evaluations: Mapping[str, Evaluation], needed: float) -> None:
    """GateRefused where type accuracy is below `needed`, evaluate.min_type_accuracy."""
    accuracy = evaluations["type"].accuracy
    if accuracy < needed:
        raise GateRefused(f"Type accuracy {accuracy:.3f} is below evaluate.min_type_accuracy = {needed}.")


def _translated(numbers: Numbers, own: Sequence[str], wanted: Sequence[str]) -> Numbers:
    """Class numbers of one order of the names in the other order."""
    if set(own) != set(wanted):
        raise ValueError(f"The classes differ: {sorted(set(own) ^ set(wanted))}")
    return np.array([wanted.index(name) for name in own], dtype=np.int64)[numbers]


def _macro_recall(labels: Numbers, predicted: Numbers) -> float:
    return float(recall_score(labels, predicted, labels=np.unique(labels), average="macro", zero_division=0.0))
