"""The learner: what each ingredient does to a step, and a state that goes on to the bit."""

import os
from dataclasses import replace

import keras
import numpy as np
import pytest

from tagger.errors import TrainingDiverged
from tagger.model.shape import NetworkShape
from tagger.picture.augment import Augmentation
from tagger.train.learner import Learner, fair_threads, learning_rate, log_frequencies
from tagger.train.recipe import Recipe, StagePlan

SIDE, CLASSES, BATCH = 32, 3, 8
LABELS = np.array([0] * 16 + [1] * 6 + [2] * 2)
RECIPE = Recipe(
    epochs=2, batch_size=BATCH, learning_rate=0.01, schedule="constant", warmup_steps=0, weight_decay=0.0,
    label_smoothing=0.0, class_balance=0.0, averaging=0.0, sizes=(),
)  # fmt: skip
PLAN = StagePlan(
    stage="type", root_uri="unused", pictures_uri="unused", run_id="run", classes=CLASSES,
    shape=NetworkShape(0.06, batch_norm_momentum=0.9), recipe=RECIPE, augmentation=Augmentation(), precision="float32",
    seed=3, threads=1,
)  # fmt: skip

pytestmark = pytest.mark.filterwarnings("ignore:.*distutils.*", "ignore::DeprecationWarning")


def batch(step):
    rng = np.random.default_rng(step)
    return rng.integers(0, 256, (BATCH, SIDE, SIDE, 3)).astype(np.uint8), rng.integers(0, CLASSES, BATCH)


def learner(steps=0, **changes):
    made = Learner(replace(PLAN, recipe=replace(RECIPE, **changes)), LABELS)
    for step in range(steps):
        made.fit(*batch(step))
    return made


def scored(made):
    """Finish the epoch on one batch."""
    pixels, labels = batch(99)
    return made.finish_epoch(iter([(pixels, labels, np.ones(BATCH, np.float32))]), 128)


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_an_interrupted_training_goes_on_to_the_bit():
    whole = learner(2, averaging=0.9, schedule="cosine")
    middle = whole.state("digest")
    for step in (2, 3):
        whole.fit(*batch(step))
    again = learner(1, averaging=0.9, schedule="cosine")
    again.restore(middle)
    assert (again.epoch, again.step) == (0, 2)
    for step in (2, 3):
        again.fit(*batch(step))
    assert same(whole.network.get_weights(), again.network.get_weights())
    assert scored(whole) == scored(again)


def test_the_average_is_measured_and_kept_but_training_goes_on_from_the_weights():
    made = learner(4, averaging=0.9)
    before = made.network.get_weights()
    scored(made)
    assert same(before, made.network.get_weights())
    assert not same(before, made.state("digest").best)


def test_the_average_of_a_short_training_forgets_its_beginning():
    made = learner(1, averaging=0.999)
    first = made.network.trainable_variables[0].numpy()
    for step in range(1, 60):
        made.fit(*batch(step))
    last = made.network.trainable_variables[0].numpy()
    scored(made)
    average = made.state("digest").best[0]
    assert np.linalg.norm(average - last) < 0.3 * np.linalg.norm(average - first)


def test_without_averaging_the_weights_themselves_are_kept():
    made = learner(2)
    before = made.network.get_weights()
    row = scored(made)
    assert row["is_best"] and same(before, made.state("digest").best)


def test_only_epochs_at_full_size_can_be_the_best():
    made = learner(1, epochs=4, sizes=((64, 0.5),))
    pixels, labels = batch(0)
    small = made.finish_epoch(iter([(pixels, labels, np.ones(BATCH, np.float32))]), 64)
    assert not small["is_best"] and made.state("d").best == []
    assert scored(made)["is_best"]


def test_a_loss_that_is_no_number_ends_the_training():
    made = learner(learning_rate=1e30)
    with pytest.raises(TrainingDiverged, match=r"type network is no finite .* in epoch 1\. Lower train\.learning_rate"):
        for step in range(4):
            made.fit(*batch(step))


def test_weights_that_are_no_numbers_are_never_the_best():
    made = learner(1)
    made.network.set_weights([np.full_like(weight, np.nan) for weight in made.network.get_weights()])
    with pytest.raises(TrainingDiverged):
        scored(made)
    assert made.history == [] and made.state("d").best == []


def test_smoothing_and_balance_change_what_is_learned():
    plain, smoothed, balanced = (
        learner(1, **change).network.get_weights() for change in ({}, {"label_smoothing": 0.2}, {"class_balance": 1.0})
    )
    assert not same(plain, smoothed) and not same(plain, balanced)


def test_decay_shrinks_kernels_alone():
    plain, decayed = (learner(1, weight_decay=decay).network for decay in (0.0, 1.0))
    for one, other in zip(plain.trainable_variables, decayed.trainable_variables, strict=True):
        if one.path.endswith("kernel"):
            assert np.linalg.norm(other) < np.linalg.norm(one)
        else:
            np.testing.assert_array_equal(one, other)


def test_ranks_with_other_weights_are_told():
    made = learner()
    with pytest.raises(RuntimeError, match="type network differ between workers"):
        made.digest(world=2)  # this one replica alone cannot have summed two equal digests
    assert len(made.digest(world=1)) == 64


def test_frequencies_are_logarithms_of_shares():
    np.testing.assert_allclose(np.exp(log_frequencies(LABELS, 4)), np.array([16.5, 6.5, 2.5, 0.5]) / 26, rtol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        ("constant", 0, [1, 1, 1, 1, 1]),
        ("constant", 10, [0, 0.5, 1, 1, 1]),
        ("cosine", 0, [1, 0.933, 0.75, 0.25, 0]),
        ("cosine", 10, [0, 0.5, 1, 0.5, 0]),
    ],
)
def test_the_step_size_rises_and_falls(schedule, warmup, expected):
    made = learning_rate(replace(RECIPE, learning_rate=1.0, schedule=schedule, warmup_steps=warmup, epochs=3), 10)
    found = [float(made(step)) if callable(made) else made for step in (0, 5, 10, 20, 30)]
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_low_precision_keeps_its_variables_whole():
    made = Learner(replace(PLAN, precision="bfloat16"), LABELS)
    made.fit(*batch(0))
    assert {variable.dtype for variable in made.network.weights} == {"float32"}
    assert made.network(batch(0)[0])["features"].dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("node_cpus", "workers", "threads"),
    [(6.0, 1, 6), (6.0, 4, 1), (48.0, 8, 6), (200.0, 2, 32), (0.0, 1, 1), (2.0, 3, 1)],
    ids=["quota", "rounded down", "shared", "no more than the host has", "none", "at least one"],
)
def test_workers_share_what_their_node_may_use_of_a_host_of_64_cpus(monkeypatch, node_cpus, workers, threads):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert fair_threads(node_cpus, workers) == threads


def test_a_process_that_is_bound_to_one_cpu_takes_one_thread():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert fair_threads(64.0, 1) == 1
    finally:
        os.sched_setaffinity(0, before)
