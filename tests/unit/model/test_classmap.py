"""Exact class maps: the mean of the map is the logit, and the map is GradCAM's, on random weights and statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tagger.model.classmap import (
    FoldedHead,
    contrast_map,
    evidence_map,
    fold_head,
    logit_map,
    relevance,
    runner_up_map,
)
from tests.unit.model.networks import answers, random_pixels, tiny_network

CUTS = ["post_bn", "post_relu"]


HEADS = {
    "one layer": ((), "seed_cnn"),
    "two layers": ((7,), "seed_cnn"),
    "three layers": ((7, 6), "seed_cnn"),
    "shortcuts": ((), "residual_pool_cnn"),
}


@pytest.fixture(scope="module", params=HEADS.values(), ids=HEADS)
def case(request):
    """A network, its folded head, and features and logits of pictures."""
    head, trunk = request.param
    network = tiny_network(5, head=head, seed=len(head), trunk=trunk)
    return network, fold_head(network), *answers(network, random_pixels(4))


def close(found, expected):
    """Equal to float32 sums of this size."""
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_the_mean_of_the_logit_map_is_the_logit(case):
    _, head, features, logits = case
    close(head.logits(features), logits)
    for number in range(logits.shape[1]):
        maps = logit_map(features, head, np.full(len(logits), number))
        close(maps.mean(axis=(1, 2)), logits[:, number])


@pytest.mark.parametrize("cut", CUTS)
def test_the_evidence_and_a_constant_give_the_logit(case, cut):
    _, head, features, logits = case
    classes = logits.argmax(axis=1)
    rest = logits.max(axis=1) - evidence_map(features, head, classes, cut).mean(axis=(1, 2))
    moved = head.shift @ head.weights if cut == "post_relu" else 0
    close(rest, (head.constant + moved)[classes])


def test_both_cuts_differ_by_a_constant(case):
    _, head, features, logits = case
    classes = logits.argmin(axis=1)
    for maps in (evidence_map, lambda f, h, c, cut: contrast_map(f, h, logits, c, cut)):
        difference = maps(features, head, classes, "post_bn") - maps(features, head, classes, "post_relu")
        assert np.ptp(difference, axis=(1, 2)).max() <= 1e-3 * np.abs(difference).max()


def test_a_dead_position_adds_nothing_before_the_norm(case):
    network, head, features, logits = case
    norm = network.get_layer("trunk").layers[-1]
    if not isinstance(norm, keras.layers.BatchNormalization):
        pytest.skip("this trunk ends in a ReLU: where it is dead, nothing is added at either cut")
    dead = np.asarray(norm(np.zeros((1, 8, 8, features.shape[-1]), np.float32), training=False))
    assert np.abs(evidence_map(dead, head, np.array([2]), "post_relu")).max() < 1e-4
    assert np.abs(evidence_map(dead, head, np.array([2]), "post_bn")).max() > 1e-2


def gradcam(network, features, number):
    """Selvaraju et al. 2017, by automatic gradients: their mean over positions weighs the channels, then a ReLU."""
    pool = [layer.name for layer in network.layers].index("pool")
    with tf.GradientTape() as tape:
        watched = x = tf.Variable(features)
        for layer in network.layers[pool:]:
            x = layer(x, training=False)
        logit = tf.reduce_sum(x[:, number])
    weights = tape.gradient(logit, watched).numpy().mean(axis=(1, 2))
    return np.maximum(np.einsum("bhwk,bk->bhw", features, weights), 0)


def test_the_relevance_is_gradcams_map_up_to_a_positive_factor(case):
    network, head, features, logits = case
    shown = 0
    for number in range(logits.shape[1]):
        ours = relevance(evidence_map(features, head, np.full(len(logits), number), "post_bn"))
        close(ours, gradcam(network, features, number) * features.shape[1] * features.shape[2])
        shown += int(ours.any())
    assert shown >= 3


@pytest.mark.parametrize("cut", CUTS)
def test_the_contrast_map_is_its_formula(case, cut):
    _, head, features, logits = case
    classes = logits.argmax(axis=1)
    found = contrast_map(features, head, logits, classes, cut)
    for item, chosen in enumerate(classes):
        others = [c for c in range(logits.shape[1]) if c != chosen]
        p = np.exp(logits[item, others].astype(np.float64))
        p /= p.sum()
        one = {c: evidence_map(features[item : item + 1], head, np.array([c]), cut)[0] for c in range(logits.shape[1])}
        expected = one[chosen] - sum(share * one[other] for share, other in zip(p, others, strict=True))
        close(found[item], expected)


@pytest.mark.parametrize("cut", CUTS)
def test_the_map_against_the_runner_up_is_the_difference_of_the_two_evidence_maps(case, cut):
    _, head, features, logits = case
    order = np.argsort(-logits, axis=1)
    found = runner_up_map(features, head, logits, order[:, 0], cut)
    first, second = (evidence_map(features, head, order[:, place], cut) for place in (0, 1))
    close(found, first - second)


def test_contrast_between_two_classes_is_their_difference():
    head = FoldedHead(np.array([[1, 0], [0, 2]], np.float32), np.zeros(2, np.float32), np.zeros(2, np.float32))
    features = np.array([[[[3.0, 1.0]]]], np.float32)
    found = contrast_map(features, head, np.array([[900.0, -900.0]]), np.array([0]), "post_bn")
    assert found.tolist() == [[[1.0]]]  # 3 for the first class, 2 for the second; huge logits do no harm


def test_relevance_is_the_positive_part():
    assert relevance(np.array([[-1.0, 0.0, 2.0]])).tolist() == [[0, 0, 2]]
