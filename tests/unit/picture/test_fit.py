"""Fitting: hand-computed boxes, the inverse, and what fills the bars."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.picture.fit import Box, Fit, box_in_fitted, box_in_picture, content_box, fit_picture

sides = st.integers(1, 4000)
fits = st.builds(Fit, st.sampled_from(["stretch", "pad"]), st.integers(1, 300))
shares = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)


def plain(height, width, color):
    return np.full((height, width, 3), color, np.uint8)


@pytest.mark.parametrize(
    ("width", "height", "policy", "expected"),
    [
        (200, 100, "stretch", (0, 0, 128, 128)),
        (200, 100, "pad", (0, 32, 128, 96)),
        (100, 200, "pad", (32, 0, 96, 128)),
        (64, 64, "pad", (0, 0, 128, 128)),
        (3000, 1, "pad", (0, 63, 128, 64)),  # the shorter side keeps one pixel
        (128, 127, "pad", (0, 0, 128, 127)),  # the odd row of filling is below
    ],
)
def test_content_box_of_the_usual_shapes(width, height, policy, expected):
    assert content_box(width, height, Fit(policy)) == expected


@given(sides, sides, fits)
def test_content_lies_inside_the_square_and_fills_its_longer_side(width, height, fit):
    left, top, right, bottom = content_box(width, height, fit)
    assert 0 <= left < right <= fit.size_px and 0 <= top < bottom <= fit.size_px
    assert max(right - left, bottom - top) == fit.size_px


@given(sides, sides, fits, shares, shares)
def test_the_inverse_brings_boxes_back(width, height, fit, across, down):
    box = Box(across[0] * width, down[0] * height, across[1] * width, down[1] * height)
    there = box_in_fitted(box, width, height, fit)
    assert box_in_picture(there, width, height, fit) == pytest.approx(box, abs=1e-6 * max(width, height))


@given(sides, sides, fits)
def test_the_whole_picture_maps_to_the_content_box(width, height, fit):
    whole = box_in_fitted(Box(0, 0, width, height), width, height, fit)
    assert whole == pytest.approx(content_box(width, height, fit))


def test_a_box_that_reaches_into_the_filling_is_cut_at_the_edge():
    assert box_in_picture(Box(0, 0, 128, 128), 200, 100, Fit("pad")) == (0, 0, 200, 100)


@pytest.mark.parametrize("policy", ["stretch", "pad"])
@pytest.mark.parametrize("shape", [(16, 16), (300, 200), (1, 500), (128, 128)])
def test_one_color_stays_one_color(policy, shape):
    fitted = fit_picture(plain(*shape, (10, 120, 240)), Fit(policy))
    assert fitted.dtype == np.uint8 and (fitted == plain(128, 128, (10, 120, 240))).all()


def test_a_picture_of_the_right_size_is_untouched():
    picture = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    for policy in ("stretch", "pad"):
        assert (fit_picture(picture, Fit(policy)) == picture).all()


def test_the_bars_have_the_color_of_the_border_and_not_white():
    picture = plain(60, 120, (200, 30, 30))
    picture[20:40, 40:80] = (0, 0, 255)
    fitted = fit_picture(picture, Fit("pad"))
    assert (fitted[:32] == (200, 30, 30)).all() and (fitted[96:] == (200, 30, 30)).all()
    assert tuple(fitted[64, 64]) == (0, 0, 255)


def test_shrinking_averages_instead_of_picking_pixels():
    stripes = np.zeros((1024, 1024, 3), np.uint8)
    stripes[:, ::2] = 255
    inner = fit_picture(stripes, Fit())[:, 2:-2].astype(int)
    assert abs(inner - 127).max() <= 2


def test_growing_keeps_both_halves_in_place():
    halves = plain(16, 16, 0)
    halves[:, 8:] = 255
    grown = fit_picture(halves, Fit())
    assert (grown[:, :60] == 0).all() and (grown[:, 68:] == 255).all()


def test_an_unknown_policy_or_size_is_refused():
    with pytest.raises(ValueError, match="stretch, pad. Received: 'crop'"):
        Fit("crop")
    with pytest.raises(ValueError, match="at least 1 pixel. Received: 0"):
        Fit("pad", 0)
