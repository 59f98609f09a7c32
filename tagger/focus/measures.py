"""Map and mask to numbers: which share of the evidence lies on the product.

The up-sampling U (h x w grid to the mask's pixels) is bilinear with half-pixel centres and linear, so every sum over
pixels is a sum over the grid: with m = U^T P and n = U^T 1, `sum(U(R) P) / sum(U(R)) = sum(R m) / sum(R n)`.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating]

NULL_REASONS = ("zero_map", "empty_mask", "mask_everywhere")
"""Why a focus number can be null: no positive evidence, no product, or no room for a better map than chance."""


@dataclass(frozen=True)
class FocusMeasures:
    """Focus of a batch; NaN (null in the table) where undefined, with the reason beside it.

    cam_on_product: (B,) share of the relevance on the product, [0, 1].
    product_area:   (B,) share of the picture that is product, [0, 1].
    cam_lift:       (B,) cam_on_product / product_area.
    focus:          (B,) share of the attainable: 0 for a map that ignores the product, 1 for the best map on this grid.
    pointing_hit:   (B,) bool, whether the strongest place lies on the product; meaningless where cam_on_product is NaN.
    null_reason:    (B,) one of NULL_REASONS, or None.
    """

    cam_on_product: Array
    product_area: Array
    cam_lift: Array
    focus: Array
    pointing_hit: npt.NDArray[np.bool_]
    null_reason: list[str | None]


@lru_cache(maxsize=8)
def upsampling_matrix(cells: int, pixels: int) -> Array:
    """One axis of U: (pixels, cells) float64, bilinear with half-pixel centres, edges held."""
    centre = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
    low = np.clip(np.floor(centre).astype(int), 0, cells - 1)
    high = np.minimum(low + 1, cells - 1)
    share = np.clip(centre - low, 0, 1)
    matrix = np.zeros((pixels, cells))
    np.add.at(matrix, (np.arange(pixels), low), 1 - share)
    np.add.at(matrix, (np.arange(pixels), high), share)
    return matrix


def upsample(maps: Array, pixels: int) -> Array:
    """(B, h, w) -> (B, pixels, pixels), by the same U as the measures."""
    rows, columns = upsampling_matrix(maps.shape[1], pixels), upsampling_matrix(maps.shape[2], pixels)
    return np.asarray(np.einsum("yh,bhw,xw->byx", rows, maps, columns, optimize=True))


def to_grid(masks: Array, cells: int) -> Array:
    """U^T of masks: (B, H, W) -> (B, cells, cells), each pixel's weight handed to the cells that feed it."""
    rows, columns = upsampling_matrix(cells, masks.shape[1]), upsampling_matrix(cells, masks.shape[2])
    return np.asarray(np.matmul(np.matmul(rows.T, masks), columns))


def cam_on_product(relevance: Array, masks: Array) -> Array:
    """Share of the map's relevance that falls on the product.

    relevance: (B, h, w) float, at least 0, on the network's grid.
    masks:     (B, H, W) float in [0, 1], 1 on the product.
    Returns (B,) float64 in [0, 1]; NaN where the relevance is 0 everywhere or the mask is empty.
    Says where the evidence lies, not whether the prediction is right.
    Source: relevance mass accuracy (Arras et al. 2022), attribution localisation (Kohlbrenner et al. 2020).
    """
    cells = relevance.shape[1]
    on, total = to_grid(masks, cells), to_grid(np.ones((1, *masks.shape[1:])), cells)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (relevance * on).sum((1, 2), dtype=np.float64) / (relevance * total).sum((1, 2), dtype=np.float64)
    return np.where(masks.any(axis=(1, 2)), np.clip(share, 0, 1), np.nan)


def measure_focus(relevance: Array, masks: Array) -> FocusMeasures:
    """All measures of a batch: relevance (B, h, w) at least 0, masks (B, H, W) in [0, 1], 1 on the product."""
    share, area = cam_on_product(relevance, masks), masks.mean(axis=(1, 2), dtype=np.float64)
    best = _best_attainable(masks, relevance.shape[1])
    has_room = best > area + 1e-9
    with np.errstate(invalid="ignore", divide="ignore"):
        focus = np.where(has_room, (share - area) / (best - area), np.nan)
        lift = np.where(np.isnan(share), np.nan, share / area)
    return FocusMeasures(
        share, area, lift, focus, _pointing_hit(relevance, masks), _reasons(relevance, masks, has_room)
    )


def _best_attainable(masks: Array, cells: int) -> Array:
    """The most that any map on this grid can put on the product: everything in its best cell."""
    total = to_grid(np.ones((1, *masks.shape[1:])), cells)
    return np.asarray((to_grid(masks, cells) / total).max(axis=(1, 2)))


def _pointing_hit(relevance: Array, masks: Array) -> npt.NDArray[np.bool_]:
    flat = len(masks), masks.shape[1] * masks.shape[2]
    peaks = upsample(relevance, masks.shape[1]).reshape(flat).argmax(axis=1)
    return np.asarray(masks.reshape(flat)[np.arange(len(masks)), peaks] >= 0.5)


def _reasons(relevance: Array, masks: Array, has_room: npt.NDArray[np.bool_]) -> list[str | None]:
    zero, empty = relevance.max(axis=(1, 2)) <= 0, masks.max(axis=(1, 2)) <= 0
    names = np.select([zero, empty, ~has_room], list(NULL_REASONS), default="")
    return [name or None for name in names.tolist()]
