"""What a training does with its items, as plain values: every setting that determines the weights, and nothing else."""

from dataclasses import dataclass

from tagger.config import Config, TrainConfig
from tagger.model.shape import INPUT_PX, NetworkShape
from tagger.picture.augment import Augmentation
from tagger.storage import Root, open_root

REFERENCE_BATCH = 64
"""The global batch that `train.learning_rate` is meant for, where `train.batch_scaling` adapts it to others."""


@dataclass(frozen=True)
class Recipe:
    """One stage's course. epochs: passes over the items; sizes: (side in pixels, share of the epochs) of the courses on
    smaller pictures, which come first. The others are those of `tagger.config.TrainConfig`."""

    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str
    warmup_steps: int
    weight_decay: float
    label_smoothing: float
    class_balance: float
    averaging: float
    sizes: tuple[tuple[int, float], ...]

    def side(self, epoch: int) -> int:
        """Side of the pictures in an epoch, counted from 0. The last epoch is always at full size."""
        end = 0.0
        for side, share in self.sizes:
            end += share * self.epochs
            if epoch < min(round(end), self.epochs - 1):
                return side
        return INPUT_PX


@dataclass(frozen=True)
class StagePlan:
    """Everything a worker needs to know; travels as plain values.

    transfer_from: key and class count of the stage whose trunk this one starts from; None starts from random weights.
    save_steps: steps between checkpoints within an epoch; None saves after every epoch.
    """

    stage: str
    root_uri: str
    pictures_uri: str
    run_id: str
    classes: int
    shape: NetworkShape
    recipe: Recipe
    augmentation: Augmentation
    precision: str
    seed: int
    threads: int | None
    input_threads: int = 1
    save_steps: int | None = None
    transfer_from: tuple[str, int] | None = None

    @property
    def work(self) -> Root:
        """The training's own folder under the root."""
        return open_root(self.root_uri).child("work", self.run_id)


def network_shape(train: TrainConfig) -> NetworkShape:
    """The network that is kept; the one in training takes pictures of any side."""
    return NetworkShape(
        width=train.width,
        head=train.head,
        dropout=train.dropout,
        batch_norm_momentum=train.batch_norm_momentum,
        trunk=train.trunk,
    )


def step_size(train: TrainConfig) -> float:
    """`learning_rate`, adapted to the global batch as `batch_scaling` says.

    sqrt: by the root of batch / 64, which keeps the noise of Adam's steps (Malladi et al. 2022); linear: by batch / 64,
    as for plain gradient descent (Goyal et al. 2017).
    """
    ratio = train.batch_size / REFERENCE_BATCH
    return float(train.learning_rate * {"none": 1.0, "sqrt": ratio**0.5, "linear": ratio}[train.batch_scaling])


def stage_plan(stage: str, config: Config, run_id: str, pictures: Root, classes: dict[str, int]) -> StagePlan:
    """The plan of stage "type" or "color"; classes: how many of each."""
    train = config.train
    recipe = Recipe(
        epochs=train.epochs_type if stage == "type" else train.epochs_color,
        batch_size=train.batch_size,
        learning_rate=step_size(train),
        schedule=train.schedule,
        warmup_steps=train.warmup_steps,
        weight_decay=train.weight_decay,
        label_smoothing=train.label_smoothing,
        class_balance=train.class_balance,
        averaging=train.averaging,
        sizes=tuple(train.sizes.items()),
    )
    changes = Augmentation(train.flip, train.shift, train.scale, train.rotate, train.coarse, train.replace_background)
    return StagePlan(
        stage=stage,
        root_uri=open_root(config.root).uri,
        pictures_uri=pictures.uri,
        run_id=run_id,
        classes=classes[stage],
        shape=network_shape(train),
        recipe=recipe,
        augmentation=changes,
        precision=train.precision,
        seed=train.seed,
        threads=train.threads,
        input_threads=train.input_threads,
        save_steps=None if train.save_every is None else max(1, train.save_every // train.batch_size),
        transfer_from=("type.npz", classes["type"]) if stage == "color" and train.transfer else None,
    )
