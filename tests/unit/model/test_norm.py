"""The fused BatchNorm computes what Keras's does: outputs, gradients and moving statistics."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tagger.model.norm import FusedBatchNormalization

SHAPES = [(6, 5, 4, 3), (4, 8, 8, 16)]


def both(shape, seed=0):
    """Two layers with the same random weights: Keras's own and the fused one."""
    layers = [kind(momentum=0.8) for kind in (keras.layers.BatchNormalization, FusedBatchNormalization)]
    rng = np.random.default_rng(seed)
    weights = [np.exp(rng.normal(size=shape[-1:])).astype(np.float32) for _ in range(4)]
    for layer in layers:
        layer.build(shape)
        layer.set_weights(weights)
    return layers


def inputs(shape, seed=1):
    return tf.constant(np.random.default_rng(seed).normal(2, 3, shape).astype(np.float32))


def trained(layer, x):
    """Output, gradients of x, gamma and beta, and moving statistics, of one step."""
    target = tf.constant(np.random.default_rng(2).normal(size=x.shape).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(y * target)
    variables = [variable.value for variable in layer.trainable_variables]
    return [y, *tape.gradient(loss, [x, *variables]), *layer.get_weights()]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_training_step_is_the_same(shape):
    plain, fused = both(shape)
    for expected, found in zip(trained(plain, inputs(shape)), trained(fused, inputs(shape)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_inference_is_the_same_to_the_bit(shape):
    plain, fused = both(shape)
    np.testing.assert_array_equal(fused(inputs(shape), training=False), plain(inputs(shape), training=False))


def test_a_head_without_positions_is_keras_own():
    plain, fused = both((6, 3))
    for expected, found in zip(trained(plain, inputs((6, 3))), trained(fused, inputs((6, 3))), strict=True):
        np.testing.assert_array_equal(found, expected)
