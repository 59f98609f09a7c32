"""The network: the original recipe's layers, both outputs, and a head that folds."""

from typing import get_args

import keras
import numpy as np
import pytest
import tensorflow as tf

from tagger.errors import BundleError
from tagger.model.network import FILTERS, build_network, head_layers, network_with_weights, seed_cnn, shaped_trunk
from tagger.model.norm import FusedBatchNormalization
from tagger.model.shape import NetworkShape, Trunk
from tests.unit.model.networks import WIDTH, answers, random_pixels, tiny_network


@pytest.mark.parametrize(("size_px", "cells"), [(128, 8), (64, 4)])
def test_pictures_become_features_and_logits(size_px, cells):
    features, logits = answers(tiny_network(5, size_px=size_px), random_pixels(3, size_px))
    assert features.shape == (3, cells, cells, round(256 * WIDTH)) and logits.shape == (3, 5)
    assert features.dtype == logits.dtype == np.float32


def test_the_original_recipes_network_has_its_layers_and_weights():
    trunk = seed_cnn(NetworkShape())
    network = build_network(trunk, 20, NetworkShape())
    convolutions = [layer for layer in trunk.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == list(FILTERS) == [64, 128, 128, 256, 256]
    shapes = {name: tuple(output.shape) for name, output in network.output.items()}
    assert shapes == {"features": (None, 8, 8, 256), "logits": (None, 20)}
    assert network.count_params() == 1_117_972


def test_the_residual_trunk_has_its_layers_and_weights():
    shape = NetworkShape(trunk="residual_pool_cnn")
    network = build_network(shaped_trunk(shape), 20, shape)
    convolutions = [layer for layer in network.get_layer("trunk").layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == [24, *[48] * 3, *[96] * 3, *[192] * 3]
    assert {name: tuple(output.shape) for name, output in network.output.items()} == {
        "features": (None, 8, 8, 192),
        "logits": (None, 20),
    }


def sight_of(trunk, cell):
    """The centre, in px from the picture's edge, of what a place of the trunk's output sees: of its gradient, where
    every kernel is even, over pictures of noise (which of four pixels a pooling takes is chance)."""
    network = shaped_trunk(NetworkShape(WIDTH, trunk=trunk))
    for kernel in network.trainable_variables:
        if kernel.path.endswith("kernel"):
            kernel.assign(np.full(kernel.shape, 1 / np.prod(kernel.shape[:3])))
    pixels = tf.Variable(np.random.default_rng(0).random((16, 128, 128, 3), np.float32))
    with tf.GradientTape() as tape:
        place = tf.reduce_sum(network(pixels)[:, cell, cell])
    strength = tape.gradient(place, pixels).numpy().sum(axis=(0, 1, 3))
    return float(np.average(np.arange(128) + 0.5, weights=strength))


@pytest.mark.parametrize("trunk", get_args(Trunk))
def test_a_place_lies_in_the_middle_of_what_it_sees_as_focus_takes_it(trunk):
    for cell in (3, 4):
        assert sight_of(trunk, cell) == pytest.approx(16 * cell + 8, abs=0.5)


@pytest.mark.parametrize("trunk", get_args(Trunk))
def test_a_network_for_any_side_has_the_weights_of_one_for_a_fixed_side(trunk):
    fixed = tiny_network(trunk=trunk, size_px=64)
    shape = NetworkShape(WIDTH, size_px=None, trunk=trunk)
    free = build_network(shaped_trunk(shape, FusedBatchNormalization), 5, shape, FusedBatchNormalization)
    free.set_weights(fixed.get_weights())
    pixels = random_pixels(2, 64)
    np.testing.assert_allclose(answers(free, pixels)[1], answers(fixed, pixels)[1], rtol=1e-5, atol=1e-5)
    assert answers(free, random_pixels(2, 32))[0].shape[1:3] == (2, 2)


def test_pixels_are_scaled_inside_the_network():
    network = tiny_network()
    pixels = random_pixels()
    trunk = network.get_layer("trunk")
    expected = np.asarray(trunk(pixels.astype(np.float32) / 255, training=False))
    np.testing.assert_allclose(answers(network, pixels)[0], expected, rtol=1e-4, atol=1e-4)


def test_the_head_is_its_norm_and_its_linear_layers_in_order():
    norm, dense = head_layers(tiny_network(head=(7, 6)))
    assert norm.name == "head_norm" and [layer.units for layer in dense] == [7, 6, 5]


def with_head(*layers):
    """A network whose head after the pooling is made of these layers and the logits."""
    inputs = keras.Input((32, 32, 3), dtype="uint8")
    features = seed_cnn(NetworkShape(WIDTH, size_px=32))(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    for layer in [*layers, keras.layers.Dense(3, name="logits")]:
        x = layer(x)
    return keras.Model(inputs, {"features": features, "logits": x})


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        (lambda: [keras.layers.BatchNormalization(), keras.layers.Dense(4, "relu", name="bent")], "bent"),
        (lambda: [keras.layers.BatchNormalization(), keras.layers.ReLU(name="bent")], "bent"),
        (lambda: [keras.layers.Dense(4)], "its layers"),
        (lambda: [keras.layers.BatchNormalization(), keras.layers.BatchNormalization()], "its layers"),
    ],
    ids=["activation", "layer", "no norm", "two norms"],
)
def test_a_head_that_does_not_fold_is_refused_with_the_reason(layers, named):
    with pytest.raises(BundleError, match=f"see {named}.*Only a linear head folds.*class maps exact"):
        head_layers(with_head(*layers()))


def test_a_norm_behind_a_dense_layer_is_refused():
    with pytest.raises(BundleError, match="Only a linear head folds"):
        head_layers(with_head(keras.layers.Dense(4), keras.layers.BatchNormalization()))


@pytest.mark.parametrize("size_px", [128, 64])
def test_weights_make_the_same_network_again(size_px):
    network = tiny_network(head=(4,), size_px=size_px)
    copy = network_with_weights(network.get_weights(), 5, NetworkShape(WIDTH, (4,), size_px=size_px))
    pixels = random_pixels(2, size_px)
    np.testing.assert_array_equal(answers(copy, pixels)[1], answers(network, pixels)[1])
