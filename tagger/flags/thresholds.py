"""Thresholds by intent: a share of items that people can look at, or a precision promised for what passes."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, binom

from tagger.errors import BadInput
from tagger.flags.reasons import Signals, Thresholds, excesses

# Of the budget, what measures the precision of everything that passes; at least this share of all items.
AUDIT_PART_OF_BUDGET = 0.1
LEAST_AUDIT_SHARE = 0.002
# How the rest is shared, relative to each other. Set by judgement: on ordinary pictures the confidences find most wrong
# tags, and a reason that is rarely right must not crowd them out.
BUDGET_WEIGHTS = {
    "type_confidence": 1.0,
    "color_confidence": 1.0,
    "focus": 0.5,
    "color_distance": 0.5,
    "out_of_scope_score": 0.25,
    "mask_quality": 0.25,
}
_HIGH_IS_BAD = {"color_distance": "color_distance", "out_of_scope_score": "scope_score"}
_STEPS = 40

# Testing starts at this many times the groups that could certify the target without one error, so that a good network
# does not fail on its first unlucky item, but within this part of all groups where that many are there.
_START_FACTOR = 3
_START_SHARE = 1 / 3
# Each test takes this many times the groups of the one before it. Few tests: chance may stop the sequence at any.
_GROWTH = 1.1


def by_budget(signals: Signals, budget: float, audit_share: float | None = None) -> Thresholds:
    """Thresholds under which about `budget` of the items, at most, are looked at.

    signals: of calibration items, no labels needed; `audit_draw` is not used. budget: share in [0, 1].
    The audit takes `audit_share` of all items out of it, else AUDIT_PART_OF_BUDGET of it, at least LEAST_AUDIT_SHARE;
    never more than the budget. For the rest, each reason gets a quantile of its own signal in proportion to
    BUDGET_WEIGHTS, all scaled together until the items with any reason fill the budget.
    A signal that is NaN everywhere gets no threshold; items without a mask quality are flagged whatever the budget.
    BadInput where there is no item.
    """
    if len(signals) == 0:
        raise BadInput("There is no item to choose thresholds on. Label more items for the role calibrate.")
    if not 0 <= budget <= 1:
        raise BadInput(f"The review budget is a share of all items, 0 to 1. Received: {budget}")
    if budget == 0:
        return Thresholds()
    wished = max(budget * AUDIT_PART_OF_BUDGET, LEAST_AUDIT_SHARE) if audit_share is None else audit_share
    audit_share = min(wished, budget)
    # The audit draws independently, so part of it falls on items that are flagged anyway.
    flagged_share = (budget - audit_share) / (1 - audit_share) if audit_share < 1 else 1.0
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        is_within = _share_flagged(signals, _at_scale(signals, middle, 0.0)) <= flagged_share
        low, high = (middle, high) if is_within else (low, middle)
    return _at_scale(signals, low, audit_share)


@dataclass(frozen=True)
class Promise:
    """What can be promised about the items that pass.

    With probability at least 1 - delta over the draw of the calibration items, at least `precision` of the groups whose
    confidence is at least `threshold` are right. `is_met`: this is the target that was asked for; else it is the best
    that can be said, and `threshold` is None where nothing can. Of `group_count` groups `passing_count` passed, and of
    these `wrong_count` were wrong.
    """

    threshold: float | None
    precision: float
    delta: float
    is_met: bool
    group_count: int
    passing_count: int
    wrong_count: int


def by_precision(
    confidence: np.ndarray, correct: np.ndarray, groups: np.ndarray, target: float, delta: float = 0.1
) -> Promise:
    """The lowest threshold on confidence that certifies a precision of `target` for what passes.

    confidence: (N,) float. correct: (N,) bool. groups: (N,) near-duplicate group. target, delta: in (0, 1).
    Near duplicates are right or wrong together, so a group counts once, by its first row: the order of rows must not
    depend on confidence or correctness. Give only the items that no other reason flags: the promise is about those.

    Fixed-sequence testing (Learn then Test, Angelopoulos et al. 2021): from the most confident groups to ever more of
    them, each time the hypothesis "precision is below target" is tested at level delta by an exact binomial tail, until
    one test fails; the last that passed counts. No correction for the number of tests is needed. The tested sizes do
    not depend on who is right. Exact where precision crosses the target at most once as the threshold is lowered.
    Assumes that tonight looks like the calibration items, which the audit checks. Where the target is not met, the
    bound is Clopper-Pearson's at the first size tested, so that both kinds of answer together err at most delta.
    """
    if not (0 < target < 1 and 0 < delta < 1):
        raise BadInput(f"A promised precision and its delta lie between 0 and 1. Received: {target} and {delta}")
    first = np.unique(np.asarray(groups), return_index=True)[1]
    scores = np.asarray(confidence, dtype=np.float64)[first]
    order = np.argsort(-scores, kind="stable")
    scores, is_wrong = scores[order], ~np.asarray(correct, dtype=bool)[first][order]
    sizes = _tested_sizes(scores, target, delta)
    wrong = np.cumsum(is_wrong)[sizes - 1]
    certified = np.cumprod(binom.cdf(wrong, sizes, 1 - target) <= delta)
    if not len(sizes):
        return Promise(None, 0.0, delta, False, len(scores), 0, 0)
    last = max(int(certified.sum()) - 1, 0)
    is_met = bool(certified[last])
    precision = target if is_met else _lower_bound(int(sizes[last] - wrong[last]), int(sizes[last]), delta)
    threshold = _threshold_below(scores, int(sizes[last]))
    return Promise(threshold, precision, delta, is_met, len(scores), int(sizes[last]), int(wrong[last]))


def _at_scale(signals: Signals, scale: float, audit_share: float) -> Thresholds:
    """Every reason flags about `scale` times its weight of the items."""
    found: dict[str, float | None] = {}
    for name, weight in BUDGET_WEIGHTS.items():
        sign = -1.0 if name in _HIGH_IS_BAD else 1.0
        values = np.asarray(getattr(signals, _HIGH_IS_BAD.get(name, name)), dtype=np.float64)
        worst_first = np.sort(sign * values[np.isfinite(values)])
        flagged_count = int(scale * weight * len(signals))
        found[name] = sign * float(worst_first[min(flagged_count, len(worst_first) - 1)]) if len(worst_first) else None
    return Thresholds(**found, audit_share=audit_share)


def _share_flagged(signals: Signals, thresholds: Thresholds) -> float:
    by_reason = excesses(signals, thresholds)
    return float(np.mean(~np.isnan(np.stack([by_reason[reason] for reason in by_reason])).all(axis=0)))


def _tested_sizes(scores: np.ndarray, target: float, delta: float) -> np.ndarray:
    """How many of the most confident groups each test takes, ascending; groups of equal confidence stay together."""
    least = int(np.ceil(np.log(delta) / np.log(target)))
    if len(scores) < least:
        return np.array([], dtype=np.int64)
    start = min(_START_FACTOR * least, max(least, int(len(scores) * _START_SHARE)))
    steps = int(np.log(len(scores) / start) / np.log(_GROWTH)) + 1
    wished = np.append((start * _GROWTH ** np.arange(steps)).astype(np.int64), len(scores))
    return np.unique(np.searchsorted(-scores, -scores[wished - 1], side="right"))


def _threshold_below(scores: np.ndarray, size: int) -> float:
    """The lowest threshold that only the `size` highest scores reach."""
    return float(np.nextafter(scores[size], np.inf)) if size < len(scores) else 0.0


def _lower_bound(right: int, total: int, delta: float) -> float:
    """Clopper-Pearson lower bound of a share, at level 1 - delta."""
    return float(beta.ppf(delta, right, total - right + 1)) if right else 0.0
