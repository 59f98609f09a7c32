import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tagger.errors import BadInput
from tagger.model.calibrate import (
    TEMPERATURE_BOUNDS,
    calibrated_probabilities,
    expected_calibration_error,
    fit_temperature,
)

LOGITS = arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(2, 5)), elements=st.floats(-1e4, 1e4, width=32))


@settings(deadline=None)
@given(LOGITS, st.floats(0.05, 20))
def test_a_temperature_keeps_the_highest_class(logits, temperature):
    probabilities = calibrated_probabilities(logits, temperature)
    kept = probabilities[np.arange(len(logits)), logits.argmax(axis=1)]
    np.testing.assert_array_equal(kept, probabilities.max(axis=1))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


def test_temperature_one_is_the_plain_softmax():
    logits = np.log([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    np.testing.assert_allclose(calibrated_probabilities(logits, 1.0), [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])


def test_huge_logits_stay_finite():
    np.testing.assert_array_equal(calibrated_probabilities(np.array([[1e30, -1e30]]), 1.0), [[1.0, 0.0]])


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan])
def test_a_temperature_that_is_not_positive_is_refused(temperature):
    with pytest.raises(ValueError, match="above 0"):
        calibrated_probabilities(np.zeros((1, 2)), temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_finds_the_temperature_that_made_the_labels(temperature):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20_000, 6))
    uniform = rng.random((20_000, 1))
    labels = (uniform > calibrated_probabilities(logits, temperature).cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.04)


def test_two_items_by_hand():
    # One of two items with a margin of 1 is wrong, so the best sigmoid(1 / T) is 1/2: as flat as allowed.
    logits = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert fit_temperature(logits, np.array([0, 1])) == pytest.approx(TEMPERATURE_BOUNDS[1], rel=1e-3)


def test_three_of_four_right_by_hand():
    # sigmoid(2 / T) = 3/4, so T = 2 / ln 3.
    logits = np.tile([2.0, 0.0], (4, 1))
    assert fit_temperature(logits, np.array([0, 0, 0, 1])) == pytest.approx(2 / np.log(3), rel=1e-3)


def test_items_that_are_all_right_do_not_make_certainty():
    assert fit_temperature(np.array([[1.0, 0.0]]), np.array([0])) == pytest.approx(TEMPERATURE_BOUNDS[0], rel=1e-3)


@pytest.mark.parametrize("measure", [fit_temperature, expected_calibration_error])
def test_no_items_are_refused(measure):
    with pytest.raises(BadInput, match="no labelled item"):
        measure(np.zeros((0, 3)), np.zeros(0, dtype=int))


@pytest.mark.parametrize("labels", [[0, -1], [0, 2], [0]])
def test_labels_outside_the_classes_are_refused(labels):
    with pytest.raises(ValueError, match=r"2 classes in \[0, 2\)"):
        fit_temperature(np.zeros((2, 2)), np.array(labels))


def test_calibration_error_by_hand():
    # Bins of width 1/2: one right at 0.6 and one wrong at 0.8 share a bin (accuracy 1/2, confidence 0.7);
    # the bin up to 1/2 holds one wrong item at 0.5. (2 * 0.2 + 1 * 0.5) / 3.
    probabilities = np.array([[0.6, 0.4], [0.2, 0.8], [0.5, 0.5]])
    assert expected_calibration_error(probabilities, np.array([0, 0, 1]), bins=2) == pytest.approx(0.9 / 3)


@settings(deadline=None)
@given(LOGITS, st.data())
def test_calibration_error_is_a_ratio(logits, data):
    labels = data.draw(arrays(np.int64, len(logits), elements=st.integers(0, logits.shape[1] - 1)))
    assert 0 <= expected_calibration_error(calibrated_probabilities(logits, 1.0), labels) <= 1


def test_certain_and_right_has_no_error():
    assert expected_calibration_error(np.eye(3), np.arange(3)) == 0
