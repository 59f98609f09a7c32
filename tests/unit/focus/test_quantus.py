"""Our measures beside Quantus's localisation metrics: equal where both are defined, and what each does where not.

Quantus reads `a_batch` (B, 1, H, W) and `s_batch` (B, 1, H, W) of 0 and 1; ours reads the grid, so it gets U of it.
"""

import sys
import warnings
from types import ModuleType
from typing import NamedTuple

import numpy as np
import pytest

from tagger.evaluation.localisation import null_reasons, relevance_rank_accuracy
from tagger.focus.measures import measure_focus, upsample

CELLS, PIXELS = 8, 128


@pytest.fixture(scope="module")
def quantus() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # escape sequences in its docstrings
        patch.setitem(sys.modules, "tensorflow", None)  # it would load it, for models that no test here has
        return pytest.importorskip("quantus")


class Scores(NamedTuple):
    localisation: np.ndarray
    mass: np.ndarray
    rank: np.ndarray
    hit: np.ndarray


@pytest.fixture
def theirs(quantus):
    def score(relevance, masks) -> Scores:
        names = ("AttributionLocalisation", "RelevanceMassAccuracy", "RelevanceRankAccuracy", "PointingGame")
        return Scores(*(scored(getattr(quantus, name), relevance, masks) for name in names))

    return score


def scored(metric, relevance, masks) -> np.ndarray:
    pictures = np.zeros((len(masks), 3, *masks.shape[1:]))
    maps, segments = upsample(relevance, masks.shape[1])[:, None], masks[:, None]
    call = metric(disable_warnings=True)
    return np.array(call(None, pictures, np.zeros(len(masks), int), a_batch=maps, s_batch=segments, channel_first=True))


def without_ties(count: int) -> np.ndarray:
    """Positive maps; two pixels of U of them are equal only where it holds the grid's edge, 8 pixels deep."""
    return np.random.default_rng(3).gamma(0.7, size=(count, CELLS, CELLS)) + 0.01


def random_masks() -> np.ndarray:
    rng = np.random.default_rng(4)
    return (rng.random((12, PIXELS, PIXELS)) < rng.uniform(0.01, 0.99, (12, 1, 1))).astype(np.float32)


def structured_masks() -> np.ndarray:
    """A disc, a belt, a pair, a product cut by the border, a frame, one pixel, all but one pixel, everything."""
    y, x = np.mgrid[:PIXELS, :PIXELS]
    far = np.hypot(y - 63.5, x - 63.5)
    pair = np.minimum(np.hypot(y - 64, x - 30), np.hypot(y - 64, x - 98))
    one = (y == 70) & (x == 31)
    shapes = [far < 40, abs(y - 60) < 4, pair < 18, (y > 90) & (x > 50), far > 55, one, ~one, y >= 0]
    return np.array(shapes, np.float32)


MASKS = pytest.mark.parametrize("masks", [random_masks(), structured_masks()], ids=["random", "structured"])


@MASKS
def test_the_share_on_the_product_is_quantuss_localisation_and_mass(theirs, masks):
    relevance = without_ties(len(masks))
    ours, scores = measure_focus(relevance, masks).cam_on_product, theirs(relevance, masks)
    np.testing.assert_allclose(ours, scores.mass, rtol=1e-12)
    # It adds 1e-9 to a total of some thousand.
    np.testing.assert_allclose(ours, scores.localisation, rtol=1e-11)


@MASKS
def test_maps_with_zeros_and_single_precision_agree_as_well(theirs, masks):
    relevance = np.maximum(without_ties(len(masks)) - 0.5, 0).astype(np.float32)
    np.testing.assert_allclose(measure_focus(relevance, masks).cam_on_product, theirs(relevance, masks).mass, rtol=1e-9)


@MASKS
def test_the_pointing_game_is_quantuss(theirs, masks):
    relevance = without_ties(len(masks))
    hit = measure_focus(relevance, masks).pointing_hit
    assert hit.tolist() == theirs(relevance, masks).hit.astype(bool).tolist()


def test_pixels_that_tie_for_the_strongest_count_together_in_both(theirs):
    relevance = np.zeros((3, CELLS, CELLS))
    relevance[:, 0, 0] = 1  # U holds it over the picture's corner, 8 x 8 pixels
    masks = np.zeros((3, PIXELS, PIXELS), np.float32)
    masks[0, 0, 0] = masks[1, 7, 7] = masks[2, 8, 8] = 1
    assert measure_focus(relevance, masks).pointing_hit.tolist() == [True, True, False]
    assert theirs(relevance, masks).hit.tolist() == [True, True, False]


def test_the_rank_accuracy_is_quantuss_where_no_pixels_tie(theirs):
    rng = np.random.default_rng(5)
    relevance = rng.random((6, 16, 16))  # a pixel a cell: U is the identity
    masks = (rng.random((6, 16, 16)) < 0.3).astype(np.float32)
    np.testing.assert_allclose(relevance_rank_accuracy(relevance, masks), theirs(relevance, masks).rank, rtol=1e-12)


@MASKS
def test_the_rank_accuracy_differs_from_quantuss_by_ties_alone(theirs, masks):
    relevance = without_ties(len(masks))
    ours, scores = relevance_rank_accuracy(relevance, masks), theirs(relevance, masks).rank
    # The pixels that share the last place: at most the 8 x 8 of a corner cell.
    assert (abs(ours - scores) <= 64 / masks.sum((1, 2))).all()


def test_an_empty_mask_is_null_here_and_there_nan_or_a_hit(theirs):
    relevance, masks = without_ties(4), np.zeros((4, PIXELS, PIXELS), np.float32)
    masks[0, 30:60, 30:60] = 1
    ours = measure_focus(relevance, masks)
    assert ours.null_reason == [None, *["empty_mask"] * 3] and not ours.pointing_hit[1:].any()
    assert np.isnan(relevance_rank_accuracy(relevance, masks)).tolist() == [False, True, True, True]
    with pytest.warns(UserWarning, match="segmentation map is empty"), pytest.warns(RuntimeWarning, match="invalid"):
        scores = theirs(relevance, masks)
    for each in (scores.localisation, scores.mass, scores.rank):
        assert np.isnan(each).tolist() == [False, True, True, True]
    assert scores.hit[1:].all()  # NaN written into an array of booleans is True


def test_a_zero_map_among_others_is_null_here_and_there_0_nan_a_guess_and_a_hit(theirs):
    relevance, masks = without_ties(4), np.repeat(structured_masks()[:1], 4, axis=0)
    relevance[1] = 0
    ours = measure_focus(relevance, masks)
    assert ours.null_reason == [None, "zero_map", None, None] and not ours.pointing_hit[1]
    assert np.isnan(relevance_rank_accuracy(relevance, masks)).tolist() == [False, True, False, False]
    with pytest.warns(RuntimeWarning, match="invalid value"):
        scores = theirs(relevance, masks)
    assert scores.localisation[1] == 0 and np.isnan(scores.mass[1])
    assert 0 <= scores.rank[1] <= 1  # whatever order a sort leaves equal pixels in
    assert scores.hit[1]  # every pixel is the strongest


@pytest.mark.parametrize(
    ("level", "message"), [(0, "all equal to zero"), (1, "all equal to one"), (0.5, "uniformly distributed")]
)
def test_quantus_refuses_a_batch_of_one_level(theirs, level, message):
    relevance, masks = np.full((3, CELLS, CELLS), float(level)), structured_masks()[:3]
    with pytest.raises(AssertionError, match=message):
        theirs(relevance, masks)
    ours = measure_focus(relevance, masks)
    if level:
        assert ours.focus == pytest.approx(0, abs=1e-9) and ours.cam_lift == pytest.approx(1)
    else:
        assert ours.null_reason == null_reasons(relevance, masks) == ["zero_map"] * 3


def test_quantus_refuses_a_soft_mask(theirs):
    relevance, masks = without_ties(3), structured_masks()[:3] * np.float32(0.75)
    with pytest.raises(AssertionError, match=r"only \[1, 0\]"):
        theirs(relevance, masks)
    hard = measure_focus(relevance, structured_masks()[:3])
    assert measure_focus(relevance, masks).cam_on_product == pytest.approx(hard.cam_on_product * 0.75)
