"""Labels to a promoted bundle: prepare, type stage, transfer, color stage, fit the rest, write, promote."""

import datetime
import hashlib
import json
import logging
import pickle
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import pandas as pd
import ray.data
import ray.train

from tagger.catalog.labels import Labels, check_images, labels_place, read_label_space, read_labels
from tagger.catalog.split import ROLES, UNUSED, assign_roles, check_roles
from tagger.cluster import address_of, cluster_capacity
from tagger.config import Config
from tagger.errors import BadInput, ClusterUnavailable, ConfigError, TaggerError
from tagger.evaluation.card import model_card
from tagger.evaluation.fitting import Fitted, LabelledRows, fit_bundle
from tagger.evaluation.gate import check_accuracy, check_promotion, serving_tagger
from tagger.model.bundle import BundleInfo, promote, read_info, save_bundle
from tagger.picture.fit import Fit
from tagger.release import code_version
from tagger.storage import Root, open_root
from tagger.train.checkpoint import unpack_weights
from tagger.train.course import read_along
from tagger.train.pictures import Pictures
from tagger.train.preflight import check_workers
from tagger.train.prepare import PreparedItems, ShardTask, decode_shard, join_items, shard_tasks
from tagger.train.recipe import network_shape, stage_plan
from tagger.train.record import Sink, TrainingFacts
from tagger.train.resume import check_data, closing, held, run_id_of
from tagger.train.stage import StageItems, train_stage
from tagger.train.tracking import Tracker, open_sinks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSummary:
    """What a training made: the bundle's place, what was fitted and measured, one dict an epoch."""

    bundle_uri: str
    fitted: Fitted
    history: list[dict[str, Any]]


def run(config: Config, labels: Labels) -> TrainingSummary:
    """Train both networks on `labels` and promote their bundle. Ray must be connected.

    Raises LabelsError where photos are missing, ConfigError where the settings do not fit, ClusterUnavailable where the
    workers have no room or were lost, GateRefused where the bundle is written but not good enough to serve, DateLocked
    where another command is at work on the same training.
    """
    root, sinks = open_root(config.root), open_sinks(config.train)
    run_id = run_id_of(config, root)
    with held(root, run_id) as stop_if_taken:
        return _trained(config, labels, root, sinks, run_id, stop_if_taken)


def _trained(
    config: Config, labels: Labels, root: Root, sinks: list[Sink], run_id: str, stop_if_taken: Callable[[], None]
) -> TrainingSummary:
    """As `run`, of the training that this command holds; where another one took it over, it ends at the next step."""
    _free_place(root, config.train.name, _version(config, run_id), run_id)  # told now, not after hours
    pictures = open_root(config.train.cache or f"{root.uri}/cache").child("pictures")
    _check_room(config)
    items = prepare_items(config, labels, pictures)
    _check_batch(config, items)
    facts = _facts(config, run_id, items)
    check_data(root, facts, items.labels.space)
    history: list[dict[str, Any]] = []
    with Tracker(sinks, facts) as tracker:
        for stage in ("type", "color"):
            stop_if_taken()
            history += _stage(stage, config, run_id, pictures, items, tracker)
            tracker.epochs(history)
        fitted, networks = _fit(config, facts, pictures, items, history)
        stop_if_taken()
        tracker.finished(_flat(fitted.info.metrics))
        bundle = _write(root, fitted, networks)
        with closing(root, run_id):
            _promote(config, root, fitted, Pictures(pictures, items.shards), items)
        return TrainingSummary(bundle.uri, fitted, history)


def prepare_items(config: Config, labels: Labels, pictures: Root) -> PreparedItems:
    """Labelled items with a role and a decoded picture each, in shards under `pictures`."""
    images = open_root(config.images_uri)
    wanted = set(labels.table["image_key"])
    listed = {found.key: found for found in images.list_objects() if found.key in wanted}
    labels = check_images(labels, listed, 1.0 if config.catalog.missing_images == "drop" else 0.0)
    roles = assign_roles(labels.table)
    check_roles(roles)
    logger.info("%d labelled items: %s", len(labels), roles.value_counts().to_dict())
    used = (roles != UNUSED).to_numpy()
    labels, roles = Labels(labels.table[used].reset_index(drop=True), labels.space), roles[used].reset_index(drop=True)
    with_masks = config.train.replace_background > 0
    tasks = shard_tasks(labels, listed, images.uri, pictures, Fit(config.catalog.fit), with_masks)
    return join_items(labels, roles, _decode(tasks))


def labels_of(config: Config) -> Labels:
    """The labels that a training would use. ConfigError or LabelsError, before Ray is needed, where it cannot."""
    if not config.root:
        raise ConfigError("No root is named. Give root=FOLDER or root=s3://bucket/prefix.")
    catalog = config.catalog
    space = read_label_space(catalog.label_space) if catalog.label_space else None
    labels = read_labels(
        *labels_place(config.labels, config.root, catalog.labels_glob),
        space,
        ignore_columns=catalog.ignore_columns,
        min_per_class=catalog.min_per_class,
        drop_rare=catalog.drop_rare,
    )
    if config.train.limit is None or config.train.limit >= len(labels):
        return labels
    chosen = labels.table.sample(config.train.limit, random_state=config.train.seed).reset_index(drop=True)
    return Labels(chosen, labels.space)


def _decode(tasks: list[ShardTask]) -> list[dict[str, Any]]:
    """All shards through Ray Data, one row a shard."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = ray.data.from_items([{"task": pickle.dumps(task)} for task in tasks], override_num_blocks=len(tasks))
    found: dict[str, dict[str, Any]] = {}
    try:
        for row in rows.map(_decode_row, num_cpus=1).iter_rows():
            if row["failure"]:
                raise pickle.loads(row["failure"])
            summary = json.loads(row["summary"])
            found[summary["shard"]] = summary
            logger.info("decoded %d of %d shards of photos", len(found), len(tasks))
    except ray.exceptions.RayTaskError:
        raise  # a bug in the task; its text holds the worker's trace
    except ray.exceptions.RayError as error:
        raise ClusterUnavailable(f"The photos could not all be decoded: {str(error).splitlines()[0]}") from error
    return [found[task.name] for task in tasks]


def _decode_row(row: dict[str, Any]) -> dict[str, Any]:
    """Task, summary and error travel as bytes and text: Arrow must not guess at a type for them."""
    try:
        return {"summary": json.dumps(decode_shard(pickle.loads(row["task"]))), "failure": b""}
    except TaggerError as error:
        return {"summary": "", "failure": pickle.dumps(error)}


def _version(config: Config, run_id: str) -> str:
    return config.train.version or run_id.removeprefix("train-")


def _check_room(config: Config) -> None:
    """As `check_workers`; a named cluster may grow when it is asked to, so there it is only a warning."""
    try:
        check_workers(config.train, cluster_capacity())
    except ClusterUnavailable as error:
        if address_of(config.ray) is None:
            raise
        logger.warning(
            "%s Unless the cluster grows by itself, the training will end when no worker could start.", error
        )


def _check_batch(config: Config, items: PreparedItems) -> None:
    size, count = config.train.batch_size, len(items.of_role("fit")[0])
    if count < size:
        raise ConfigError(f"train.batch_size = {size} is more than the {count} items to fit on. Lower it.")


def _stage(
    stage: str, config: Config, run_id: str, pictures: Root, items: PreparedItems, tracker: Tracker
) -> list[dict[str, Any]]:
    """Train one stage, or take its result where an earlier start of this run finished it; returns its history."""
    space = items.labels.space
    classes = {name: len(space.classes(name)) for name in ("type", "color")}
    plan = stage_plan(stage, config, run_id, pictures, classes)
    if not plan.work.exists(f"{stage}.json"):
        with read_along(plan, tracker.epochs):
            result = train_stage(plan, _stage_items(stage, items), _scaling(config), config.train.max_failures)
        plan.work.write_bytes(f"{stage}.npz", result.weights)
        plan.work.write_bytes(f"{stage}.json", json.dumps(result.history).encode())
    return list(json.loads(plan.work.read_bytes(f"{stage}.json")))


def _stage_items(stage: str, items: PreparedItems) -> StageItems:
    fit_rows, fit_labels, _ = items.of_role("fit")
    select_rows, select_labels, _ = items.of_role("select")
    return StageItems(items.shards, fit_rows, fit_labels[stage], select_rows, select_labels[stage])


def _scaling(config: Config) -> ray.train.ScalingConfig:
    train = config.train
    resources = {"CPU": train.cpus_per_worker} | ({"GPU": 1.0} if train.use_gpu else {})
    return ray.train.ScalingConfig(num_workers=train.workers, use_gpu=train.use_gpu, resources_per_worker=resources)


def _fit(
    config: Config, facts: TrainingFacts, pictures: Root, items: PreparedItems, history: list[dict[str, Any]]
) -> tuple[Fitted, dict[str, Any]]:
    # Keras takes seconds and 600 MB to import: not before the workers are done.
    from tagger.model.network import network_with_weights

    work, space = open_root(config.root).child("work", facts.run_id), items.labels.space
    shape = network_shape(config.train)
    classes = {name: space.classes(name) for name in ("type", "color")}
    networks = {
        name: network_with_weights(unpack_weights(work.read_bytes(f"{name}.npz")), len(classes[name]), shape)
        for name in classes
    }
    draft = BundleInfo(
        name=config.train.name,
        version=_version(config, facts.run_id),
        classes=classes,
        temperatures={"type": 1.0, "color": 1.0},
        width=config.train.width,
        fit=config.catalog.fit,
        focus_map=config.focus.map,
        focus_cut=config.focus.cut,
        thresholds={},
        color_reference={},
        scope_reference={},
        metrics={},
        provenance=_provenance(facts, history),
    )
    roles = {role: LabelledRows(*items.of_role(role)) for role in ROLES}
    logger.info("calibrating and measuring the bundle")
    take = Pictures(pictures, items.shards).take
    fitted = fit_bundle(draft, networks, take, roles, config.review, config.focus)
    return fitted, networks


def _facts(config: Config, run_id: str, items: PreparedItems) -> TrainingFacts:
    """What is recorded of a training before it begins."""
    return TrainingFacts(
        run_id=run_id,
        config=config.model_dump(mode="json", include={"catalog", "train", "focus", "review"}),
        code_version=code_version(),
        data_digest=_data_digest(items),
        items={str(role): int(count) for role, count in items.table["role"].value_counts().items()},
    )


def _data_digest(items: PreparedItems) -> str:
    """SHA-256 of items, labels and roles, and of the shards' names, which tell the photos as they were listed."""
    digest = hashlib.sha256(pd.util.hash_pandas_object(items.table, index=False).to_numpy().tobytes())
    digest.update("\n".join(shard.name for shard in items.shards).encode())
    return digest.hexdigest()


def _provenance(facts: TrainingFacts, history: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "run_id": facts.run_id,
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "code_version": facts.code_version,
        "libraries": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("keras", "numpy", "ray")},
        },
        "items": facts.items,
        "labels_digest": facts.data_digest,
        "config": facts.config,
        "history": history,
    }


def _flat(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """{"type": {"macro": {"recall": 0.8}}} -> {"type_macro_recall": 0.8}."""
    (flat,) = pd.json_normalize(dict(metrics), sep="_").to_dict("records")
    return {str(name): value for name, value in flat.items()}


def _free_place(root: Root, name: str, version: str, run_id: str) -> Root:
    """Where a bundle goes. BadInput where another training's bundle is: a bundle never changes."""
    bundle = root.child("models", name, version)
    if bundle.exists("bundle.json") and read_info(bundle).provenance.get("run_id") != run_id:
        raise BadInput(f"{bundle.uri} exists already. Give another train.version.")
    return bundle


def _write(root: Root, fitted: Fitted, networks: Mapping[str, Any]) -> Root:
    """The bundle's folder, written; again where this run wrote it and was stopped after."""
    bundle = _free_place(root, fitted.info.name, fitted.info.version, fitted.info.provenance["run_id"])
    files = {"reference.json": json.dumps(fitted.reference, indent=1), "MODEL_CARD.md": model_card(fitted)}
    save_bundle(bundle, fitted.info, networks, files)
    logger.info("wrote %s", bundle.uri)
    return bundle


def _promote(config: Config, root: Root, fitted: Fitted, pictures: Pictures, items: PreparedItems) -> None:
    """Let the bundle serve unless it is too bad by itself, or worse than the one that serves; GateRefused then."""
    models, info = root.child("models", fitted.info.name), fitted.info
    check_accuracy(fitted.evaluations, config.evaluate.min_type_accuracy)
    serving = serving_tagger(models, info)
    if serving is not None:
        report = LabelledRows(*items.of_role("report"))
        loss = config.evaluate.max_loss
        for compared in check_promotion(serving, pictures.take, report, fitted.probabilities, info.classes, loss):
            logger.info("against %s %s: %s", serving.info.name, serving.info.version, compared.as_text())
    promote(models, info.version)
    logger.info("promoted %s %s", info.name, info.version)
