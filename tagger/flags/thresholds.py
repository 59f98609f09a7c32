"""Thresholds by intent: a share of items that people can look at, or a precision promised for what passes."""

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import beta, binom

from tagger.errors import BadInput
from tagger.flags.reasons import Signals, Thresholds, excesses

logger = logging.getLogger(__name__)

NO_THRESHOLDS = Thresholds()

# How what the fixed reasons leave of the budget is shared, relative to each other. Set by judgement: on ordinary
# pictures the confidences find most wrong tags, and a reason that is rarely right must not crowd them out.
BUDGET_WEIGHTS = {"type_confidence": 1.0, "color_confidence": 1.0, "color_distance": 0.5}
_HIGH_IS_BAD = {"color_distance"}
_STEPS = 40
# A guard that fires must not hide the items that the networks themselves doubt.
_LEAST_PART_OF_BUDGET = 0.5

# Testing starts at this many times the groups that could certify the target without one error, so that a good network
# does not fail on its first unlucky item, but within this part of all groups where that many are there.
_START_FACTOR = 3
_START_SHARE = 1 / 3
# Each test takes this many times the groups of the one before it. Few tests: chance may stop the sequence at any.
_GROWTH = 1.1


def fixed_thresholds(signals: Signals, focus: float, mask_quality: float, scope_share: float) -> Thresholds:
    """The thresholds that no budget moves: `focus` and `mask_quality` as given, and the scope's from `signals`.

    signals: of calibration items, which all show a trained type. At most `scope_share` of them, in [0, 1], lie above
    the threshold on scope_score; None where no score is known. Focus and mask quality mean the same on any night: were
    they quantiles, a network that never looks at the product would be flagged as rarely as one that always does.
    """
    scores = -np.sort(-signals.scope_score[~np.isnan(signals.scope_score)].astype(np.float64))
    allowed = min(int(scope_share * len(signals)), len(scores) - 1)
    scope = float(scores[allowed]) if len(scores) and np.isfinite(scores[allowed]) else None
    return Thresholds(focus=focus, mask_quality=mask_quality, out_of_scope_score=scope)


def by_budget(
    signals: Signals, budget: float, audit_share: float = 0.0, fixed: Thresholds = NO_THRESHOLDS
) -> Thresholds:
    """Thresholds under which about `budget` of the items, at most, are looked at.

    signals: of calibration items, no labels needed; `audit_draw` is not used. budget: share in [0, 1].
    fixed: the thresholds that the budget does not move, from `fixed_thresholds`. Where they alone flag more than the
    budget they stay, and the log tells which reason it is.
    The audit takes `audit_share` of all items out of the budget, never more than the budget. What is left goes to
    BUDGET_WEIGHTS, at least half of the budget whatever the fixed reasons take: each gets a quantile of its own signal
    in proportion to its weight, all scaled together until the items with any reason fill the budget.
    A signal that is NaN everywhere gets no threshold. BadInput where there is no item.
    """
    if len(signals) == 0:
        raise BadInput("There is no item to choose thresholds on. Label more items for the role calibrate.")
    if not 0 <= budget <= 1:
        raise BadInput(f"The review budget is a share of all items, 0 to 1. Received: {budget}")
    fixed = replace(fixed, audit_share=min(audit_share, budget))
    _warn_if_beyond(signals, fixed, budget)
    if budget == 0:
        return fixed
    wished = max(budget, flagged_share(signals, fixed) + _LEAST_PART_OF_BUDGET * (budget - fixed.audit_share))
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        is_within = flagged_share(signals, _at_scale(signals, middle, fixed)) <= wished
        low, high = (middle, high) if is_within else (low, middle)
    return _at_scale(signals, low, fixed)


def shares_by_reason(signals: Signals, thresholds: Thresholds) -> dict[str, float]:
    """By reason, the share of the items that it flags; `audit` as expected, whatever the draws are."""
    shares = {reason: float(np.mean(~np.isnan(excess))) for reason, excess in excesses(signals, thresholds).items()}
    return shares | {"audit": thresholds.audit_share}


def flagged_share(signals: Signals, thresholds: Thresholds) -> float:
    """The share of the items with any reason, in [0, 1], `audit` as expected: it draws regardless of the others."""
    flagged = float(np.mean(flagged_by_any(signals, thresholds)))
    return flagged + (1 - flagged) * thresholds.audit_share


def flagged_by_any(signals: Signals, thresholds: Thresholds) -> np.ndarray:
    """(N,) bool: whether an item has any reason but `audit`."""
    by_reason = excesses(signals, replace(thresholds, audit_share=0.0))
    return np.asarray(~np.isnan(np.stack(list(by_reason.values()))).all(axis=0))


@dataclass(frozen=True)
class Promise:
    """What can be promised about the items that pass.

    With probability at least 1 - delta over the draw of the calibration items, at least `precision` of the groups whose
    confidence is at least `threshold` are right. `is_met`: this is the `target` that was asked for; else it is the best
    that can be said, and `threshold` is None where nothing can. Of `group_count` groups `passing_count` passed, and of
    these `wrong_count` were wrong.
    """

    threshold: float | None
    precision: float
    target: float
    delta: float
    is_met: bool
    group_count: int
    passing_count: int
    wrong_count: int

    def as_text(self) -> str:
        """One sentence: what was asked for and what holds."""
        if self.threshold is None:
            few = f"the {self.group_count} groups that no other reason flags"
            return f"{self.target:.1%} asked: nothing can be promised on {few}."
        evidence = (
            f"at confidence {self.threshold:.3f} and above {self.passing_count} of {self.group_count} groups pass, "
            f"{self.wrong_count} of them wrong (delta {self.delta:g})"
        )
        verdict = "met" if self.is_met else f"not met, at most {self.precision:.1%} can be promised"
        return f"{self.target:.1%} asked: {verdict}; {evidence}."


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
        return Promise(None, 0.0, target, delta, False, len(scores), 0, 0)
    last = max(int(certified.sum()) - 1, 0)
    is_met = bool(certified[last])
    precision = target if is_met else _lower_bound(int(sizes[last] - wrong[last]), int(sizes[last]), delta)
    threshold = _threshold_below(scores, int(sizes[last]))
    return Promise(threshold, precision, target, delta, is_met, len(scores), int(sizes[last]), int(wrong[last]))


def _at_scale(signals: Signals, scale: float, fixed: Thresholds) -> Thresholds:
    """Every reason of BUDGET_WEIGHTS flags about `scale` times its weight of the items."""
    found: dict[str, Any] = {}
    for name, weight in BUDGET_WEIGHTS.items():
        sign = -1.0 if name in _HIGH_IS_BAD else 1.0
        values = np.asarray(getattr(signals, name), dtype=np.float64)
        worst_first = np.sort(sign * values[np.isfinite(values)])
        flagged_count = int(scale * weight * len(signals))
        found[name] = sign * float(worst_first[min(flagged_count, len(worst_first) - 1)]) if len(worst_first) else None
    return replace(fixed, **found)


def _warn_if_beyond(signals: Signals, fixed: Thresholds, budget: float) -> None:
    """Tell which reasons flag more than the budget by themselves, and what a low focus everywhere means."""
    if float(np.mean(flagged_by_any(signals, fixed))) <= budget:
        return
    shares = shares_by_reason(signals, fixed) | {"audit": 0.0}
    told = ", ".join(f"{reason} {share:.0%}" for reason, share in shares.items() if share)
    cause = ""
    if shares["low_focus"] > budget:
        cause = (
            f" low_focus alone flags {shares['low_focus']:.0%} of the calibrate items: there the network does not look "
            "at the product."
        )
    logger.warning(
        "The reasons that no budget moves flag more of the calibrate items than the review budget of %.0f %%: %s.%s",
        budget * 100,
        told,
        cause,
    )


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
