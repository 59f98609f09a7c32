"""Dropout for training on several replicas at once."""

from typing import Any

import keras


class SharedDropout(keras.layers.Dropout):  # type: ignore[misc]
    """Keras's layer, whose masks on all replicas together are the one that a single replica draws for the whole batch.

    The replicas start from one seed: Keras's own layer would draw the same mask on each of them. Only for training, as
    in `tagger.model.norm`.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """This replica's equal part of the batch, its items along the first axis."""
        if not training or self.rate == 0:
            return inputs
        import tensorflow as tf

        replica, count = tf.distribute.get_replica_context(), tf.shape(inputs)[0]
        whole = tf.ones([count * replica.num_replicas_in_sync, *inputs.shape[1:]], inputs.dtype)
        mask = keras.random.dropout(whole, self.rate, seed=self.seed_generator)
        start = count * replica.replica_id_in_sync_group
        return inputs * mask[start : start + count]
