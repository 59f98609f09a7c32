"""Which weights go from the type network to the color network: the whole trunk, its BatchNorm statistics included."""

import keras

from tagger.model.network import TRUNK


def transfer_trunk(source: keras.Model, target: keras.Model) -> None:
    """Copy the trunk's weights; the target's head keeps its own. Nothing is frozen."""
    target.get_layer(TRUNK).set_weights(source.get_layer(TRUNK).get_weights())
