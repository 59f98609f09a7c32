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

        def color(pixels: Any) -> Any:
            return networks["color"](pixels, training=False)["logits"]

        signature = [tf.TensorSpec((None, *shape), tf.uint8)]
        self._run = tf.function(both, input_signature=signature)
        self._run_color = tf.function(color, input_signature=signature)

    def run(self, pixels: npt.NDArray[np.uint8]) -> dict[str, NetworkOutput]:
        """(B, H, W, 3) uint8 -> attribute -> output. RuntimeError where TensorFlow fails on these pictures."""
        outputs = self._answer(self._run, pixels)
        return {name: NetworkOutput(o["features"].numpy(), o["logits"].numpy()) for name, o in outputs.items()}

    def color_logits(self, pixels: npt.NDArray[np.uint8]) -> Array:
        """(B, H, W, 3) uint8 -> (B, C) of the color network alone, at half the cost. RuntimeError as for `run`."""
        return np.asarray(self._answer(self._run_color, pixels).numpy())

    def _answer(self, graph: Any, pixels: npt.NDArray[np.uint8]) -> Any:
        try:
            return graph(pixels)
        except self._failures as error:
            raise RuntimeError(f"TensorFlow failed on {len(pixels)} pictures: {error}") from error
