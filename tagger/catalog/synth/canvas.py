"""From marks to pixels: anti-aliased fills lit from the upper left, with the exact masks kept beside the picture."""

import cv2
import numpy as np

from tagger.catalog.synth.curve import ribbon
from tagger.catalog.synth.fabric import MATERIALS, noise_patch, painted
from tagger.catalog.synth.sketch import Mark, Paint, Sketch

_SHIFT = 4  # sub-pixel bits that OpenCV's polygon filler takes
_Window = tuple[slice, slice]


class Canvas:
    """A picture being painted, (H, W, 3) float32 RGB 0..255, with the coverage 0..1 of product and foreground."""

    def __init__(self, picture: np.ndarray) -> None:
        self.picture: np.ndarray = picture.astype(np.float32)
        self.product: np.ndarray = np.zeros(picture.shape[:2], np.float32)
        self.foreground: np.ndarray = np.zeros(picture.shape[:2], np.float32)
        self._item: np.ndarray = np.zeros(picture.shape[:2], np.float32)

    def draw(self, sketch: Sketch, matrix: np.ndarray, is_product: bool) -> None:
        """Paint a sketch; `matrix` (2, 3) maps its units to pixels."""
        self._item[:] = 0
        for mark in sketch.marks:
            self._paint(mark, matrix, is_product)

    def _paint(self, mark: Mark, matrix: np.ndarray, is_product: bool) -> None:
        size = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        outlines = [p @ matrix[:, :2].T + matrix[:, 2] for p in mark.points]
        puff = max(mark.puff * size, 1.0)
        window = self._window(outlines, int(2 * puff) + 3)
        if window is None:
            return
        alpha = _coverage(outlines, window, mark.line_width * size)
        if mark.is_solid:
            self._solid(mark, alpha, window, matrix)
            self._cover(window, alpha, is_product)
        else:
            self._detail(mark, alpha, window, matrix)

    def _window(self, outlines: list[np.ndarray], margin: int) -> _Window | None:
        points = np.concatenate(outlines)
        height, width = self.product.shape
        x0, y0 = max(int(points[:, 0].min()) - margin, 0), max(int(points[:, 1].min()) - margin, 0)
        x1, y1 = min(int(points[:, 0].max()) + margin, width), min(int(points[:, 1].max()) + margin, height)
        return (slice(y0, y1), slice(x0, x1)) if x1 - x0 > 1 and y1 - y0 > 1 else None

    def _solid(self, mark: Mark, alpha: np.ndarray, window: _Window, matrix: np.ndarray) -> None:
        puff = mark.puff * float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        shade, shadow = _relief(alpha, max(puff, 1.2), mark)
        under = self.picture[window]
        # A solid darkens what lies close beneath it, but never the background: that shadow is the scene's.
        under *= (1 - np.float32(0.34) * shadow * self.foreground[window])[..., None]
        self._blend(window, alpha, _lit(_colors(mark.paint, window, matrix), shade, mark.paint))

    def _detail(self, mark: Mark, alpha: np.ndarray, window: _Window, matrix: np.ndarray) -> None:
        alpha = alpha * self._item[window] * np.float32(mark.opacity)
        if mark.line_width:
            colors = np.broadcast_to(mark.paint.rgb.astype(np.float32), (*alpha.shape, 3))
        else:
            colors = _colors(mark.paint, window, matrix)
        if mark.puff:
            size = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
            colors = _lit(colors, _relief(alpha, max(mark.puff * size, 1.2), mark)[0], mark.paint)
        self._blend(window, alpha, colors)

    def _blend(self, window: _Window, alpha: np.ndarray, colors: np.ndarray) -> None:
        under = self.picture[window]
        under += (colors - under) * alpha[..., None]

    def _cover(self, window: _Window, alpha: np.ndarray, is_product: bool) -> None:
        for mask, is_set in ((self.product, is_product), (self.foreground, True), (self._item, True)):
            part = mask[window]
            part *= 1 - alpha
            if is_set:
                part += alpha


def _coverage(outlines: list[np.ndarray], window: _Window, line_px: float) -> np.ndarray:
    """Coverage 0..1 of filled outlines, or of lines `line_px` wide."""
    origin = np.array([window[1].start, window[0].start])
    shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    alpha = np.zeros(shape, np.uint8)
    if line_px > 1.6:
        outlines = [ribbon(p, [line_px / 2], steps=2) for p in outlines]
    polygons = [np.round((p - origin - 0.5) * 2**_SHIFT).astype(np.int32) for p in outlines]
    if 0 < line_px <= 1.6:
        cv2.polylines(alpha, polygons, False, (255,), 1, cv2.LINE_AA, _SHIFT)
        return np.asarray(alpha * np.float32(max(line_px, 0.45) / 1.6 / 255))
    cv2.fillPoly(alpha, polygons, (255,), cv2.LINE_AA, _SHIFT)
    return np.asarray(alpha * np.float32(1 / 255))


def _colors(paint: Paint, window: _Window, matrix: np.ndarray) -> np.ndarray:
    inverse = np.linalg.inv(matrix[:, :2]).astype(np.float32)
    x = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None] - np.float32(matrix[0, 2])
    y = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None] - np.float32(matrix[1, 2])
    return painted(paint, inverse[0, 0] * x + inverse[0, 1] * y, inverse[1, 0] * x + inverse[1, 1] * y)


def _relief(alpha: np.ndarray, puff: float, mark: Mark) -> tuple[np.ndarray, np.ndarray]:
    """Light on a rounded solid (-1 dark .. 1 lit) and the soft shadow that it casts (0..1), both (h, w) float32.

    The outline's blur is taken for its height; light falls from the upper left. Worked out on a smaller grid, since
    both are smooth.
    """
    height, width = alpha.shape
    step = max(1.0, puff / 3)
    small = (max(2, round(width / step)), max(2, round(height / step)))
    body = cv2.GaussianBlur(
        cv2.resize(alpha, small, interpolation=cv2.INTER_AREA), (0, 0), puff / step, borderType=cv2.BORDER_REPLICATE
    )
    ground = body
    if mark.folds:
        ground = body + noise_patch("fold", (small[1], small[0]), mark.paint.seed + 11) * np.float32(0.13 * mark.folds)
    slope_y, slope_x = np.gradient(ground)
    # A thin strap's blur never reaches 1: measured against its own peak it is not darker than a broad one.
    shade = (slope_x * 0.65 + slope_y * 0.75) * np.float32(1.2 * puff / step) + (
        body / max(float(body.max()), 0.2) - 1
    ) * 0.42
    size = (width, height)
    return cv2.resize(shade.astype(np.float32), size), cv2.resize(body, size)


def _lit(colors: np.ndarray, shade: np.ndarray, paint: Paint) -> np.ndarray:
    gloss = np.float32(MATERIALS[paint.material].gloss)
    if paint.material in ("metal", "satin"):
        shade = shade + np.float32(0.22) * np.sin(shade * np.float32(9)) * gloss
    lit, dark = np.maximum(shade, 0)[..., None], np.minimum(shade, 0)[..., None]
    return np.asarray(np.clip(colors * (1 + 0.72 * dark) + (255 - colors) * lit * gloss + 22 * lit, 0, 255), np.float32)
