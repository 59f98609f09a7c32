"""Smooth outlines from a few points: splines, ribbons, boxes. Coordinates are (N, 2) float64, x right, y down."""

from collections.abc import Sequence

import numpy as np

Point = tuple[float, float]
Path = Sequence[Point] | np.ndarray


def corner(x: float, y: float) -> tuple[Point, Point]:
    """A point given twice: `smooth` turns sharply there."""
    return (x, y), (x, y)


def smooth(points: Path, closed: bool = True, steps: int = 7) -> np.ndarray:
    """Catmull-Rom splines through the points, joined at corners.

    Returns (M, 2), which passes through every point; a closed curve does not repeat its first point.
    """
    p = np.asarray(points, np.float64)
    after = np.roll(p, -1, axis=0)
    is_corner = (p == after).all(axis=1)
    is_corner[-1] &= closed
    if not is_corner.any():
        return _spline(p, closed, steps)
    kept = np.flatnonzero(~np.roll(is_corner, 1))
    # Of a doubled point the first is kept, so that the flag stays with it.
    p, is_corner = p[kept], is_corner[kept]
    if closed:
        first = int(np.argmax(is_corner))
        p, is_corner = np.roll(p, -first, axis=0), np.roll(is_corner, -first)
        p, is_corner = np.concatenate([p, p[:1]]), np.append(is_corner, True)
    ends = sorted({0, *np.flatnonzero(is_corner).tolist(), len(p) - 1})
    pieces = [_spline(p[i : j + 1], False, steps)[:-1] for i, j in zip(ends, ends[1:], strict=False)]
    return np.concatenate(pieces if closed else [*pieces, p[-1:]])


def _spline(p: np.ndarray, closed: bool, steps: int) -> np.ndarray:
    if len(p) == 2 and not closed:
        return p
    before, after = (p[-1:], p[:2]) if closed else (p[:1], p[-1:])
    p = np.concatenate([before, p, after])
    p0, p1, p2, p3 = p[:-3], p[1:-2], p[2:-1], p[3:]
    t = (np.arange(steps) / steps)[:, None, None]
    bend = (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    curve = (p1 + bend / 2).transpose(1, 0, 2).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, p2[-1:]])


def mirrored(half: Path) -> np.ndarray:
    """A half outline on the right (x >= 0), from top to bottom, and its reflection: one closed ring of points."""
    points = np.asarray(half, np.float64)
    return np.concatenate([points, (points[points[:, 0] > 1e-9] * [-1, 1])[::-1]])


def flipped(points: Path) -> np.ndarray:
    """The same points mirrored at x = 0."""
    return np.asarray(points, np.float64) * [-1, 1]


def ribbon(path: Path, half_widths: Sequence[float], steps: int = 7) -> np.ndarray:
    """Outline of a band along a smooth path; half widths are given at even distances and interpolated."""
    line = smooth(path, closed=False, steps=steps)
    along = np.linspace(0, 1, len(line))
    width = np.interp(along, np.linspace(0, 1, len(half_widths)), half_widths)[:, None]
    direction = np.gradient(line, axis=0)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    normal = direction[:, ::-1] * [-1, 1]
    return np.concatenate([line + normal * width, (line - normal * width)[::-1]])


def part_of(path: Path, start: float, end: float, count: int = 9) -> np.ndarray:
    """The piece of a polyline between two shares (0..1) of its length, as `count` points at even distances."""
    p = np.asarray(path, np.float64)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    at = np.linspace(start, end, count) * length[-1]
    return np.stack([np.interp(at, length, p[:, 0]), np.interp(at, length, p[:, 1])], axis=1)


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> np.ndarray:
    """An ellipse about (x, y), turned by `turn` radians."""
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    px, py = rx * np.cos(t), ry * np.sin(t)
    return np.stack([x + px * np.cos(turn) - py * np.sin(turn), y + px * np.sin(turn) + py * np.cos(turn)], axis=1)


def arc(x: float, y: float, radius: Point, start: float, end: float) -> np.ndarray:
    """An open arc of an ellipse between two angles in radians (0 is right, growing clockwise on the picture)."""
    t = np.linspace(start, end, 24)
    return np.stack([x + radius[0] * np.cos(t), y + radius[1] * np.sin(t)], axis=1)


def box(x0: float, y0: float, x1: float, y1: float, radius: float = 0.0) -> np.ndarray:
    """A rectangle with rounded corners."""
    r = min(radius, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
    if r <= 0:
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)
    centres = ((x1 - r, y0 + r, -0.5), (x1 - r, y1 - r, 0.0), (x0 + r, y1 - r, 0.5), (x0 + r, y0 + r, 1.0))
    return np.concatenate([arc(cx, cy, (r, r), a * np.pi, (a + 0.5) * np.pi)[::4] for cx, cy, a in centres])


def dashes(path: Path, dash: float) -> list[np.ndarray]:
    """A path cut into stitches of about `dash` length with gaps as long."""
    p = np.asarray(path, np.float64)
    total = float(np.linalg.norm(np.diff(p, axis=0), axis=1).sum())
    count = max(1, min(60, int(total / (2 * dash))))
    return [part_of(p, i / count, (i + 0.55) / count, 3) for i in range(count)]
