"""Predictions against labels, for one attribute: the figures as data, JSON and a table for a terminal."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from tagger.errors import BadInput
from tagger.flags.shades import shade_tolerant_accuracy
from tagger.model.calibrate import expected_calibration_error

# Of the reference measure: a class counts as predicted only above this calibrated confidence.
REFERENCE_CONFIDENCE = 0.5
_ABSTAINED = -1


@dataclass(frozen=True)
class Averages:
    """Precision, recall and F1 over the classes with labels, in [0, 1]; a class never predicted has precision 0."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ClassResult:
    """One class: `labelled_count` items have the label, `predicted_count` the prediction. None: undefined."""

    name: str
    labelled_count: int
    predicted_count: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Evaluation:
    """How one attribute's predictions compare with its labels; every ratio in [0, 1].

    accuracy, top3_accuracy    the label is the first, among the first three
    macro, weighted            means over the classes with labels: each counts once, or by its labels
    reference                  weighted precision and recall where a class is predicted only with a calibrated
                               confidence above 0.5; `coverage` is the share of items with such a prediction
    calibration_error          expected calibration error, 15 bins
    shade_tolerant_accuracy    of colors: the first is the label or a neighbouring shade; None for types
    per_class                  in the order of the label space
    confusion                  counts, row: label, column: prediction
    """

    attribute: str
    item_count: int
    accuracy: float
    top3_accuracy: float
    macro: Averages
    weighted: Averages
    reference: Averages
    coverage: float
    calibration_error: float
    shade_tolerant_accuracy: float | None
    per_class: tuple[ClassResult, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers; `shade_tolerant_accuracy` only of colors."""
        figures = asdict(self)
        if self.shade_tolerant_accuracy is None:
            del figures["shade_tolerant_accuracy"]
        return figures

    def to_json(self) -> str:
        """Strict JSON (None, never NaN)."""
        return json.dumps(self.to_dict(), allow_nan=False, ensure_ascii=False)

    def class_table(self) -> pd.DataFrame:
        """One row per class, in the order of the label space."""
        return pd.DataFrame([asdict(result) for result in self.per_class]).set_index("name")

    def confusion_table(self) -> pd.DataFrame:
        """Counts; row: label, column: prediction."""
        names = [result.name for result in self.per_class]
        columns = pd.Index(names, name="predicted")
        return pd.DataFrame(np.array(self.confusion), index=pd.Index(names, name="label"), columns=columns)

    def as_text(self) -> str:
        """For a terminal: the figures, then the classes with labels or predictions, the most frequent first."""
        table = self.class_table().sort_values("labelled_count", ascending=False, kind="stable")
        table = table[(table["labelled_count"] > 0) | (table["predicted_count"] > 0)]
        rows = table.rename(columns={"labelled_count": "labelled", "predicted_count": "predicted"}).rename_axis(None)
        return "\n".join(
            [*self._summary_lines(), "", rows.astype(object).to_string(float_format="{:.3f}".format, na_rep="-")]
        )

    def _summary_lines(self) -> list[str]:
        lines = [
            f"{self.attribute}: {self.item_count} items, accuracy {self.accuracy:.1%}, among the first three "
            f"{self.top3_accuracy:.1%}, calibration error {self.calibration_error:.3f}"
        ]
        averages = {"macro": self.macro, "weighted": self.weighted, "confidence > 0.5, weighted": self.reference}
        for name, mean in averages.items():
            lines.append(f"  {name}: precision {mean.precision:.1%}, recall {mean.recall:.1%}, F1 {mean.f1:.1%}")
        lines[-1] += f", coverage {self.coverage:.1%}"
        if self.shade_tolerant_accuracy is not None:
            lines.append(f"  neighbouring shades count as right: accuracy {self.shade_tolerant_accuracy:.1%}")
        return lines


def evaluate(attribute: str, classes: tuple[str, ...], probabilities: np.ndarray, labels: np.ndarray) -> Evaluation:
    """Compare calibrated probabilities (N, K) with labels (N,) int in [0, K); `classes` names the K outputs.

    Classes without labels are left out of the means, but what is wrongly predicted as one of them is a miss of its
    true class. BadInput where N is 0.
    """
    if len(labels) == 0:
        raise BadInput(f"There is no labelled {attribute} to evaluate. Check the labels table and the images.")
    if probabilities.shape != (len(labels), len(classes)):
        raise ValueError(
            f"Expected probabilities of shape {(len(labels), len(classes))}. Received: {probabilities.shape}"
        )
    predicted = probabilities.argmax(axis=1)
    is_predicted = probabilities.max(axis=1) > REFERENCE_CONFIDENCE
    return Evaluation(
        attribute=attribute,
        item_count=len(labels),
        accuracy=float(np.mean(predicted == labels)),
        top3_accuracy=_top_accuracy(probabilities, labels, 3),
        macro=_averages(labels, predicted, "macro"),
        weighted=_averages(labels, predicted, "weighted"),
        reference=_averages(labels, np.where(is_predicted, predicted, _ABSTAINED), "weighted"),
        coverage=float(is_predicted.mean()),
        calibration_error=expected_calibration_error(probabilities, labels),
        shade_tolerant_accuracy=shade_tolerant_accuracy(classes, predicted, labels) if attribute == "color" else None,
        per_class=_per_class(classes, labels, predicted),
        confusion=_confusion(labels, predicted, len(classes)),
    )


def _averages(labels: np.ndarray, predicted: np.ndarray, average: str) -> Averages:
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, labels=np.unique(labels), average=average, zero_division=0.0
    )
    return Averages(float(precision), float(recall), float(f1))


def _top_accuracy(probabilities: np.ndarray, labels: np.ndarray, count: int) -> float:
    """Share of items whose label is among the `count` highest; a tie goes to the class that comes first."""
    highest = np.argsort(-probabilities, axis=1, kind="stable")[:, :count]
    return float((highest == labels[:, None]).any(axis=1).mean())


def _per_class(classes: tuple[str, ...], labels: np.ndarray, predicted: np.ndarray) -> tuple[ClassResult, ...]:
    precision, recall, f1, labelled = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(classes)), average=None, zero_division=np.nan
    )
    counts = np.bincount(predicted, minlength=len(classes))
    return tuple(
        ClassResult(name, int(labelled[k]), int(counts[k]), *(_or_none(part[k]) for part in (precision, recall, f1)))
        for k, name in enumerate(classes)
    )


def _confusion(labels: np.ndarray, predicted: np.ndarray, class_count: int) -> tuple[tuple[int, ...], ...]:
    counts = confusion_matrix(labels, predicted, labels=np.arange(class_count))
    return tuple(tuple(int(count) for count in row) for row in counts)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
