"""Picture to background: the color that the border has, continued over the whole picture, and how far each pixel is.

All arithmetic is on Lab planes (B, H, W) float32, for a whole batch at once.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating]

NEAR = 6.0
"""Distance below which a border pixel belongs to the background's color."""

_SHADE_WEIGHT = 0.4
"""Weight of a lightness loss: a soft shadow is darker than the floor at the same hue."""
_MODE_RADIUS = 2.0
_PLANE_PULL = np.diag([1e-3, 3.0, 3.0])
_SURFACE_PULL = np.diag([1e-3, 0.3, 0.3, 1.0, 1.0, 1.0])
"""Ridge terms: a slope or a bend needs evidence, for it is continued over what the product hides."""


class Lab(NamedTuple):
    """Planes of a batch, each (B, H, W) float32: lightness 0 to 100, a and b about -108 to 98."""

    lightness: Array
    a: Array
    b: Array


class Distance(NamedTuple):
    """How far pixels are from the background, each (B, H, W) float32, in Lab units.

    shaded: darkening at the same hue counts less. full: it counts in full. drop: lightness lost (negative: gained).
    hue: distance in a and b, after both have been scaled as the lightness was.
    """

    shaded: Array
    full: Array
    drop: Array
    hue: Array


@dataclass(frozen=True)
class Border:
    """What the border says. coefficients: (B, 3, 3), plane terms x Lab. noise: (B,) median distance of the border's
    background pixels from the plane. plain_share: (B,) the part of the border that is background, in [0, 1]."""

    coefficients: Array
    noise: Array
    plain_share: Array


def half_lab(pictures: npt.NDArray[np.uint8]) -> Lab:
    """(B, H, W, 3) uint8 RGB, B at least 1, H and W even -> Lab planes (B, H / 2, W / 2).

    Every 2 x 2 pixels as their mean: a quarter of the work, and half of the JPEG noise.
    """
    count, height, width = pictures.shape[:3]
    colors = _lab(halved(pictures)).reshape(count, height // 2, width // 2, 3)
    return Lab(*np.ascontiguousarray(colors.transpose(3, 0, 1, 2)))


def halved(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """(B, H, W, 3) -> (B * H / 2, W / 2, 3), one picture below the other, as OpenCV takes them in one call."""
    count, height, width = pictures.shape[:3]
    tall = np.ascontiguousarray(pictures).reshape(count * height, width, 3)
    small = cv2.resize(tall, (width // 2, count * height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _lab(colors: npt.NDArray[np.uint8]) -> Array:
    """(..., 3) uint8 RGB of two dimensions and the color -> Lab float32."""
    return np.asarray(cv2.cvtColor(colors.astype(np.float32) * np.float32(1 / 255), cv2.COLOR_RGB2LAB), np.float32)


def border_ring(height: int, width: int) -> npt.NDArray[np.bool_]:
    """(H, W), true on the outermost pixels."""
    ring = np.ones((height, width), bool)
    ring[1:-1, 1:-1] = False
    return ring


def fit_border(lab: Lab) -> Border:
    """The plane through the background's part of each border.

    Two candidates, the border's most common color and the most common one away from its plane; the better one covers
    more of the border with less noise. A product that is cut by the border may well cover more of it than the
    background, but it is seldom as even.
    """
    height, width = lab.lightness.shape[1:]
    ring = np.flatnonzero(border_ring(height, width))
    terms = _terms(height, width)[:, :, :3].reshape(-1, 3)[ring]
    colors = np.stack([plane.reshape(len(plane), -1)[:, ring] for plane in lab], axis=-1)
    crowd = _crowd(colors)
    first, near = _fit_plane(terms, colors, crowd)
    second, _ = _fit_plane(terms, colors, np.where(near <= NEAR, 0, crowd))
    better = (_evenness(second) > _evenness(first))[:, None]
    return Border(
        np.where(better[..., None], second.coefficients, first.coefficients),
        np.where(better[:, 0], second.noise, first.noise),
        np.where(better[:, 0], second.plain_share, first.plain_share),
    )


def _crowd(colors: Array) -> Array:
    """(B, n, 3) -> (B, n): how many neighbors in Lab each color has; counted for every fourth, 0 for the others."""
    some = colors[:, ::4]
    apart = np.abs(some[:, :, None] - some[:, None]).sum(axis=-1)
    crowd = np.zeros(colors.shape[:2], np.float32)
    crowd[:, ::4] = np.exp(-apart / _MODE_RADIUS).sum(axis=2)
    return crowd


def _fit_plane(terms: Array, colors: Array, crowd: Array) -> tuple[Border, Array]:
    """The plane through the most crowded color, and the distance of every border pixel from it, (B, n)."""
    mode = colors[np.arange(len(colors)), crowd.argmax(axis=1)]
    offset = colors - mode[:, None]
    near = np.abs(offset).sum(axis=-1)
    for _ in range(3):
        coefficients = _least_squares(terms, near <= NEAR, offset, _PLANE_PULL)
        fitted = terms @ coefficients + mode[:, None]
        near = _distance(Lab(*np.moveaxis(colors, -1, 0)), Lab(*np.moveaxis(fitted, -1, 0))).shaded
    coefficients[:, 0] += mode
    noise = np.array([np.median(row[row <= NEAR]) if (row <= NEAR).any() else NEAR for row in near])
    return Border(coefficients.astype(np.float32), noise, (near <= NEAR).mean(axis=1)), near


def _evenness(border: Border) -> Array:
    return np.asarray(border.plain_share / (1 + border.noise))


def plane_distance(lab: Lab, border: Border) -> Distance:
    """Distance of every pixel from its picture's border plane."""
    return _distance(lab, _surface(border.coefficients, *lab.lightness.shape[1:]))


def fit_surface(lab: Lab, border: Border, background: npt.NDArray[np.bool_]) -> Array:
    """(B, 6, 3): a surface of second order through the pixels that are known to be background, (B, H, W) bool.

    A studio's light falls off towards the corners, which no plane follows.
    """
    every = slice(None, None, 2)
    terms = _terms(*lab.lightness.shape[1:])[every, every].reshape(-1, 6)
    colors = np.stack([plane[:, every, every].reshape(len(plane), -1) for plane in lab], axis=-1)
    middle = border.coefficients[:, :1]
    known = background[:, every, every].reshape(len(background), -1)
    coefficients = _least_squares(terms, known, colors - middle, _SURFACE_PULL)
    coefficients[:, :1] += middle
    return coefficients.astype(np.float32)


def surface_distance(lab: Lab, coefficients: Array) -> Distance:
    """Distance of every pixel from the surface of `fit_surface`."""
    return _distance(lab, _surface(coefficients, *lab.lightness.shape[1:]))


def shaded_distance_at(pictures: npt.NDArray[np.uint8], coefficients: Array, chosen: npt.NDArray[np.bool_]) -> Array:
    """(n,): `Distance.shaded` from the surface, of the chosen pixels alone; pictures (B, H, W, 3), chosen (B, H, W)."""
    if not chosen.any():
        return np.zeros(0, np.float32)
    height, width = chosen.shape[1:]
    picture, place = np.divmod(np.flatnonzero(chosen), height * width)
    terms = _terms(height, width).reshape(height * width, -1)[place]
    background = np.einsum("nt,ntc->nc", terms, coefficients[picture])
    colors = _lab(pictures[chosen][None])[0]
    return _distance(Lab(*colors.T), Lab(*background.T)).shaded


def _distance(lab: Lab, background: Lab) -> Distance:
    shade = (lab.lightness + 16) / (background.lightness + 16)
    hue = (lab.a - shade * background.a) ** 2 + (lab.b - shade * background.b) ** 2
    drop = background.lightness - lab.lightness
    weighted = np.where(drop > 0, _SHADE_WEIGHT * drop, drop)
    return Distance(np.sqrt(weighted**2 + hue), np.sqrt(drop**2 + hue), drop, np.sqrt(hue))


def _surface(coefficients: Array, height: int, width: int) -> Lab:
    terms = _terms(height, width)[:, :, : coefficients.shape[1]].reshape(height * width, -1)
    planes = np.matmul(terms, coefficients.transpose(0, 2, 1)[..., None])[..., 0]
    return Lab(*(planes[:, n].reshape(-1, height, width) for n in range(3)))


@lru_cache(maxsize=8)
def _terms(height: int, width: int) -> Array:
    """(H, W, 6) float32: 1, y, x, y^2, x^2, x y, with y and x from -0.5 to 0.5 at pixel centres."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = (y + 0.5) / height - 0.5, (x + 0.5) / width - 0.5
    return np.stack([np.ones_like(y), y, x, y * y, x * x, x * y], axis=-1)


def _least_squares(terms: Array, used: npt.NDArray[np.bool_], values: Array, pull: Array) -> Array:
    """Ridge regression of a batch: (n, t), (B, n) bool, (B, n, 3) -> (B, t, 3) float64."""
    weighted = terms * used[..., None].astype(np.float32)
    gram = np.matmul(weighted.transpose(0, 2, 1), terms).astype(np.float64) + pull
    return np.linalg.solve(gram, np.matmul(weighted.transpose(0, 2, 1), values).astype(np.float64))
