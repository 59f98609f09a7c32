"""BatchNorm for training: synchronised between workers, or by TensorFlow's fused kernel where one replica trains alone.

Both give the same numbers up to rounding. Keras computes BatchNorm from single operations, which on a CPU takes as long
as the convolutions do; the fused kernel takes a third of that (docs/experiments.md).
"""

from typing import Any

import keras


class FusedBatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """Keras's layer with another way of computing the same: same variables, same results on one replica.

    Only for training: a network that is kept is built of Keras's own layers, and takes the weights over.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """(B, h, w, C) in training goes through the fused kernel; all else as in Keras."""
        if not training or len(inputs.shape) != 4:
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        scale, offset = (keras.ops.cast(variable, "float32") for variable in (self.gamma, self.beta))
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs, scale, offset, epsilon=self.epsilon, is_training=True
        )
        # The kernel's variance is that of a sample, Keras's that of the batch itself.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        for moving, seen in ((self.moving_mean, mean), (self.moving_variance, variance * (count - 1) / count)):
            moving.assign(moving * self.momentum + seen * (1 - self.momentum))
        return outputs
