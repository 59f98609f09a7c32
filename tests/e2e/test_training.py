"""Ray Train's workers, alike on one and on two, and what is left of a training when they or its files are lost."""

import os
from dataclasses import replace

import numpy as np
import pytest
import ray.train

from tagger.catalog.synth.writer import write_catalogue
from tagger.cluster import connected
from tagger.config import CatalogConfig, Config, RayConfig, TrainConfig
from tagger.entry import run as exit_code
from tagger.errors import ClusterUnavailable, TrainingDiverged
from tagger.model.shape import NetworkShape
from tagger.picture.augment import Augmentation
from tagger.storage import open_root
from tagger.train import sequence
from tagger.train.pictures import Shard, save_shard
from tagger.train.recipe import Recipe, StagePlan
from tagger.train.stage import StageItems, train_stage
from tests.e2e.training_watch import REGISTER, Watch, cut_short, kill_a_worker, newest_arrays

# Ray Data and Ray Train copy their own settings, the deprecated ones with them.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.timeout(900)]

FIT, SELECT, CLASSES = 96, 16, 3
EPOCHS, STEPS, SAVE_STEPS = 3, 6, 2
ALL_PLACES = [(epoch, step) for epoch in range(EPOCHS) for step in (2, 4)] + [(n, 0) for n in range(1, EPOCHS + 1)]
MID_EPOCH = (1, 2)


@pytest.fixture(scope="module", autouse=True)
def cluster():
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_BACKEND_LOG_LEVEL", "error")
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        before = dict(os.environ)
        with connected(RayConfig(num_cpus=2, object_store_mb=300)):
            yield
        os.environ.clear()
        os.environ.update(before)


def test_a_task_without_gpus_sees_none():
    @ray.remote(num_cpus=1, runtime_env={"env_vars": {"CUDA_VISIBLE_DEVICES": "0,1"}})
    def visible():
        return os.environ["CUDA_VISIBLE_DEVICES"]

    assert ray.get(visible.remote()) == ""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with pictures whose brightness tells their class, but for the noise."""
    folder = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(5)
    pixels = rng.integers(0, 120, (FIT + SELECT, 128, 128, 3), np.uint8)
    save_shard(open_root(str(folder / "pictures")), "a", pixels + 60 * classes()[:, None, None, None].astype(np.uint8))
    return folder


def classes():
    return np.arange(FIT + SELECT) % CLASSES


def plan(place, run_id):
    # Larger steps of Adam make half a percent of the loss out of a millionth of the weights, as any BatchNorm does.
    recipe = Recipe(EPOCHS, 16, 1e-4, "cosine", 2, 0.01, 0.1, 0.0, 0.9, ((32, 0.67),))
    return StagePlan(
        stage="type",
        root_uri=str(place),
        pictures_uri=str(place / "pictures"),
        run_id=run_id,
        classes=CLASSES,
        shape=NetworkShape(width=0.06, head=(), dropout=0.25, batch_norm_momentum=0.9, trunk="seed_cnn"),
        recipe=recipe,
        augmentation=Augmentation(flip=True, shift=0.1),
        precision="float32",
        seed=3,
        threads=1,
        save_steps=SAVE_STEPS,
    )


def items():
    rows = np.arange(FIT + SELECT)
    shards = (Shard("a", FIT + SELECT),)
    return StageItems(shards, rows[:FIT], classes()[:FIT], rows[FIT:], classes()[FIT:])


def train(plan, workers, max_failures=0):
    return train_stage(plan, items(), ray.train.ScalingConfig(num_workers=workers), max_failures)


def stage_folder(plan):
    return plan.work.child("stage-type")


@pytest.mark.long
def test_workers_that_never_start_end_the_training(place, monkeypatch):
    monkeypatch.setenv("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "1")
    with pytest.raises(ClusterUnavailable, match=r"stopped: .* timed out after 1\.0 seconds waiting for 3 workers"):
        train(plan(place, "crowded"), 3)


@pytest.mark.long
def test_a_training_that_diverges_ends_at_once_with_what_to_change(place):
    wild = plan(place, "wild")
    with pytest.raises(TrainingDiverged, match=r"in epoch 1\. Lower train\.learning_rate and start afresh"):
        train(replace(wild, recipe=replace(wild.recipe, learning_rate=1e30)), 1, max_failures=100)


@pytest.fixture(scope="module")
def alone(place):
    return train(plan(place, "alone"), 1)


@pytest.fixture(scope="module")
def together(place):
    """Two workers, undisturbed; each save has checked that their weights are the same to the bit."""
    return train(replace(plan(place, "together"), save_steps=None), 2)


def test_two_workers_learn_what_one_learns_with_the_same_global_batch(alone, together):
    assert [row["side"] for row in alone.history] == [32, 32, 128]
    for one, two in zip(alone.history, together.history, strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)
        assert two["select_loss"] == pytest.approx(one["select_loss"], rel=1e-3)
    assert alone.history[-1]["loss"] < alone.history[0]["loss"]


def test_after_the_loss_of_a_worker_training_goes_on_from_the_last_checkpoint_to_the_same_weights(place, together):
    disturbed = plan(place, "disturbed")
    with Watch(stage_folder(disturbed), MID_EPOCH, kill_a_worker) as watch:
        result = train(disturbed, 2, max_failures=1)
    assert watch.at is None, "no worker was killed"
    assert watch.places == sorted(ALL_PLACES)  # none left out and none a second time
    assert (result.digest, result.weights) == (together.digest, together.weights)


@pytest.fixture(scope="module")
def stopped(place):
    """A training whose worker was lost, with none to spare."""
    stopped = plan(place, "stopped")
    with (
        Watch(stage_folder(stopped), MID_EPOCH, kill_a_worker),
        pytest.raises(ClusterUnavailable, match="Training of the type network stopped: .* --resume stopped"),
    ):
        train(stopped, 1)
    return stopped


@pytest.mark.long
def test_where_the_newest_checkpoint_is_damaged_the_one_before_is_taken(stopped, alone):
    cut_short(stage_folder(stopped), newest_arrays(stage_folder(stopped)))
    with Watch(stage_folder(stopped)) as watch:
        result = train(stopped, 1)
    assert watch.places == [each for each in sorted(ALL_PLACES) if each >= MID_EPOCH]  # the damaged one again
    assert (result.digest, result.weights) == (alone.digest, alone.weights)


@pytest.mark.long
@pytest.mark.parametrize("harm", [cut_short, lambda folder, key: folder.delete(key)], ids=["damaged", "missing"])
def test_where_the_list_of_checkpoints_is_lost_what_is_there_is_found(stopped, alone, harm):
    harm(stage_folder(stopped), REGISTER)
    with Watch(stage_folder(stopped)) as watch:
        result = train(stopped, 1)
    assert watch.places == [(EPOCHS, 0)]
    assert (result.digest, result.weights) == (alone.digest, alone.weights)


SMALL = TrainConfig(
    width=0.06, batch_size=16, epochs_type=1, epochs_color=1, batch_norm_momentum=0.9, threads=1, sizes={32: 0.5}
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    root = open_root(str(tmp_path_factory.mktemp("shop")))
    write_catalogue(root, 160, 1, types=("T-Shirt", "Jeans", "Handbag"), colors=("Black", "White", "Red"))
    catalog = CatalogConfig(ignore_columns=("background", "pose"), min_per_class=1)
    return Config(root=root.uri, catalog=catalog, train=SMALL)


def changed(config, **train):
    return config.model_copy(update={"train": config.train.model_copy(update=train)})


def start(config):
    return sequence.run(config, sequence.labels_of(config))


class Stages:
    """Takes the place of `train_stage`: notes what is trained, and loses the cluster at one stage."""

    def __init__(self, lost):
        self.lost, self.asked = lost, []

    def __call__(self, plan, *arguments):
        self.asked.append((plan.stage, plan.run_id))
        if plan.stage == self.lost:
            raise ClusterUnavailable("The cluster is lost.")
        return train_stage(plan, *arguments)


def lost_before_promotion(*_):
    raise ClusterUnavailable("The cluster is lost.")


@pytest.fixture(scope="module")
def starts(shop):
    """What each start asked for, and its exit code: stopped before color; fresh, stopped before type; the first
    resumed, stopped between bundle and promotion; resumed once more.
    """
    seen, codes, run_id = [], [], None
    for lost in ("color", "type", "promotion", None):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sequence, "train_stage", stages := Stages(lost))
            if lost == "promotion":
                patch.setattr(sequence, "promote", lost_before_promotion)
            resume = run_id if len(seen) > 1 else None
            codes.append(exit_code(lambda resume=resume: start(changed(shop, resume=resume))))
        seen.append(stages.asked)
        run_id = seen[0][0][1]
    assert codes == [5, 5, 5, 0]
    return seen


def test_a_fresh_training_never_continues_an_old_one(starts):
    stopped, fresh, *_ = starts
    assert [stage for stage, _ in stopped] == ["type", "color"]
    assert [stage for stage, _ in fresh] == ["type"]
    assert fresh[0][1] != stopped[0][1]


def test_a_resumed_training_trains_only_what_is_missing(starts, shop):
    stopped, _, again, once_more = starts
    run_id = stopped[0][1]
    assert (again, once_more) == ([("color", run_id)], [])
    assert open_root(shop.root).exists("models/tagger/production.json")


def test_a_finished_training_is_not_resumed(starts, shop, capsys):
    assert exit_code(lambda: start(changed(shop, resume=starts[0][0][1]))) == 2
    assert "is finished. Leave out --resume to start a fresh one." in capsys.readouterr().err


def test_last_names_the_training_that_was_started_last(starts, shop, monkeypatch):
    stages = Stages("type")
    monkeypatch.setattr(sequence, "train_stage", stages)
    assert exit_code(lambda: start(changed(shop, resume="last"))) == 5
    assert stages.asked == starts[1]


def test_other_settings_are_not_resumed(starts, shop, capsys):
    assert exit_code(lambda: start(changed(shop, resume="last", learning_rate=1e-3))) == 2
    assert "the settings, or the version of tagger, differ from those" in capsys.readouterr().err


def test_a_training_that_is_not_there_is_not_resumed(starts, shop, capsys):
    assert exit_code(lambda: start(changed(shop, resume="train-of-old"))) == 2
    assert "There is no stopped training 'train-of-old'" in capsys.readouterr().err
