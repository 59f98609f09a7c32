"""From logits to probabilities that mean what they say: temperature scaling and its error measure."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from tagger.errors import BadInput

# A trained network needs about 0.5 (label smoothing) to 3 (overconfident). The bounds keep a handful of calibration
# items that are all right, whose likelihood has no maximum, from claiming certainty.
TEMPERATURE_BOUNDS = (0.2, 10.0)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature under which the labels are most likely, within TEMPERATURE_BOUNDS.

    logits: (N, K) float, any scale. labels: (N,) int in [0, K). BadInput where N is 0.
    The negative log likelihood is convex in 1 / T, so it has one minimum in log T too.
    Source: Guo et al. 2017, On Calibration of Modern Neural Networks.
    """
    scores = _checked(logits, labels)
    rows = np.arange(len(scores))

    def loss(log_temperature: float) -> float:
        return -float(log_softmax(scores / np.exp(log_temperature), axis=1)[rows, labels].mean())

    bounds = tuple(np.log(TEMPERATURE_BOUNDS))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5}).x))


def calibrated_probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(logits / temperature), (N, K) float64; each row sums to 1 and keeps its highest class.

    logits: (N, K) float. temperature > 0; 1 is the plain softmax.
    """
    if not temperature > 0:
        raise ValueError(f"A temperature must be above 0. Received: {temperature}")
    return np.asarray(softmax(np.asarray(logits, dtype=np.float64) / temperature, axis=1))


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy, in [0, 1], over equal-width bins weighted by their items.

    probabilities: (N, K), rows sum to 1. labels: (N,) int. BadInput where N is 0.
    Biased upwards when bins hold few items: compare only figures of equal N. Source: Guo et al. 2017.
    """
    scores = _checked(probabilities, labels)
    confidence = scores.max(axis=1)
    is_right = scores.argmax(axis=1) == labels
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=is_right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(scores))


def _checked(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    if len(scores) == 0:
        raise BadInput("There is no labelled item to calibrate on. Label more items for the role calibrate.")
    if len(scores) != len(labels) or np.min(labels) < 0 or np.max(labels) >= scores.shape[1]:
        raise ValueError(f"Labels must be {len(scores)} classes in [0, {scores.shape[1]}). Received: {labels!r}")
    return np.asarray(scores, dtype=np.float64)
