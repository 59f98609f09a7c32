"""Picture and mask to the same product before another background: for the counterfactual check, and for training."""

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from tagger.focus.parts import shrunk

Array: TypeAlias = npt.NDArray[np.floating]
Pixels: TypeAlias = npt.NDArray[np.uint8]

BELIEVED_QUALITY = 0.7
"""Expected IoU of a mask from which training repaints with it: a worse one would cut the product away."""

_PALETTE = np.array([(245, 245, 245), (128, 128, 128), (30, 30, 30), (70, 130, 140), (190, 120, 120)], np.float32)
"""Plain colors for the check, muted and of different lightness; each picture gets the two that differ most."""
_BLUR_SHARE = 0.12
_FEWEST_CELLS, _MOST_CELLS = 2, 12


def repainted(pictures: Pixels, foreground: Array, backgrounds: Array) -> Pixels:
    """The foreground over other backgrounds: (B, H, W, 3) uint8, (B, H, W) in [0, 1], (B, H, W, 3) -> (B, H, W, 3).

    The mask is drawn in by a pixel and its edge is soft, so that no rim of the old background is left to be read.
    """
    inner = shrunk(foreground >= 0.5, 3).astype(np.float32)
    alpha = np.stack([cv2.GaussianBlur(mask, (3, 3), 0.8) for mask in inner])[..., None] if len(inner) else inner
    return np.rint(pictures * alpha + backgrounds * (1 - alpha)).astype(np.uint8)


def plain_backgrounds(pictures: Pixels, foreground: Array) -> Array:
    """The two plain colors that differ most from each picture's background: (2, B, 1, 1, 3) float32 in 0..255."""
    behind = (1 - foreground)[..., None]
    own = (pictures * behind).sum(axis=(1, 2)) / np.maximum(behind.sum(axis=(1, 2)), 1e-6)
    apart = np.linalg.norm(own[:, None] - _PALETTE, axis=2)
    order = np.argsort(-apart, axis=1, kind="stable")[:, :2]
    return np.asarray(_PALETTE[order].transpose(1, 0, 2)[:, :, None, None], np.float32)


def blurred_backgrounds(pictures: Pixels, foreground: Array) -> Array:
    """The background without its detail, continued behind the product: (B, H, W, 3) float32 in 0..255."""
    spread = _BLUR_SHARE * pictures.shape[1]

    def soft(values: Array) -> Array:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), spread))

    behind = (1 - foreground).astype(np.float32)
    parts = [
        soft(picture * weight[..., None]) / np.maximum(soft(weight), 1e-3)[..., None]
        for picture, weight in zip(pictures, behind, strict=True)
    ]
    return np.array(parts, np.float32).reshape(pictures.shape)


def with_drawn_backgrounds(pictures: Pixels, foreground: Array, seeds: npt.NDArray[np.integer]) -> Pixels:
    """Training pictures before drawn backgrounds, where the seed is not 0 and there is a mask.

    pictures: (B, H, W, 3). foreground: (B, H, W) in [0, 1], all zeros where the mask is not good enough to be believed
    (BELIEVED_QUALITY). seeds: (B,), at least 0. Type and color stay true: only the background changes.
    """
    chosen = np.flatnonzero((seeds > 0) & foreground.any(axis=(1, 2)))
    if not len(chosen):
        return pictures
    drawn = np.stack([drawn_background(pictures.shape[1], np.random.default_rng(int(seeds[n]))) for n in chosen])
    result = pictures.copy()
    result[chosen] = repainted(pictures[chosen], foreground[chosen], drawn)
    return result


def drawn_background(side: int, rng: np.random.Generator) -> Array:
    """A background of no shop in particular, (side, side, 3) float32 in 0..255: plain, a lit backdrop, or patches."""
    color = rng.uniform(0, 255, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(20, 255))
    kind = rng.integers(3)
    if kind == 0:
        return np.broadcast_to(color, (side, side, 3)).astype(np.float32)
    cells = 2 if kind == 1 else int(rng.integers(_FEWEST_CELLS, _MOST_CELLS))
    strength = 0.12 if kind == 1 else rng.uniform(0.3, 1.0)
    patches = rng.uniform(0, 255, (cells, cells, 1 if kind == 1 else 3)).astype(np.float32)
    blend = cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_NEAREST
    large = cv2.resize(patches, (side, side), interpolation=cv2.INTER_CUBIC if kind == 1 else blend)
    mixed = color * (1 - strength) + large.reshape(side, side, -1) * strength
    return np.asarray(np.clip(mixed, 0, 255), np.float32)
