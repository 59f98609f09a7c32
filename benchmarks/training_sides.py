"""The sides of benchmarks.training: plain Keras loops, and the project's Learner alone and in Ray Train workers."""

import itertools
import json
import multiprocessing
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from benchmarks.training_turns import Turn, repeated, serve, started
from tagger.catalog.synth.writer import Recipe, encode_picture, make_item
from tagger.model.shape import INPUT_PX, NetworkShape
from tagger.picture.augment import resized
from tagger.picture.decode import DecodeLimits, decode_photo
from tagger.picture.fit import Fit
from tagger.storage import LocalRoot, open_root
from tagger.train.feed import SHUFFLE_SHARDS, BatchPlan, training_batches
from tagger.train.pictures import Pictures, Shard, believed_masks, save_masks, save_shard
from tagger.train.recipe import StagePlan

CLASSES = 24
SIZES = (64, 96, 128)
_DIFFERENT = 32  # pictures that are drawn; what needs more repeats them
OPEN_SHARDS = 4 * SHUFFLE_SHARDS + 32  # as a worker of tagger/train/stage.py
_TRAINER = "trainer"


@dataclass(frozen=True)
class Plain:
    """A loop without Ray and without a strategy. by: "step" is a GradientTape step of one's own, "fit" is Keras's
    `fit` without XLA, "fit as it comes" leaves that to Keras."""

    shape: NetworkShape
    is_fused: bool = True
    jit: bool = False
    precision: str = "float32"
    side: int = INPUT_PX
    by: str = "step"


def photos() -> list[bytes]:
    """Encoded pictures of the synthetic catalogue, always the same."""
    items = (make_item(Recipe(1), number) for number in range(_DIFFERENT))
    return [encode_picture(item, rng)[1] for item, _, rng in items]


def pictures(count: int) -> np.ndarray:
    """(count, 128, 128, 3) uint8; a picture's class is its place among those drawn, by CLASSES."""
    decoded = np.stack([decode_photo(photo, Fit("stretch"), DecodeLimits()).pixels for photo in photos()])
    return decoded[np.arange(count) % _DIFFERENT]


def labels_of(count: int) -> np.ndarray:
    """(count,) class numbers of `pictures(count)`."""
    return np.arange(count) % _DIFFERENT % CLASSES


def small(pixels: np.ndarray, side: int) -> np.ndarray:
    """The batch at another size."""
    return np.stack([resized(picture, side) for picture in pixels])


def write_shards(folder: Path, shards: int, size: int = 512) -> tuple[Shard, ...]:
    """Shards of the drawn pictures with the masks that a training would believe."""
    root, pixels = LocalRoot(str(folder)), pictures(size)
    masks = believed_masks(pixels[:_DIFFERENT])[np.arange(size) % _DIFFERENT]
    for number in range(shards):
        save_shard(root, str(number), pixels)
        save_masks(root, str(number), masks)
    return tuple(Shard(str(number), size) for number in range(shards))


def built(variant: Plain) -> Any:
    """The network of a plain loop."""
    import keras

    from tagger.model.network import PLAIN_NORM, build_network, shaped_trunk
    from tagger.model.norm import FusedBatchNormalization
    from tagger.train.learner import precision

    keras.utils.set_random_seed(0)
    norm = FusedBatchNormalization if variant.is_fused else PLAIN_NORM
    shape = replace(variant.shape, size_px=variant.side)
    with precision(variant.precision):
        return build_network(shaped_trunk(shape, norm), CLASSES, shape, norm)


def multiply_adds(network: Any) -> int:
    """Of one picture forwards, from the kernels and the places they are applied at; BatchNorm and the like left out."""
    from tagger.model.network import TRUNK

    kernels = [each for each in [*network.get_layer(TRUNK).layers, *network.layers] if hasattr(each, "kernel")]
    places = [np.prod(each.output.shape[1:-1], dtype=np.int64) for each in kernels]
    return int(sum(np.prod(each.kernel.shape) * at for each, at in zip(kernels, places, strict=True)))


def plain_turn(variant: Plain, batch: int) -> Turn:
    """Build a loop at its first turn, so that one process can hold many."""
    made: list[Turn] = []

    def turn(steps: int) -> dict[str, Any]:
        if not made:
            pixels, labels = small(pictures(batch), variant.side), labels_of(batch).astype(np.int32)
            made.append((step_turn if variant.by == "step" else fit_turn)(variant, pixels, labels))
        return made[0](steps)

    return turn


def step_turn(variant: Plain, pixels: np.ndarray, labels: np.ndarray) -> Turn:
    """A compiled GradientTape step, as short as it can be."""
    import keras
    import tensorflow as tf

    network, optimizer = built(variant), keras.optimizers.Adam(5e-4)
    optimizer.build(network.trainable_variables)

    @tf.function(jit_compile=variant.jit)
    def step(pixels: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = tf.cast(network(pixels, training=True)["logits"], tf.float32)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
        return loss

    facts = {"parameters": network.count_params(), "multiply_adds": multiply_adds(network)}
    return repeated(lambda: step(pixels, labels), len(labels), **facts)


def fit_turn(variant: Plain, pixels: np.ndarray, labels: np.ndarray) -> Turn:
    """Keras's own `fit`, whose start is part of a turn."""
    import keras
    import tensorflow as tf

    network = built(variant)
    model = keras.Model(network.input, network.output["logits"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(5e-4), loss, jit_compile=False if variant.by == "fit" else "auto")
    data = tf.data.Dataset.from_tensors((pixels, labels)).repeat()

    def turn(steps: int) -> dict[str, Any]:
        model.fit(data, steps_per_epoch=1, verbose=0)
        since = started()
        loss = model.fit(data, steps_per_epoch=steps, verbose=0).history["loss"][-1]
        return since() | {"pictures": steps * len(labels), "loss": loss}

    return turn


def learner_turns(plan: StagePlan, shards: tuple[Shard, ...], rank: int = 0, world: int = 1) -> dict[str, Turn]:
    """Turns of Learner.fit on this worker's share: "one batch SIDE" in memory, and "fed SIDE" by `training_batches`."""
    from tagger.train.learner import Learner

    size, count = plan.recipe.batch_size, sum(shard.count for shard in shards)
    learner = Learner(plan, labels_of(max(count, size)))
    store = Pictures(open_root(plan.pictures_uri), shards, OPEN_SHARDS)

    def fitted(batches: Iterator[tuple[np.ndarray, np.ndarray]]) -> Callable[[], float]:
        def step() -> float:
            before = learner.sums.copy()
            learner.fit(*next(batches))
            loss, _, seen = learner.sums - before
            assert seen == size, f"{seen:.0f} of {size} pictures"
            return float(loss / seen)

        return step

    turns = {}
    for side in SIZES:
        cut = BatchPlan(size, rank, world, plan.seed, plan.augmentation, side)
        batch = small(pictures(size)[cut.share], side), labels_of(size)[cut.share]
        turns[f"one batch {side}"] = repeated(fitted(itertools.repeat(batch)), size)
        turns[f"fed {side}"] = repeated(fitted(endless(store, count, cut)), size)
    return turns


def endless(store: Pictures, count: int, cut: BatchPlan) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """One epoch's batches after the other's."""
    for epoch in itertools.count():
        yield from training_batches(store, np.arange(count), labels_of(count), cut, epoch)


def run_plain(address: str, variants: Mapping[str, Plain], batch: int, threads: int) -> None:
    """A process of plain loops."""
    from tagger.train.learner import limit_threads

    limit_threads(threads)
    serve(address, {name: plain_turn(variant, batch) for name, variant in variants.items()})


def run_learner(address: str, plan: StagePlan, shards: tuple[Shard, ...]) -> None:
    """A process of the Learner, without Ray."""
    from tagger.train.learner import limit_threads

    limit_threads(plan.threads)
    serve(address, learner_turns(plan, shards))


def run_ray_worker(config: dict[str, Any]) -> None:
    """One Ray Train worker."""
    import ray.train

    from tagger.train.learner import limit_threads

    context = ray.train.get_context()
    limit_threads(config["plan"].threads)
    ranks = context.get_world_rank(), context.get_world_size()
    serve(config["address"], learner_turns(config["plan"], config["shards"], *ranks))


def process(run: Callable[..., None], *arguments: Any) -> Callable[[str], None]:
    """Starts a side as a process of its own."""

    def start(address: str) -> None:
        multiprocessing.get_context("spawn").Process(target=run, args=(address, *arguments), daemon=True).start()

    return start


def ray_workers(
    plan: StagePlan, shards: tuple[Shard, ...], workers: int, folder: str, use_gpu: bool
) -> Callable[[str], None]:
    """Starts a side as Ray Train workers, started as tagger/train/stage.py does."""
    import ray.train
    from ray.train.tensorflow import TensorflowTrainer

    def start(address: str) -> None:
        trainer = TensorflowTrainer(
            run_ray_worker,
            train_loop_config={"address": address, "plan": plan, "shards": shards},
            scaling_config=ray.train.ScalingConfig(num_workers=workers, use_gpu=use_gpu),
            run_config=ray.train.RunConfig(name=f"workers-{workers}", storage_path=folder),
        )
        threading.Thread(target=trainer.fit, name=_TRAINER, daemon=True).start()

    return start


def wait_for_trainers() -> None:
    """Let Ray Train end in its own way, once the workers' turns are over."""
    for thread in threading.enumerate():
        if thread.name == _TRAINER:
            thread.join()


def torch_process(python: str, options: dict[str, Any]) -> Callable[[str], None]:
    """Starts the torch side under another interpreter."""

    def start(address: str) -> None:
        command = [python, "-m", "benchmarks.training_torch", address, json.dumps(options)]
        subprocess.Popen(command, cwd=Path(__file__).parents[1])

    return start
