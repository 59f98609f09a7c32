"""Map and mask to numbers: which share of the evidence lies on the product.

The up-sampling U (h x w grid to the mask's pixels) is bilinear with half-pixel centres and linear, so every sum over
pixels is a sum over the grid: with m = U^T P and n = U^T 1, `sum(U(R) P) / sum(U(R)) = sum(R m) / sum(R n)`.
Grids and masks are square. All sums are taken in float64, whatever the arrays come in: single precision would find
room above the area of a mask that has none.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating]

NULL_REASONS = ("zero_map", "empty_mask", "mask_everywhere")
"""Why a focus number can be null: no positive evidence, no product, or no room for a better map than chance."""

ON_PRODUCT = 0.5
"""A pixel of a soft mask counts as product from here on, where a yes or no is needed."""

_ROOM = 1e-9  # above the rounding of best and area in float64, below what one pixel of a picture adds


@dataclass(frozen=True)
class FocusMeasures:
    """Focus of a batch; NaN (null in the table) where undefined, with the reason beside it.

    cam_on_product: (B,) share of the relevance on the product, [0, 1].
    product_area:   (B,) share of the picture that is product, [0, 1].
    cam_lift:       (B,) cam_on_product / product_area.
    focus:          (B,) share of the attainable: 0 for a map that ignores the product, 1 for the best map on this grid.
    pointing_hit:   (B,) bool, whether a strongest pixel of U(R) lies on the product; False where cam_on_product is NaN.
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
    matrix.setflags(write=False)  # the cache hands the same array to everyone
    return matrix


def upsample(maps: Array, pixels: int) -> Array:
    """(B, h, w) -> (B, pixels, pixels) float64, by the same U as the measures."""
    rows, columns = upsampling_matrix(maps.shape[1], pixels), upsampling_matrix(maps.shape[2], pixels)
    return np.asarray(np.matmul(np.matmul(rows, maps), columns.T))


def to_grid(masks: Array, cells: int) -> Array:
    """U^T of masks: (B, H, W) -> (B, cells, cells) float64, each pixel's weight handed to the cells that feed it."""
    rows, columns = upsampling_matrix(cells, masks.shape[1]), upsampling_matrix(cells, masks.shape[2])
    return np.asarray(np.matmul(np.matmul(rows.T, masks), columns))


def cam_on_product(relevance: Array, masks: Array) -> Array:
    """Share of the map's relevance that falls on the product.

    relevance: (B, h, h) float, finite, at least 0, on the network's grid.
    masks:     (B, H, H) float in [0, 1], 1 on the product, at least as fine as the grid.
    Returns (B,) float64 in [0, 1]; NaN where the relevance is 0 everywhere or the mask is empty.
    Says where the evidence lies, not whether the prediction is right.
    Source: relevance mass accuracy (Arras et al. 2022), attribution localisation (Kohlbrenner et al. 2020).
    """
    cells = relevance.shape[1]
    return _share(relevance, to_grid(masks, cells), _whole(cells, masks.shape[1]))


def measure_focus(relevance: Array, masks: Array) -> FocusMeasures:
    """All measures of a batch, on arrays as `cam_on_product` takes them.

    `best`, the most that any map on this grid can put on the product, is everything in its best cell. The strongest
    pixel is found among those of U(R): nearest to the strongest cell is not exact, for a slightly weaker cell with
    strong neighbours can win where no pixel lies on a cell's centre. Pixels that tie count together.
    """
    cells, pixels = relevance.shape[1], masks.shape[1]
    on, whole = to_grid(masks, cells), _whole(cells, pixels)
    share, area, best = _share(relevance, on, whole), on.sum((1, 2)) / pixels**2, (on / whole).max(axis=(1, 2))
    has_room = best > area + _ROOM
    with np.errstate(invalid="ignore", divide="ignore"):
        focus = np.where(has_room, (share - area) / (best - area), np.nan)
        lift = np.where(np.isnan(share), np.nan, share / area)
    hit = _pointing_hit(relevance, masks) & ~np.isnan(share)
    return FocusMeasures(share, area, lift, focus, hit, _reasons(relevance, on, has_room))


def _whole(cells: int, pixels: int) -> Array:
    """U^T of the picture as a whole, (cells, cells)."""
    weights = upsampling_matrix(cells, pixels).sum(axis=0)
    return np.asarray(np.outer(weights, weights))


def _share(relevance: Array, on: Array, whole: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (relevance * on).sum((1, 2)) / (relevance * whole).sum((1, 2))
    return np.where(on.any(axis=(1, 2)), np.clip(share, 0, 1), np.nan)


def _pointing_hit(relevance: Array, masks: Array) -> npt.NDArray[np.bool_]:
    large = upsample(relevance, masks.shape[1])
    strongest = large == large.max(axis=(1, 2), keepdims=True)
    return np.asarray((strongest & (masks >= ON_PRODUCT)).any(axis=(1, 2)))


def _reasons(relevance: Array, on: Array, has_room: npt.NDArray[np.bool_]) -> list[str | None]:
    zero, empty = ~(relevance > 0).any(axis=(1, 2)), ~on.any(axis=(1, 2))
    names = np.select([zero, empty, ~has_room], list(NULL_REASONS), default="")
    return [name or None for name in names.tolist()]
