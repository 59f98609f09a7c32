"""One network, its optimizer and its history on one worker, under the multi-worker strategy. Knows no Ray.

MultiWorkerMirroredStrategy sums the gradients, and the loop is our own: Keras 3's `model.fit` cannot feed that strategy
(`ValueError: Attempt to convert a value (PerReplica ...)`, keras issue 20585). BatchNorm is synchronised, so that all
ranks hold identical weights and statistics.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from tagger.errors import TrainingDiverged
from tagger.train.checkpoint import State, unpack_weights, weights_digest
from tagger.train.feed import steps_per_epoch
from tagger.train.recipe import Recipe, StagePlan

_RARE = 0.5
"""Added to every class's count, so that a class without items to fit on has a finite weight."""


class Learner:
    """Steps, evaluation and state of one stage; the same on every rank."""

    def __init__(self, plan: StagePlan, labels: npt.NDArray[np.integer]) -> None:
        """labels: class numbers of all items to fit on, for the size of an epoch and the classes' frequencies."""
        import keras
        import tensorflow as tf

        self.plan, self.history = plan, list[dict[str, Any]]()
        self.epoch, self.step = 0, 0
        self.sums = np.zeros(3)
        """Loss, hits and pictures of the epoch so far, over all workers."""
        self.steps = steps_per_epoch(len(labels), plan.recipe.batch_size)
        self._best: list[np.ndarray] = []
        keras.utils.set_random_seed(plan.seed)
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        with self._strategy.scope(), precision(plan.precision):
            self.network = initial_network(plan, is_alone=self._strategy.num_replicas_in_sync == 1)
            self._optimizer = optimizer(plan.recipe, self.steps)
            self._optimizer.build(self.network.trainable_variables)
        shift = plan.recipe.class_balance * log_frequencies(labels, plan.classes)
        self._fit_step, self._score_step, self._sum = self._compiled(tf, shift)

    def _compiled(self, tf: Any, shift: npt.NDArray[np.float32]) -> tuple[Any, Any, Any]:
        recipe, classes = self.plan.recipe, self.plan.classes

        def losses_of(logits: Any, labels: Any, smoothing: float) -> Any:
            truth = tf.one_hot(labels, classes) * (1 - smoothing) + smoothing / classes
            return tf.nn.softmax_cross_entropy_with_logits(truth, logits)

        def hits_of(logits: Any, labels: Any) -> Any:
            return tf.cast(tf.argmax(logits, -1, labels.dtype) == labels, tf.float32)

        def fit_replica(pixels: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                logits = tf.cast(self.network(pixels, training=True)["logits"], tf.float32)
                losses = losses_of(logits + shift, labels, recipe.label_smoothing)
                loss = tf.reduce_sum(losses) / recipe.batch_size
            gradients = tape.gradient(loss, self.network.trainable_variables)
            self._optimizer.apply_gradients(zip(gradients, self.network.trainable_variables, strict=True))
            sums = [losses, hits_of(logits, labels), tf.ones_like(losses)]
            return tf.stack([tf.reduce_sum(each) for each in sums])

        def score_replica(pixels: Any, labels: Any, weights: Any) -> Any:
            logits = tf.cast(self.network(pixels, training=False)["logits"], tf.float32)
            sums = [losses_of(logits + shift, labels, 0.0) * weights, hits_of(logits, labels) * weights, weights]
            return tf.stack([tf.reduce_sum(each) for each in sums])

        def summed(replica: Callable[..., Any]) -> Any:
            def run(*batch: Any) -> Any:
                return self._strategy.reduce("SUM", self._strategy.run(replica, args=batch), axis=None)

            return tf.function(run)

        return summed(fit_replica), summed(score_replica), summed(lambda value: value)

    def fit(self, pixels: npt.NDArray[np.uint8], labels: npt.NDArray[np.integer]) -> None:
        """One step on this worker's share of a global batch. TrainingDiverged, on all ranks alike, where the loss is
        not finite."""
        self.sums += self._fit_step(pixels, labels.astype(np.int32)).numpy()
        self._check_finite(self.sums)
        self.step += 1

    def finish_epoch(self, batches: Iterator[Any], side: int) -> dict[str, Any]:
        """Measure the (averaged) weights on the `select` items, keep them where they are the best of the full size so
        far, and go on to the next epoch. batches: as of `evaluation_batches`. Returns the epoch's row of the history.
        TrainingDiverged as in `fit`.
        """
        trained = self.network.get_weights()
        if self.plan.recipe.averaging:
            self._optimizer.finalize_variable_values(self.network.trainable_variables)
        sums = np.zeros(3)
        for pixels, labels, weights in batches:
            sums += self._score_step(pixels, labels.astype(np.int32), weights).numpy()
        self._check_finite(sums)
        row = self._row(sums, side)
        if row["is_best"]:
            self._best = self.network.get_weights()
        self.network.set_weights(trained)
        self.history.append(row)
        self.epoch, self.step, self.sums = self.epoch + 1, 0, np.zeros(3)
        return row

    def _check_finite(self, sums: npt.NDArray[np.floating]) -> None:
        if not np.isfinite(sums).all():
            raise TrainingDiverged(
                f"The loss of the {self.plan.stage} network is no finite number any more, in epoch {self.epoch + 1}. "
                "Lower train.learning_rate and start afresh, without --resume."
            )

    def _row(self, chosen: npt.NDArray[np.floating], side: int) -> dict[str, Any]:
        full = max(self.plan.recipe.side(epoch) for epoch in range(self.plan.recipe.epochs))
        before = [row["select_loss"] for row in self.history if row["side"] == full]
        loss, hits, count = self.sums
        select_loss = float(chosen[0] / max(chosen[2], 1))
        return {
            "stage": self.plan.stage,
            "epoch": self.epoch + 1,
            "side": side,
            "loss": float(loss / max(count, 1)),
            "accuracy": float(hits / max(count, 1)),
            "select_loss": select_loss,
            "select_accuracy": float(chosen[1] / max(chosen[2], 1)),
            "is_best": side == full and select_loss < min(before, default=float("inf")),
        }

    def digest(self, world: int) -> str:
        """SHA-256 of all weights. RuntimeError where the ranks' weights differ by a bit."""
        digest = weights_digest(self.network.get_weights())
        if not is_shared(digest, world, lambda mine: int(self._sum(mine).numpy())):
            raise RuntimeError(
                f"The weights of the {self.plan.stage} network differ between workers: {digest} is not shared."
            )
        return digest

    def state(self, digest: str) -> State:
        """Everything that `restore` needs."""
        return State(
            epoch=self.epoch,
            step=self.step,
            sums=tuple(self.sums.tolist()),
            history=list(self.history),
            weights_digest=digest,
            weights=self.network.get_weights(),
            hidden=[variable.numpy() for variable in self._hidden()],
            best=self._best,
        )

    def restore(self, state: State) -> None:
        """Go on from a state, to the bit."""
        self.network.set_weights(list(state.weights))
        for variable, value in zip(self._hidden(), state.hidden, strict=True):
            variable.assign(value)
        self.epoch, self.step, self.history = state.epoch, state.step, list(state.history)
        self.sums, self._best = np.array(state.sums), list(state.best)

    def _hidden(self) -> list[Any]:
        """What the weights leave out: the optimizer's variables and where the dropout's random numbers are."""
        weights = {id(variable) for variable in self.network.weights}
        seeds = [variable for variable in self.network.variables if id(variable) not in weights]
        return [*self._optimizer.variables, *seeds]


def is_shared(digest: str, world: int, total: Callable[[np.int64], int]) -> bool:
    """Whether all `world` ranks hold this digest; where they differ, at least one of them learns it here.

    total: the sum of the ranks' numbers, a collective operation. 48 bits of the digest leave it room for 32,768 ranks.
    """
    mine = np.int64(int(digest[:12], 16))
    return total(mine) == int(mine) * world


def fair_threads(node_cpus: float, workers_here: int) -> int:
    """A worker's share, at least 1, of its node's CPUs, as far as this process may run on them."""
    usable = min(int(node_cpus), len(os.sched_getaffinity(0)))
    return max(1, usable // workers_here)


def limit_threads(threads: int) -> None:
    """Let TensorFlow compute on so many threads; before it does anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


@contextmanager
def precision(name: str) -> Iterator[None]:
    """A block in which layers are made to compute in "float32" or "bfloat16"; their variables stay float32.

    "auto" is bfloat16 where every GPU at hand has it in hardware (compute capability 8.0), else float32.
    """
    import keras
    import tensorflow as tf

    if name == "auto":
        gpus = tf.config.list_physical_devices("GPU")
        found = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
        name = "bfloat16" if found and min(found) >= (8, 0) else "float32"
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if name == "bfloat16" else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def initial_network(plan: StagePlan, is_alone: bool) -> Any:
    """The stage's network before its first step, for pictures of any side. is_alone: no other replica trains along."""
    from tagger.model.dropout import SharedDropout
    from tagger.model.network import PLAIN_DROP, PLAIN_NORM, build_network, network_with_weights, shaped_trunk
    from tagger.model.norm import FusedBatchNormalization
    from tagger.model.transfer import transfer_trunk

    norm, drop = (FusedBatchNormalization, PLAIN_DROP) if is_alone else (PLAIN_NORM, SharedDropout)
    shape = plan.shape.of_any_side()
    network = build_network(shaped_trunk(shape, norm), plan.classes, shape, norm, drop)
    if plan.transfer_from:
        key, classes = plan.transfer_from
        transfer_trunk(network_with_weights(unpack_weights(plan.work.read_bytes(key)), classes, shape), network)
    return network


def optimizer(recipe: Recipe, steps: int) -> Any:
    """AdamW (Adam where the decay is 0), with its schedule and, where wanted, the weights' moving average."""
    from tagger.train.average import AveragedAdamW

    made = AveragedAdamW(
        learning_rate(recipe, steps),
        weight_decay=recipe.weight_decay,
        use_ema=recipe.averaging > 0,
        ema_momentum=recipe.averaging,
    )
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made


def learning_rate(recipe: Recipe, steps: int) -> Any:
    """The step size over the stage: constant, or a cosine to zero; after `warmup_steps` of a linear rise in either."""
    import keras

    total = max(1, steps * recipe.epochs)
    warmup = min(recipe.warmup_steps, total // 2)
    if recipe.schedule == "cosine":
        if not warmup:
            return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, total)
        return keras.optimizers.schedules.CosineDecay(
            0.0, total - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup
        )
    if not warmup:
        return recipe.learning_rate
    return keras.optimizers.schedules.PolynomialDecay(0.0, warmup, recipe.learning_rate)


def log_frequencies(labels: npt.NDArray[np.integer], classes: int) -> npt.NDArray[np.float32]:
    """(classes,) float32: the logarithm of each class's share of the items.

    Added to the logits in training, and left out after, it takes the classes' frequencies out of what is learned.
    Source: Menon et al. 2021, Long-tail learning via logit adjustment.
    """
    counts = np.bincount(labels, minlength=classes) + _RARE
    return np.asarray(np.log(counts / counts.sum()), np.float32)
