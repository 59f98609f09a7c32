"""Rank accuracy and PxAP: values worked out by hand, ties, nulls, and scikit-learn's answer on unbinned scores."""

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score

from tagger.evaluation.localisation import (
    LEVELS,
    null_reasons,
    pixel_average_precision,
    pixel_histograms,
    relevance_rank_accuracy,
)
from tagger.focus.measures import upsample

CELLS, PIXELS = 4, 16
maps = arrays(np.float32, (3, CELLS, CELLS), elements=st.sampled_from([0, 0.125, 0.5, 1, 3]))
masks = arrays(np.float32, (3, PIXELS, PIXELS), elements=st.sampled_from([0, 0.25, 1]))


def batch(*rows):
    return np.array([rows], np.float64)


def average_precision(relevance, masks):
    return pixel_average_precision(pixel_histograms(relevance, masks))


# One pixel a cell: the up-sampling is the identity, and every pixel can be read off.
RELEVANCE = batch([4, 3], [2, 0])


@pytest.mark.parametrize(
    ("relevance", "mask", "accuracy"),
    [
        (RELEVANCE, batch([1, 1], [0, 0]), 1.0),  # the two strongest are the product
        (RELEVANCE, batch([1, 0], [1, 0]), 0.5),  # of 4 and 3, one is
        (RELEVANCE, batch([0, 0], [0, 1]), 0.0),
        (RELEVANCE, batch([1, 1], [1, 1]), 1.0),  # any map finds a product that is everywhere
        (RELEVANCE, batch([0.5, 0.49], [0, 0]), 1.0),  # half counts as product, less does not
        (batch([4, 0], [0, 0]), batch([1, 1], [0, 0]), (1 + 1 / 3) / 2),  # one of three zeros takes the second place
        (batch([1, 1], [1, 1]), batch([1, 0], [0, 0]), 0.25),  # a uniform map gets the area
    ],
)
def test_rank_accuracy_worked_out_by_hand(relevance, mask, accuracy):
    assert relevance_rank_accuracy(relevance, mask) == pytest.approx([accuracy])


@pytest.mark.parametrize(
    ("mask", "precision"),
    [
        (batch([1, 1], [0, 0]), 1.0),
        (batch([1, 0], [1, 0]), 1 / 2 * 1 + 1 / 2 * 2 / 3),  # found first and third
        (batch([0, 0], [0, 1]), 1 / 4),
        (batch([1, 1], [1, 1]), 1.0),
    ],
)
def test_average_precision_worked_out_by_hand(mask, precision):
    assert average_precision(RELEVANCE, mask) == pytest.approx(precision)


def test_average_precision_pools_the_pixels_of_all_pictures():
    relevance = np.concatenate([RELEVANCE, 100 * RELEVANCE])
    mask = np.concatenate([batch([1, 0], [0, 0]), batch([0, 1], [0, 0])])
    # Scores 1, 0.75, 0.5, 0 in both: 1 of 2 product pixels among the first two, the other among the first four.
    assert average_precision(relevance, mask) == pytest.approx(1 / 2 * 1 / 2 + 1 / 2 * 2 / 4)


def test_the_score_runs_from_the_maps_least_to_its_greatest():
    (histogram,) = pixel_histograms(batch([7, 6], [5.5, 5]), batch([1, 0], [0, 1]))
    assert [np.flatnonzero(row).tolist() for row in histogram] == [[LEVELS // 4, LEVELS // 2], [0, LEVELS - 1]]


@pytest.mark.parametrize(
    ("relevance", "mask", "reason"),
    [
        (0 * RELEVANCE, batch([1, 0], [0, 0]), "zero_map"),
        (RELEVANCE, batch([0, 0], [0, 0]), "empty_mask"),
        (RELEVANCE, batch([0.4, 0], [0, 0]), "empty_mask"),  # no pixel that is more product than not
        (0 * RELEVANCE, batch([0, 0], [0, 0]), "zero_map"),
    ],
)
def test_what_is_undefined_is_null_with_its_reason_and_counts_for_nothing(relevance, mask, reason):
    assert null_reasons(relevance, mask) == [reason]
    assert np.isnan(relevance_rank_accuracy(relevance, mask)) and np.isnan(average_precision(relevance, mask))
    beside = np.concatenate([RELEVANCE, relevance]), np.concatenate([batch([1, 0], [1, 0]), mask])
    assert null_reasons(*beside) == [None, reason]
    assert average_precision(*beside) == average_precision(RELEVANCE, batch([1, 0], [1, 0]))


def test_an_empty_batch_has_no_measures():
    nothing = np.zeros((0, 8, 8)), np.zeros((0, 128, 128))
    assert null_reasons(*nothing) == [] and relevance_rank_accuracy(*nothing).shape == (0,)
    assert np.isnan(average_precision(*nothing))


UNEVEN = np.full((3, 4, 4), 0.125, np.float32)
UNEVEN[0, 0, 0], UNEVEN[0, 3, 0] = 0.5, 0


@given(maps, masks)
@example(UNEVEN, np.ones((3, 16, 16), np.float32))  # summed in floating point, its average precision is above 1
def test_both_lie_in_0_1_where_there_is_no_reason(relevance, mask):
    accuracy = relevance_rank_accuracy(relevance, mask)
    defined = np.array([reason is None for reason in null_reasons(relevance, mask)])
    assert (np.isnan(accuracy) == ~defined).all()
    assert ((accuracy[defined] >= 0) & (accuracy[defined] <= 1)).all()
    assert not defined.any() or 0 < average_precision(relevance, mask) <= 1


@given(maps, masks, st.sampled_from([0.25, 8.0]))
def test_neither_changes_with_a_maps_scale(relevance, mask, factor):
    scaled = relevance * np.array([1, factor, 1])[:, None, None]
    np.testing.assert_array_equal(relevance_rank_accuracy(scaled, mask), relevance_rank_accuracy(relevance, mask))
    np.testing.assert_array_equal(pixel_histograms(scaled, mask), pixel_histograms(relevance, mask))


@given(maps, masks)
def test_neither_changes_when_map_and_mask_turn_alike(relevance, mask):
    turned = relevance.transpose(0, 2, 1)[:, ::-1], mask.transpose(0, 2, 1)[:, ::-1]
    np.testing.assert_allclose(relevance_rank_accuracy(*turned), relevance_rank_accuracy(relevance, mask))
    np.testing.assert_array_equal(pixel_histograms(*turned), pixel_histograms(relevance, mask))


@given(maps, masks)
def test_histograms_hold_every_pixel_once_and_batches_add_up(relevance, mask):
    assume(all(reason is None for reason in null_reasons(relevance, mask)))
    whole = pixel_histograms(relevance, mask)
    assert (whole.sum((1, 2)) == PIXELS**2).all()
    assert whole[:, 1].sum(1).tolist() == (mask >= 0.5).sum((1, 2)).tolist()
    parts = [pixel_histograms(relevance[part], mask[part]) for part in (slice(1), slice(1, None))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_the_levels_cost_less_than_a_thousandth():
    rng = np.random.default_rng(0)
    relevance, mask = rng.gamma(0.5, size=(20, 8, 8)), np.zeros((20, 128, 128))
    mask[:, 30:90, 50:110] = 1
    relevance[:, 2:6, 3:7] *= rng.uniform(0.5, 4, (20, 1, 1))
    large = upsample(relevance, 128)
    scores = (large - large.min((1, 2), keepdims=True)) / np.ptp(large, axis=(1, 2), keepdims=True)
    exact = average_precision_score(mask.ravel(), scores.ravel())
    assert average_precision(relevance, mask) == pytest.approx(exact, abs=1e-3)


def test_a_uniform_map_gets_the_products_share_of_the_pixels():
    mask = np.zeros((2, PIXELS, PIXELS))
    mask[0, :4], mask[1, :8] = 1, 1
    uniform = np.full((2, CELLS, CELLS), 0.3)
    assert relevance_rank_accuracy(uniform, mask) == pytest.approx([0.25, 0.5])
    assert average_precision(uniform, mask) == pytest.approx(0.375)
