"""Two trained networks -> everything else a bundle holds: temperatures, references, thresholds and figures.

Fitted on the `calibrate` items, but for what an ordinary picture looks like: that is fitted on `select` items, so that
the scope's threshold is chosen on others. Figures come from the `report` items, which nothing is fitted on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.config import FocusConfig, ReviewConfig
from tagger.drift.profile import Answers
from tagger.drift.reference import reference_document
from tagger.evaluation.metrics import Evaluation, evaluate
from tagger.evaluation.review_fit import JudgedItems, ReviewFit, fit_review
from tagger.flags.color_distance import fit_color_reference
from tagger.flags.scope import fit_scope_reference
from tagger.model.bundle import BundleInfo
from tagger.model.calibrate import calibrated_probabilities, expected_calibration_error, fit_temperature
from tagger.tag.observe import Evidence
from tagger.tag.predict import Tagger

_BATCH = 64
BOOTSTRAP_SEED = 0
"""Of the intervals in a bundle: the same items give the same figures."""

Take = Callable[[npt.NDArray[np.integer]], npt.NDArray[np.uint8]]
"""Rows -> pictures (n, 128, 128, 3) uint8."""


@dataclass(frozen=True)
class LabelledRows:
    """Items of one role: rows of the pictures, class numbers by attribute, near-duplicate groups."""

    rows: npt.NDArray[np.integer]
    labels: Mapping[str, npt.NDArray[np.integer]]
    groups: npt.NDArray[Any]


@dataclass(frozen=True)
class Fitted:
    """info: the bundle's description, complete but for digests. evaluations: attribute -> figures on `report`.
    review: thresholds, promises, risk model. reference: distributions on `calibrate`, for drift.
    probabilities: attribute -> calibrated (N, K) of the `report` items, for the promotion gate."""

    info: BundleInfo
    evaluations: Mapping[str, Evaluation]
    review: ReviewFit
    reference: Mapping[str, Any]
    probabilities: Mapping[str, npt.NDArray[np.floating]]


def fit_bundle(
    draft: BundleInfo,
    networks: Mapping[str, Any],
    take: Take,
    roles: Mapping[str, LabelledRows],
    review: ReviewConfig,
    focus: FocusConfig,
) -> Fitted:
    """Complete `draft`, whose temperatures, references, thresholds and metrics are placeholders, from labelled rows."""
    calibrate, report = roles["calibrate"], roles["report"]
    uncalibrated = Tagger(draft, networks)
    ordinary = observe_rows(uncalibrated, take, roles["select"].rows)
    evidence = observe_rows(uncalibrated, take, calibrate.rows)
    scope = fit_scope_reference(ordinary.type_logits, ordinary.type_features)
    calibrated = replace(_calibrated(draft, evidence, calibrate), scope_reference=scope.to_dict())
    tagger = Tagger(calibrated, networks)
    seen = observe_rows(tagger, take, report.rows)
    measured = judged_items(tagger, seen, report)
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    fit = fit_review(judged_items(tagger, evidence, calibrate), measured, review, focus, rng)
    evaluations = evaluate_evidence(tagger, seen, report)
    metrics: dict[str, Any] = {
        **{name: _figures(result) for name, result in evaluations.items()},
        "calibration_error_before": calibration_errors_before(seen, report),
        **fit.metrics(),
        "mean_focus": _mean(seen.focus),
        "mean_cam_on_product": _mean(seen.cam_on_product),
    }
    info, reference = with_review(tagger.info, fit, metrics), _drift_reference(tagger, evidence)
    return Fitted(info, evaluations, fit, reference, tagger.probabilities(seen))


def with_review(info: BundleInfo, fit: ReviewFit, metrics: Mapping[str, Any]) -> BundleInfo:
    """The description with these thresholds, this risk model and these metrics."""
    model = fit.risk_model.to_dict() if fit.risk_model else None
    return replace(info, thresholds=fit.thresholds.to_dict(), risk_model=model, metrics=metrics)


def judged_items(tagger: Tagger, evidence: Evidence, items: LabelledRows) -> JudgedItems:
    """Signals and truth of items, `audit` left out."""
    answers = {"type": evidence.type_logits.argmax(axis=1), "color": evidence.color_logits.argmax(axis=1)}
    wrong = {name: answer != items.labels[name] for name, answer in answers.items()}
    return JudgedItems(tagger.signals(evidence, np.ones(len(items.rows))), wrong, items.groups)


def observe_rows(tagger: Tagger, take: Take, rows: npt.NDArray[np.integer]) -> Evidence:
    """The evidence of all rows, in their order, a batch of pictures at a time."""
    parts = [tagger.observe(pixels).evidence for pixels in _batches(take, rows)]
    return Evidence(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Evidence)})


def evaluate_evidence(tagger: Tagger, evidence: Evidence, items: LabelledRows) -> dict[str, Evaluation]:
    """Both attributes' figures."""
    probabilities = tagger.probabilities(evidence)
    return {
        name: evaluate(name, tagger.info.classes[name], probabilities[name], items.labels[name])
        for name in ("type", "color")
    }


def calibration_errors_before(evidence: Evidence, items: LabelledRows) -> dict[str, float]:
    """By attribute, the expected calibration error of the plain softmax: what the temperature has to mend."""
    logits = {"type": evidence.type_logits, "color": evidence.color_logits}
    return {
        name: expected_calibration_error(calibrated_probabilities(values, 1.0), items.labels[name])
        for name, values in logits.items()
    }


def _batches(take: Take, rows: npt.NDArray[np.integer]) -> Iterator[npt.NDArray[np.uint8]]:
    for start in range(0, len(rows), _BATCH):
        yield take(rows[start : start + _BATCH])


def _calibrated(draft: BundleInfo, evidence: Evidence, items: LabelledRows) -> BundleInfo:
    colors = [draft.classes["color"][label] for label in items.labels["color"]]
    return replace(
        draft,
        temperatures={
            "type": fit_temperature(evidence.type_logits, items.labels["type"]),
            "color": fit_temperature(evidence.color_logits, items.labels["color"]),
        },
        color_reference=fit_color_reference(evidence.dominant_rgb, colors).to_dict(),
    )


def _figures(result: Evaluation) -> dict[str, Any]:
    figures = result.to_dict()
    return {name: value for name, value in figures.items() if name not in {"attribute", "confusion"}}


def _mean(values: npt.NDArray[np.floating]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _drift_reference(tagger: Tagger, evidence: Evidence) -> dict[str, Any]:
    """What nights are compared with."""
    probabilities = tagger.probabilities(evidence)
    numbers = {name: values.argmax(axis=1) for name, values in probabilities.items()}
    confidences = {f"{name}_confidence": values.max(axis=1) for name, values in probabilities.items()}
    return reference_document(Answers(**numbers, **confidences, focus=evidence.focus), tagger.info.classes)
