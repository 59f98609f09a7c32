"""Picture to masks: what is not background, and which part of that is the product.

Background is what connects to the border and looks like it. The border's look is a plane fitted to its colors in Lab,
so that a studio's gradient is one background; a pixel a little darker at the same hue is taken for a soft shadow.
"""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from tagger.focus.measures import upsample

Array: TypeAlias = npt.NDArray[np.floating]

_LEAST_DISTANCE = 4.0
"""Lab distance below which a pixel looks like the background: JPEG noise on plain white stays under it."""
_SPREAD_FACTOR = 4.0
"""How many median residuals of the border count as background on a busier one."""
_SHADOW_WEIGHT = 0.4
"""Weight of a lightness loss: a soft shadow is darker than the floor at the same hue."""
_TYPE_SHARE = 0.4
"""Share of the type map's mean on the foreground from which a place counts as product in full."""
_LEAST_AREA = 0.01


@dataclass(frozen=True)
class Foreground:
    """masks: (B, H, W) float32, 1 on everything that is not background. quality: (B,) in [0, 1], a first estimate of
    the masks' IoU from how plain the border is and how sharply the mask's edge shows."""

    masks: Array
    quality: Array


def foreground_masks(pictures: npt.NDArray[np.uint8]) -> Foreground:
    """Masks of a batch of pictures (B, H, W, 3) uint8 RGB; all zeros where nothing differs from the background."""
    results = [_foreground(picture) for picture in pictures]
    return Foreground(
        np.array([mask for mask, _ in results], np.float32).reshape(pictures.shape[:3]),
        np.array([quality for _, quality in results], np.float32),
    )


def product_masks(foreground: Array, type_relevance: Array) -> Array:
    """Foreground weighted by the type network's map: a T-shirt on a person is not the jeans.

    foreground: (B, H, W) in [0, 1]; type_relevance: (B, h, w), at least 0. Returns (B, H, W) float32 in [0, 1]. A place
    is product in full where the map reaches a share of its mean on the foreground; an empty map weighs nothing.
    """
    large = upsample(type_relevance, foreground.shape[1])
    area = np.maximum(foreground.sum((1, 2)), 1e-9)
    enough = _TYPE_SHARE * (large * foreground).sum((1, 2)) / area
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.clip(large / enough[:, None, None], 0, 1)
    return np.where(enough[:, None, None] > 0, foreground * weight, foreground).astype(np.float32)


def dominant_rgb(pictures: npt.NDArray[np.uint8], masks: Array) -> Array:
    """Median color of each product's pixels: (B, H, W, 3), (B, H, W) -> (B, 3) in 0..255; NaN for an empty mask."""
    medians = [
        np.median(picture[mask >= 0.5], axis=0) if (mask >= 0.5).any() else np.full(3, np.nan)
        for picture, mask in zip(pictures, masks, strict=True)
    ]
    return np.array(medians, np.float64).reshape(-1, 3)


def _foreground(picture: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], float]:
    lab: Array = np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    distance, limit = _background_distance(lab)
    alike = (distance < limit).astype(np.uint8)
    mask = _clean(1 - _connected_to_border(alike))
    return mask, _quality(mask, distance, limit)


def _background_distance(lab: Array) -> tuple[Array, float]:
    """Distance of every pixel from the plane fitted to the border, and what still counts as background."""
    height, width = lab.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width]
    terms = np.stack([np.ones_like(rows), rows / height - 0.5, columns / width - 0.5], axis=-1).astype(np.float64)
    border = _border(height, width)
    edge_terms, edge = terms[border], lab[border].astype(np.float64)
    near = np.abs(edge - np.median(edge, axis=0)).sum(axis=1)
    for _ in range(2):
        # Half of the border is enough to see the background where the product is cut by the other half.
        kept = near <= np.median(near) + _LEAST_DISTANCE
        plane = np.linalg.lstsq(edge_terms[kept], edge[kept], rcond=None)[0]
        near = _shadow_distance(edge - edge_terms @ plane)
    distance = _shadow_distance(lab - terms @ plane)
    return distance, max(_LEAST_DISTANCE, _SPREAD_FACTOR * float(np.median(near)))


def _shadow_distance(difference: Array) -> Array:
    lightness = difference[..., 0]
    lightness = np.where(lightness < 0, _SHADOW_WEIGHT * lightness, lightness)
    return np.asarray(np.sqrt(lightness**2 + difference[..., 1] ** 2 + difference[..., 2] ** 2))


def _border(height: int, width: int) -> npt.NDArray[np.bool_]:
    border = np.ones((height, width), bool)
    border[2:-2, 2:-2] = False
    return border


def _connected_to_border(alike: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    _, parts = cv2.connectedComponents(alike, connectivity=4)
    touching = np.unique(parts[_border(*alike.shape) & (alike > 0)])
    return (np.isin(parts, touching) & (alike > 0)).astype(np.uint8)


def _clean(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Close hairline gaps and drop specks that are smaller than a visible product."""
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    _, parts, stats, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    large = areas >= max(8, 0.02 * areas[1:].max(initial=0))
    large[0] = False
    return np.asarray(large[parts], np.uint8)


def _quality(mask: npt.NDArray[np.uint8], distance: Array, limit: float) -> float:
    """Plain border x clear edge x plausible area, each in [0, 1]."""
    area = float(mask.mean())
    if area < _LEAST_AREA:
        return 0.0
    plain = float((distance[_border(*mask.shape)] < limit).mean())
    rim = cv2.dilate(mask, np.ones((3, 3), np.uint8)) - cv2.erode(mask, np.ones((3, 3), np.uint8))
    inner = distance[(rim > 0) & (mask > 0)]
    clear = float(np.clip(np.median(inner) / (2 * limit), 0, 1)) if inner.size else 0.0
    room = float(np.clip((0.98 - area) / 0.1, 0, 1))
    return plain * clear * room * float(np.clip(_LEAST_DISTANCE * 2 / limit, 0, 1))
