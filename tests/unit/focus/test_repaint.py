"""The same product before another background: what is painted, and what stays."""

import numpy as np
import pytest

from tagger.focus.repaint import (
    blurred_backgrounds,
    drawn_background,
    plain_backgrounds,
    repainted,
    with_drawn_backgrounds,
)

SIDE = 64
RED, WHITE = (200, 30, 40), (255, 255, 255)
BOX = np.zeros((SIDE, SIDE), bool)
BOX[20:50, 15:45] = True
INSIDE = np.zeros_like(BOX)
INSIDE[23:47, 18:42] = True
OUTSIDE = np.ones_like(BOX)
OUTSIDE[18:52, 13:47] = False


def pictures(*backgrounds):
    """A red box before each background."""
    found = np.stack([np.broadcast_to(np.array(color, np.uint8), (SIDE, SIDE, 3)) for color in backgrounds]).copy()
    found[:, BOX] = RED
    return found


def masks(count):
    return np.repeat(BOX[None].astype(np.float32), count, axis=0)


def test_the_product_stays_and_all_else_is_painted():
    (found,) = repainted(pictures(WHITE), masks(1), np.full((1, SIDE, SIDE, 3), 30.0))
    assert (found[INSIDE] == RED).all() and (found[OUTSIDE] == 30).all()


def test_no_rim_of_the_old_background_is_left():
    # The mask is a pixel too large all around, as estimated masks are.
    large = np.zeros((1, SIDE, SIDE), np.float32)
    large[0, 19:51, 14:46] = 1
    (found,) = repainted(pictures(WHITE), large, np.full((1, SIDE, SIDE, 3), 30.0))
    assert found.max() <= 210


def test_an_empty_mask_is_all_background_and_a_full_one_none():
    background = np.full((1, SIDE, SIDE, 3), 77.0)
    assert (repainted(pictures(WHITE), np.zeros((1, SIDE, SIDE)), background) == 77).all()
    full = np.ones((1, SIDE, SIDE), np.float32)
    np.testing.assert_array_equal(repainted(pictures(WHITE), full, background), pictures(WHITE))


@pytest.mark.parametrize("color", [WHITE, (128, 128, 128), (20, 20, 20), (180, 120, 120)])
def test_plain_colors_are_two_and_far_from_the_background(color):
    first, second = plain_backgrounds(pictures(color), masks(1))[:, 0, 0, 0]
    assert np.linalg.norm(first - color) > 80 and np.linalg.norm(second - color) > 60
    assert np.linalg.norm(first - second) > 50


def test_each_picture_gets_its_own_colors():
    found = plain_backgrounds(pictures(WHITE, (20, 20, 20)), masks(2))
    assert found.shape == (2, 2, 1, 1, 3) and not np.array_equal(found[:, 0], found[:, 1])


def test_the_blur_continues_the_background_and_holds_nothing_of_the_product():
    (found,) = blurred_backgrounds(pictures((90, 160, 120)), masks(1))
    np.testing.assert_allclose(found, np.broadcast_to((90, 160, 120), found.shape), atol=2)


def test_the_blur_takes_detail_away():
    noisy = np.random.default_rng(0).integers(0, 255, (1, SIDE, SIDE, 3)).astype(np.uint8)
    assert blurred_backgrounds(noisy, masks(1)).std() < noisy.std() / 4


def test_training_pictures_with_a_seed_keep_their_product_alone():
    before = pictures(WHITE, WHITE, WHITE)
    after = with_drawn_backgrounds(before, masks(3), np.array([0, 7, 8]))
    np.testing.assert_array_equal(after[0], before[0])
    assert (np.abs(after[1:, INSIDE].astype(int) - RED) <= 2).all()
    assert not np.array_equal(after[1], after[2]) and (after[1][OUTSIDE] != 255).any()


def test_a_picture_without_a_mask_is_left_alone():
    before = pictures(WHITE, WHITE)
    after = with_drawn_backgrounds(before, np.stack([np.zeros_like(BOX), BOX]).astype(np.float32), np.array([5, 5]))
    np.testing.assert_array_equal(after[0], before[0])
    assert not np.array_equal(after[1], before[1])


def test_the_same_seed_draws_the_same_background():
    first, second = (drawn_background(SIDE, np.random.default_rng(3)) for _ in "ab")
    np.testing.assert_array_equal(first, second)
    assert first.shape == (SIDE, SIDE, 3) and 0 <= first.min() and first.max() <= 255


def test_drawn_backgrounds_are_of_many_colors():
    drawn = np.stack([drawn_background(16, np.random.default_rng(seed)).mean(axis=(0, 1)) for seed in range(200)])
    assert drawn.std(axis=0).min() > 40
