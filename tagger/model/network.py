"""The network of both attributes: a convolutional trunk and a linear head, with the trunk's output in reach.

The architecture is the customer's (five blocks Conv 3x3 ReLU BatchNorm, pooling after the first four; global average
pooling, Dropout, BatchNorm, linear layers). The softmax is left to the loss and the calibration: the network returns
logits, since the class maps are exact for them.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import keras

from tagger.errors import BundleError

INPUT_PX = 128
"""Side of the square network input."""

FILTERS = (64, 128, 128, 256, 256)
"""Filters of the five blocks at width 1.0."""

TRUNK = "trunk"
"""Name of the trunk layer inside every network."""


@dataclass(frozen=True)
class NetworkShape:
    """What determines a network's layers, apart from its class count."""

    width: float = 1.0
    head: tuple[int, ...] = ()
    dropout: float = 0.25
    batch_norm_momentum: float = 0.99
    size_px: int = INPUT_PX


def seed_cnn(shape: NetworkShape) -> keras.Model:
    """The customer's trunk: (B, size_px, size_px, 3) float32 in [0, 1] -> (B, size_px / 16, size_px / 16, K).

    `shape.width` scales the filter counts; at 1.0 and 128 px the output is (B, 8, 8, 256). BatchNorm statistics are
    synchronised between workers, without which every rank would end with statistics of its own.
    """
    inputs = keras.Input((shape.size_px, shape.size_px, 3))
    x = inputs
    for block, filters in enumerate(FILTERS):
        x = keras.layers.Conv2D(max(1, round(filters * shape.width)), 3, padding="same", activation="relu")(x)
        x = keras.layers.BatchNormalization(momentum=shape.batch_norm_momentum, synchronized=True)(x)
        if block < len(FILTERS) - 1:
            x = keras.layers.MaxPooling2D(2)(x)
    return keras.Model(inputs, x, name=TRUNK)


def build_network(trunk: keras.Model, classes: int, shape: NetworkShape) -> keras.Model:
    """Trunk plus linear head: (B, H, W, 3) uint8 -> {"features": (B, h, w, K), "logits": (B, classes)} float32.

    The head is global average pooling, Dropout, BatchNorm and linear layers only, so that it folds into one matrix
    (`tagger.model.classmap.fold_head`).
    """
    inputs = keras.Input((shape.size_px, shape.size_px, 3), dtype="uint8")
    features = trunk(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.GlobalAveragePooling2D(name="pool")(features)
    x = keras.layers.Dropout(shape.dropout, name="dropout")(x)
    x = keras.layers.BatchNormalization(momentum=shape.batch_norm_momentum, synchronized=True, name="head_norm")(x)
    for number, units in enumerate(shape.head):
        x = keras.layers.Dense(units, name=f"head_dense_{number}")(x)
    return keras.Model(inputs, {"features": features, "logits": keras.layers.Dense(classes, name="logits")(x)})


def network_with_weights(weights: bytes, classes: int, shape: NetworkShape) -> keras.Model:
    """The network of a shape with the weights of a `.weights.h5` file's bytes."""
    network = build_network(seed_cnn(shape), classes, shape)
    with tempfile.NamedTemporaryFile(suffix=".weights.h5") as file:
        file.write(weights)
        file.flush()
        network.load_weights(file.name)
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
