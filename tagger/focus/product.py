"""Foreground and type map to the product: the part of the foreground that the tagged type was read off, and its color.

The type network's map is too coarse to cut with: it peaks on a collar and fades on the belly. So the foreground is
taken apart into a few colors first, and a color is the product's or not as a whole: a T-shirt on a person is not the
jeans, and a shirt has no bites.
"""

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from tagger.focus.background import halved
from tagger.focus.measures import upsample
from tagger.focus.parts import grown, shrunk

Array: TypeAlias = npt.NDArray[np.floating]
Flags: TypeAlias = npt.NDArray[np.bool_]

_COLORS, _ROUNDS, _SAMPLE, _FEWEST_PX = 4, 4, 400, 20
_LIGHTNESS_WEIGHT = 0.5
"""Folds and shadows change the lightness of a garment more than its hue."""
_TYPE_SHARE = 0.5
"""A color is the product's where the type map's mean on it reaches this share of its mean on the foreground."""
_CLOSED_PX = 5
"""Width, at half resolution, of what is closed within the product: prints, buttons, seams."""


def product_masks(pictures: npt.NDArray[np.uint8], foreground: Array, type_relevance: Array) -> Array:
    """The part of each foreground that belongs to the type: (B, H, W) float32, 0 where the foreground is 0.

    pictures: (B, H, W, 3) uint8, H and W even. foreground: (B, H, W) in [0, 1]. type_relevance: (B, h, w), at least 0;
    its scale does not matter, and a map of zeros keeps the foreground.
    """
    if not len(pictures):
        return np.zeros(foreground.shape, np.float32)
    inside = foreground[:, ::2, ::2] >= 0.5
    weight = upsample(type_relevance, inside.shape[1]).astype(np.float32)
    colors = _half_lab(pictures)
    kept = np.stack([_typed(*parts) for parts in zip(colors, inside, weight, strict=True)])
    closed = shrunk(grown(kept, _CLOSED_PX), _CLOSED_PX)
    return (foreground * closed.repeat(2, axis=1).repeat(2, axis=2)).astype(np.float32)


def dominant_rgb(pictures: npt.NDArray[np.uint8], masks: Array) -> Array:
    """Median color of each product's pixels: (B, H, W, 3), (B, H, W) -> (B, 3) in 0..255; NaN for an empty mask."""
    medians = [
        np.median(picture[mask >= 0.5], axis=0) if (mask >= 0.5).any() else np.full(3, np.nan)
        for picture, mask in zip(pictures[:, ::2, ::2], masks[:, ::2, ::2], strict=True)
    ]
    return np.array(medians, np.float64).reshape(-1, 3)


def _half_lab(pictures: npt.NDArray[np.uint8]) -> Array:
    count, height, width = pictures.shape[:3]
    lab = (
        cv2.cvtColor(halved(pictures), cv2.COLOR_RGB2LAB).astype(np.float32).reshape(count, height // 2, width // 2, 3)
    )
    lab[..., 0] *= _LIGHTNESS_WEIGHT
    return np.asarray(lab)


def _typed(lab: Array, inside: Flags, weight: Array) -> Flags:
    """(h, w): the colors of one foreground on which the type map lies."""
    pixels, weights = lab[inside], weight[inside]
    if len(pixels) < _FEWEST_PX or weights.max() <= 0:
        return inside
    number = _color_numbers(pixels)
    mean = np.bincount(number, weights, _COLORS) / np.maximum(np.bincount(number, minlength=_COLORS), 1)
    kept = np.zeros_like(inside)
    kept[inside] = (mean >= _TYPE_SHARE * weights.mean())[number]
    return kept


def _color_numbers(pixels: Array) -> npt.NDArray[np.intp]:
    """Which of a few colors each pixel has, (n, 3) -> (n,): k-means on a part of them."""
    some = np.ascontiguousarray(pixels[:: max(1, len(pixels) // _SAMPLE)])
    cv2.setRNGSeed(0)  # k-means starts at random; the same picture must always give the same product
    until = (cv2.TERM_CRITERIA_MAX_ITER + cv2.TERM_CRITERIA_EPS, _ROUNDS, 1.0)
    _, _, colors = cv2.kmeans(some, _COLORS, np.empty(0, np.int32), until, 1, cv2.KMEANS_PP_CENTERS)
    return np.asarray((np.square(colors).sum(axis=1) - 2 * pixels @ colors.T).argmin(axis=1))
