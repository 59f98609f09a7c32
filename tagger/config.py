"""Configuration: one frozen tree, a section a room, every key with its meaning, default and check.

`tagger.config_file` reads it. Unknown keys are refused.
"""

import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator


def _iso_text(value: object) -> object:
    """A bare number is no date: pydantic would count seconds from 1970."""
    if isinstance(value, int | float):
        raise ValueError(f"write a date as YYYY-MM-DD, not {value}")
    return value


def _number_as_text(value: object) -> object:
    """A version may be written 3; a fraction may not, for 1.10 would become 1.1."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


def _part_of_a_whole(shares: dict[int, float]) -> dict[int, float]:
    if sum(shares.values()) >= 1:
        raise ValueError("the shares must leave some epochs at full size")
    return shares


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class RayConfig(_Section):
    """How to reach Ray, and how much of it to take."""

    address: str | None = None
    """Cluster address; null uses RAY_ADDRESS, else starts an embedded Ray on this machine."""
    num_cpus: Positive | None = None
    """Logical CPUs of the embedded Ray; null takes all."""
    object_store_mb: Annotated[int, Field(ge=80)] = 600
    """Object store of the embedded Ray, MiB."""


class CatalogConfig(_Section):
    """The labels table and how photos become network inputs."""

    label_space: str | None = None
    """YAML with `types`, `colors` and the `merge` tables, a file on the machine that runs the command (not s3://); for
    `ray job submit` a relative path in the checkout, which .gitignore does not name. Null takes the labels' classes."""
    labels_glob: str = "labels/*.csv"
    """Which files under the root hold labels, when `labels` is not given."""
    ignore_columns: tuple[str, ...] = ()
    """Columns of the labels table that are known and not used; any other extra column is an error."""
    min_per_class: Positive = 2
    """Fewest labelled items a class needs."""
    drop_rare: bool = False
    """Leave out classes with fewer items instead of stopping; where a bundle is measured or its thresholds are fitted
    again, the items of classes that it lacks."""
    missing_images: Literal["error", "drop"] = "error"
    """What to do with labels whose image is not under `images`."""
    fit: Literal["stretch", "pad"] = "stretch"
    """How a photo of another shape fills the square input: `stretch` distorts it, `pad` keeps it."""


class TrainConfig(_Section):
    """Both training stages."""

    name: str = "tagger"
    """The bundle's name under `models/`."""
    version: Annotated[str | None, BeforeValidator(_number_as_text)] = None
    """The bundle's version; null takes the time the training started."""
    trunk: Literal["seed_cnn", "residual_pool_cnn"] = "seed_cnn"
    """The convolutional trunk: five plain blocks, or ten convolutions with shortcuts (docs/training.md)."""
    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Factor on the trunk's filter counts (64, 128, 128, 256, 256; of the residual ones 24, 48, 96, 192)."""
    head: tuple[Positive, ...] = ()
    """Sizes of linear Dense layers between pooling and the output; they fold into one matrix."""
    epochs_type: Positive = 20
    """Passes over the training items for the type network."""
    epochs_color: Positive = 20
    """Passes over the training items for the color network."""
    batch_size: Positive = 64
    """Global batch, split by the workers."""
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    """Adam's step size."""
    batch_scaling: Literal["none", "sqrt", "linear"] = "none"
    """How the step size follows `batch_size`: not, by the root of batch / 64, or by batch / 64."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Course of the learning rate over the stage."""
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    """Steps in which the learning rate rises from 0, at most half of the stage."""
    batch_norm_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """How slowly BatchNorm's statistics follow; with few steps an epoch, 0.99 lags behind the weights."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Share of pooled features dropped in training."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled decay of the kernels (AdamW), a step, as a factor on the step size."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of every label that is spread evenly over all classes."""
    class_balance: Share = 0.0
    """How far the classes' frequencies are taken out of what is learned: 0 not, 1 all classes count alike."""
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Momentum of the weights' moving average, which is what is measured and kept; 0 keeps the weights themselves.
    In the first steps it is less."""
    sizes: Annotated[dict[Annotated[int, Field(ge=32, lt=128)], Share], AfterValidator(_part_of_a_whole)] = {}
    """Course from small pictures to large: side in pixels -> share of the epochs, in order; the rest at full size.
    `{64: 0.5, 96: 0.25}`: YAML needs the spaces."""
    flip: bool = False
    """Mirror half of the training pictures left to right."""
    shift: Annotated[float, Field(ge=0, le=0.25)] = 0.0
    """Largest random move, as a share of the side."""
    scale: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest random zoom, in and out, as a share."""
    rotate: Annotated[float, Field(ge=0, le=45)] = 0.0
    """Largest random turn, in degrees."""
    coarse: Share = 0.0
    """Share of the training pictures that lose detail, as small photos have."""
    replace_background: Share = 0.0
    """Share of the training pictures that are shown before a drawn background, so that it cannot be learned."""
    transfer: bool = True
    """Start the color trunk from the type trunk's weights."""
    workers: Positive = 1
    """Ray Train workers."""
    cpus_per_worker: Annotated[float, Field(gt=0)] = 1
    """Logical CPUs a worker reserves."""
    use_gpu: bool = False
    """Give each worker one GPU."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What layers compute in; auto is bfloat16 on GPUs that have it in hardware, else float32."""
    threads: Positive | None = None
    """TensorFlow threads a worker; null shares the node's CPUs, as Ray counts them, among its workers."""
    input_threads: Positive = 1
    """Threads that make a worker's batches; each makes about 1,000 pictures a second."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of weights, shuffling, dropout and augmentation."""
    limit: Positive | None = None
    """Use only this many labelled items (a trial run); null uses all."""
    max_failures: Annotated[int, Field(ge=0)] = 2
    """How many lost workers a stage survives by restoring its last checkpoint."""
    cache: str = ""
    """Where decoded pictures are kept for the next training, folder or s3://; empty means `<root>/cache`."""
    save_every: Positive | None = None
    """Pictures between checkpoints within an epoch, for long epochs; null saves after every epoch."""
    data_note: str = ""
    """What the model card says of the photos: where they are from, under which licence."""
    limits_note: str = ""
    """What the model card says of the limits beside its own figures, such as what was measured elsewhere."""
    resume: str | None = None
    """Run id of a stopped training to continue, or `last`; null starts a fresh one."""
    tensorboard: str | None = None
    """Local folder or s3://bucket/prefix for TensorBoard's event files; null writes none."""
    mlflow: str | None = None
    """MLflow's tracking URI: a local folder, http(s)://HOST or sqlite:///FILE; null records no run there."""


RetriedReason = Literal[
    "all", "empty", "file_too_large", "not_an_image", "unsupported_format", "truncated", "corrupt", "too_many_pixels",
    "too_small", "decode_timeout", "decode_memory", "decode_crashed",
]  # fmt: skip
"""The final reject reasons, or all of them."""


class TagConfig(_Section):
    """The nightly run."""

    unit_size: Annotated[int, Field(ge=1, le=4096)] = 256
    """Photos in one unit of work; a unit is staged in one atomic write."""
    max_reject_share: Share = 0.2
    """Largest share of final rejects; surely above it (its 95 % interval is, so that a small night has a few more),
    nothing is committed (exit 3)."""
    max_unreachable_share: Share = 0.5
    """Largest share of photos that storage refuses or does not find, archived ones left out; surely above it, as with
    `max_reject_share`, nothing is committed (exit 2 or 5) and the next start fetches them again."""
    max_flagged_share: Share | None = None
    """Largest share of tagged photos that may need review; surely above it, as with `max_reject_share`, nothing is
    committed (exit 3). Null: any."""
    watch_depth: Annotated[int, Field(ge=0)] = 1
    """Leading folders of a key that make a group whose distributions are watched (docs/drift.md); 0 makes none."""
    retag: Literal["none", "model", "config", "all"] = "none"
    """Which already tagged photos are tagged again: those of an older model, of other settings, or all."""
    limit: Positive | None = None
    """Tag at most this many photos."""
    prefix: str = ""
    """Only keys that start with this."""
    since: Annotated[datetime.datetime | None, BeforeValidator(_iso_text)] = None
    """Only photos modified at or after this time (UTC)."""
    keys_from: str = ""
    """A file that names the photos: a key a line, or the column image_key of a CSV or Parquet file; here or s3://."""
    inventory: str = ""
    """The manifest.json of an S3 inventory to take the photos from, instead of listing the bucket."""
    retry_rejects: RetriedReason | None = None
    """Tag again what was rejected for good: all of it, or what was rejected for this one reason."""
    list_tasks: Positive = 4
    """Parts of the key space that are listed and compared at once, in 768 MiB each; fewer where memory lacks."""
    engine: Literal["tensorflow"] = "tensorflow"
    """Inference engine."""
    actors: Positive = 1
    """Actors that hold a Tagger each."""
    cpus_per_actor: Annotated[float, Field(gt=0)] = 1
    """Logical CPUs an actor reserves."""
    use_gpu: bool = False
    """Give each actor one GPU."""
    batch_size: Positive = 64
    """Photos the networks see at once."""
    download_threads: Positive = 16
    """Concurrent GETs of one fetch task."""
    download_wall_s: Annotated[float, Field(gt=0)] = 60.0
    """Longest time the bytes of one photo may take to arrive, in one try; slower ones are `download_failed`."""
    outage_wait_s: Annotated[float, Field(ge=0)] = 120.0
    """How long a unit waits for a storage that is out before the run stops (exit 5, resumable)."""
    decode_children: Positive = 2
    """Decode processes of one fetch task."""
    decode_wall_s: Annotated[float, Field(gt=0)] = 10.0
    """Longest time one photo may take to decode; up to four times that on a node too busy to let the decoder work."""
    decode_memory_mb: Annotated[int, Field(ge=64)] = 1024
    """Memory one decode process may take beyond its start, MiB."""
    max_file_mb: Annotated[int, Field(ge=1)] = 64
    """Largest photo that is downloaded, MiB."""
    price_per_hour: Annotated[float, Field(gt=0)] | None = None
    """What the cluster costs an hour, in any currency: for the cost that --dry-run tells."""
    lock_wait_s: Annotated[float, Field(ge=0)] = 60
    """How long to wait for another run of this root, of whatever date, before giving up (exit 4)."""

    @model_validator(mode="after")
    def _has_one_source(self) -> "TagConfig":
        if self.keys_from and self.inventory:
            raise ValueError("keys_from and inventory both say where photos come from: give one")
        return self


class FocusConfig(_Section):
    """Which map says where the color evidence lies, and when it is too far from the product.

    Nothing here acts on `tagger tag`: `tagger train` reads all of it, `tagger thresholds` reads `low` and
    `least_mask_quality`, and the bundle keeps what they chose.
    """

    map: Literal["class", "contrast", "runner_up"] = "class"
    """Evidence for the predicted class, for it against all others, or against the most probable other."""
    cut: Literal["post_bn", "post_relu"] = "post_bn"
    """Where the trunk's output is cut; both cuts give the same logits."""
    low: Annotated[float, Field(le=1)] = 0.1
    """Focus below which an item is `low_focus`, whatever the review budget; 0 is the share that chance would give."""
    least_mask_quality: Share = 0.6
    """Mask quality below which the focus is not believed (`mask_uncertain`), whatever the review budget."""


def _for_both(value: object) -> object:
    """One precision is meant for type and color alike."""
    return {"type": value, "color": value} if isinstance(value, int | float | str) else value


# The page of all keys cannot show a mapping's inside by itself.
_PRECISION_SCHEMA = {"type": "number or {type: number, color: number}", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
Precisions = Annotated[
    dict[Literal["type", "color"], Annotated[float, Field(gt=0, lt=1)]],
    BeforeValidator(_for_both),
    WithJsonSchema(_PRECISION_SCHEMA),
]


class ReviewConfig(_Section):
    """Which items annotators see.

    Nothing here acts on `tagger tag`: `tagger train` and `tagger thresholds` read it, and the bundle keeps what they
    chose. `minutes`, `seconds_per_item` and `out` act on `tagger review export`.
    """

    budget: Share = 0.1
    """Share of the night that may be flagged."""
    minutes: Annotated[float, Field(gt=0)] | None = None
    """Annotators' minutes a night; replaces `budget` where `night_items` is given too, else only the queue is cut."""
    seconds_per_item: Annotated[float, Field(gt=0)] = 12
    """Time an annotator needs for one item; turns minutes into items."""
    night_items: Positive | None = None
    """Items expected a night; turns minutes into a share of the night."""
    target_precision: Precisions | None = None
    """Precision promised for what passes without review, for both or by attribute; null chooses by budget."""
    audit_share: Share = 0.01
    """Random share of the night that is reviewed whatever its confidence."""
    scope_share: Share = 0.02
    """Largest share of ordinary items that may be flagged `out_of_scope`."""
    out: str | None = None
    """Root under which the queue is written as `review/<date>/`; null takes the root."""

    @property
    def flagged_share(self) -> float:
        """The share of a night that may be flagged: the minutes' items of the expected ones, else `budget`."""
        if self.minutes is None or self.night_items is None:
            return self.budget
        return min(self.minutes * 60 / self.seconds_per_item / self.night_items, 1.0)


class EvaluateConfig(_Section):
    """Measuring a bundle against labels."""

    split: Literal["report", "select", "calibrate", "all"] = "report"
    """Which role of the labelled items is measured."""
    min_type_accuracy: Share = 0.0
    """A trained bundle below this is written but not promoted (exit 3)."""
    max_loss: Share = 0.02
    """Largest accuracy, of type or of color, that a bundle may lose against the one that serves; beyond it, or where
    the 95 % interval of the difference lies below 0, it is not promoted (exit 3)."""


class DemoConfig(_Section):
    """The demonstration on a synthetic catalogue."""

    count: Positive = 2000
    """Pictures drawn for training, calibration and report."""
    fresh: Positive = 400
    """Pictures of the night that is tagged; drawn with another seed."""
    seed: int = 1
    """Seed of the drawings."""
    types: tuple[str, ...] = ()
    """Types that are drawn; empty means all 24."""
    colors: tuple[str, ...] = ()
    """Colors that are drawn; empty means all 20."""
    baseline: Positive = 1500
    """Training pictures that the baseline of color histogram and outline learns from."""


class Config(_Section):
    """The whole tree."""

    root: str = ""
    """Local folder or s3://bucket/prefix that holds labels, models, tables and work."""
    images: str = ""
    """Where the photos are; empty means `<root>/images`."""
    labels: str = ""
    """A labels table; empty means every `labels/*.csv` under the root."""
    model: str = ""
    """A bundle's folder, or a name under `<root>/models/` or among the shipped models."""
    date: Annotated[datetime.date | None, BeforeValidator(_iso_text)] = None
    """The night; null is today (UTC), after the run of an earlier date that was left unfinished."""
    ray: RayConfig = RayConfig()
    catalog: CatalogConfig = CatalogConfig()
    train: TrainConfig = TrainConfig()
    tag: TagConfig = TagConfig()
    focus: FocusConfig = FocusConfig()
    review: ReviewConfig = ReviewConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    demo: DemoConfig = DemoConfig()

    @property
    def images_uri(self) -> str:
        """Where the photos are."""
        return self.images or f"{self.root.rstrip('/')}/images"
