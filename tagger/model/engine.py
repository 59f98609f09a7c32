"""Pictures to both networks' outputs, behind one small interface."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

Array: TypeAlias = npt.NDArray[np.floating]


@dataclass(frozen=True)
class NetworkOutput:
    """features: (B, h, w, K) float32, the trunk's output. logits: (B, C) float32."""

    features: Array
    logits: Array


class TensorFlowEngine:
    """Both networks as one TensorFlow graph with a fixed signature."""

    name = "tensorflow"

    def __init__(self, networks: Mapping[str, "keras.Model"]) -> None:
        import tensorflow as tf

        self._failures = tf.errors.OpError
        shape = next(iter(networks.values())).input_shape[1:]

        def both(pixels: Any) -> Any:
            return {attribute: network(pixels, training=False) for attribute, network in networks.items()}

        self._run = tf.function(both, input_signature=[tf.TensorSpec((None, *shape), tf.uint8)])

    def run(self, pixels: npt.NDArray[np.uint8]) -> dict[str, NetworkOutput]:
        """(B, H, W, 3) uint8 -> attribute -> output. RuntimeError where TensorFlow fails on these pictures."""
        try:
            outputs = self._run(pixels)
        except self._failures as error:
            raise RuntimeError(f"TensorFlow failed on {len(pixels)} pictures: {error}") from error
        return {name: NetworkOutput(o["features"].numpy(), o["logits"].numpy()) for name, o in outputs.items()}
