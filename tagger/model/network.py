"""The network of both attributes: a convolutional trunk and a linear head, with the trunk's output in reach.

The usual trunk has five blocks (Conv 3x3, ReLU, BatchNorm; pooling after the first four); the head is global average
pooling, Dropout, BatchNorm and linear layers, and other trunks stand under the same head. The softmax is left to the
loss and the calibration: the network returns logits, since the class maps are exact for them.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tagger.errors import BundleError
from tagger.model.shape import NetworkShape

FILTERS = (64, 128, 128, 256, 256)
"""Filters of the five blocks of `seed_cnn` at width 1.0."""

RESIDUAL_FILTERS = (24, 48, 96, 192)
"""Filters of the stem and the three stages of `residual_pool_cnn` at width 1.0."""

TRUNK = "trunk"
"""Name of the trunk layer inside every network."""

Weights = list[npt.NDArray[np.float32]]
Norm = type[keras.layers.BatchNormalization]
Drop = type[keras.layers.Dropout]
PLAIN_NORM: Norm = keras.layers.BatchNormalization
PLAIN_DROP: Drop = keras.layers.Dropout


def build_network(
    trunk: keras.Model, classes: int, shape: NetworkShape, norm: Norm = PLAIN_NORM, drop: Drop = PLAIN_DROP
) -> keras.Model:
    """Trunk plus linear head: (B, H, W, 3) uint8 -> {"features": (B, h, w, K), "logits": (B, classes)} float32.

    The head is global average pooling, Dropout, BatchNorm and linear layers only, so that it folds into one matrix
    (`tagger.model.classmap.fold_head`). BatchNorm statistics are synchronised between workers, without which every
    rank would end with statistics of its own.
    """
    inputs = keras.Input((shape.size_px, shape.size_px, 3), dtype="uint8")
    features = trunk(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    x = drop(shape.dropout, name="dropout")(x)
    x = norm(momentum=shape.batch_norm_momentum, synchronized=True, name="head_norm")(x)
    for number, units in enumerate(shape.head):
        x = keras.layers.Dense(units, name=f"head_dense_{number}")(x)
    logits = keras.layers.Dense(classes, name="logits", dtype="float32")(x)
    return keras.Model(inputs, {"features": features, "logits": logits})


def seed_cnn(shape: NetworkShape, norm: Norm = PLAIN_NORM) -> keras.Model:
    """The original recipe's trunk: (B, size_px, size_px, 3) in [0, 1] -> (B, size_px / 16, size_px / 16, K).

    `shape.width` scales the filter counts; at 1.0 and 128 px the output is (B, 8, 8, 256).
    """
    inputs = keras.Input((shape.size_px, shape.size_px, 3))
    x = inputs
    for block, filters in enumerate(FILTERS):
        x = keras.layers.Conv2D(_scaled(filters, shape), 3, padding="same", activation="relu")(x)
        x = norm(momentum=shape.batch_norm_momentum, synchronized=True)(x)
        if block < len(FILTERS) - 1:
            x = keras.layers.MaxPooling2D(2)(x)
    return keras.Model(inputs, x, name=TRUNK)


def residual_pool_cnn(shape: NetworkShape, norm: Norm = PLAIN_NORM) -> keras.Model:
    """Ten convolutions with shortcuts: (B, size_px, size_px, 3) in [0, 1] -> (B, size_px / 16, size_px / 16, K).

    A stem at half the resolution, then three stages of one convolution and one residual block each, with pooling
    between them; at width 1.0 and 128 px the output is (B, 8, 8, 192). Less work at full resolution pays for more depth
    below it. What halves has an even size, or is pooling, so that every place is in the middle of what it sees.
    Source: He et al. 2016, Deep Residual Learning; pooling before a convolution: He et al. 2019, Bag of Tricks for
    Image Classification (ResNet-D).
    """
    inputs = keras.Input((shape.size_px, shape.size_px, 3))
    stem, *stages = (_scaled(filters, shape) for filters in RESIDUAL_FILTERS)
    x = keras.layers.MaxPooling2D(2)(_convolved(inputs, stem, shape, norm, side=4, stride=2))
    for number, filters in enumerate(stages):
        x = keras.layers.AveragePooling2D(2)(x) if number else x
        x = _with_shortcut(_convolved(x, filters, shape, norm), shape, norm)
    return keras.Model(inputs, x, name=TRUNK)


TRUNKS = {"seed_cnn": seed_cnn, "residual_pool_cnn": residual_pool_cnn}


def _convolved(x: Any, filters: int, shape: NetworkShape, norm: Norm, side: int = 3, stride: int = 1) -> Any:
    return keras.layers.ReLU()(_linear(x, filters, shape, norm, side, stride))


def _with_shortcut(x: Any, shape: NetworkShape, norm: Norm) -> Any:
    """A residual block."""
    filters = x.shape[-1]
    change = _linear(_convolved(x, filters, shape, norm), filters, shape, norm)
    return keras.layers.ReLU()(keras.layers.Add()([x, change]))


def _linear(x: Any, filters: int, shape: NetworkShape, norm: Norm, side: int = 3, stride: int = 1) -> Any:
    start = keras.initializers.HeNormal()
    x = keras.layers.Conv2D(filters, side, stride, padding="same", use_bias=False, kernel_initializer=start)(x)
    return norm(momentum=shape.batch_norm_momentum, synchronized=True)(x)


def shaped_trunk(shape: NetworkShape, norm: Norm = PLAIN_NORM) -> keras.Model:
    """The trunk that a shape names."""
    return TRUNKS[shape.trunk](shape, norm)


def _scaled(filters: int, shape: NetworkShape) -> int:
    return max(1, round(filters * shape.width))


def network_with_weights(weights: Weights, classes: int, shape: NetworkShape) -> keras.Model:
    """The network of a shape with these weights, in the order of `get_weights`."""
    network = build_network(shaped_trunk(shape), classes, shape)
    network.set_weights(weights)
    return network


def head_layers(network: keras.Model) -> tuple[keras.layers.BatchNormalization, Sequence[keras.layers.Dense]]:
    """The head's BatchNorm and its linear layers in order. BundleError for a head whose maps would not be exact."""
    after_pool = network.layers[[layer.name for layer in network.layers].index("pool") + 1 :]
    norms = [layer for layer in after_pool if isinstance(layer, keras.layers.BatchNormalization)]
    dense = [layer for layer in after_pool if isinstance(layer, keras.layers.Dense)]
    extra = [layer for layer in after_pool if layer not in norms + dense]
    bent = [layer.name for layer in dense if layer.activation is not keras.activations.linear]
    bent += [layer.name for layer in extra if not isinstance(layer, keras.layers.Dropout)]
    in_order = len(norms) == 1 and bool(dense) and after_pool.index(norms[0]) < after_pool.index(dense[0])
    if bent or not in_order:
        raise BundleError(
            f"The head is not pooling, one BatchNorm and linear Dense layers (see {', '.join(bent) or 'its layers'}). "
            "Only a linear head folds into one matrix, and only then are the class maps exact. Remove the activation."
        )
    return norms[0], dense
