"""How well maps find the product, by measures that need every pixel: for evaluation, not for the night.

Both compare U(R), the relevance up-sampled as in `tagger.focus.measures`, with the pixels that a mask counts as product
(at least `ON_PRODUCT`). Null, as there, where the map is zero everywhere or no pixel is product.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from tagger.focus.measures import NULL_REASONS, ON_PRODUCT, upsample

Array: TypeAlias = npt.NDArray[np.floating]
Counts: TypeAlias = npt.NDArray[np.int32]

LEVELS = 1001
"""Scores 0, 0.001, ... 1: the thresholds of Choe et al. 2020."""

_ZERO_MAP, _EMPTY_MASK, _ = NULL_REASONS


def null_reasons(relevance: Array, masks: Array) -> list[str | None]:
    """Why the measures of this file are null: "zero_map", "empty_mask", or None where they are defined.

    relevance: (B, h, h) float, at least 0. masks: (B, H, H) float in [0, 1].
    """
    zero, empty = ~(relevance > 0).any(axis=(1, 2)), ~(masks >= ON_PRODUCT).any(axis=(1, 2))
    names = np.select([zero, empty], [_ZERO_MAP, _EMPTY_MASK], default="")
    return [name or None for name in names.tolist()]


def relevance_rank_accuracy(relevance: Array, masks: Array) -> Array:
    """Of the k most relevant pixels, the share that is product, k being the number of product pixels.

    relevance: (B, h, h) float, at least 0, on the network's grid. masks: (B, H, H) float in [0, 1].
    Returns (B,) float64 in [0, 1]; NaN where `null_reasons` names a reason.
    Pixels that tie for the last places (a map cut at 0 has many) share them: the mean over all orders of the tied,
    where a sort would let the order of the pixels decide.
    Source: Arras et al. 2022 (arXiv 2003.07258).
    """
    large, on = _flat(upsample(relevance, masks.shape[1])), _flat(masks >= ON_PRODUCT)
    defined = [reason is None for reason in null_reasons(relevance, masks)]
    rows = zip(large, on, defined, strict=True)
    return np.array([_rank_accuracy(*row[:2]) if row[2] else np.nan for row in rows], np.float64)


def pixel_histograms(relevance: Array, masks: Array) -> Counts:
    """Each picture's pixels by score, from which `pixel_average_precision` is taken over any choice of pictures.

    relevance: (B, h, h) float, at least 0, on the network's grid. masks: (B, H, H) float in [0, 1].
    Returns (B, 2, LEVELS): the pixels [:, 0] off and [:, 1] on the product whose U(R), mapped to [0, 1] by its minimum
    and maximum over the picture (a constant map to 0), lies on that level or above it by less than one level.
    All 0 where `null_reasons` names a reason. 8 kB a picture and, while it works, 0.5 MB: call it by batches.
    """
    large, on = _flat(upsample(relevance, masks.shape[1])), _flat(masks >= ON_PRODUCT)
    least = large.min(axis=1, keepdims=True)
    span = large.max(axis=1, keepdims=True) - least
    levels = ((large - least) / np.where(span > 0, span, 1) * (LEVELS - 1)).astype(np.int64)
    rows = np.arange(len(large))[:, None]
    counts = np.bincount(((2 * rows + on) * LEVELS + levels).ravel(), minlength=2 * LEVELS * len(large))
    defined = np.array([reason is None for reason in null_reasons(relevance, masks)], bool)
    return np.asarray(counts.reshape(-1, 2, LEVELS) * defined[:, None, None], np.int32)


def pixel_average_precision(histograms: Counts) -> float:
    """PxAP: area under the precision-recall curve of the pixels of all pictures together.

    histograms: (B, 2, LEVELS) from `pixel_histograms`; a resample of its rows gives a bootstrap of PxAP.
    Returns the sum of precision x gain in recall over the levels, no interpolation (scikit-learn's average precision),
    in [0, 1]; what a map without knowledge gets is the product's share of the pixels. NaN without a defined picture.
    Pictures pool their pixels, so a large product counts for more than a thin one.
    Source: Choe et al. 2020 (arXiv 2001.07437), whose up-sampling is bicubic where ours is U.
    """
    pooled = histograms.sum(axis=0, dtype=np.int64)
    if not pooled[1].any():
        return float("nan")
    scores, truth = np.tile(np.arange(LEVELS), 2), np.repeat([0, 1], LEVELS)
    return min(float(average_precision_score(truth, scores, sample_weight=pooled.ravel())), 1.0)  # rounded above it


def _flat(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return images.reshape(len(images), images.shape[1] * images.shape[2])


def _rank_accuracy(scores: Array, on: npt.NDArray[np.bool_]) -> float:
    places = int(on.sum())
    least = np.partition(scores, -places)[-places]
    sure, tied = scores > least, scores == least
    return float((on[sure].sum() + (places - sure.sum()) * on[tied].mean()) / places)
