"""Labelled items drawn from a known truth: how likely a color is wrong depends on its confidence and on focus."""

import numpy as np

from tagger.evaluation.review_fit import JudgedItems
from tagger.flags.reasons import Signals


def draw_judged(count: int, rng: np.random.Generator, focus_weight: float = 0.0) -> JudgedItems:
    """Items in pairs of near duplicates. With `focus_weight` 0 the confidence is the whole truth; above, a focus below
    its mean makes a wrong color likelier than the confidence says."""
    pairs = (count + 1) // 2
    log_odds, focus = rng.normal(1.0, 1.5, pairs), rng.normal(0.5, 0.2, pairs)
    wrong_color = rng.random(pairs) > 1 / (1 + np.exp(-(log_odds + focus_weight * (focus - 0.5) / 0.2)))
    type_confidence = rng.beta(9, 1, pairs)
    wrong = {"type": rng.random(pairs) > type_confidence, "color": wrong_color}
    signals = Signals(
        type_confidence=_twice(type_confidence, count),
        color_confidence=_twice(1 / (1 + np.exp(-log_odds)), count),
        focus=_twice(focus, count),
        mask_quality=_twice(rng.uniform(0.7, 1, pairs), count),
        color_distance=_twice(rng.gamma(2, 0.5, pairs), count),
        scope_score=_twice(rng.normal(size=pairs), count),
        audit_draw=np.ones(count),
    )
    return JudgedItems(signals, {k: _twice(v, count) for k, v in wrong.items()}, _twice(np.arange(pairs), count))


def _twice(values: np.ndarray, count: int) -> np.ndarray:
    return np.repeat(values, 2)[:count]
