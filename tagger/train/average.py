"""AdamW with a moving average of the weights that forgets its beginning, however short the training is."""

from typing import Any

import keras


class AveragedAdamW(keras.optimizers.AdamW):  # type: ignore[misc]
    """`ema_momentum` is the most of the average that a step keeps; step t keeps (1 + t) / (10 + t) of it at most.

    So the average looks back over a ninth of the steps so far, or over 1 / (1 - ema_momentum) where that is less. With
    the bare momentum, 0.998 of a training of 300 steps would still be half the weights of its first step.
    Source: tf.train.ExponentialMovingAverage, `num_updates`.
    """

    @property
    def ema_momentum(self) -> Any:
        """Of the present step, a scalar tensor."""
        step = keras.ops.cast(self.iterations, "float32")
        return keras.ops.minimum(self._most, (1 + step) / (10 + step))

    @ema_momentum.setter
    def ema_momentum(self, most: float) -> None:
        self._most = most
