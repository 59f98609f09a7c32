import cv2
import numpy as np
import pytest

from tagger.focus.measures import upsample
from tagger.focus.overlay import (
    legend_colors,
    outline_mask,
    overlay_map,
    overlay_mask,
    relevance_colors,
    resized,
    unpack_map,
    unpack_mask,
)

GREY = np.full((128, 128, 3), 128, np.uint8)
SQUARE = np.zeros((128, 128), np.float32)
SQUARE[32:96, 32:96] = 1


def test_a_stored_map_comes_back_as_shares_of_its_maximum():
    stored = bytes([0] * 63 + [255])
    assert unpack_map(stored)[7, 7] == 1 and unpack_map(stored).sum() == 1
    assert unpack_map(bytes([0, 51, 102, 255]), cells=2).tolist() == pytest.approx(np.array([[0, 0.2], [0.4, 1]]))


def test_a_stored_mask_comes_back_row_by_row():
    stored = bytes([0b1100_0000] + [0] * 126 + [0b0000_0001])
    mask = unpack_mask(stored)
    assert mask.shape == (32, 32) and list(zip(*np.nonzero(mask), strict=True)) == [(0, 0), (0, 1), (31, 31)]


def test_null_is_an_empty_map_and_an_empty_mask():
    assert not unpack_map(None).any() and not unpack_mask(None).any()


@pytest.mark.parametrize("unpack", [unpack_map, unpack_mask])
def test_bytes_of_another_length_are_refused(unpack):
    with pytest.raises(ValueError, match="Received: 3"):
        unpack(b"abc")


def test_colors_rise_in_lightness_over_the_whole_scale():
    colors = relevance_colors(np.linspace(0, 1, 64))
    lightness = cv2.cvtColor(colors[None], cv2.COLOR_RGB2LAB)[0, :, 0].astype(int)
    assert (np.diff(lightness) >= 0).all() and lightness[-1] - lightness[0] > 150
    assert colors[0].tolist() == [68, 1, 84] and colors[-1].tolist() == [253, 231, 37], "viridis in RGB order"


def test_shares_keep_their_shape_and_are_clipped():
    assert relevance_colors(np.zeros((2, 5))).shape == (2, 5, 3)
    assert relevance_colors(np.array([-1.0, 2.0])).tolist() == relevance_colors(np.array([0.0, 1.0])).tolist()


def test_over_grey_a_map_looks_as_the_legend_says():
    grid = np.arange(64, dtype=np.float32).reshape(8, 8)
    shares = upsample(grid[None] / 63, 128)[0]
    at_share = legend_colors(256)[np.rint(shares * 255).astype(int)]
    assert np.abs(overlay_map(GREY, grid).astype(int) - at_share).max() <= 1


def test_a_map_looks_the_same_at_any_scale():
    grid = np.random.default_rng(0).random((8, 8))
    assert (overlay_map(GREY, grid) == overlay_map(GREY, grid * 1e-6)).all()


def test_a_map_without_relevance_is_at_the_low_end():
    assert np.abs(overlay_map(GREY, np.zeros((8, 8))).astype(int) - legend_colors()[0]).max() <= 1


def test_the_picture_shows_through_a_map():
    picture = GREY.copy()
    picture[:, 64:] = 255
    shown = overlay_map(picture, np.ones((8, 8))).astype(int)
    assert (shown[:, 64:] > shown[:, :64]).all()


def test_pictures_need_not_be_square():
    assert overlay_map(np.zeros((60, 80, 3), np.uint8), np.eye(8)).shape == (60, 80, 3)
    assert outline_mask(np.zeros((60, 80, 3), np.uint8), SQUARE).shape == (60, 80, 3)


def test_the_outline_runs_along_the_edge_and_nowhere_else():
    drawn = outline_mask(GREY, SQUARE)
    changed = (drawn != GREY).any(axis=2)
    distance = np.abs(np.maximum(np.abs(np.mgrid[0:128, 0:128] - 63.5).max(axis=0), 0) - 32)
    assert changed[64, 30:34].any() and distance[changed].max() < 4
    red, green, blue = drawn[64, 32].astype(int)
    assert red == 255 and green < 60 and 130 < blue < 180, "pink"
    assert (GREY == 128).all(), "the picture itself stays as it is"


@pytest.mark.parametrize(
    "color", [(0, 0, 0), (255, 255, 255), (255, 0, 140), (200, 20, 30), (68, 1, 84), (253, 231, 37)]
)
def test_the_outline_shows_on_any_color(color):
    picture = np.full((128, 128, 3), color, np.uint8)
    assert np.abs(outline_mask(picture, SQUARE).astype(int) - np.array(color)).max() > 100


def test_a_tall_picture_has_lines_as_wide_as_a_square_one():
    widths = [
        (outline_mask(np.full((344, width, 3), 128, np.uint8), SQUARE)[172] != 128).any(axis=1).sum()
        for width in (230, 344)
    ]
    assert widths[0] == widths[1] > 8


def test_a_stored_mask_has_the_outline_of_the_whole_one():
    small = cv2.resize(SQUARE, (32, 32), interpolation=cv2.INTER_AREA)
    apart = (outline_mask(GREY, small) != GREY).any(axis=2) ^ (outline_mask(GREY, SQUARE) != GREY).any(axis=2)
    assert apart.mean() < 0.02


def test_an_empty_mask_draws_nothing():
    assert (outline_mask(GREY, np.zeros((32, 32))) == GREY).all()


def test_a_hole_has_an_outline_too():
    ring = SQUARE.copy()
    ring[56:72, 56:72] = 0
    assert (outline_mask(GREY, ring)[52:60, 64] != 128).any()


def test_outside_of_the_mask_the_picture_fades():
    shown = overlay_mask(GREY, SQUARE)
    assert shown[64, 64].tolist() == [128] * 3 and shown[5, 5].tolist() == [round(0.2 * 128 + 0.8 * 255)] * 3


def test_resizing_keeps_plain_colors_and_gives_the_size_asked_for():
    assert resized(GREY, 300, 200).shape == (200, 300, 3) and (resized(GREY, 300, 200) == 128).all()
    assert (resized(GREY, 20, 40) == 128).all()


def test_shrinking_averages():
    checks = np.indices((128, 128)).sum(axis=0) % 2 * np.uint8(255)
    assert np.abs(resized(np.dstack([checks] * 3).astype(np.uint8), 64, 64).astype(int) - 128).max() <= 1
