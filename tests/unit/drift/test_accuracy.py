import numpy as np
import pytest

from tagger.drift.accuracy import ConfidenceSum, expected_accuracy


def summed(values):
    total = ConfidenceSum()
    for part in np.array_split(np.asarray(values, float), 3):
        total.add(part)
    return total


def test_two_photos_by_hand():
    found = expected_accuracy(summed([0.5, 1.0]), 0)
    assert (found.estimate, found.margin) == (0.75, pytest.approx(1.96 * np.sqrt(0.25 / 4)))


def test_few_calibration_photos_widen_the_interval():
    found = expected_accuracy(summed([1.0, 0.5]), 100)
    assert found.margin == pytest.approx(1.96 * np.sqrt(0.25 / 4 + 0.75 * 0.25 / 100))


def test_no_photo_has_no_estimate():
    assert expected_accuracy(ConfidenceSum(), 100) is None


def test_the_interval_holds_the_accuracy_in_95_of_100_calibrated_nights():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(1000):
        chances = rng.beta(5, 2, 300)
        found = expected_accuracy(summed(chances), 0)
        held.append(abs((rng.random(300) < chances).mean() - found.estimate) <= found.margin)
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)
