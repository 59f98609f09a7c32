"""Connected parts, dilation and slopes of a whole batch in one call each.

OpenCV works on one picture. A batch (B, H, W) is laid out as one strip with empty rows between its pictures, over which
nothing connects or spreads.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating]
Flags: TypeAlias = npt.NDArray[np.bool_]
Planes: TypeAlias = npt.NDArray[Any]

_GAP = 3


@dataclass(frozen=True)
class Parts:
    """labels: (B, H, W) int32, 0 outside of all parts. picture, area: (count,), of each label; label 0 is no part."""

    labels: npt.NDArray[np.int32]
    picture: npt.NDArray[np.intp]
    area: npt.NDArray[np.int64]

    def mean(self, values: Array) -> Array:
        """(B, H, W) -> (count,): the mean over each part."""
        sums = np.bincount(self.labels.ravel(), values.ravel(), len(self.area))
        return np.asarray(sums / np.maximum(self.area, 1))

    def count(self, flags: Flags) -> npt.NDArray[np.int64]:
        """(B, H, W) -> (count,): how many pixels of each part are flagged."""
        return np.bincount(self.labels[flags], minlength=len(self.area))

    def largest(self) -> npt.NDArray[np.int64]:
        """(count,): the area of the largest part of the same picture."""
        most = np.zeros(len(self.labels), np.int64)
        np.maximum.at(most, self.picture[1:], self.area[1:])
        return np.asarray(most[self.picture])

    def select(self, chosen: Flags) -> Flags:
        """(count,) -> (B, H, W): the pixels of the chosen parts."""
        return np.asarray((chosen & (np.arange(len(chosen)) > 0))[self.labels])


def connected_parts(flags: Flags, connectivity: int = 4) -> Parts:
    """Parts of the flagged pixels (B, H, W); connectivity 4 or 8."""
    height = flags.shape[1] + _GAP
    strip = _strip(flags.astype(np.uint8))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(strip, connectivity=connectivity)
    picture = stats[:, cv2.CC_STAT_TOP] // height
    picture[0] = 0
    return Parts(_batch(labels, flags.shape), picture.astype(np.intp), stats[:, cv2.CC_STAT_AREA].astype(np.int64))


def dilated(values: Planes, side: int) -> Planes:
    """The maximum over a square of `side` pixels, at most 5; (B, H, W) uint8 or float32, at least 0."""
    return _batch(cv2.dilate(_strip(values), np.ones((side, side), np.uint8)), values.shape)


def grown(flags: Flags, side: int) -> Flags:
    """Flagged pixels and what lies within a square of `side` pixels around them."""
    return np.asarray(dilated(flags.astype(np.uint8), side), bool)


def shrunk(flags: Flags, side: int) -> Flags:
    """Flagged pixels whose square of `side` pixels is flagged; beyond the picture counts as flagged."""
    return ~grown(~flags, side)


def blurred(values: Array) -> Array:
    """The mean over 3 x 3 pixels; (B, H, W) float32."""
    return _batch(cv2.blur(_strip(values, "edge"), (3, 3)), values.shape, 1)


def slope(planes: tuple[Array, ...]) -> Array:
    """Length of the gradient of several planes together, in units a pixel; each (B, H, W) float32."""
    total = np.zeros_like(planes[0])
    for plane in planes:
        strip = _strip(plane, "edge")
        for along in ((1, 0), (0, 1)):
            total += _batch(cv2.Scharr(strip, -1, *along, scale=1 / 32), plane.shape, 1) ** 2
    return np.asarray(np.sqrt(total))


def _strip(values: Planes, beyond: str = "empty") -> Planes:
    """(B, H, W) -> (B * (H + gap), W); `edge` repeats the outermost rows, the first of them above the picture."""
    count, height, width = values.shape
    strip = np.zeros((count, height + _GAP, width), values.dtype)
    above = 1 if beyond == "edge" else 0
    strip[:, above : height + above] = values
    if beyond == "edge":
        strip[:, 0], strip[:, height + 1] = values[:, 0], values[:, -1]
    return strip.reshape(-1, width)


def _batch(strip: Planes, shape: tuple[int, ...], above: int = 0) -> Planes:
    """The inverse of `_strip`."""
    count, height, width = shape
    return strip.reshape(count, height + _GAP, width)[:, above : height + above]
