"""One network's training on Ray Train: the same loop on one worker and on many.

TensorflowTrainer starts the workers; rank 0 alone writes checkpoints. What Ray Train has registered counts, and nothing
else: a checkpoint that was being written when a worker died is left out, however complete it looks. Only where the
register itself is missing or damaged are all checkpoints that are there looked through.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train

from tagger.errors import ClusterUnavailable, TrainingDiverged
from tagger.storage import open_root
from tagger.train.checkpoint import State, newest_state, pack_weights, write_state
from tagger.train.course import write_epochs
from tagger.train.feed import SHUFFLE_SHARDS, BatchPlan, evaluation_batches, training_batches
from tagger.train.learner import Learner, fair_threads, limit_threads
from tagger.train.pictures import Pictures, Rows, Shard
from tagger.train.recipe import StagePlan

logger = logging.getLogger(__name__)

_OPEN_SHARDS = 4 * SHUFFLE_SHARDS + 32
"""Two windows of the shuffle with pixels and masks, and some for the `select` items."""
_PROGRESS_EVERY_S = 10.0
_REGISTER = "checkpoint_manager_snapshot.json"
"""Ray Train's list of checkpoints, in the stage's folder. Ray rewrites it in place: power or space may fail between."""
_KEPT = 2
"""Checkpoints that are kept: the newest, and the one before in case the newest is damaged."""
_FAILED_STARTS = 2
"""Starts of the workers that may fail, 300 s each, until a node that was lost is back; Ray itself tries for ever."""
_PROGRESS_LINE = "%s epoch %d/%d, %d px: %d of %d pictures, %.0f/s"
_EPOCH_LINE = "%s epoch %d/%d, %d px: loss %.3f, accuracy %.3f, select loss %.3f, select accuracy %.3f, %.0f s"


@dataclass(frozen=True)
class StageItems:
    """Rows of the picture shards and their class numbers, for fitting and for choosing the epoch."""

    shards: tuple[Shard, ...]
    fit_rows: Rows
    fit_labels: Rows
    select_rows: Rows
    select_labels: Rows


@dataclass(frozen=True)
class StageResult:
    """history: one dict an epoch. weights: the best epoch's, packed. digest: of all ranks' final weights."""

    history: list[dict[str, Any]]
    weights: bytes
    digest: str


def train_stage(plan: StagePlan, items: StageItems, scaling: ray.train.ScalingConfig, max_failures: int) -> StageResult:
    """Train one network and return its best epoch on the `select` items.

    A run under the same id continues from its last checkpoint. ClusterUnavailable where workers were lost more than
    `max_failures` times or could not be started, or the checkpoints could not be kept, with the first one's own words;
    TrainingDiverged where the loss is no number any more.
    """
    from ray.train.tensorflow import TensorflowTrainer  # imports TensorFlow, which decode tasks must not pay for

    filesystem, path = plan.work.arrow()
    try:
        if not plan.root_uri.startswith("s3://"):
            os.makedirs(path, exist_ok=True)
        trainer = TensorflowTrainer(
            _train_worker,  # type: ignore[arg-type]  # Train V2 takes what it returns
            train_loop_config={"plan": plan, "items": items, "left": left_checkpoints(plan)},
            scaling_config=scaling,
            run_config=ray.train.RunConfig(
                name=_folder(plan),
                storage_path=path,
                storage_filesystem=filesystem,
                checkpoint_config=ray.train.CheckpointConfig(num_to_keep=_KEPT),
                failure_config=_failure_config(max_failures),
                logging_config=ray.train.LoggingConfig(log_level="WARNING"),  # type: ignore[call-arg]  # of Train V2
            ),
        )
        return _read_result(trainer.fit(), plan)
    except (ray.train.TrainingFailedError, ray.exceptions.RayError, OSError) as error:
        raise ClusterUnavailable(
            f"Training of the {plan.stage} network stopped: {_reason(error)}. Continue it with --resume {plan.run_id}."
        ) from error


def _failure_config(max_failures: int) -> ray.train.FailureConfig:
    starts: dict[str, Any] = {"controller_failure_limit": _FAILED_STARTS}  # of Train V2
    return ray.train.FailureConfig(max_failures=max_failures, **starts)


def _folder(plan: StagePlan) -> str:
    return f"stage-{plan.stage}"


def left_checkpoints(plan: StagePlan) -> list[ray.train.Checkpoint]:
    """Where Ray's register is missing or unreadable: all checkpoints, from old to new. Else none.

    An unreadable register is removed, or Ray would not start. Until the first save makes another one it is missing.
    """
    register = f"{_folder(plan)}/{_REGISTER}"
    try:
        json.loads(plan.work.read_bytes(register))
    except FileNotFoundError:
        pass
    except ValueError:
        plan.work.delete(register)
    else:
        return []
    names = {found.key.split("/")[1] for found in plan.work.list_objects(f"{_folder(plan)}/checkpoint_")}
    if names:
        logger.warning(
            "Ray's list of the %s network's checkpoints is lost; what is there is looked through.", plan.stage
        )
    filesystem, path = plan.work.arrow()
    return [ray.train.Checkpoint(f"{path}/{_folder(plan)}/{name}", filesystem) for name in sorted(names)]


def _reason(error: Exception) -> str:
    """The last line of the first failed worker's traceback, which names the error; all of it is in the cause."""
    lines = [line.strip() for line in str(error).splitlines() if ": " in line and not line.startswith((" ", "..."))]
    return lines[-1] if lines else str(error).strip()


def _read_result(result: ray.train.Result, plan: StagePlan) -> StageResult:
    diverged: TrainingDiverged | None = result.return_value  # type: ignore[attr-defined]  # of Train V2
    if diverged is not None:
        raise diverged
    kept = [checkpoint for checkpoint, _ in result.best_checkpoints or []] if result.checkpoint else []
    with _folders([result.checkpoint, *kept] if result.checkpoint else []) as folders:
        state = newest_state(folders)
    if state is None or state.epoch < plan.recipe.epochs:
        raise ClusterUnavailable(
            f"Training of the {plan.stage} network ended without a whole checkpoint of its last epoch. "
            f"Continue it with --resume {plan.run_id}."
        )
    return StageResult(state.history, pack_weights(state.best), state.weights_digest)


def _train_worker(config: dict[str, Any]) -> TrainingDiverged | None:
    """The loop of one worker. Returns what all ranks meet alike at any try: Ray would try again what is raised."""
    _only_our_lines()
    try:
        _train(**config)
    except TrainingDiverged as diverged:
        return diverged
    return None


def _train(plan: StagePlan, items: StageItems, left: list[ray.train.Checkpoint]) -> None:
    context = ray.train.get_context()
    limit_threads(plan.threads or fair_threads(_node_cpus(), context.get_local_world_size()))
    learner = Learner(plan, items.fit_labels)
    last = _last_state(left)
    if last is not None:
        learner.restore(last)
        logger.info("%s goes on from epoch %d, step %d", plan.stage, learner.epoch + 1, learner.step)
        if ray.train.get_checkpoint() is None:
            _save(learner, _cut(learner))
    learner.digest(context.get_world_size())  # told now where the ranks begin with different weights
    pictures = Pictures(open_root(plan.pictures_uri), items.shards, _OPEN_SHARDS)
    while learner.epoch < plan.recipe.epochs:
        _one_epoch(learner, pictures, items)


def _node_cpus() -> float:
    """Of this worker's node, as Ray counts them: it heeds the container's quota, and whoever gave the node a number."""
    here = ray.get_runtime_context().get_node_id()
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return next(float(node["Resources"].get("CPU", 0.0)) for node in nodes if node["NodeID"] == here)


def _one_epoch(learner: Learner, pictures: Pictures, items: StageItems) -> None:
    """From the learner's step to the end of its epoch, and a checkpoint."""
    plan, started, cut, first = learner.plan, time.monotonic(), _cut(learner), learner.step
    batches = training_batches(pictures, items.fit_rows, items.fit_labels, cut, learner.epoch, learner.step)
    for pixels, labels in _with_progress(batches, learner, cut) if cut.rank == 0 else batches:
        learner.fit(pixels, labels)
        if plan.save_steps and learner.step % plan.save_steps == 0 and learner.step < learner.steps:
            _save(learner, cut)
    fitted_s = time.monotonic() - started
    row = learner.finish_epoch(evaluation_batches(pictures, items.select_rows, items.select_labels, cut), cut.side)
    row |= {
        "seconds": time.monotonic() - started,
        "pictures_per_s": (learner.steps - first) * cut.batch_size / fitted_s,
    }
    figures = [row[name] for name in ("loss", "accuracy", "select_loss", "select_accuracy", "seconds")]
    logger.info(_EPOCH_LINE, plan.stage, row["epoch"], plan.recipe.epochs, cut.side, *figures)
    _save(learner, cut)
    if cut.rank == 0:
        write_epochs(plan, learner.history)


def _cut(learner: Learner) -> BatchPlan:
    """This worker's part of the epoch that comes."""
    plan, context = learner.plan, ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    side = plan.recipe.side(learner.epoch)
    return BatchPlan(plan.recipe.batch_size, rank, world, plan.seed, plan.augmentation, side, plan.input_threads)


def _save(learner: Learner, cut: BatchPlan) -> None:
    """Report the state to Ray Train, on all ranks at once; RuntimeError where their weights differ."""
    state = learner.state(learner.digest(cut.world))
    metrics = {"epoch": state.epoch, "step": state.step}
    if cut.rank != 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        write_state(Path(folder), state)
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _last_state(left: list[ray.train.Checkpoint]) -> State | None:
    """The newest checkpoint that is whole, of those registered, else of those `left`; every rank finds the same one."""
    known = left
    if ray.train.get_checkpoint() is not None:
        known = [each.checkpoint for each in ray.train.get_all_reported_checkpoints()]
    with _folders(known[::-1]) as folders:
        state = newest_state(folders)
    if known and state is None:
        logger.warning("None of %d checkpoints can be used: the stage starts from its beginning.", len(known))
    return state


@contextmanager
def _folders(checkpoints: list[Any]) -> Iterator[Iterator[Path]]:
    """The checkpoints as local folders, each fetched when it is asked for."""
    with ExitStack() as stack:
        yield (Path(stack.enter_context(checkpoint.as_directory())) for checkpoint in checkpoints)


def _only_our_lines() -> None:
    """Our progress on standard error, which Ray carries to the driver; Ray's and TensorFlow's notes left out."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    for name in ("ray", "ray.train", "tensorflow"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _with_progress(batches: Iterator[Any], learner: Learner, cut: BatchPlan) -> Iterator[Any]:
    """Hand the batches on and say from time to time how far the epoch is."""
    plan, first = learner.plan, learner.step
    started = told = time.monotonic()
    for batch in batches:
        yield batch
        now, done = time.monotonic(), learner.step * cut.batch_size
        if now - told > _PROGRESS_EVERY_S:
            told, total = now, learner.steps * cut.batch_size
            speed = (done - first * cut.batch_size) / (now - started)
            logger.info(_PROGRESS_LINE, plan.stage, learner.epoch + 1, plan.recipe.epochs, cut.side, done, total, speed)
