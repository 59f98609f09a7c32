import numpy as np
import pytest

from tagger.evaluation.baseline import baseline_accuracy, color_features, foreground, outline_features

COLORS = np.array([[200, 30, 30], [30, 60, 200], [40, 160, 60]])


def pictures(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Discs (0), wide bars (1) and tall bars (2) of three colors on white -> pixels, shapes, colors."""
    rows, columns = np.mgrid[:64, :64] - 31.5
    pixels = np.full((count, 64, 64, 3), 255, dtype=np.uint8)
    shapes, colors = rng.integers(0, 3, (2, count))
    for picture, shape, color in zip(pixels, shapes, colors, strict=True):
        size = rng.uniform(12, 20)
        masks = (np.hypot(rows, columns) < size, _bar(rows, columns, size), _bar(columns, rows, size))
        picture[masks[shape]] = np.clip(COLORS[color] + rng.normal(0, 10, 3), 0, 255)
    return pixels, shapes, colors


def _bar(short: np.ndarray, long: np.ndarray, size: float) -> np.ndarray:
    return (np.abs(short) < size / 2.5) & (np.abs(long) < size * 1.4)


def test_color_is_read_by_the_histogram_and_shape_by_the_outline():
    rng = np.random.default_rng(0)
    train, train_shapes, train_colors = pictures(150, rng)
    test, test_shapes, test_colors = pictures(60, rng)
    assert baseline_accuracy(train, train_colors, test, test_colors) > 0.95
    assert baseline_accuracy(train, train_shapes, test, test_shapes) > 0.95


def test_the_same_pictures_give_the_same_figure_and_labels_may_be_text():
    pixels, _, colors = pictures(60, np.random.default_rng(1))
    names = np.array(["Red", "Blue", "Green"])[colors]
    figures = {baseline_accuracy(pixels, names, pixels[:30], names[:30]) for _ in range(2)}
    assert figures == {1.0}


def test_the_foreground_is_what_differs_from_the_border():
    pixels, _, _ = pictures(1, np.random.default_rng(2))
    np.testing.assert_array_equal(foreground(pixels[0]), (pixels[0] != 255).any(axis=2))


@pytest.mark.parametrize("extract", [color_features, outline_features])
@pytest.mark.parametrize("level", [0, 255])
def test_a_plain_picture_has_finite_features(extract, level):
    features = extract(np.full((2, 50, 70, 3), level, dtype=np.uint8))
    assert features.shape[0] == 2 and np.isfinite(features).all()


def test_a_brighter_background_leaves_the_color_features_alone():
    pixels, _, _ = pictures(1, np.random.default_rng(3))
    moved = np.where(foreground(pixels[0])[..., None], pixels[0], np.uint8(128))[None]
    np.testing.assert_allclose(color_features(moved), color_features(pixels), atol=1e-6)
