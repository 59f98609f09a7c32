"""Picture to foreground: what is not background.

Background is what connects to the border over smooth ground. At half the resolution the border's color is continued
over the picture (`tagger.focus.background`), and from the border the background spreads over pixels that are not far
from it and where no edge stands. A second, looser spread takes soft shadows and the smear around strong edges along,
but not what the product encloses: a white shirt on white shows by its edges and folds alone. The outline is then drawn
at full resolution.
"""

from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tagger.focus.background import (
    NEAR,
    Border,
    Distance,
    border_ring,
    fit_border,
    fit_surface,
    half_lab,
    plane_distance,
    shaded_distance_at,
    surface_distance,
)
from tagger.focus.parts import Parts, blurred, connected_parts, dilated, grown, shrunk, slope
from tagger.focus.quality import PLAIN, SCENE, expected_iou, mask_clues
from tagger.focus.scene import scene_masks

Array: TypeAlias = npt.NDArray[np.floating]
Flags: TypeAlias = npt.NDArray[np.bool_]

_FAR = 14.0
"""Distance beyond which nothing is background, however smoothly it is reached."""
_START, _NOISE_FACTOR = 4.0, 4.0
"""Distance below which the background spreads from a border pixel; this many times the noise on a noisy border."""
_EDGE, _SLOPE_FACTOR = 1.6, 2.5
"""Slope (Lab units a pixel of half size) that is an edge; this many times the border's own on a noisy one."""
_SHADOW_EDGE, _SHADOW_HUE, _SHADOW_DROP, _SHADOW_MEAN_DROP = 3.0, 2.0, 3.0, 6.0
"""A soft shadow: slopes up to the first, off in hue by at most the second, darker by the third, on average the last."""
_SMEAR_SHARE, _SMEAR_FAR, _LOOSE_SMEAR_SHARE, _LOOSE_SMEAR_FAR = 0.5, 2.0, 0.35, 4.0
"""JPEG and scaling smear an edge: what is off by less than a share of its neighborhood is no edge of its own."""
_HOLE_FAR, _LEAST_HOLE_PX = 1.0, 4
"""What the product encloses is background where it is the background's very color: the gap under a bag's handle."""
_ENCLOSED_FAR, _ENCLOSED_NOISE_FACTOR, _ENCLOSED_DROP = 1.2, 2.5, 20.0
_LEAST_PART, _LEAST_PART_PX = 0.02, 3
"""Parts smaller than this share of the largest are specks."""
_OUTLINE_SHARE = 0.4
_SCENE_BELOW = 0.6
"""Expected IoU below which the picture is taken for a scene without a plain background."""


@dataclass(frozen=True)
class Foreground:
    """masks: (B, H, W) float32, 1 on everything that is not background. quality: (B,) in [0, 1], the IoU to expect."""

    masks: Array
    quality: Array


@dataclass(frozen=True)
class Ground:
    """What the background spreads over: distances from its color, slopes, the slope that is an edge, the border."""

    distance: Distance
    slopes: Array
    edge: Array
    border: Border

    @property
    def noise(self) -> Array:
        return np.asarray(self.border.noise[:, None, None], np.float32)

    def clue_sources(self, rows: npt.NDArray[np.intp] | slice = slice(None)) -> tuple[Distance, Array, Border]:
        """What `mask_clues` is told beside the masks, of all pictures or of some rows."""
        border = Border(*(getattr(self.border, field.name)[rows] for field in fields(Border)))
        return Distance(*(plane[rows] for plane in self.distance)), self.slopes[rows], border

    @property
    def start(self) -> Flags:
        ring = border_ring(*self.slopes.shape[1:])
        return np.asarray((self.distance.shaded < np.maximum(_START, _NOISE_FACTOR * self.noise)) & ring)


def foreground_masks(pictures: npt.NDArray[np.uint8]) -> Foreground:
    """Masks of a batch of pictures (B, H, W, 3) uint8 RGB, H and W even; all zeros where nothing differs.

    Where the border's color explains little, GrabCut's mask is taken instead if it is the better one to expect.
    """
    if not len(pictures):
        return Foreground(np.zeros(pictures.shape[:3], np.float32), np.zeros(0, np.float32))
    ground, small, masks = plain_masks(pictures)
    quality = expected_iou(mask_clues(small, *ground.clue_sources()), PLAIN)
    rows = np.flatnonzero((quality < _SCENE_BELOW) & small.any(axis=(1, 2)))
    if len(rows):
        found = scene_masks(pictures[rows])
        expected = expected_iou(mask_clues(found[:, ::2, ::2] >= 0.5, *ground.clue_sources(rows)), SCENE)
        better = expected > quality[rows]
        masks[rows[better]], quality[rows[better]] = found[better], expected[better]
    return Foreground(masks, quality)


def plain_masks(pictures: npt.NDArray[np.uint8]) -> tuple[Ground, Flags, Array]:
    """Masks from the border's color alone: what they were judged on, (B, H / 2, W / 2) bool, (B, H, W) float32."""
    half = half_lab(pictures)
    border = fit_border(half)
    first, slopes = plane_distance(half, border), slope(half)
    edge = _edge_limit(slopes, first)
    known = Ground(first, slopes, edge, border)
    surface = fit_surface(half, border, _spread((slopes < edge) & (first.shaded < _FAR), known.start))
    ground = Ground(surface_distance(half, surface), slopes, edge, border)
    small = _without_specks(_enclosed(ground, ~_background(ground)))
    return ground, small, _outlined(pictures, small, surface, ground).astype(np.float32)


def _edge_limit(slopes: Array, distance: Distance) -> Array:
    """(B, 1, 1): the slope from which there is an edge, by the slopes of the border's background."""
    ring = border_ring(*slopes.shape[1:])
    pairs = zip(slopes[:, ring], distance.shaded[:, ring] < NEAR, strict=True)
    usual = np.array([np.median(slope[near]) if near.any() else 0.0 for slope, near in pairs])
    return np.asarray(np.maximum(_EDGE, _SLOPE_FACTOR * usual)[:, None, None], np.float32)


def _spread(passable: Flags, start: Flags) -> Flags:
    """What is reached from the start over passable pixels, all (B, H, W)."""
    parts = connected_parts(passable)
    return parts.select(parts.count(start) > 0)


def _background(ground: Ground) -> Flags:
    distance, near = ground.distance, ground.distance.shaded < _FAR
    around = dilated(distance.shaded, 5)
    sure = _sure(ground, around, near)
    is_shadow = (distance.hue < _SHADOW_HUE) & (distance.drop > _SHADOW_DROP)
    edge = np.where(is_shadow, np.maximum(_SHADOW_EDGE, ground.edge), ground.edge)
    smear = (distance.shaded < _LOOSE_SMEAR_SHARE * around) & (distance.shaded < _LOOSE_SMEAR_FAR)
    more = _spread(sure | (((ground.slopes < edge) | smear) & near), sure) & ~sure
    parts = connected_parts(more)
    is_dark = parts.mean(distance.drop) > _SHADOW_MEAN_DROP
    is_thin = parts.count(shrunk(more, 3)) <= 1
    return sure | parts.select(is_dark | is_thin)


def _sure(ground: Ground, around: Array, near: Flags) -> Flags:
    """Reached over smooth ground, or enclosed and of the background's very color."""
    distance = ground.distance
    smear = (distance.shaded < _SMEAR_SHARE * around) & (distance.shaded < _SMEAR_FAR)
    parts = connected_parts(((ground.slopes < ground.edge) | smear) & near)
    limit = _HOLE_FAR * np.maximum(1, ground.border.noise)[parts.picture]
    is_hole = (parts.area >= _LEAST_HOLE_PX) & (parts.mean(distance.full) < limit)
    return parts.select((parts.count(ground.start) > 0) | is_hole)


def _enclosed(ground: Ground, found: Flags) -> Flags:
    """The foreground with what it has on all four sides, where that is not the background's very color."""
    hits = [np.maximum.accumulate(found, axis=axis) for axis in (1, 2)]
    hits += [np.flip(np.maximum.accumulate(np.flip(found, axis), axis=axis), axis) for axis in (1, 2)]
    limit = np.maximum(_ENCLOSED_FAR, _ENCLOSED_NOISE_FACTOR * ground.noise)
    is_other = (blurred(ground.distance.full) > limit) & (ground.distance.drop < _ENCLOSED_DROP)
    inside = np.logical_and.reduce(hits) & ~found & is_other
    return np.asarray(found | (grown(shrunk(inside, 2), 3) & inside))


def _without_specks(found: Flags) -> Flags:
    parts: Parts = connected_parts(found, connectivity=8)
    return parts.select(parts.area >= np.maximum(_LEAST_PART_PX, _LEAST_PART * parts.largest()))


def _outlined(pictures: npt.NDArray[np.uint8], small: Flags, surface: Array, ground: Ground) -> Flags:
    """(B, h, w) at half size -> (B, H, W): at the rim, what is as far from the background as its neighborhood."""
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    core = shrunk(large, 5)
    rim = grown(large, 3) & ~core
    around = dilated(ground.distance.shaded, 3).repeat(2, axis=1).repeat(2, axis=2)
    core[rim] = shaded_distance_at(pictures, surface, rim) > _OUTLINE_SHARE * around[rim]
    return core
