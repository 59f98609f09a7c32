"""Augmentation: mirrored and moved to the pixel, and drawn from the given generator alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.picture.augment import Augmentation, Changes, changed, draw_changes


def pictures(count=3, side=8):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def change(mirrored=False, rows=0.0, columns=0.0, count=3):
    return Changes(np.full(count, mirrored), np.tile([rows, columns], (count, 1)), np.zeros(count, np.int64))


def test_no_change_gives_equal_copies():
    before = pictures()
    after = changed(before, change())
    np.testing.assert_array_equal(after, before)
    assert not np.shares_memory(after, before)


def test_a_mirrored_picture_runs_from_right_to_left():
    np.testing.assert_array_equal(changed(pictures(), change(mirrored=True)), pictures()[:, :, ::-1])


def test_a_move_repeats_the_edge_where_nothing_comes_in():
    row = np.arange(4, dtype=np.uint8)
    picture = np.broadcast_to(row[:, None, None], (1, 4, 4, 3))
    assert changed(picture, change(rows=0.25, count=1))[0, :, 0, 0].tolist() == [1, 2, 3, 3]
    assert changed(picture, change(rows=-0.25, count=1))[0, :, 0, 0].tolist() == [0, 0, 1, 2]
    sideways = picture.transpose(0, 2, 1, 3)
    assert changed(sideways, change(columns=0.5, count=1))[0, 0, :, 0].tolist() == [2, 3, 3, 3]
    assert changed(sideways, change(True, columns=0.25, count=1))[0, 0, :, 0].tolist() == [3, 3, 2, 1]


def test_each_picture_has_its_own_change():
    changes = Changes(np.array([True, False, False]), np.array([[0, 0], [0, 0], [0.5, 0]]), np.zeros(3, np.int64))
    after = changed(pictures(), changes)
    np.testing.assert_array_equal(after[0], pictures()[0][:, ::-1])
    np.testing.assert_array_equal(after[1], pictures()[1])
    np.testing.assert_array_equal(after[2][:4], pictures()[2][4:])


@given(st.integers(0, 2**32), st.booleans(), st.floats(0, 0.25), st.integers(0, 12), st.integers(0, 12))
def test_a_part_of_the_batch_changes_as_in_the_whole(seed, flip, shift, start, stop):
    changes = draw_changes(12, Augmentation(flip, shift), np.random.default_rng(seed))
    whole, share = pictures(12), slice(start, stop)
    np.testing.assert_array_equal(changed(whole[share], changes.part(share)), changed(whole, changes)[share])


@given(st.integers(0, 2**32))
def test_the_same_generator_draws_the_same_changes(seed):
    first, second = (draw_changes(9, Augmentation(True, 0.1), np.random.default_rng(seed)) for _ in "ab")
    np.testing.assert_array_equal(first.mirrored, second.mirrored)
    np.testing.assert_array_equal(first.moves, second.moves)


@pytest.mark.parametrize(("flip", "share"), [(False, 0.0), (True, 0.5)])
def test_half_of_the_pictures_are_mirrored_where_wanted(flip, share):
    changes = draw_changes(4000, Augmentation(flip, 0.2), np.random.default_rng(0))
    assert changes.mirrored.mean() == pytest.approx(share, abs=0.03)


def test_moves_stay_within_the_share():
    moves = draw_changes(4000, Augmentation(False, 0.06), np.random.default_rng(0)).moves
    assert 0.055 < moves.max() <= 0.06 and -0.06 <= moves.min() < -0.055
    assert not draw_changes(9, Augmentation(), np.random.default_rng(0)).moves.any()


def test_nothing_but_places_changes():
    before = pictures(1, 64)
    after = changed(before, change(True, 0.1, -0.1, count=1))
    assert {tuple(p) for p in after.reshape(-1, 3)} <= {tuple(p) for p in before.reshape(-1, 3)}
