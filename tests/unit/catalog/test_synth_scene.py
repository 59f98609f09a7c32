"""Pictures of the synthetic catalogue and the truth about them."""

from functools import cache

import cv2
import numpy as np
import pytest

from tagger.catalog.synth.background import BACKGROUNDS
from tagger.catalog.synth.palette import COLORS, SHADES, is_shade_of, rgb_to_lab
from tagger.catalog.synth.pose import WEARABLE, sample_pose
from tagger.catalog.synth.scene import DrawnItem, draw_item
from tagger.catalog.synth.shapes import TYPES


@cache
def all_colors(type_name: str) -> list[DrawnItem]:
    return [drawn(type_name, color, number) for number, color in enumerate(COLORS)]


@cache
def belts() -> list[DrawnItem]:
    return [drawn("Belt", "Black", seed) for seed in range(110)]


def drawn(type_name: str, color: str, seed: int, **wishes) -> DrawnItem:
    return draw_item(type_name, color, np.random.default_rng(seed), **wishes)


def backdrop(item: DrawnItem) -> np.ndarray:
    """Mean Lab of the background."""
    return rgb_to_lab(item.picture[item.foreground_mask == 0]).mean(axis=0)


@pytest.mark.parametrize("type_name", TYPES)
def test_every_type_in_every_color_has_exact_masks(type_name):
    for color, item in zip(COLORS, all_colors(type_name), strict=True):
        height, width = item.picture.shape[:2]
        assert item.picture.dtype == np.uint8 and item.picture.shape == (height, width, 3)
        assert item.product_mask.shape == item.foreground_mask.shape == (height, width)
        assert set(np.unique(item.product_mask)) <= {0, 255} and set(np.unique(item.foreground_mask)) <= {0, 255}
        assert not (item.product_mask[item.foreground_mask == 0]).any(), "the product is part of the foreground"
        assert 0.005 < (item.product_mask > 0).mean() < 1
        assert (item.type, item.color) == (type_name, color)


def test_sizes_stay_within_the_promise():
    longer = [max(item.picture.shape) for item in belts()]
    assert min(longer) >= 80 and max(longer) <= 1800
    assert 150 <= np.median(longer) <= 600


def test_the_same_generator_draws_the_same_picture():
    first, again = drawn("Jacket", "Olive", 5), drawn("Jacket", "Olive", 5)
    assert (first.picture == again.picture).all() and (first.product_mask == again.product_mask).all()
    assert drawn("Jacket", "Olive", 6).picture.shape != first.picture.shape


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_background_is_drawn(background):
    item = drawn("Handbag", "Red", 3, background=background)
    assert item.background == background
    assert (item.alpha is not None) == (background == "transparent")


def test_alpha_is_the_coverage_of_the_foreground():
    item = drawn("Watch", "Brown", 4, background="transparent")
    assert item.alpha is not None
    assert ((item.alpha >= 128) == (item.foreground_mask > 0)).mean() > 0.999
    assert (item.picture[item.alpha == 0] == 255).all()


def test_most_backgrounds_are_white_and_none_is_missing():
    kinds = [item.background for item in belts()]
    assert 0.45 < kinds.count("white") / len(kinds) < 0.72
    assert set(kinds) == set(BACKGROUNDS)


@pytest.mark.parametrize("type_name", ["T-Shirt", "Sports Shoes", "Wallet", "Socks"])
def test_white_on_white_has_an_outline_to_see(type_name):
    item = drawn(type_name, "White", 8, background="white")
    inside = item.picture[item.foreground_mask > 0].min(axis=1)
    assert (item.foreground_mask > 0).any()
    assert (inside < 235).mean() > 0.05


@pytest.mark.parametrize("color", sorted(SHADES))
def test_a_background_color_is_that_of_its_name(color):
    item = drawn("Backpack", "Red", 9, background="studio", background_color=color)
    lightness, a, b = backdrop(item)
    bounds = SHADES[color]
    assert bounds.lightness[0] - 14 < lightness < bounds.lightness[1] + 4
    assert bounds.chroma[0] - 12 < np.hypot(a, b) < bounds.chroma[1] + 8


@pytest.mark.parametrize(("type_name", "seed"), [("Sunglasses", 10), ("Belt", 11), ("Handbag", 11), ("Shirt", 13)])
def test_a_background_color_moves_no_pixel_of_the_product(type_name, seed):
    plain, moved = (drawn(type_name, "Blue", seed, background="studio", background_color=c) for c in ("Red", "Green"))
    assert np.abs(backdrop(plain) - backdrop(moved)).max() > 20
    assert np.array_equal(plain.product_mask, moved.product_mask)
    if type_name != "Sunglasses":  # through which the background shines
        inside = cv2.erode(plain.product_mask, np.ones((5, 5), np.uint8)) > 0
        assert inside.any() and np.array_equal(plain.picture[inside], moved.picture[inside])


@pytest.mark.parametrize("type_name", TYPES)
def test_the_median_product_pixel_has_the_label_color(type_name):
    """Most items of every type; a white dial or a bright print may outweigh the rest of a few."""
    hits = []
    for item in all_colors(type_name)[: len(SHADES)]:
        hits.append(is_shade_of(item.color, np.median(item.picture[item.product_mask > 0], axis=0), slack=10))
    assert np.mean(hits) >= 0.7


def test_a_product_can_be_shown_again_elsewhere():
    shades = []
    for seed, kind in ((1, "white"), (2, "grey")):
        item = drawn("Wallet", "Purple", seed, background=kind, product_rng=np.random.default_rng(77))
        shades.append(np.median(item.picture[item.product_mask > 0], axis=0))
    assert shades[0] == pytest.approx(shades[1], abs=30)


def test_all_poses_occur_and_only_what_can_be_worn_is_worn():
    rng = np.random.default_rng(0)
    poses = {name: {sample_pose(name, rng) for _ in range(300)} for name in TYPES}
    assert all(("worn" in found) == (name in WEARABLE) for name, found in poses.items())
    assert all({"alone", "pair", "cut"} <= found for found in poses.values())


def test_worn_pictures_show_more_than_the_product():
    items = [drawn("Shirt", "Green", seed) for seed in range(12)]
    worn = [item for item in items if item.pose == "worn"]
    assert worn
    assert all((item.foreground_mask > 0).sum() > 1.1 * (item.product_mask > 0).sum() for item in worn)


@pytest.mark.parametrize("wish", [("Hat", "Red", {}), ("Belt", "Mauve", {}), ("Belt", "Red", {"background": "moon"})])
def test_unknown_names_are_refused(wish):
    type_name, color, rest = wish
    with pytest.raises(KeyError, match="Hat|Mauve|moon"):
        drawn(type_name, color, 0, **rest)
