"""Which part of a foreground is the product, and what color it has."""

import numpy as np

from tagger.focus.product import dominant_rgb, product_masks

SIDE = 128
WHITE, RED, BLUE, SKIN = (255, 255, 255), (200, 30, 40), (30, 60, 180), (220, 180, 150)


def box(top, bottom, left, right):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top:bottom, left:right] = True
    return mask


def painted(*parts):
    """White, with (mask, color) one over the other, and some noise of cloth."""
    picture = np.full((SIDE, SIDE, 3), 255.0)
    for mask, color in parts:
        picture[mask] = color
    noise = np.random.default_rng(1).normal(0, 3, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def product(picture, foreground, cells):
    """The product, with a type map of 1 on the cells (row, column slices) and 0 elsewhere."""
    relevance = np.zeros((1, 8, 8))
    relevance[0][cells] = 1
    return product_masks(picture[None], foreground[None].astype(np.float32), relevance)[0]


MIDDLE = box(30, 100, 40, 90)
HEAD, SHIRT, TROUSERS = box(4, 20, 54, 74), box(20, 66, 40, 90), box(66, 122, 40, 90)
PERSON = HEAD | SHIRT | TROUSERS


def test_a_shirt_on_a_person_is_not_the_trousers_nor_the_head():
    picture = painted((HEAD, SKIN), (SHIRT, RED), (TROUSERS, BLUE))
    found = product(picture, PERSON, np.s_[2:4, 2:6])
    assert found[SHIRT].mean() > 0.95 and found[TROUSERS].mean() < 0.05 and found[HEAD].mean() < 0.2
    assert not found[~PERSON].any()


def test_a_map_that_peaks_on_the_collar_takes_the_whole_shirt():
    picture = painted((SHIRT, RED), (TROUSERS, BLUE))
    found = product(picture, SHIRT | TROUSERS, np.s_[1:2, 3:5])
    assert found[SHIRT].mean() > 0.95 and found[TROUSERS].mean() < 0.05


def test_a_print_belongs_to_the_shirt():
    letter = box(40, 46, 60, 66)
    picture = painted((SHIRT, RED), (letter, WHITE))
    assert product(picture, SHIRT, np.s_[1:3, 3:4])[letter].mean() > 0.9


def test_a_map_that_marks_all_alike_or_nothing_keeps_the_foreground():
    masks = np.stack([MIDDLE, MIDDLE]).astype(np.float32)
    maps = np.stack([np.ones((8, 8)), np.zeros((8, 8))])
    pictures = np.stack([painted((MIDDLE, RED))] * 2)
    np.testing.assert_array_equal(product_masks(pictures, masks, maps), masks)


def test_the_scale_of_the_type_map_does_not_matter():
    maps = np.random.default_rng(2).random((1, 8, 8))
    picture, mask = painted((SHIRT, RED), (TROUSERS, BLUE))[None], PERSON[None].astype(np.float32)
    np.testing.assert_array_equal(product_masks(picture, mask, maps), product_masks(picture, mask, 1000 * maps))


def test_the_same_picture_always_gives_the_same_product():
    rng = np.random.default_rng(3)
    picture, mask = rng.integers(0, 255, (1, SIDE, SIDE, 3)).astype(np.uint8), MIDDLE[None].astype(np.float32)
    maps = rng.random((1, 8, 8)) ** 4
    np.testing.assert_array_equal(product_masks(picture, mask, maps), product_masks(picture, mask, maps))


def test_no_foreground_is_no_product():
    picture, empty = painted()[None], np.zeros((1, SIDE, SIDE), np.float32)
    assert not product_masks(picture, empty, np.ones((1, 8, 8))).any()
    assert product_masks(picture[:0], empty[:0], np.ones((0, 8, 8))).shape == (0, SIDE, SIDE)


def test_the_dominant_color_is_the_products_median():
    masks = np.stack([MIDDLE, np.zeros_like(MIDDLE)]).astype(np.float32)
    pictures = np.full((2, SIDE, SIDE, 3), 255, np.uint8)
    pictures[:, MIDDLE] = RED
    pictures[:, box(30, 40, 40, 60)] = BLUE
    found = dominant_rgb(pictures, masks)
    assert found[0].tolist() == list(RED) and np.isnan(found[1]).all()
