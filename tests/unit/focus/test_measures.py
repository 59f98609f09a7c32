"""Focus measures: values worked out by hand on 2x2 arrays, and what holds for every map and mask."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tagger.focus.measures import cam_on_product, measure_focus, to_grid, upsample, upsampling_matrix

CELLS, PIXELS = 4, 16
values = st.floats(0, 1, width=32).map(lambda value: 0.0 if value < 1e-6 else value)
maps = arrays(np.float32, (1, CELLS, CELLS), elements=values)
masks = arrays(np.float32, (1, PIXELS, PIXELS), elements=st.sampled_from([0, 0.25, 1]))


def batch(*rows):
    return np.array([rows], np.float64)


# One pixel a cell: the up-sampling is the identity, and every sum can be read off.
RELEVANCE = batch([4, 3], [2, 1])


@pytest.mark.parametrize(
    ("mask", "share", "area", "lift", "focus"),
    [
        (batch([1, 0], [0, 0]), 0.4, 0.25, 1.6, 0.2),  # 4 of 10; (0.4 - 0.25) / (1 - 0.25)
        (batch([1, 1], [0, 0]), 0.7, 0.5, 1.4, 0.4),  # 7 of 10; (0.7 - 0.5) / (1 - 0.5)
        (batch([0, 0], [0, 1]), 0.1, 0.25, 0.4, -0.2),  # less than chance is less than 0
        (batch([0.5, 0], [0, 0.5]), 0.25, 0.25, 1.0, 0.0),  # (2 + 0.5) of 10; what any uniform map would get
    ],
)
def test_measures_worked_out_by_hand(mask, share, area, lift, focus):
    measured = measure_focus(RELEVANCE, mask)
    assert measured.cam_on_product == pytest.approx([share]) and measured.product_area == pytest.approx([area])
    assert measured.cam_lift == pytest.approx([lift]) and measured.focus == pytest.approx([focus])
    assert measured.null_reason == [None]


def test_two_cells_to_four_pixels_by_hand():
    assert upsampling_matrix(2, 4).tolist() == [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    assert upsample(batch([0, 1], [0, 1]), 4)[0, 0].tolist() == [0, 0.25, 0.75, 1]


@pytest.mark.parametrize(
    ("relevance", "mask", "reason"),
    [
        (batch([0, 0], [0, 0]), batch([1, 0], [0, 0]), "zero_map"),
        (RELEVANCE, batch([0, 0], [0, 0]), "empty_mask"),
        (RELEVANCE, batch([1, 1], [1, 1]), "mask_everywhere"),
        (RELEVANCE, batch([0.5, 0.5], [0.5, 0.5]), "mask_everywhere"),  # no cell is better than another
        (batch([0, 0], [0, 0]), batch([0, 0], [0, 0]), "zero_map"),
    ],
)
def test_what_is_undefined_is_null_with_its_reason(relevance, mask, reason):
    measured = measure_focus(relevance, mask)
    assert np.isnan(measured.focus[0]) and measured.null_reason == [reason]
    assert np.isnan(measured.cam_on_product[0]) == (reason != "mask_everywhere")
    assert np.isnan(measured.cam_lift[0]) == np.isnan(measured.cam_on_product[0])


def test_the_strongest_place_hits_the_product_or_not():
    mask = batch([1, 0], [0, 0])
    assert measure_focus(RELEVANCE, mask).pointing_hit.tolist() == [True]
    assert measure_focus(RELEVANCE, 1 - mask).pointing_hit.tolist() == [False]


def test_the_strongest_pixel_is_sought_after_the_upsampling():
    relevance = np.zeros((2, 8, 8))
    relevance[:, 1, 1] = 1  # no pixel lies on its centre: the nearest four get (31 / 32) ** 2
    relevance[:, 5:7, 5:7] = 0.99
    masks = np.zeros((2, 128, 128))
    masks[0, 16:32, 16:32] = masks[1, 80:112, 80:112] = 1
    assert measure_focus(relevance, masks).pointing_hit.tolist() == [False, True]


def test_pixels_that_tie_for_the_strongest_count_together():
    relevance = np.zeros((3, 8, 8), np.float32)
    relevance[:, 0, 3:5] = 0.1  # the same from one centre to the other, and up to the picture's edge
    masks = np.zeros((3, 128, 128))
    masks[0, 0, 60] = masks[1, 7, 56] = masks[2, 8, 60] = 1
    assert measure_focus(relevance, masks).pointing_hit.tolist() == [True, True, False]


def test_a_pixel_that_is_half_product_can_be_hit_and_one_that_is_less_can_not():
    masks = np.concatenate([batch([0.5, 0], [0, 0]), batch([0.49, 1], [1, 1])])
    assert measure_focus(np.repeat(RELEVANCE, 2, axis=0), masks).pointing_hit.tolist() == [True, False]


@pytest.mark.parametrize("mask", [batch([0, 0], [0, 0]), batch([1, 0], [0, 0])])
def test_without_a_share_nothing_is_hit(mask):
    relevance = RELEVANCE * 0 if mask.any() else RELEVANCE
    assert measure_focus(relevance, mask).pointing_hit.tolist() == [False]


@pytest.mark.parametrize("level", [0.1, 0.3, 0.7, 1])
@pytest.mark.parametrize(("cells", "pixels"), [(8, 128), (7, 224), (5, 37)])
def test_a_mask_of_one_level_leaves_no_room_in_single_precision_either(level, cells, pixels):
    relevance = np.random.default_rng(2).random((1, cells, cells), np.float32)
    measured = measure_focus(relevance, np.full((1, pixels, pixels), level, np.float32))
    assert measured.null_reason == ["mask_everywhere"] and np.isnan(measured.focus[0])
    assert measured.cam_lift == pytest.approx([1])


def test_room_of_a_single_pixel_is_room():
    mask = np.ones((1, 128, 128), np.float32)
    mask[0, 0, 0] = 0
    away = np.zeros((1, 8, 8))
    away[0, 4, 4] = 1
    assert measure_focus(away, mask).focus == pytest.approx([1])


def test_a_belt_can_reach_focus_1_though_no_map_can_reach_share_1():
    belt, relevance = np.zeros((1, 128, 128)), np.zeros((1, 8, 8))
    belt[0, 68:76], relevance[0, 4] = 1, 1
    measured = measure_focus(relevance, belt)
    # The cell's row of weights: 1/32, 3/32 ... 31/32 and back, sum 16; the belt holds the greatest 8, 2 x 112/32 = 7.
    assert measured.cam_on_product == pytest.approx([7 / 16]) and measured.cam_lift == pytest.approx([7])
    assert measured.focus == pytest.approx([1])


@given(masks)
def test_the_area_is_the_masks_mean_whatever_it_is_stored_as(mask):
    relevance = np.ones((1, CELLS, CELLS))
    assert measure_focus(relevance, mask).product_area == pytest.approx([mask.mean(dtype=np.float64)])
    hard = mask >= 0.5
    assert measure_focus(relevance, hard).product_area == measure_focus(relevance, 1.0 * hard).product_area


def test_items_of_a_batch_do_not_touch_each_other():
    relevance = np.concatenate([RELEVANCE, RELEVANCE * 0, RELEVANCE])
    mask = np.concatenate([batch([1, 0], [0, 0]), batch([1, 0], [0, 0]), batch([0, 0], [0, 0])])
    measured = measure_focus(relevance, mask)
    assert measured.focus[0] == pytest.approx(0.2) and measured.null_reason == [None, "zero_map", "empty_mask"]


def test_an_empty_batch_has_no_measures():
    assert measure_focus(np.zeros((0, 8, 8)), np.zeros((0, 128, 128))).focus.shape == (0,)


@given(maps, masks)
def test_the_share_is_defined_exactly_for_a_positive_map_and_a_mask_and_lies_in_0_1(relevance, mask):
    (share,) = cam_on_product(relevance, mask)
    assert np.isnan(share) == (not relevance.any() or not mask.any())
    assert np.isnan(share) or 0 <= share <= 1


@given(maps, masks, st.floats(1e-3, 1e3))
def test_the_share_does_not_change_with_the_maps_scale(relevance, mask, factor):
    scaled = cam_on_product(relevance * np.float32(factor), mask)
    assert scaled == pytest.approx(cam_on_product(relevance, mask), abs=1e-5, nan_ok=True)


@given(maps, masks, st.integers(0, 3), st.booleans())
def test_the_share_does_not_change_when_map_and_mask_turn_alike(relevance, mask, quarters, is_mirrored):
    def turned(grid):
        return np.rot90(grid[:, ::-1] if is_mirrored else grid, quarters, (1, 2))

    expected = cam_on_product(relevance, mask)
    assert cam_on_product(turned(relevance), turned(mask)) == pytest.approx(expected, abs=1e-6, nan_ok=True)


@given(
    arrays(np.float32, (1, CELLS, CELLS), elements=values),
    arrays(np.float32, (1, CELLS, CELLS), elements=st.sampled_from([0, 1])),
    st.permutations(range(CELLS**2)),
)
def test_the_share_does_not_change_when_cells_change_places_alike(relevance, mask, order):
    def moved(grid):
        return grid.reshape(1, -1)[:, order].reshape(grid.shape)

    expected = cam_on_product(relevance, mask)
    assert cam_on_product(moved(relevance), moved(mask)) == pytest.approx(expected, abs=1e-6, nan_ok=True)


@given(maps, masks)
def test_the_shares_of_a_mask_and_its_complement_sum_to_1(relevance, mask):
    assume(relevance.any() and mask.any() and (mask < 1).any())
    assert cam_on_product(relevance, mask) + cam_on_product(relevance, 1 - mask) == pytest.approx(1)


@given(maps, masks, masks)
def test_the_share_grows_with_the_mask(relevance, mask, more):
    assume(relevance.any() and mask.any())
    assert cam_on_product(relevance, np.maximum(mask, more)) >= cam_on_product(relevance, mask) - 1e-12


@given(maps, masks)
def test_sixteen_multiplications_give_the_share_of_the_upsampled_map(relevance, mask):
    assume(relevance.any() and mask.any())
    large = upsample(relevance, PIXELS)
    assert cam_on_product(relevance, mask) == pytest.approx([(large * mask).sum() / large.sum()], abs=1e-9)


def test_sixty_four_multiplications_give_the_share_at_the_products_own_size():
    rng = np.random.default_rng(0)
    relevance, mask = rng.gamma(0.3, size=(5, 8, 8)), rng.random((5, 128, 128)) ** 4
    large = upsample(relevance, 128)
    expected = (large * mask).sum((1, 2)) / large.sum((1, 2))
    assert cam_on_product(relevance, mask) == pytest.approx(expected, rel=1e-12)
    assert (relevance * to_grid(mask, 8)).sum((1, 2)) == pytest.approx((large * mask).sum((1, 2)))


@given(masks, st.floats(0.01, 100))
def test_a_uniform_map_gets_the_area_and_focus_0(mask, level):
    measured = measure_focus(np.full((1, CELLS, CELLS), level), mask)
    if mask.any():
        assert measured.cam_on_product == pytest.approx(measured.product_area)
    if measured.null_reason == [None]:
        assert measured.focus == pytest.approx([0], abs=1e-6)


@given(masks)
def test_the_best_single_cell_has_focus_1_and_no_map_more(mask):
    each_cell = np.eye(CELLS**2).reshape(-1, CELLS, CELLS)
    measured = measure_focus(each_cell, np.repeat(mask, CELLS**2, axis=0))
    assume(measured.null_reason[0] is None)
    assert np.max(measured.focus) == pytest.approx(1)


@given(maps, masks)
def test_focus_is_at_most_1(relevance, mask):
    measured = measure_focus(relevance, mask)
    assert (measured.null_reason[0] is None) == (not np.isnan(measured.focus[0]))
    assert np.isnan(measured.focus[0]) or measured.focus[0] <= 1 + 1e-6


@pytest.mark.parametrize(("cells", "pixels"), [(8, 128), (7, 224), (4, 10), (1, 5), (8, 8)])
def test_the_upsampling_is_opencvs_bilinear_one(cells, pixels):
    grid = np.random.default_rng(1).random((cells, cells)).astype(np.float32)
    expected = cv2.resize(grid, (pixels, pixels), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(upsample(grid[None], pixels)[0], expected, atol=1e-5)


@given(st.integers(1, 20), st.integers(1, 60))
def test_the_upsampling_keeps_a_constant(cells, pixels):
    np.testing.assert_allclose(upsampling_matrix(cells, pixels).sum(axis=1), 1)
