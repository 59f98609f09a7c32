"""One network's training on Ray Train: the same loop on one worker and on many.

TensorflowTrainer starts the workers, MultiWorkerMirroredStrategy sums the gradients, and the loop is our own: Keras 3's
`model.fit` cannot feed that strategy (`ValueError: Attempt to convert a value (PerReplica ...)`, keras issue 20585).
BatchNorm is synchronised, so that all ranks hold identical weights and statistics; rank 0 alone writes checkpoints.
"""

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray.train

from tagger.errors import ClusterUnavailable
from tagger.picture.augment import Augmentation
from tagger.storage import Root, open_root
from tagger.train.feed import BatchPlan, Pictures, Rows, evaluation_batches, training_batches

logger = logging.getLogger(__name__)

_LAST, _BEST, _OPTIMIZER, _STATE = "last.weights.h5", "best.weights.h5", "optimizer.npz", "state.json"
_PROGRESS_EVERY_S = 10.0
_PROGRESS_LINE = "%s epoch %d/%d: %d of %d pictures, %.0f/s"
_EPOCH_LINE = "%s epoch %d/%d: loss %.3f, accuracy %.3f, select loss %.3f, select accuracy %.3f, %.0f s"


@dataclass(frozen=True)
class StagePlan:
    """Everything a worker needs to know; travels as plain values."""

    stage: str
    root_uri: str
    run_id: str
    classes: int
    width: float
    head: tuple[int, ...]
    dropout: float
    batch_norm_momentum: float
    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str
    flip: bool
    shift: float
    background: float
    seed: int
    threads: int | None
    transfer_from: tuple[str, int] | None = None
    """Key and class count of the stage whose trunk this one starts from; null starts from random weights."""

    @property
    def work(self) -> Root:
        """The training's own folder under the root."""
        return open_root(self.root_uri).child("work", self.run_id)


@dataclass(frozen=True)
class StageItems:
    """Rows of the picture shards and their class numbers, for fitting and for choosing the epoch."""

    shards: tuple[str, ...]
    fit_rows: Rows
    fit_labels: Rows
    select_rows: Rows
    select_labels: Rows


@dataclass(frozen=True)
class StageResult:
    """history: one dict an epoch. weights: bytes of the best epoch's weights. digest: of all ranks' final weights."""

    history: list[dict[str, Any]]
    weights: bytes
    digest: str


def train_stage(plan: StagePlan, items: StageItems, scaling: ray.train.ScalingConfig, max_failures: int) -> StageResult:
    """Train one network and return its best epoch on the `select` items.

    A run under the same id continues from its last checkpoint. ClusterUnavailable where workers were lost more than
    `max_failures` times, with the first worker's own words.
    """
    from ray.train.tensorflow import TensorflowTrainer  # imports TensorFlow, which decode tasks must not pay for

    filesystem, path = plan.work.arrow()
    if not plan.root_uri.startswith("s3://"):
        os.makedirs(path, exist_ok=True)
    trainer = TensorflowTrainer(
        _train_worker,
        train_loop_config={"plan": asdict(plan), "items": items},
        scaling_config=scaling,
        run_config=ray.train.RunConfig(
            name=f"stage-{plan.stage}",
            storage_path=path,
            storage_filesystem=filesystem,
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
            failure_config=ray.train.FailureConfig(max_failures=max_failures),
        ),
    )
    try:
        result = trainer.fit()
    except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
        raise ClusterUnavailable(
            f"Training of the {plan.stage} network stopped: {_reason(error)}. The run {plan.run_id} can be resumed."
        ) from error
    return _read_result(result)


def _reason(error: Exception) -> str:
    """The last line of the first failed worker's traceback, which names the error; all of it is in the cause."""
    lines = [line.strip() for line in str(error).splitlines() if ": " in line and not line.startswith((" ", "..."))]
    return lines[-1] if lines else str(error).strip()


def _read_result(result: ray.train.Result) -> StageResult:
    if result.checkpoint is None:
        raise ClusterUnavailable("Training ended without a checkpoint. Start it again.")
    with result.checkpoint.as_directory() as folder:
        state = json.loads(Path(folder, _STATE).read_text())
        return StageResult(state["history"], Path(folder, _BEST).read_bytes(), state["digest"])


def _train_worker(config: dict[str, Any]) -> None:
    """The loop of one worker."""
    plan, items = StagePlan(**config["plan"]), config["items"]
    _only_our_lines()
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    batches = BatchPlan(plan.batch_size, rank, world, plan.seed, Augmentation(plan.flip, plan.shift, plan.background))
    _limit_threads(plan, context.get_local_world_size())
    learner = _Learner(plan, len(items.fit_rows) // plan.batch_size)
    pictures = Pictures(plan.work.child("pictures"), items.shards)
    for epoch in range(learner.restore(), plan.epochs):
        started, total = time.monotonic(), len(items.fit_rows)
        fit_batches = training_batches(pictures, items.fit_rows, items.fit_labels, batches, epoch)
        fitted = learner.fit(_with_progress(fit_batches, plan, epoch, total) if rank == 0 else fit_batches)
        chosen = learner.evaluate(evaluation_batches(pictures, items.select_rows, items.select_labels, batches))
        learner.record(fitted, chosen, started, total)
        with learner.checkpoint(rank == 0, learner.digest(world)) as checkpoint:
            ray.train.report(learner.history[-1], checkpoint=checkpoint)


def _only_our_lines() -> None:
    """Our progress on standard error, which Ray carries to the driver; Ray's and TensorFlow's notes left out."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    for name in ("ray", "ray.train", "tensorflow"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _limit_threads(plan: StagePlan, workers_here: int) -> None:
    import tensorflow as tf

    threads = plan.threads or max(1, (os.cpu_count() or 1) // workers_here)
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def _with_progress(batches: Iterator[Any], plan: StagePlan, epoch: int, total: int) -> Iterator[Any]:
    """Hand the batches on and say from time to time how far the epoch is."""
    started = told = time.monotonic()
    for number, batch in enumerate(batches, start=1):
        yield batch
        now, done = time.monotonic(), number * plan.batch_size
        if now - told > _PROGRESS_EVERY_S:
            told = now
            logger.info(_PROGRESS_LINE, plan.stage, epoch + 1, plan.epochs, done, total, done / (now - started))


class _Learner:
    """A network, its optimizer and its history on one worker, under the multi-worker strategy."""

    def __init__(self, plan: StagePlan, steps: int) -> None:
        import keras
        import tensorflow as tf

        self.plan, self.history = plan, list[dict[str, Any]]()
        self._best_weights = b""
        keras.utils.set_random_seed(plan.seed)
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()
        with self._strategy.scope():
            self.network = _initial_network(plan)
            self._optimizer = keras.optimizers.Adam(_learning_rate(plan, steps))
            self._optimizer.build(self.network.trainable_variables)
        self._step, self._score, self._sum = self._compile(tf)

    def _compile(self, tf: Any) -> tuple[Any, Any, Any]:
        def loss_of(logits: Any, labels: Any) -> Any:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

        def hits_of(logits: Any, labels: Any) -> Any:
            return tf.cast(tf.argmax(logits, -1, labels.dtype) == labels, tf.float32)

        def fit_replica(pixels: Any, labels: Any) -> Any:
            with tf.GradientTape() as tape:
                logits = self.network(pixels, training=True)["logits"]
                losses = loss_of(logits, labels)
                loss = tf.reduce_sum(losses) / self.plan.batch_size
            gradients = tape.gradient(loss, self.network.trainable_variables)
            self._optimizer.apply_gradients(zip(gradients, self.network.trainable_variables, strict=True))
            return tf.stack([tf.reduce_sum(losses), tf.reduce_sum(hits_of(logits, labels))])

        def score_replica(pixels: Any, labels: Any, weights: Any) -> Any:
            logits = self.network(pixels, training=False)["logits"]
            sums = [loss_of(logits, labels) * weights, hits_of(logits, labels) * weights, weights]
            return tf.stack([tf.reduce_sum(each) for each in sums])

        def summed(replica: Any) -> Any:
            def run(*batch: Any) -> Any:
                return self._strategy.reduce("SUM", self._strategy.run(replica, args=batch), axis=None)

            return tf.function(run)

        return summed(fit_replica), summed(score_replica), summed(lambda value: value)

    def restore(self) -> int:
        """Load the last registered checkpoint where there is one; returns the epoch to go on with."""
        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            return 0
        with checkpoint.as_directory() as folder:
            state = json.loads(Path(folder, _STATE).read_text())
            self._best_weights = Path(folder, _BEST).read_bytes()
            self.network.load_weights(Path(folder, _LAST))
            with np.load(Path(folder, _OPTIMIZER)) as saved:
                for number, variable in enumerate(self._hidden_state()):
                    variable.assign(saved[str(number)])
        self.history = state["history"]
        return len(self.history)

    def _hidden_state(self) -> list[Any]:
        """What a weights file leaves out: the optimizer's variables and where the dropout's random numbers are."""
        weights = {id(variable) for variable in self.network.weights}
        seeds = [variable for variable in self.network.variables if id(variable) not in weights]
        return [*self._optimizer.variables, *seeds]

    def fit(self, batches: Iterator[Any]) -> tuple[float, float]:
        """One pass; returns mean loss and accuracy over all workers, dropout on."""
        sums, count = np.zeros(2), 0
        for pixels, labels in batches:
            sums += self._step(pixels, labels.astype(np.int32)).numpy()
            count += self.plan.batch_size
        return sums[0] / max(count, 1), sums[1] / max(count, 1)

    def evaluate(self, batches: Iterator[Any]) -> tuple[float, float]:
        """Mean loss and accuracy over all workers' items."""
        sums = np.zeros(3)
        for pixels, labels, weights in batches:
            sums += self._score(pixels, labels.astype(np.int32), weights).numpy()
        return sums[0] / max(sums[2], 1), sums[1] / max(sums[2], 1)

    def record(self, fitted: tuple[float, float], chosen: tuple[float, float], started: float, pictures: int) -> None:
        """Keep and tell the figures of the epoch that just ended."""
        seconds = time.monotonic() - started
        epoch, best = len(self.history) + 1, min((row["select_loss"] for row in self.history), default=float("inf"))
        self.history.append(
            {
                "stage": self.plan.stage,
                "epoch": epoch,
                "loss": float(fitted[0]),
                "accuracy": float(fitted[1]),
                "select_loss": float(chosen[0]),
                "select_accuracy": float(chosen[1]),
                "is_best": bool(chosen[0] < best),
                "seconds": seconds,
                "pictures_per_s": pictures / seconds,
            }
        )
        logger.info(_EPOCH_LINE, self.plan.stage, epoch, self.plan.epochs, *fitted, *chosen, seconds)

    def digest(self, world: int) -> str:
        """SHA-256 of all weights. RuntimeError where the ranks' weights differ by a bit."""
        digest = weights_digest(self.network.get_weights())
        mine = np.int64(int(digest[:12], 16))
        if int(self._sum(mine).numpy()) != int(mine) * world:
            raise RuntimeError(
                f"The weights of the {self.plan.stage} network differ between workers: {digest} is not shared."
            )
        return digest

    @contextmanager
    def checkpoint(self, is_writer: bool, digest: str) -> Iterator[ray.train.Checkpoint | None]:
        """A folder with everything that `restore` needs; None on the ranks that do not write."""
        if not is_writer:
            yield None
            return
        with tempfile.TemporaryDirectory() as folder:
            self.network.save_weights(Path(folder, _LAST))
            if self.history[-1]["is_best"]:
                self._best_weights = Path(folder, _LAST).read_bytes()
            Path(folder, _BEST).write_bytes(self._best_weights)
            np.savez(Path(folder, _OPTIMIZER), **{str(n): v.numpy() for n, v in enumerate(self._hidden_state())})
            Path(folder, _STATE).write_text(json.dumps({"history": self.history, "digest": digest}))
            yield ray.train.Checkpoint.from_directory(folder)


def weights_digest(weights: list[np.ndarray]) -> str:
    """SHA-256 over all weights' bytes: equal on two ranks exactly where every bit is."""
    digest = hashlib.sha256()
    for array in weights:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _initial_network(plan: StagePlan) -> Any:
    from tagger.model.network import NetworkShape, build_network, network_with_weights, seed_cnn
    from tagger.model.transfer import transfer_trunk

    shape = NetworkShape(plan.width, plan.head, plan.dropout, plan.batch_norm_momentum)
    network = build_network(seed_cnn(shape), plan.classes, shape)
    if plan.transfer_from:
        key, classes = plan.transfer_from
        transfer_trunk(network_with_weights(plan.work.read_bytes(key), classes, shape), network)
    return network


def _learning_rate(plan: StagePlan, steps: int) -> Any:
    import keras

    if plan.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(plan.learning_rate, max(1, steps * plan.epochs))
    return plan.learning_rate
