"""One number that orders the review queue."""

import numpy as np

from tagger.flags.reasons import Signals, Thresholds, excesses

# What is left of the chance to be right when a signal is as bad as it can be. Set by judgement, not fitted: focus sees
# confident answers that were read off the background, which confidence cannot see, so it must be able to lift them.
REMAINING_WITHOUT_FOCUS = 0.25
REMAINING_AT_ANOTHER_COLOR = 0.5


def risk(signals: Signals, thresholds: Thresholds) -> np.ndarray:
    """(N,) float64 in [0, 1]: 1 - P(type right) P(color right), raised where focus or the product's pixels object.

    The probabilities are the calibrated confidences, taken as independent. Each objection multiplies what is left by a
    factor that falls from 1 at its threshold: the lower the focus, the further the color, the higher the risk.
    NaN confidence is risk 1. An order, not a probability: with no objection it is calibrated as well as its factors are
    independent, with one it is a judgement.
    """
    beyond = excesses(signals, thresholds)
    chance = np.nan_to_num(signals.type_confidence * signals.color_confidence.astype(np.float64), nan=0.0)
    chance *= _remaining(beyond["low_focus"], REMAINING_WITHOUT_FOCUS)
    chance *= _remaining(beyond["color_disagrees"], REMAINING_AT_ANOTHER_COLOR)
    return np.asarray(np.clip(1.0 - chance, 0.0, 1.0))


def _remaining(excess: np.ndarray, least: float) -> np.ndarray:
    return np.asarray(1.0 - (1.0 - least) * np.nan_to_num(excess, nan=0.0))
