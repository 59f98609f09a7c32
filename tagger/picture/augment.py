"""Training-time changes that keep the truth of type and color: mirror and shift, never hue or brightness."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Augmentation:
    """flip: mirror half of the pictures left to right. shift: largest move, as a share of the side."""

    flip: bool = False
    shift: float = 0.0


@dataclass(frozen=True)
class Changes:
    """One change a picture. mirrored: (B,) bool. moves: (B, 2) rows and columns, as shares of the side."""

    mirrored: npt.NDArray[np.bool_]
    moves: npt.NDArray[np.float64]

    def part(self, share: slice) -> "Changes":
        """The changes of some of the pictures."""
        return Changes(self.mirrored[share], self.moves[share])


def draw_changes(count: int, augmentation: Augmentation, rng: np.random.Generator) -> Changes:
    """Changes for `count` pictures."""
    mirrored = rng.random(count) < 0.5 * augmentation.flip
    return Changes(mirrored, rng.uniform(-augmentation.shift, augmentation.shift, (count, 2)))


def changed(pixels: npt.NDArray[np.uint8], changes: Changes) -> npt.NDArray[np.uint8]:
    """Changed copies of a batch (B, H, W, 3); the edge is repeated where nothing moves in."""
    count, height, width = pixels.shape[:3]
    rows = _indices(changes.moves[:, 0], height)
    columns = _indices(changes.moves[:, 1], width)
    columns = np.where(changes.mirrored[:, None], columns[:, ::-1], columns)
    return pixels[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _indices(moves: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.intp]:
    """Source positions of a moved axis: (B,) -> (B, side)."""
    return np.clip(np.arange(side) + np.rint(moves[:, None] * side).astype(np.intp), 0, side - 1)
