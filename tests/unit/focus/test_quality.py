"""mask_quality orders masks as their IoU does, on pictures whose truth is drawn."""

import numpy as np
import pytest

from tagger.focus.mask import foreground_masks

SIDE = 128


def product(lightness, edge=0, noise=1.0, seed=0):
    """A box of a lightness on white, with a darker edge, and noise."""
    picture = np.full((SIDE, SIDE, 3), 255.0)
    picture[30:100, 35:95] = lightness - edge
    picture[32:98, 37:93] = lightness
    picture += np.random.default_rng(seed).normal(0, noise, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


def quality(picture):
    return float(foreground_masks(picture[None]).quality[0])


def test_a_dark_product_on_white_is_believed():
    assert quality(product(60)) > 0.85


@pytest.mark.parametrize("harder", [product(250, 3), product(128, noise=60.0)], ids=["white on white", "noise"])
def test_harder_pictures_are_believed_less(harder):
    assert quality(harder) < quality(product(60)) - 0.1


def test_an_empty_mask_has_no_quality():
    assert quality(np.full((SIDE, SIDE, 3), 255, np.uint8)) == 0


def test_it_is_a_share():
    pictures = np.random.default_rng(1).integers(0, 255, (6, SIDE, SIDE, 3)).astype(np.uint8)
    found = foreground_masks(pictures).quality
    assert found.shape == (6,) and (found >= 0).all() and (found <= 1).all()
