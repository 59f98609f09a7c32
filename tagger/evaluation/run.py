"""A bundle against labelled photos: figures, what stands behind them, suspicious labels, and the gates."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagger.config import Config, EvaluateConfig
from tagger.errors import BadInput
from tagger.evaluation.detail import Detail, class_examples, confused_pairs, reliability, risk_coverage
from tagger.evaluation.fitting import calibration_errors_before, evaluate_evidence, observe_rows
from tagger.evaluation.gate import Comparison, check_accuracy, compare_with, incomparable, refuse_if_worse
from tagger.evaluation.items import LabelledPictures, labelled_table, of_role, read_pictures
from tagger.evaluation.metrics import Evaluation
from tagger.evaluation.noise import LabelNoise, label_noise
from tagger.flags.reasons import review_reasons
from tagger.model.bundle import BundleInfo, find_bundle, read_info
from tagger.storage import Root
from tagger.tag.observe import Evidence
from tagger.tag.predict import Tagger


@dataclass(frozen=True)
class Rivalry:
    """How the bundle compares with another one, the one that serves, on the same items."""

    serving_name: str
    serving_version: str
    comparisons: tuple[Comparison, ...]
    max_loss: float

    @property
    def is_refused(self) -> bool:
        """Whether the gate refuses the bundle."""
        return any(comparison.is_worse(self.max_loss) for comparison in self.comparisons)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers."""
        named = {"serving_name": self.serving_name, "serving_version": self.serving_version, "max_loss": self.max_loss}
        rows = [comparison.to_dict() for comparison in self.comparisons]
        return named | {"is_refused": self.is_refused, "comparisons": rows}


@dataclass(frozen=True)
class Report:
    """What an evaluation found. evaluations, details, noise: by attribute; noise is None where labels cannot be judged.

    fit: how photos fill the networks' square. flagged: share flagged for review. mean_focus: None where no item has a
    focus. unreadable: labelled photos left out. rivalry: None where nothing was compared.
    """

    model_name: str
    model_version: str
    fit: str
    split: str
    evaluations: dict[str, Evaluation]
    details: dict[str, Detail]
    noise: dict[str, LabelNoise | None]
    flagged: float
    mean_focus: float | None
    unreadable: int
    rivalry: Rivalry | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values; all that is known of an attribute stands under its name."""
        by_attribute = {"evaluations", "details", "noise", "rivalry"}
        figures = {
            name: result.to_dict() | self.details[name].to_dict() | {"label_noise": _noise_facts(self.noise[name])}
            for name, result in self.evaluations.items()
        }
        rest = {name: value for name, value in vars(self).items() if name not in by_attribute}
        return rest | figures | {"against": self.rivalry.to_dict() if self.rivalry else None}

    def to_json(self) -> str:
        """Strict JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def as_text(self) -> str:
        """For a terminal."""
        parts = [result.as_text() + "\n" for result in self.evaluations.values()]
        for name, noise in self.noise.items():
            before, after = self.details[name].calibration_error_before, self.evaluations[name].calibration_error
            parts.append(
                f"{name}: calibration error {before:.3f} before and {after:.3f} after the temperature; area under risk "
                f"and coverage {self.details[name].risk_coverage.area:.3f}{_suspected(noise)}"
            )
        if self.rivalry:
            parts.append(f"against {self.rivalry.serving_name} {self.rivalry.serving_version}:")
            parts += [f"  {comparison.as_text()}" for comparison in self.rivalry.comparisons]
        focus = "" if self.mean_focus is None else f"; mean focus {self.mean_focus:.2f}"
        parts.append(f"flagged for review: {self.flagged:.1%}{focus}; photos that could not be read: {self.unreadable}")
        return "\n".join(parts)


def run(config: Config, against: str = "") -> Report:
    """Measure the bundle that `model` names on the labelled photos of `evaluate.split`.

    against: a bundle, named as `model` is, that it is compared with. BadInput where there is nothing to measure on, or
    the two cannot be compared.
    """
    place = find_bundle(config.model, config.root)
    info = read_info(place)
    rival = _rival(against, config, info) if against else None
    table = of_role(labelled_table(config, info), config.evaluate.split)
    if not len(table):
        raise BadInput(f"No labelled item has the role evaluate.split={config.evaluate.split}. Try evaluate.split=all.")
    tagger = Tagger.load(place.uri)
    pictures = read_pictures(config, tagger.info, table)
    evidence = observe_rows(tagger, pictures.take, pictures.items.rows)
    return _report(tagger, pictures, evidence, config.evaluate, Tagger.load(rival.uri) if rival else None)


def check_gates(report: Report, evaluate: EvaluateConfig) -> None:
    """GateRefused where type accuracy is below evaluate.min_type_accuracy, or the bundle is worse than its rival."""
    check_accuracy(report.evaluations, evaluate.min_type_accuracy)
    if report.rivalry:
        name = f"{report.rivalry.serving_name} {report.rivalry.serving_version}"
        refuse_if_worse(report.rivalry.comparisons, name, report.rivalry.max_loss)


def _rival(against: str, config: Config, info: BundleInfo) -> Root:
    """Told before a photo is read where the two cannot be compared."""
    place = find_bundle(against, config.root)
    if difference := incomparable(read_info(place), info):
        raise BadInput(f"--against {against}: {place.uri} has {difference} than {config.model}; they do not compare.")
    return place


def _report(
    tagger: Tagger, pictures: LabelledPictures, evidence: Evidence, settings: EvaluateConfig, rival: Tagger | None
) -> Report:
    evaluations = evaluate_evidence(tagger, evidence, pictures.items)
    known = evidence.focus[~np.isnan(evidence.focus)]
    reasons = review_reasons(tagger.signals(evidence, np.ones(len(evidence.focus))), tagger.thresholds)
    return Report(
        tagger.info.name,
        tagger.info.version,
        tagger.info.fit,
        settings.split,
        evaluations,
        _details(tagger, pictures, evidence, evaluations),
        _noise(tagger, pictures, evidence),
        float(np.mean([bool(each) for each in reasons])),
        float(known.mean()) if len(known) else None,
        pictures.unreadable,
        _rivalry(tagger, pictures, evidence, rival, settings.max_loss) if rival else None,
    )


def _details(
    tagger: Tagger, pictures: LabelledPictures, evidence: Evidence, evaluations: dict[str, Evaluation]
) -> dict[str, Detail]:
    before, details = calibration_errors_before(evidence, pictures.items), {}
    for name, probabilities in tagger.probabilities(evidence).items():
        labels, confidence = pictures.items.labels[name], probabilities.max(axis=1)
        right = probabilities.argmax(axis=1) == labels
        details[name] = Detail(
            before[name],
            reliability(confidence, right),
            risk_coverage(confidence, ~right),
            confused_pairs(evaluations[name]),
            class_examples(tagger.info.classes[name], pictures.keys, probabilities, labels),
        )
    return details


def _noise(tagger: Tagger, pictures: LabelledPictures, evidence: Evidence) -> dict[str, LabelNoise | None]:
    """Of the items that the networks were not fitted on."""
    fresh = np.flatnonzero(pictures.is_fresh)
    keys = [pictures.keys[row] for row in fresh]
    return {
        name: label_noise(tagger.info.classes[name], keys, probabilities[fresh], pictures.items.labels[name][fresh])
        for name, probabilities in tagger.probabilities(evidence).items()
    }


def _rivalry(tagger: Tagger, pictures: LabelledPictures, evidence: Evidence, rival: Tagger, max_loss: float) -> Rivalry:
    answers = tagger.probabilities(evidence)
    comparisons = compare_with(rival, pictures.take, pictures.items, answers, tagger.info.classes)
    return Rivalry(rival.info.name, rival.info.version, comparisons, max_loss)


def _noise_facts(noise: LabelNoise | None) -> dict[str, Any] | None:
    return noise.to_dict() if noise else None


def _suspected(noise: LabelNoise | None) -> str:
    if noise is None:
        return ""
    return f"; suspicious labels {noise.suspect_count} of {noise.item_count} ({noise.suspect_share:.1%})"
