"""Repainting: a network that reads the background is found out, one that reads the product is not."""

import datetime

import numpy as np
import pytest

from tagger.tag.counterfactual import CHECK_SHARE, drawn_for_check, repaint

SIDE = 64
BOX = np.zeros((SIDE, SIDE), bool)
BOX[20:44, 20:44] = True
TONIGHT = datetime.date(2026, 11, 22)


def white_box_on_white(count=3):
    return np.full((count, SIDE, SIDE, 3), 250, np.uint8), np.repeat(BOX[None].astype(np.float32), count, axis=0)


def light_or_dark(pictures, where):
    """Two classes by the mean lightness of a part of each picture, as a sure network would say it."""
    light = pictures[:, where].mean(axis=(1, 2)) / 255
    return np.stack([light, 1 - light], axis=1)


def reads_background(pictures):
    return light_or_dark(pictures, ~BOX)


def reads_product(pictures):
    return light_or_dark(pictures, BOX)


def asked(network, chosen, masks=None):
    pictures, own = white_box_on_white(len(chosen))
    return repaint(pictures, own if masks is None else masks, network(pictures), np.array(chosen), network)


def test_a_tag_read_off_the_background_flips():
    found = asked(reads_background, [True])
    assert found.flip[0] == 1 and found.probability_change[0] < -0.3


def test_a_tag_read_off_the_product_does_not():
    found = asked(reads_product, [True])
    assert found.flip[0] == 0 and abs(found.probability_change[0]) < 0.1


def test_what_is_not_chosen_is_not_tried():
    found = asked(reads_background, [False, True, False])
    assert np.isnan(found.flip).tolist() == [True, False, True]
    assert np.isnan(found.probability_change).tolist() == [True, False, True]


def test_without_a_mask_nothing_can_be_said():
    found = asked(reads_background, [True], np.zeros((1, SIDE, SIDE), np.float32))
    assert np.isnan(found.flip[0]) and np.isnan(found.probability_change[0])


def test_no_network_is_asked_where_nothing_is_chosen():
    def never(pictures):
        raise AssertionError("asked")

    pictures, masks = white_box_on_white(2)
    assert np.isnan(repaint(pictures, masks, np.ones((2, 2)) / 2, np.zeros(2, bool), never).flip).all()


def test_the_random_check_is_the_same_when_the_night_is_done_again_and_another_one_tomorrow():
    keys = [f"{n}.jpg" for n in range(20000)]
    first, again = drawn_for_check(keys, TONIGHT), drawn_for_check(keys, TONIGHT)
    np.testing.assert_array_equal(first, again)
    assert first.mean() == pytest.approx(CHECK_SHARE, rel=0.25)
    assert (first & drawn_for_check(keys, TONIGHT + datetime.timedelta(1))).mean() < CHECK_SHARE / 10
