"""Augmentation: mirrored and moved to the pixel, geometry and sharpness alone, drawn from the given generator alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.picture.augment import Augmentation, Changes, changed, draw_changes, resized

ALL = Augmentation(flip=True, shift=0.1, scale=0.2, rotate=10, coarse=0.5)


def pictures(count=3, side=8):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def change(mirrored=False, rows=0.0, columns=0.0, count=3):
    ones = np.ones(count)
    moves = np.tile([rows, columns], (count, 1))
    return Changes(np.full(count, mirrored), moves, np.ones((count, 2)), 0 * ones, ones, np.zeros(count, np.int64))


def test_no_change_gives_equal_copies():
    before = pictures()
    after = changed(before, change(), 8)
    np.testing.assert_array_equal(after, before)
    assert not np.shares_memory(after, before)


def test_a_mirrored_picture_runs_from_right_to_left():
    np.testing.assert_array_equal(changed(pictures(), change(mirrored=True), 8), pictures()[:, :, ::-1])


def test_a_move_repeats_the_edge_where_nothing_comes_in():
    row = np.arange(4, dtype=np.uint8)
    picture = np.broadcast_to(row[:, None, None], (1, 4, 4, 3))
    assert changed(picture, change(rows=0.25, count=1), 4)[0, :, 0, 0].tolist() == [1, 2, 3, 3]
    assert changed(picture, change(rows=-0.25, count=1), 4)[0, :, 0, 0].tolist() == [0, 0, 1, 2]
    sideways = picture.transpose(0, 2, 1, 3)
    assert changed(sideways, change(columns=0.5, count=1), 4)[0, 0, :, 0].tolist() == [2, 3, 3, 3]
    assert changed(sideways, change(True, columns=0.25, count=1), 4)[0, 0, :, 0].tolist() == [3, 3, 2, 1]


def test_each_picture_has_its_own_change():
    changes = replace(
        change(), mirrored=np.array([True, False, False]), moves=np.array([[0.0, 0.0], [0.0, 0.0], [0.5, 0.0]])
    )
    after = changed(pictures(), changes, 8)
    np.testing.assert_array_equal(after[0], pictures()[0][:, ::-1])
    np.testing.assert_array_equal(after[1], pictures()[1])
    np.testing.assert_array_equal(after[2][:4], pictures()[2][4:])


def framed(side=33, half=5):
    """A white square in the middle of black."""
    picture = np.zeros((1, side, side, 3), np.uint8)
    picture[:, side // 2 - half : side // 2 + half + 1, side // 2 - half : side // 2 + half + 1] = 255
    return picture


def test_a_zoom_enlarges_about_the_middle():
    near = changed(framed(), replace(change(count=1), zooms=np.array([[2.0, 1.0]])), 33)[0, :, :, 0] / 255
    assert near.sum() == pytest.approx(2 * 11 * 11, rel=0.05)
    np.testing.assert_allclose(near, near[::-1, ::-1], atol=0.02)
    assert near[:, 16].sum() == pytest.approx(22, abs=1) and near[16].sum() == pytest.approx(11, abs=1)


def test_a_turn_keeps_area_and_middle():
    turned = changed(framed(), replace(change(count=1), turns=np.radians([30.0])), 33)[0, :, :, 0] / 255
    assert turned.sum() == pytest.approx(121, rel=0.05) and turned[16, 16] == 1
    np.testing.assert_allclose(turned, turned[::-1, ::-1], atol=0.02)


def test_a_coarse_picture_keeps_its_mean_and_loses_detail():
    before = pictures(1, 64)
    after = changed(before, replace(change(count=1), detail=np.array([0.25])), 64)
    assert after.mean() == pytest.approx(before.mean(), abs=1) and after.std() < before.std() / 3


@pytest.mark.parametrize("side", [4, 16])
def test_pictures_of_another_size_are_made_from_the_whole(side):
    before = np.zeros((1, 8, 8, 3), np.uint8)
    before[:, :4] = 200
    after = changed(before, change(count=1), side)
    assert after.shape == (1, side, side, 3)
    assert (after[0, 0] == 200).all() and (after[0, -1] == 0).all() and after.mean() == pytest.approx(100, abs=1)
    np.testing.assert_array_equal(after[0], resized(before[0], side))


@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(0, 12))
def test_a_part_of_the_batch_changes_as_in_the_whole(seed, start, stop):
    changes = draw_changes(12, ALL, np.random.default_rng(seed))
    whole, share = pictures(12), slice(start, stop)
    np.testing.assert_array_equal(changed(whole[share], changes.part(share), 8), changed(whole, changes, 8)[share])


@given(st.integers(0, 2**32))
def test_the_same_generator_draws_the_same_changes(seed):
    first, second = (draw_changes(9, ALL, np.random.default_rng(seed)) for _ in "ab")
    for name, values in vars(first).items():
        np.testing.assert_array_equal(values, getattr(second, name))


@pytest.mark.parametrize(("flip", "share"), [(False, 0.0), (True, 0.5)])
def test_half_of_the_pictures_are_mirrored_where_wanted(flip, share):
    changes = draw_changes(4000, Augmentation(flip=flip), np.random.default_rng(0))
    assert changes.mirrored.mean() == pytest.approx(share, abs=0.03)


def test_draws_stay_within_their_limits():
    drawn = draw_changes(4000, replace(ALL, shift=0.06, background=0.3), np.random.default_rng(0))
    assert 0.055 < drawn.moves.max() <= 0.06 and -0.06 <= drawn.moves.min() < -0.055
    near = np.sqrt(drawn.zooms.prod(axis=1))
    assert 1.19 < near.max() <= 1.2 and 1 / 1.2 <= near.min() < 1 / 1.19
    assert 9.9 < np.degrees(drawn.turns).max() <= 10
    assert (drawn.detail < 1).mean() == pytest.approx(0.5, abs=0.03)
    assert (drawn.backgrounds > 0).mean() == pytest.approx(0.3, abs=0.03)


def test_nothing_is_changed_unasked():
    drawn = draw_changes(9, Augmentation(), np.random.default_rng(0))
    np.testing.assert_array_equal(changed(pictures(9), drawn, 8), pictures(9))
    assert not drawn.backgrounds.any()


@given(st.integers(0, 2**32), st.tuples(*[st.integers(0, 255)] * 3))
def test_a_plain_picture_keeps_its_color_whatever_happens(seed, color):
    plain = np.broadcast_to(np.array(color, np.uint8), (4, 16, 16, 3))
    changes = draw_changes(4, ALL, np.random.default_rng(seed))
    np.testing.assert_array_equal(changed(plain, changes, 12), np.broadcast_to(plain[:, :12, :12], (4, 12, 12, 3)))


def test_a_mirror_and_a_move_change_places_alone():
    before = pictures(1, 64)
    after = changed(before, change(True, 0.1, -0.1, count=1), 64)
    assert {tuple(p) for p in after.reshape(-1, 3)} <= {tuple(p) for p in before.reshape(-1, 3)}
