import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import BadInput, BundleError
from tagger.flags.scope import Cloud, ScopeReference, energy, fit_scope_reference, scope_score

TYPES, FEATURES = 4, 8


def items(count, rng, stretch=1.0):
    """Logits (N, 4) and features (N, 8) of items of four types, each type around a place of its own."""
    places = 3 * np.eye(FEATURES)[rng.integers(0, TYPES, count)]
    features = places + rng.normal(size=(count, FEATURES)) * np.linspace(1, stretch, FEATURES)
    return 2 * features[:, :TYPES], features


@pytest.fixture(scope="module")
def reference():
    return fit_scope_reference(*items(400, np.random.default_rng(0), stretch=3.0))


def through_json(reference):
    return ScopeReference.from_dict(json.loads(json.dumps(reference.to_dict())))


def test_energy_of_known_logits():
    logits = np.array([[0.0, 0.0], [np.log(3), 0.0], [1000.0, 0.0]])
    np.testing.assert_allclose(energy(logits), [np.log(2), np.log(4), 1000.0])


@given(st.floats(-50, 50))
def test_energy_moves_with_all_logits_together(shift):
    logits = np.array([[1.0, -2.0, 0.5]])
    assert energy(logits + shift) == pytest.approx(energy(logits) + shift)


def test_without_axes_the_distance_is_plain():
    cloud = Cloud(np.array([1.0, 0.0]), np.zeros((2, 0)), variance=4.0)
    np.testing.assert_allclose(cloud.distance(np.array([[1.0, 0.0], [1.0, 2.0], [-2.0, 4.0]])), [0, 1, 2.5])


def test_an_axis_shortens_distances_along_it_alone():
    own_variance = 4.0
    axes = np.array([[np.sqrt(1 - 1 / own_variance)], [0.0]])
    cloud = Cloud(np.zeros(2), axes, variance=1.0)
    np.testing.assert_allclose(cloud.distance(np.array([[2.0, 0.0], [0.0, 2.0]])), [1, 2])


def test_of_two_features_the_distance_is_mahalanobis():
    features = np.random.default_rng(1).normal(size=(200, 2)) @ np.array([[2.0, 0.5], [0.0, 1.0]])
    cloud = fit_scope_reference(np.zeros((200, 1)), features).cloud
    gap = features - features.mean(axis=0)
    expected = np.sqrt(np.einsum("nk,kl,nl->n", gap, np.linalg.inv(gap.T @ gap / 200), gap))
    np.testing.assert_allclose(cloud.distance(features), expected, rtol=1e-4)


def test_the_reference_items_have_mean_0_and_deviation_1():
    parts = items(300, np.random.default_rng(2))
    scores = scope_score(fit_scope_reference(*parts), *parts)
    assert scores.mean() == pytest.approx(0, abs=1e-9)
    assert scores.std() == pytest.approx(1)


def test_a_lower_energy_and_a_longer_way_both_raise_the_score(reference):
    logits, features = np.repeat([[9.0, 0, 0, 0]], 3, axis=0), np.repeat(3 * np.eye(FEATURES)[:1], 3, axis=0)
    logits[1, 0] = 1.0
    features[2, 7] = 40.0
    usual, unsure, far = scope_score(reference, logits, features)
    assert usual < unsure
    assert usual < far


def test_strangers_to_either_signal_are_found_and_fresh_items_pass(reference):
    rng = np.random.default_rng(3)
    threshold = np.quantile(scope_score(reference, *items(1000, rng, 3.0)), 0.97)
    logits, features = items(1000, rng, 3.0)
    assert np.mean(scope_score(reference, logits, features) > threshold) < 0.05
    assert np.mean(scope_score(reference, logits * 0.1 - 9, features) > threshold) > 0.95
    assert np.mean(scope_score(reference, logits, features[:, ::-1] + 9) > threshold) > 0.95


def test_items_are_judged_one_by_one(reference):
    logits, features = items(20, np.random.default_rng(4))
    whole = scope_score(reference, logits, features)
    alone = [scope_score(reference, logits[n : n + 1], features[n : n + 1])[0] for n in range(20)]
    np.testing.assert_allclose(whole, alone, rtol=1e-9)


def test_the_order_of_the_reference_items_does_not_matter():
    parts = items(200, np.random.default_rng(5))
    backwards = fit_scope_reference(*(part[::-1] for part in parts))
    first, second = (scope_score(r, *parts) for r in (fit_scope_reference(*parts), backwards))
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_few_items_give_finite_scores(count):
    parts = items(count, np.random.default_rng(6))
    fitted = through_json(fit_scope_reference(*parts))
    assert np.isfinite(scope_score(fitted, *items(50, np.random.default_rng(7)))).all()


def test_a_network_without_a_signal_gives_finite_scores():
    logits, features = np.zeros((100, TYPES)), np.zeros((100, FEATURES))
    fitted = fit_scope_reference(logits, features)
    np.testing.assert_array_equal(scope_score(fitted, logits, features), 0.0)


def test_a_picture_without_numbers_has_no_score(reference):
    logits, features = items(2, np.random.default_rng(8))
    features[0, 3] = np.nan
    np.testing.assert_array_equal(np.isnan(scope_score(reference, logits, features)), [True, False])


def test_no_item_is_refused():
    with pytest.raises(BadInput, match="role select"):
        fit_scope_reference(np.zeros((0, TYPES)), np.zeros((0, FEATURES)))


def test_a_reference_says_the_same_after_json(reference):
    logits, features = items(50, np.random.default_rng(9))
    expected = scope_score(reference, logits, features)
    np.testing.assert_array_equal(scope_score(through_json(reference), logits, features), expected)


def test_the_widest_networks_reference_is_small():
    rng = np.random.default_rng(10)
    wide = fit_scope_reference(rng.normal(size=(1000, 24)), rng.normal(size=(1000, 256)))
    assert len(json.dumps(wide.to_dict(), indent=1)) < 60_000


def test_a_mean_and_a_deviation_alone_judge_the_energy():
    earlier = {"mean": 8.5, "deviation": 2.0}
    reference = ScopeReference.from_dict(earlier)
    logits = np.array([[8.5, -1e9], [4.5, -1e9]])
    np.testing.assert_allclose(scope_score(reference, logits, np.full((2, 3), np.nan)), [0.0, 2.0])
    assert reference.to_dict() == earlier


def test_before_it_is_fitted_nothing_has_a_score():
    unfitted = ScopeReference.from_dict({})
    assert np.isnan(scope_score(unfitted, np.zeros((2, TYPES)), np.zeros((2, FEATURES)))).all()
    assert unfitted.to_dict() == {}


@pytest.mark.parametrize(
    "damage",
    [
        {"mean": 1.0},
        {"mean": "high", "deviation": 1.0},
        {"mean": 1.0, "deviation": 0.0},
        {"energy": {"mean": 0.0}},
        {"distance": {"mean": 0.0, "deviation": -1.0}},
        {"center": {"shape": [8], "float32": "no base64"}},
        {"center": {"shape": [9], "float32": "AAAA"}},
        {"axes": {"shape": [1, 1], "float32": "AACAPw=="}},
        {"axes": {"shape": [1, 1], "float32": "AADAfw=="}},
        {"variance": 0.0},
    ],
)
def test_damage_is_refused(reference, damage):
    data = damage if "mean" in damage else reference.to_dict() | damage
    with pytest.raises(BundleError, match="scope reference is damaged"):
        ScopeReference.from_dict(data)
