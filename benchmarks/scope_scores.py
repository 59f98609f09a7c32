"""Candidates for "this picture shows none of the trained types", and how well each ranks. Not a study itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.covariance import ledoit_wolf

from tagger.flags.scope import energy, fit_scope_reference, scope_score

FLAGGED = (0.03, 0.02)
"""Shares of the calibration items that a threshold flags."""
RESAMPLES = 500
DEFAULT = "energy + one cloud (default)"
BEFORE = "energy, low (before)"


@dataclass(frozen=True)
class Seen:
    """What the networks say of some pictures. logits: (N, C). features: (N, K) pooled. group: (N,) near duplicates.

    color_logits, agreement (of the two maps), area (of the foreground): of the bundle's networks only.
    """

    logits: np.ndarray
    features: np.ndarray
    group: np.ndarray
    color_logits: np.ndarray | None = None
    agreement: np.ndarray | None = None
    area: np.ndarray | None = None


Score = Callable[[Seen], np.ndarray]


def softmax(logits: np.ndarray) -> np.ndarray:
    """(N, C) probabilities."""
    return np.exp(logits - energy(logits)[:, None])


def entropy(logits: np.ndarray) -> np.ndarray:
    """(N,) in nats."""
    probabilities = softmax(logits)
    return -(probabilities * np.log(np.maximum(probabilities, 1e-12))).sum(axis=1)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def class_means(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(classes with items, K)."""
    return np.stack([features[labels == label].mean(axis=0) for label in np.unique(labels)])


def mahalanobis(features: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Squared distance to the nearest class mean under the whole shared covariance, Ledoit-Wolf shrunk."""
    centers = class_means(features, labels)
    within = features - centers[np.unique(labels, return_inverse=True)[1]]
    root = np.linalg.cholesky(np.linalg.inv(ledoit_wolf(within, assume_centered=True)[0]))
    return lambda new: np.stack([(((new - c) @ root) ** 2).sum(axis=1) for c in centers]).min(axis=0)


def residual(features: np.ndarray, directions: int = 32) -> Callable[[np.ndarray], np.ndarray]:
    """Length of what the first principal directions leave of the centred features."""
    middle = features.mean(axis=0)
    axes = np.linalg.svd(features - middle, full_matrices=False)[2][:directions]
    return lambda new: np.linalg.norm((new - middle) - (new - middle) @ axes.T @ axes, axis=1)


def summed(reference: Seen, *scores: Score) -> Score:
    """The sum of scores, each in standard deviations of the reference items."""
    scales = [(score(reference).mean(), score(reference).std()) for score in scores]
    return lambda s: sum((score(s) - m) / d for score, (m, d) in zip(scores, scales, strict=True))


def product_score(ref: Seen) -> Score:
    """What the product does."""
    reference = fit_scope_reference(ref.logits, ref.features)
    return lambda s: scope_score(reference, s.logits, s.features)


def of_logits() -> dict[str, Score]:
    """Candidates without a reference."""
    return {
        "1 - highest probability": lambda s: 1 - softmax(s.logits).max(axis=1),
        "entropy": lambda s: entropy(s.logits),
        "highest logit, low": lambda s: -s.logits.max(axis=1),
        "norm of logits, low": lambda s: -np.linalg.norm(s.logits, axis=1),
        "norm of features, high": lambda s: np.linalg.norm(s.features, axis=1),
        BEFORE: lambda s: -energy(s.logits),
    }


def of_features(ref: Seen, labels: np.ndarray) -> dict[str, Score]:
    """Candidates that compare features, or logits in the features' place, with reference items."""
    near, single = mahalanobis(ref.features, labels), mahalanobis(ref.features, np.zeros_like(labels))
    in_logits, known = mahalanobis(ref.logits, labels), unit(ref.features)
    means, cloud = unit(class_means(ref.features, labels)), fit_scope_reference(ref.logits, ref.features).cloud
    return {
        "cosine to class means": lambda s: 1 - (unit(s.features) @ means.T).max(axis=1),
        "5th neighbour": lambda s: -np.sort(unit(s.features) @ known.T, axis=1)[:, -5],
        "Mahalanobis, nearest type": lambda s: np.sqrt(near(s.features)),
        "Mahalanobis, one cloud": lambda s: cloud.distance(s.features),
        "Mahalanobis of the logits": lambda s: np.sqrt(in_logits(s.logits)),
        "relative Mahalanobis": lambda s: near(s.features) - single(s.features),
        "residual of 32 directions": residual(ref.features),
    }


def fitted_scores(ref: Seen, labels: np.ndarray) -> dict[str, Score]:
    """Every candidate, fitted on reference items; higher is less like them."""
    plain, compared = of_logits(), of_features(ref, labels)
    rest = compared.pop("residual of 32 directions")
    alpha = ref.logits.max(axis=1).mean() / rest(ref.features).mean()
    far, low = compared["Mahalanobis, one cloud"], plain[BEFORE]
    both = {
        "ViM (32 directions)": lambda s: alpha * rest(s.features) - energy(s.logits),
        "entropy + one cloud": summed(ref, plain["entropy"], far),
        "energy + cosine": summed(ref, low, compared["cosine to class means"]),
        "energy + 5th neighbour": summed(ref, low, compared["5th neighbour"]),
        "energy + Mahalanobis of the logits": summed(ref, low, compared["Mahalanobis of the logits"]),
        "energy + Mahalanobis, nearest type": summed(ref, low, compared["Mahalanobis, nearest type"]),
        DEFAULT: product_score(ref),
    }
    if ref.area is None:
        return plain | compared | both
    usual = np.median(ref.area)
    color_low: Score = lambda s: -energy(s.color_logits)  # noqa: E731
    two = {
        "energy of the color network, low": color_low,
        "agreement of the two maps, low": lambda s: -s.agreement,
        "foreground area, unusual": lambda s: np.abs(s.area - usual),
        "default + energy of the color network": summed(ref, both[DEFAULT], color_low),
    }
    return plain | compared | both | two


def item_weights(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(RESAMPLES + 1, N): how often each item counts; the first row counts each once, the others redraw the groups."""
    number = np.unique(group, return_inverse=True)[1]
    count = number.max() + 1
    drawn = rng.multinomial(count, np.full(count, 1 / count), RESAMPLES)
    return np.concatenate([np.ones((1, len(group)), np.int64), drawn[:, number]])


@dataclass(frozen=True)
class Ranks:
    """One score on one set, (RESAMPLES + 1,) each, the first not resampled. caught: one for each share of FLAGGED."""

    auroc: np.ndarray
    caught: tuple[np.ndarray, ...]

    def cell(self) -> str:
        """AUROC, then the share in % beyond the threshold of 3 % with its 95 % interval, then of 2 %."""
        low, high = np.percentile(100 * self.caught[0][1:], [2.5, 97.5])
        first, second = (100 * caught[0] for caught in self.caught)
        return f"{self.auroc[0]:.3f} {first:.0f} [{low:.0f}, {high:.0f}] {second:.0f}"


def ranked(score: Score, sets: Sequence[tuple[Seen, np.ndarray]]) -> Ranks:
    """sets: calibrate, report, and the set in question, each with its item weights."""
    (limit, limit_weights), (usual, usual_weights), (other, weights) = ((score(s), w) for s, w in sets)
    order = np.argsort(usual)
    below = np.pad(np.cumsum(usual_weights[:, order], axis=1), ((0, 0), (1, 0)))
    left, right = (np.searchsorted(usual[order], other, side) for side in ("left", "right"))
    lower = (below[:, left] + below[:, right]) / 2 / below[:, -1:]
    order, total = np.argsort(limit), weights.sum(axis=1)
    passed = np.cumsum(limit_weights[:, order], axis=1)
    limits = [limit[order][(passed >= (1 - share) * passed[:, -1:]).argmax(axis=1)] for share in FLAGGED]
    caught = tuple((weights * (other > threshold[:, None])).sum(axis=1) / total for threshold in limits)
    return Ranks((weights * lower).sum(axis=1) / total, caught)
