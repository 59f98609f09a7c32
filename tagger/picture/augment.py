"""Training-time changes that keep the truth of type and color: mirror, shift, background; never hue or brightness."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Augmentation:
    """flip: mirror half of the pictures left to right. shift: largest move, as a share of the side.

    background: share of the pictures whose background is replaced by a drawn one.
    """

    flip: bool = False
    shift: float = 0.0
    background: float = 0.0


@dataclass(frozen=True)
class Changes:
    """One change a picture. mirrored: (B,) bool. moves: (B, 2) rows and columns, as shares of the side.

    backgrounds: (B,) seeds of drawn backgrounds; 0 keeps the picture's own.
    """

    mirrored: npt.NDArray[np.bool_]
    moves: npt.NDArray[np.float64]
    backgrounds: npt.NDArray[np.int64]

    def part(self, share: slice) -> "Changes":
        """The changes of some of the pictures."""
        return Changes(self.mirrored[share], self.moves[share], self.backgrounds[share])


def draw_changes(count: int, augmentation: Augmentation, rng: np.random.Generator) -> Changes:
    """Changes for `count` pictures."""
    mirrored = rng.random(count) < 0.5 * augmentation.flip
    moves = rng.uniform(-augmentation.shift, augmentation.shift, (count, 2))
    seeds = rng.integers(1, 2**31, count)
    return Changes(mirrored, moves, np.where(rng.random(count) < augmentation.background, seeds, 0))


def changed(pixels: npt.NDArray[np.uint8], changes: Changes) -> npt.NDArray[np.uint8]:
    """Mirrored and moved copies of a batch (B, H, W, 3); the edge is repeated where nothing moves in."""
    count, height, width = pixels.shape[:3]
    rows = _indices(changes.moves[:, 0], height)
    columns = _indices(changes.moves[:, 1], width)
    columns = np.where(changes.mirrored[:, None], columns[:, ::-1], columns)
    return pixels[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _indices(moves: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.intp]:
    """Source positions of a moved axis: (B,) -> (B, side)."""
    return np.clip(np.arange(side) + np.rint(moves[:, None] * side).astype(np.intp), 0, side - 1)
