"""What a few lines without a network reach: a forest on color histogram and outline.

A network that does not clearly beat these has learned nothing worth its cost.
"""

import cv2
import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

# Lab distance (cv2's 8-bit scale) from the border's color at which a pixel counts as foreground.
_FOREGROUND_DISTANCE = 12.0
_COLOR_BINS = 8
# Products stand in the middle; a person's other garments do not.
_CENTER_SPREAD = 0.23
_CELL_PX = 16
_ORIENTATIONS = 9


def baseline_accuracy(
    train_pixels: np.ndarray, train_labels: np.ndarray, test_pixels: np.ndarray, test_labels: np.ndarray
) -> float:
    """Accuracy in [0, 1] on the test pictures of a forest on color histogram and outline, fitted on the train pictures.

    pixels: (N, H, W, 3) uint8 RGB, all of one size. labels: (N,) int or text. Deterministic.
    """
    forest = ExtraTreesClassifier(n_estimators=200, random_state=0).fit(_features(train_pixels), train_labels)
    return float(np.mean(forest.predict(_features(test_pixels)) == np.asarray(test_labels)))


def _features(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([color_features(pixels), outline_features(pixels)], axis=1)


def color_features(pixels: np.ndarray) -> np.ndarray:
    """Histogram and median of the foreground's Lab colors, (N, D) float32, the middle counting more.

    pixels: (N, H, W, 3) uint8 RGB.
    """
    return np.stack([_color_histogram(picture) for picture in pixels])


def outline_features(pixels: np.ndarray) -> np.ndarray:
    """Histograms of the outline's directions and the foreground's moments, (N, D) float32. pixels: (N, H, W, 3) uint8.

    The outline is that of the foreground's silhouette: what is drawn inside it does not count.

    Source: Dalal and Triggs 2005 (HOG, here with the neighbourhood's norm instead of overlapping blocks); Hu 1962.
    """
    return np.stack([np.concatenate([_gradient_histogram(picture), _moments(picture)]) for picture in pixels])


def foreground(picture: np.ndarray) -> np.ndarray:
    """(H, W) bool: what differs from the border's median color; everything where hardly anything does.

    picture: (H, W, 3) uint8. Crude on purpose: a baseline must not borrow the product's own mask.
    """
    lab = _lab(picture)
    border = np.concatenate([lab[0], lab[-1], lab[:, 0], lab[:, -1]])
    differs = np.linalg.norm(lab - np.median(border, axis=0), axis=2) > _FOREGROUND_DISTANCE
    return differs if differs.mean() > 0.01 else np.ones_like(differs)


def _lab(picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2LAB), dtype=np.float32)


def _color_histogram(picture: np.ndarray) -> np.ndarray:
    mask = foreground(picture)
    inside, weights = _lab(picture)[mask], _centered(picture)[mask]
    # Real pictures leave most of a and b empty: spend the bins on their middle.
    ranges = [(0.0, 256.0), (78.0, 208.0), (58.0, 208.0)]
    limits = np.array(ranges)
    clipped = np.clip(inside, limits[:, 0], limits[:, 1] - 1e-3)
    counts, _ = np.histogramdd(clipped, bins=_COLOR_BINS, range=ranges, weights=weights)
    return np.concatenate([np.sqrt(counts.ravel() / weights.sum()), np.median(inside, axis=0) / 100]).astype(np.float32)


def _centered(picture: np.ndarray) -> np.ndarray:
    """(H, W) weights, 1 in the middle."""
    rows, columns = (np.linspace(-0.5, 0.5, size) for size in picture.shape[:2])
    return np.asarray(np.exp(-(rows[:, None] ** 2 + columns**2) / (2 * _CENTER_SPREAD**2)))


def _gradient_histogram(picture: np.ndarray) -> np.ndarray:
    gray = cv2.GaussianBlur(foreground(picture).astype(np.float32) * 255, (0, 0), 1.0)
    down, across = np.gradient(gray)
    strength = np.hypot(down, across)
    direction = (np.arctan2(down, across) % np.pi) / np.pi * _ORIENTATIONS
    channel = np.minimum(direction.astype(int), _ORIENTATIONS - 1)
    rows, columns = (-(-size // _CELL_PX) for size in gray.shape)
    cell = np.add.outer(np.arange(gray.shape[0]) // _CELL_PX * columns, np.arange(gray.shape[1]) // _CELL_PX)
    index = (cell * _ORIENTATIONS + channel).ravel()
    counts = np.bincount(index, weights=strength.ravel(), minlength=rows * columns * _ORIENTATIONS)
    histogram = counts.reshape(rows, columns, _ORIENTATIONS)
    energy = cv2.blur((histogram**2).sum(axis=2), (3, 3))
    return np.asarray(histogram / np.sqrt(energy + 1.0)[..., None], dtype=np.float32).ravel()


def _moments(picture: np.ndarray) -> np.ndarray:
    """Hu's seven moments on a logarithmic scale, the foreground's area and the sides of its box."""
    mask = foreground(picture)
    hu = cv2.HuMoments(cv2.moments(mask.astype(np.uint8), binaryImage=True)).ravel()
    rows, columns = mask.any(axis=1).mean(), mask.any(axis=0).mean()
    return np.concatenate([np.sign(hu) * np.log10(np.abs(hu) + 1e-12), [mask.mean(), rows, columns]]).astype(np.float32)
