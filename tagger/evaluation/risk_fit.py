"""Fitting the risk model, and whether it finds wrong colors better than confidence alone does."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from tagger.evaluation.selective import Truth, area_under_risk_coverage, auroc, bootstrap_by_group
from tagger.flags.reasons import Signals
from tagger.flags.risk import FEATURES, RiskModel, risk_features, standardised

Groups = npt.NDArray[Any]

LEAST_ERRORS = 30
"""Fewest groups with a wrong color, and with a right one, that eleven numbers are fitted on."""

_FOLDS = 5
# From hardly any feature to nearly free coefficients.
_INVERSE_PENALTIES = np.logspace(-3, 1, 5)
# Below it a signal is the same everywhere but for rounding.
_LEAST_SCALE = 1e-9


@dataclass(frozen=True)
class RiskComparison:
    """The model against confidence alone, on items that neither was fitted on: which finds the wrong colors?

    auroc, auroc_confidence, difference: of the two scores; low, high: the 95 % interval of the difference, drawn by
    group. area, area_confidence: under the risk-coverage curve, lower is better.
    """

    item_count: int
    wrong_count: int
    auroc: float
    auroc_confidence: float
    difference: float
    low: float
    high: float
    area: float
    area_confidence: float

    @property
    def is_better(self) -> bool:
        """Whether the whole interval of the difference lies above 0."""
        return self.low > 0

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: null where a figure is not defined."""
        figures = {name: None if value != value else value for name, value in asdict(self).items()}
        return figures | {"is_used": self.is_better}

    def as_text(self) -> str:
        """One sentence."""
        verdict = "is used" if self.is_better else "is not used: confidence alone does as well"
        return (
            f"AUROC for a wrong color {self.auroc:.3f}, confidence alone {self.auroc_confidence:.3f}; difference "
            f"{self.difference:+.3f} (95 % {self.low:+.3f} to {self.high:+.3f}, {self.wrong_count} wrong of "
            f"{self.item_count}); the model {verdict}."
        )


def fit_risk_model(signals: Signals, wrong: Truth, groups: Groups) -> RiskModel | None:
    """P(color tag wrong) from the signals, by logistic regression; None where too few groups are wrong, or right.

    signals: N items, of ordinary pictures, of the same items on other backgrounds, or of any mix. wrong: (N,) bool.
    groups: (N,) near-duplicate group; an item and its pictures on other backgrounds are one group. The strength of the
    penalty is the one with the best log loss on left-out groups. A signal that is the same everywhere is left out.
    """
    if min(len(np.unique(groups[wrong])), len(np.unique(groups[~wrong]))) < LEAST_ERRORS:
        return None
    values = np.ma.masked_invalid(risk_features(signals))
    means, scales = values.mean(axis=0).filled(0.0), values.std(axis=0).filled(0.0)
    kept = np.flatnonzero(scales > _LEAST_SCALE)
    means, scales = means[kept], scales[kept]
    columns = standardised(values.filled(np.nan)[:, kept], means, scales)
    search = GridSearchCV(
        LogisticRegression(max_iter=1000),
        {"C": _INVERSE_PENALTIES},
        cv=StratifiedGroupKFold(_FOLDS),
        scoring="neg_log_loss",
    )
    fitted = search.fit(columns, wrong, groups=groups).best_estimator_
    return RiskModel(
        tuple(FEATURES[column] for column in kept),
        tuple(means.tolist()),
        tuple(scales.tolist()),
        tuple(fitted.coef_[0].tolist()),
        float(fitted.intercept_[0]),
    )


def left_out_probability(signals: Signals, wrong: Truth, groups: Groups) -> npt.NDArray[np.float64]:
    """(N,): each item's P(color tag wrong) by a model fitted on the groups of the other folds; NaN where none could be.

    What such a model is worth on items it has not seen, told without touching any other role's items.
    """
    probability = np.full(len(wrong), np.nan)
    for fitted_on, left_out in StratifiedGroupKFold(_FOLDS).split(probability, wrong, groups):
        model = fit_risk_model(signals.part(fitted_on), wrong[fitted_on], groups[fitted_on])
        if model is not None:
            probability[left_out] = model.probability(signals.part(left_out))
    return probability


def compare_with_confidence(
    score: npt.NDArray[np.float64], signals: Signals, wrong: Truth, groups: Groups, rng: np.random.Generator
) -> RiskComparison:
    """A model's P(color wrong) against 1 - color_confidence, on N items that the model was not fitted on.

    score: (N,). wrong: (N,) bool, the color tag. groups: (N,) near-duplicate group. NaN where all are right or all are
    wrong.
    """
    doubt = 1.0 - np.nan_to_num(np.asarray(signals.color_confidence, dtype=np.float64), nan=0.0)

    def difference(rows: npt.NDArray[np.integer]) -> float:
        return auroc(score[rows], wrong[rows]) - auroc(doubt[rows], wrong[rows])

    low, high = bootstrap_by_group(difference, groups, rng)
    return RiskComparison(
        item_count=len(wrong),
        wrong_count=int(wrong.sum()),
        auroc=auroc(score, wrong),
        auroc_confidence=auroc(doubt, wrong),
        difference=difference(np.arange(len(wrong))),
        low=low,
        high=high,
        area=area_under_risk_coverage(score, wrong),
        area_confidence=area_under_risk_coverage(doubt, wrong),
    )
