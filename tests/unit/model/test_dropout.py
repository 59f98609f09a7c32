"""Dropout on two replicas, in a process of its own: TensorFlow splits a CPU in two only before it has begun."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
PROGRAM = """
import json
import keras
import tensorflow as tf
from tagger.model.dropout import SharedDropout

halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)
batch = tf.reshape(tf.range(1.0, 41.0), (8, 5))

def steps(layer_type, devices):
    keras.utils.set_random_seed(3)
    strategy = tf.distribute.MirroredStrategy(devices)
    with strategy.scope():
        layer = layer_type(0.25)
    parts = tf.split(batch, len(devices))
    spread = strategy.experimental_distribute_values_from_function(lambda at: parts[at.replica_id_in_sync_group])

    @tf.function
    def step():
        return strategy.run(lambda part: layer(part, training=True), args=(spread,))

    return [tf.concat(strategy.experimental_local_results(step()), 0).numpy().tolist() for _ in range(3)]

one, two = ["CPU:0"], ["CPU:0", "CPU:1"]
kept = SharedDropout(0.25)(batch, training=False).numpy().tolist()
print(json.dumps([steps(keras.layers.Dropout, one), steps(SharedDropout, one), steps(SharedDropout, two), kept]))
"""


@pytest.fixture(scope="module")
def outputs():
    """Three steps each: Keras's layer on one replica, ours on one, ours on two; ours outside of training."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_two_replicas_drop_what_one_drops_in_every_step(outputs):
    plain, alone, together, _ = outputs
    assert together == alone == plain
    assert len({json.dumps(step) for step in together}) == 3


def test_about_a_quarter_is_dropped_and_the_rest_made_up_for(outputs):
    shares = [sum(value == 0 for row in step for value in row) / 40 for step in outputs[2]]
    assert 0.1 < sum(shares) / 3 < 0.4
    assert outputs[2][0][0][0] in (0.0, pytest.approx(1 / 0.75))


def test_nothing_is_dropped_outside_of_training(outputs):
    assert outputs[3] == [[5.0 * row + column for column in range(1, 6)] for row in range(8)]
