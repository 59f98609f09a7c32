"""How good a foreground mask is, told from the picture alone: the intersection over union with the truth to expect.

A logistic function of nine clues, fitted to the measured IoU of masks whose truth is known (drawn pictures, real
cut-outs, cut-outs pasted over other pictures, street photos) by `benchmarks/masks.py --fit`, which prints the numbers
below and their calibration on pictures that were not fitted on.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tagger.focus.background import Border, Distance, border_ring
from tagger.focus.parts import shrunk

Array: TypeAlias = npt.NDArray[np.floating]
Flags: TypeAlias = npt.NDArray[np.bool_]

_FAINT, _CLEAR = 4.0, 8.0
"""Distance from the background below which a product hardly shows, and above which a missed pixel is suspect."""
_LEAST_NOISE = 0.05
_AREA = 3
PLAIN = np.array([-2.9464, 2.9033, -0.1967, -4.6217, 3.8942, -0.0237, 0.4725, -2.8644, -0.0347, -6.3575])
SCENE = np.array([0.1701, -0.3347, -0.1199, 0.0, 2.2903, -0.6144, 1.0543, -3.6804, 0.0025, -1.9442])
"""Intercept, then weights in the order of `mask_clues`: for masks from the border's color, and for GrabCut's."""


def expected_iou(clues: Array, fitted: Array) -> Array:
    """(B, 9) of `mask_clues` -> (B,) float32 in [0, 1]; 0 for an empty mask. fitted: PLAIN or SCENE."""
    expected = 1 / (1 + np.exp(-(fitted[0] + clues @ fitted[1:])))
    return np.where(clues[:, _AREA] > 0, expected, 0).astype(np.float32)


def mask_clues(masks: Flags, distance: Distance, slopes: Array, border: Border) -> Array:
    """(B, 9): what a good mask is known by. All arguments at the resolution of masks (B, H, W).

    How much of the border is background; its noise (log); how much of the border is foreground; area; how far the
    outline is from the background (log) and how steep it is there (log); the share of faint pixels; the outline's
    length for the area; the share of clearly different pixels that the mask leaves out.
    """
    ring = border_ring(*masks.shape[1:])
    pixels = np.maximum(masks.sum(axis=(1, 2)), 1)
    outline = masks & ~shrunk(masks, 3)
    length = np.maximum(outline.sum(axis=(1, 2)), 1)
    clues = [
        border.plain_share,
        np.log(np.maximum(border.noise, _LEAST_NOISE)),
        masks[:, ring].mean(axis=1),
        masks.mean(axis=(1, 2)),
        np.log1p((distance.shaded * outline).sum(axis=(1, 2)) / length),
        np.log1p((slopes * outline).sum(axis=(1, 2)) / length),
        ((distance.shaded < _FAINT) & masks).sum(axis=(1, 2)) / pixels,
        length / np.sqrt(pixels),
        ((distance.shaded > _CLEAR) & ~masks).mean(axis=(1, 2)),
    ]
    return np.stack(clues, axis=1).astype(np.float64)
