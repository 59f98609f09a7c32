"""Cloth before it is lit: patterns (stripes, checks, color blocks, prints) and the grain of materials."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from tagger.catalog.synth.sketch import Paint

_TILE = 512


@dataclass(frozen=True)
class Material:
    """How a surface takes light: `gloss` of the lit side, depth of `grain`, and which noise makes the grain."""

    gloss: float
    grain: float
    noise: str


MATERIALS: dict[str, Material] = {
    "cloth": Material(0.16, 0.014, "fine"),
    "melange": Material(0.14, 0.09, "fine"),
    "knit": Material(0.14, 0.0, "knit"),
    "rib": Material(0.12, 0.0, "rib"),
    "denim": Material(0.12, 0.055, "twill"),
    "satin": Material(0.55, 0.015, "fine"),
    "leather": Material(0.42, 0.02, "grain"),
    "suede": Material(0.08, 0.03, "grain"),
    "mesh": Material(0.15, 0.0, "mesh"),
    "rubber": Material(0.20, 0.02, "fine"),
    "metal": Material(0.95, 0.02, "brushed"),
    "glass": Material(0.75, 0.0, "fine"),
    "skin": Material(0.14, 0.012, "fine"),
    "hair": Material(0.22, 0.10, "brushed"),
}


@cache
def noise_tile(kind: str) -> np.ndarray:
    """A (512, 512) float32 tile of noise about 0 with unit spread; always the same for a kind, and it wraps around."""
    sigma = {"fine": (0.6, 0.6), "grain": (0.9, 0.9), "brushed": (9.0, 0.7), "blotch": (18, 18), "fold": (2.6, 9.0)}
    raw = np.random.default_rng(7).standard_normal((_TILE, _TILE)).astype(np.float32)
    if kind == "twill":
        y, x = np.mgrid[:_TILE, :_TILE].astype(np.float32)
        raw = np.sin((x + 2 * y) * np.float32(2 * np.pi * 114 / _TILE)) * 0.7 + raw * 0.8
        return np.asarray(raw, np.float32)
    sx, sy = sigma[kind]
    wrapped = np.pad(raw, 64, mode="wrap")
    tile = cv2.GaussianBlur(wrapped, (0, 0), sx, sigmaY=sy)[64:-64, 64:-64]
    return np.asarray((tile - tile.mean()) / tile.std(), np.float32)


def noise_patch(kind: str, shape: tuple[int, int], seed: int) -> np.ndarray:
    """A (h, w) float32 piece of a tile; the seed says from where."""
    dy, dx = (seed * 73) % _TILE, (seed * 151) % _TILE
    rows, columns = (dy + np.arange(shape[0])) % _TILE, (dx + np.arange(shape[1])) % _TILE
    return np.asarray(noise_tile(kind)[np.ix_(rows, columns)])


def painted(paint: Paint, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Unlit colors of a paint at item coordinates.

    u, v: (h, w) float32, in units of the item. Returns (h, w, 3) float32 on the scale 0..255.
    """
    if paint.pattern == "plain":
        colors = np.broadcast_to(paint.rgb.astype(np.float32), (*u.shape, 3))
    else:
        c, s = np.float32(np.cos(paint.angle) / paint.scale), np.float32(np.sin(paint.angle) / paint.scale)
        colors = _PATTERNS[paint.pattern](paint, c * u - s * v, s * u + c * v)
    return _grained(paint, colors, u, v)


def _grained(paint: Paint, colors: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    material = MATERIALS[paint.material]
    if material.noise in _WEAVES:
        shade = _WEAVES[material.noise](u, v)
    else:
        shade = noise_patch(material.noise, (u.shape[0], u.shape[1]), paint.seed) * np.float32(material.grain)
    # Relative to a middle tone, so that dark cloth shows its weave too.
    return np.asarray(colors + shade[..., None] * (np.float32(0.75) * colors + np.float32(45)), np.float32)


def _knit(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Columns of slanted stitches."""
    column = np.sin(u * np.float32(2 * np.pi / 0.075))
    stitch = np.sin((v * np.float32(2 * np.pi / 0.05)) + np.abs(column) * 3)
    return np.asarray(column * 0.11 + stitch * 0.06, np.float32)


def _rib(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.asarray(np.sin(u * np.float32(2 * np.pi / 0.045)) * 0.16, np.float32)


def _mesh(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    a, b = np.sin((u + v) * np.float32(2 * np.pi / 0.07)), np.sin((u - v) * np.float32(2 * np.pi / 0.07))
    return np.asarray(-0.14 * (a * b > 0.25), np.float32)


_WEAVES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"knit": _knit, "rib": _rib, "mesh": _mesh}


def _bands(paint: Paint, at: np.ndarray) -> np.ndarray:
    """Index of the color at a position in a repeat of bands of unequal, seeded width."""
    rng = np.random.default_rng(paint.seed)
    edges = np.cumsum(rng.uniform(0.5, 1.5, len(paint.colors)))
    return np.searchsorted(edges / edges[-1], (at % 1).ravel(), side="right").reshape(at.shape) % len(paint.colors)


def _stripes(paint: Paint, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.asarray(paint.colors.astype(np.float32)[_bands(paint, v)])


def _checks(paint: Paint, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    colors = paint.colors.astype(np.float32)
    return np.asarray((colors[_bands(paint, u)] + colors[_bands(paint, v)]) / 2)


def _blocks(paint: Paint, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Large panels: every piece of cloth in a color of its own."""
    index = (np.floor(v * 0.9) + 2 * np.floor(u * 0.7)).astype(np.int64) % len(paint.colors)
    return np.asarray(paint.colors.astype(np.float32)[index])


def _prints(paint: Paint, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Blots of all colors, like a floral print seen from afar."""
    tile = noise_tile("blotch")
    colors = paint.colors.astype(np.float32)
    x, y = ((u * 90 + paint.seed) % _TILE).astype(np.int64), ((v * 90) % _TILE).astype(np.int64)
    level = np.digitize(tile[y, x], np.linspace(-0.9, 0.9, len(colors) - 1))
    return np.asarray(colors[level])


def _dots(paint: Paint, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    colors = paint.colors.astype(np.float32)
    x, y = u * 2, v * 2
    row = np.floor(y)
    fx, fy = (x + 0.5 * (row % 2)) % 1 - 0.5, y % 1 - 0.5
    index = np.where(fx**2 + fy**2 < 0.055, 1 + (row.astype(np.int64) % (len(colors) - 1)), 0)
    return np.asarray(colors[index])


def _pinstripes(paint: Paint, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    colors = paint.colors.astype(np.float32)
    return np.asarray(colors[((v % 1) < 0.2).astype(np.int64)])


def _windowpane(paint: Paint, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    colors = paint.colors.astype(np.float32)
    across, along = ((u % 1) < 0.22).astype(np.float32), ((v % 1) < 0.22).astype(np.float32)
    weight = ((across + along) / 2)[..., None]
    return np.asarray(colors[0] * (1 - weight) + colors[1] * weight)


def _diamonds(paint: Paint, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    colors = paint.colors.astype(np.float32)
    index = ((np.floor(u + v) % 2) * (np.floor(u - v) % 2)).astype(np.int64) * (1 + np.floor(u).astype(np.int64) % 2)
    return np.asarray(colors[index % len(colors)])


_PATTERNS: dict[str, Callable[[Paint, np.ndarray, np.ndarray], np.ndarray]] = {
    "stripes": _stripes,
    "checks": _checks,
    "blocks": _blocks,
    "prints": _prints,
    "dots": _dots,
    "pinstripes": _pinstripes,
    "windowpane": _windowpane,
    "diamonds": _diamonds,
}
