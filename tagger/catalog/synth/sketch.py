"""What is to be drawn, before any pixel: marks in the item's own units, painted in materials."""

from dataclasses import dataclass, field, replace

import numpy as np

from tagger.catalog.synth.curve import Path, dashes


@dataclass(frozen=True)
class Paint:
    """Colors (n, 3) on the scale 0..255, how they are arranged (see `fabric.py`), and the material they are on."""

    colors: np.ndarray
    material: str = "cloth"
    pattern: str = "plain"
    scale: float = 0.3
    angle: float = 0.0
    seed: int = 0

    @property
    def rgb(self) -> np.ndarray:
        """The main color."""
        return np.asarray(self.colors[0])


@dataclass(frozen=True)
class Mark:
    """One filled outline or line. A solid has volume and counts in the masks; a detail lies on the item's solids."""

    points: tuple[np.ndarray, ...]
    paint: Paint
    is_solid: bool = False
    line_width: float = 0.0
    opacity: float = 1.0
    puff: float = 0.0
    folds: float = 0.0


@dataclass(frozen=True)
class Sketch:
    """Marks in the order in which they are painted; grows while an item is designed."""

    marks: list[Mark] = field(default_factory=list)

    def solid(self, points: Path, paint: Paint, puff: float = 0.06, folds: float = 0.0) -> None:
        """A body of the item: `puff` is the radius of its rounded edge, `folds` the depth of creases (0..1)."""
        self.marks.append(Mark((np.asarray(points),), paint, is_solid=True, puff=puff, folds=folds))

    def detail(self, points: Path, paint: Paint, opacity: float = 1.0, puff: float = 0.0) -> None:
        """A filled shape on top, clipped to the item's solids."""
        self.marks.append(Mark((np.asarray(points),), paint, opacity=opacity, puff=puff))

    def line(self, points: Path, rgb: np.ndarray, width: float = 0.012, opacity: float = 0.8) -> None:
        """A line on top, clipped to the item's solids."""
        self.marks.append(Mark((np.asarray(points),), plain(rgb), line_width=width, opacity=opacity))

    def stitches(self, points: Path, rgb: np.ndarray, dash: float = 0.025, width: float = 0.01) -> None:
        """A dashed line on top."""
        self.marks.append(Mark(tuple(dashes(points, dash)), plain(rgb), line_width=width, opacity=0.85))

    def add(self, other: "Sketch") -> None:
        """Paint another sketch on top."""
        self.marks.extend(other.marks)

    def moved(self, matrix: np.ndarray) -> "Sketch":
        """The sketch under an affine map, (2, 3)."""
        size = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        return Sketch([_moved(mark, matrix, size) for mark in self.marks])

    def bounds(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 of all solids."""
        points = np.concatenate([p for mark in self.marks if mark.is_solid for p in mark.points])
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        return float(x0), float(y0), float(x1), float(y1)


def _moved(mark: Mark, matrix: np.ndarray, size: float) -> Mark:
    points = tuple(p @ matrix[:, :2].T + matrix[:, 2] for p in mark.points)
    paint = replace(mark.paint, scale=mark.paint.scale * size)
    return replace(mark, points=points, paint=paint, line_width=mark.line_width * size, puff=mark.puff * size)


def plain(rgb: np.ndarray, material: str = "cloth") -> Paint:
    """One color without a pattern."""
    return Paint(np.asarray(rgb, np.float64)[None], material)


def toned(rgb: np.ndarray, amount: float) -> np.ndarray:
    """A lighter (amount > 0) or darker (< 0) tone of a color; amount in -1..1."""
    rgb = np.asarray(rgb, np.float64)
    return np.asarray(rgb + (255 - rgb) * amount if amount > 0 else rgb * (1 + amount))


def seam(rgb: np.ndarray, strength: float = 0.4) -> np.ndarray:
    """A tone that shows as a seam on a color: darker, or lighter where the color is nearly black."""
    return toned(rgb, -strength) if float(np.mean(rgb)) > 62 else toned(rgb, 0.38 * strength)
