"""Training-time changes that keep the truth of type and color: geometry and sharpness; never hue or brightness."""

from dataclasses import dataclass, fields

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

_ASPECT_SHARE = 0.3
"""Products stretch less than they come nearer: this share of the scale's range goes into the ratio of the sides."""
_LEAST_BLUR_SHARE = 0.3
"""A picture that is made coarse keeps at least this share of its pixels a side: 128 px become 38 px and more."""


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training picture.

    flip: mirror half of them left to right. shift: largest move, as a share of the side. scale: largest zoom, in and
    out, as a share. rotate: largest turn in degrees. coarse: share of the pictures that lose detail, as small photos
    have. background: share of the pictures whose background is replaced by a drawn one.
    """

    flip: bool = False
    shift: float = 0.0
    scale: float = 0.0
    rotate: float = 0.0
    coarse: float = 0.0
    background: float = 0.0


@dataclass(frozen=True)
class Changes:
    """One change a picture, (B,) each but for the moves.

    mirrored: bool. moves: (B, 2) rows and columns, as shares of the side. zooms: (B, 2) factors of rows and columns,
    above 1 is nearer. turns: radians. detail: share of the pixels a side that is kept. backgrounds: seeds of drawn
    backgrounds; 0 keeps the picture's own.
    """

    mirrored: npt.NDArray[np.bool_]
    moves: Floats
    zooms: Floats
    turns: Floats
    detail: Floats
    backgrounds: npt.NDArray[np.int64]

    def part(self, share: slice) -> "Changes":
        """The changes of some of the pictures."""
        return Changes(*(getattr(self, field.name)[share] for field in fields(self)))


def draw_changes(count: int, augmentation: Augmentation, rng: np.random.Generator) -> Changes:
    """Changes for `count` pictures."""
    mirrored = rng.random(count) < 0.5 * augmentation.flip
    moves = rng.uniform(-augmentation.shift, augmentation.shift, (count, 2))
    near, aspect = rng.uniform(-1, 1, (2, count)) * np.log1p(augmentation.scale)
    zooms = np.exp(np.stack([near + aspect * _ASPECT_SHARE, near - aspect * _ASPECT_SHARE], axis=1))
    turns = np.radians(rng.uniform(-augmentation.rotate, augmentation.rotate, count))
    detail = np.where(rng.random(count) < augmentation.coarse, rng.uniform(_LEAST_BLUR_SHARE, 1.0, count), 1.0)
    seeds = rng.integers(1, 2**31, count)
    backgrounds = np.where(rng.random(count) < augmentation.background, seeds, 0)
    return Changes(mirrored, moves, zooms, turns, detail, backgrounds)


def changed(pixels: Pixels, changes: Changes, side: int) -> Pixels:
    """Changed copies of a batch (B, H, H, 3) as (B, side, side, 3); the edge is repeated where nothing moves in.

    Where only mirrored and moved, at the same size, every pixel is one of the picture's own.
    """
    after = np.empty((len(pixels), side, side, 3), np.uint8)
    frames = _frames(changes, side)
    for number, picture in enumerate(pixels):
        small = resized(_coarser(picture, changes.detail[number]), side)
        after[number] = cv2.warpAffine(
            small, frames[number], (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return after


def resized(picture: Pixels, side: int) -> Pixels:
    """(H, H, 3) uint8 -> (side, side, 3): averaged where it shrinks, interpolated where it grows."""
    if len(picture) == side:
        return picture
    way = cv2.INTER_AREA if len(picture) > side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (side, side), interpolation=way), np.uint8)


def _coarser(picture: Pixels, detail: float) -> Pixels:
    return picture if detail >= 1 else resized(picture, max(1, round(len(picture) * detail)))


def _frames(changes: Changes, side: int) -> Floats:
    """(B, 2, 3) matrices from places of the picture to places of its changed copy, x before y, in pixels."""
    cos, sin = np.cos(changes.turns), np.sin(changes.turns)
    down, across = changes.zooms.T
    across = np.where(changes.mirrored, -across, across)
    turned = np.stack([cos * across, -sin * down, sin * across, cos * down], axis=1).reshape(-1, 2, 2)
    middle = np.full(2, (side - 1) / 2)
    moves = np.rint(changes.moves[:, ::-1] * side)
    offsets = middle - turned @ middle - moves * np.where(changes.mirrored[:, None], [-1, 1], 1)
    return np.concatenate([turned, offsets[..., None]], axis=2)
