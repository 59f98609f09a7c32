"""Picture and stored bytes -> what a person looks at: maps in color over the picture, the mask's outline. No model."""

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from tagger.focus.measures import upsampling_matrix

Array: TypeAlias = npt.NDArray[np.floating]
Pixels: TypeAlias = npt.NDArray[np.uint8]

MASK_CELLS = 32
"""Side of a stored mask."""

_MAP_SHARE = 0.7
"""How much of an overlay's color is the map's: enough to read it by the legend, and the product still shows."""
_UNDERLAY = (0.25, 0.5)
"""Darkest grey and span of the picture beneath a map, so that its own black and white do not pass for evidence."""
_LINES_PER_SIDE = 170
_OUTLINE_RGB, _OUTLINE_EDGE_RGB = (255, 0, 140), (255, 255, 255)
"""Pink is no color of the map and rare in shops; its white edge shows it on pink products, and vanishes on white."""


def unpack_map(data: bytes | None, cells: int = 8) -> Array:
    """A stored map: cells * cells bytes, row by row, 255 at its maximum -> (cells, cells) float32 in [0, 1].

    All zeros for None, which is how a map without relevance is stored. ValueError for another number of bytes.
    """
    if data is None:
        return np.zeros((cells, cells), np.float32)
    if len(data) != cells * cells:
        raise ValueError(f"A map of {cells}x{cells} cells has {cells * cells} bytes. Received: {len(data)}")
    return np.frombuffer(data, np.uint8).reshape(cells, cells).astype(np.float32) / 255


def unpack_mask(data: bytes | None) -> Array:
    """A stored mask: 32x32 bits, row by row -> (32, 32) float32, 1 on the product; all zeros for None.

    ValueError for another number of bytes than 128.
    """
    if data is None:
        return np.zeros((MASK_CELLS, MASK_CELLS), np.float32)
    if len(data) != MASK_CELLS**2 // 8:
        raise ValueError(f"A mask of 32x32 bits has {MASK_CELLS**2 // 8} bytes. Received: {len(data)}")
    return np.unpackbits(np.frombuffer(data, np.uint8)).reshape(MASK_CELLS, MASK_CELLS).astype(np.float32)


def resized(picture: Pixels, width: int, height: int) -> Pixels:
    """(H, W, 3) uint8 -> (height, width, 3): cubic where it grows, averaged where it shrinks."""
    is_smaller = width * height < picture.shape[0] * picture.shape[1]
    method = cv2.INTER_AREA if is_smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)


def relevance_colors(shares: Array) -> Pixels:
    """Shares in [0, 1] (clipped to it), any shape S, as RGB: S + (3,) uint8. The color map is viridis.

    Viridis is perceptually uniform and rises in lightness, so that it reads the same in grey and for the color-blind.
    Source: van der Walt and Smith 2015 (matplotlib's default since 2.0), the table as OpenCV has it.
    """
    levels = np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
    colored = cv2.applyColorMap(levels.reshape(-1, 1), cv2.COLORMAP_VIRIDIS)
    return np.asarray(colored[:, 0, ::-1], np.uint8).reshape(*levels.shape, 3)


def overlay_map(picture: Pixels, grid: Array) -> Pixels:
    """A map in color over the picture in grey: (H, W, 3) uint8 RGB, (h, w) float, at least 0 -> (H, W, 3) uint8.

    The map is scaled to its own maximum and up-sampled exactly as the focus number sees it; a map of zeros is all at
    the legend's lower end. The picture must be what the network saw, or an enlargement of it.
    """
    peak = float(grid.max())
    large = _upsampled(grid / peak if peak > 0 else np.zeros_like(grid), *picture.shape[:2])
    colors = relevance_colors(large).astype(np.float32)
    return np.rint(_MAP_SHARE * colors + (1 - _MAP_SHARE) * _underlay(picture)).astype(np.uint8)


def legend_colors(steps: int = 256) -> Pixels:
    """The legend of every overlay, (steps, 3) uint8 RGB: shares 0 to 1 as they look over a picture of middle grey."""
    middle = 255 * (_UNDERLAY[0] + _UNDERLAY[1] / 2)
    colors = relevance_colors(np.linspace(0, 1, steps)).astype(np.float32)
    return np.asarray(np.rint(_MAP_SHARE * colors + (1 - _MAP_SHARE) * middle), np.uint8)


def outline_mask(picture: Pixels, mask: Array) -> Pixels:
    """A copy of the picture with the product's outline, pink with a white edge, so that it shows on any color.

    picture: (H, W, 3) uint8. mask: (h, w) in [0, 1], product from 0.5 on, stretched to the picture where it is smaller.
    The line is a 170th of the longer side wide, at least 1 px; an empty mask draws nothing.
    """
    height, width = picture.shape[:2]
    fitted = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    contours, _ = cv2.findContours((fitted >= 0.5).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    line = max(1, round(max(height, width) / _LINES_PER_SIDE))
    drawn: Pixels = np.array(picture, order="C")
    for color, thickness in ((_OUTLINE_EDGE_RGB, line + 2), (_OUTLINE_RGB, line)):
        cv2.drawContours(drawn, contours, -1, color, thickness, cv2.LINE_AA)
    return np.asarray(drawn, np.uint8)


def overlay_mask(picture: Pixels, mask: Array) -> Pixels:
    """The product in its own colors with its outline, the rest faded to white: arguments as for `outline_mask`."""
    height, width = picture.shape[:2]
    fitted = cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    kept = 0.2 + 0.8 * fitted
    faded = np.rint(kept * picture + (1 - kept) * 255).astype(np.uint8)
    return outline_mask(faded, mask)


def _underlay(picture: Pixels) -> Array:
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(255 * _UNDERLAY[0] + _UNDERLAY[1] * grey)[..., None]


def _upsampled(grid: Array, height: int, width: int) -> Array:
    rows, columns = upsampling_matrix(grid.shape[0], height), upsampling_matrix(grid.shape[1], width)
    return np.asarray(rows @ grid @ columns.T, np.float64)
