"""What a stopped training must find as it was: its settings, its labels, and that it is not over."""

import threading

import pytest

from tagger.catalog.labels import LabelSpace
from tagger.config import Config, FocusConfig, ReviewConfig, TrainConfig
from tagger.errors import BadInput, ClusterUnavailable, ConfigError, GateRefused
from tagger.lease import Lock
from tagger.release import code_version
from tagger.storage import open_root
from tagger.train.record import TrainingFacts
from tagger.train.resume import check_data, closing, held, run_id_of

SPACE = LabelSpace(("Shirt", "Shoe"), ("Blue", "Red"))


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def config(root, resume=None, **sections):
    return Config(root=root.uri, train=TrainConfig(resume=resume, **sections.pop("train", {})), **sections)


@pytest.fixture
def run_id(root):
    """A training that was started, and stopped behind its first look at the labels."""
    run_id = run_id_of(config(root), root)
    check_data(root, facts(run_id), SPACE)
    return run_id


def facts(run_id, digest="of the items", **items):
    return TrainingFacts(run_id, {}, "1", digest, {"fit": 80, "select": 10, **items})


def test_a_stopped_training_goes_on_with_more_workers_other_notes_and_the_same_labels(root, run_id):
    notes = {"data_note": "Ours.", "limits_note": "Elsewhere."}
    assert run_id_of(config(root, "last", train={"workers": 2, **notes}), root) == run_id
    check_data(root, facts(run_id), SPACE)


@pytest.mark.parametrize(
    "other",
    [{"train": {"learning_rate": 1e-3}}, {"focus": FocusConfig(low=0.2)}, {"review": ReviewConfig(budget=0.2)}],
    ids=["train", "focus", "review"],
)
def test_other_settings_are_refused(root, run_id, other):
    with pytest.raises(ConfigError, match=f"the settings, .* differ from those that {run_id} was started with"):
        run_id_of(config(root, run_id, **other), root)


def test_what_another_version_started_is_refused(root, monkeypatch):
    for name in ("tagger.release.__version__", "tagger.train.resume.__version__"):
        monkeypatch.setattr(name, "0.0.1")
    code_version.cache_clear()
    run_id_of(config(root), root)
    monkeypatch.undo()
    code_version.cache_clear()
    with pytest.raises(ConfigError, match="or the version of tagger, differ.* Start afresh"):
        run_id_of(config(root, "last"), root)


def test_other_code_of_the_same_version_goes_on_and_says_so(root, run_id, monkeypatch, caplog):
    other = f"{code_version().partition('+')[0]}+0123456789ab"
    monkeypatch.setattr("tagger.train.resume.code_version", lambda: other)
    assert run_id_of(config(root, "last"), root) == run_id
    assert f"{run_id} was started by the code {code_version()} and goes on with {other}" in caplog.text


@pytest.mark.parametrize(
    ("space", "changes", "told"),
    [
        (LabelSpace(("Shirt", "Shoe"), ("Red", "Blue")), {}, "the colors came into another order"),
        (LabelSpace(("Hat", "Shoe"), ("Blue", "Red")), {}, "the types lost Shirt and gained Hat"),
        (LabelSpace(("Shirt", "Shoe", "Hat"), ("Blue", "Red")), {}, "the types gained Hat"),
        (SPACE, {"fit": 81}, "the number of items by role changed from {'fit': 80, .* to {'fit': 81"),
        (SPACE, {"digest": "of others"}, "the labels, the roles of the items, or the photos changed"),
    ],
)
def test_other_labels_are_refused_and_told(root, run_id, space, changes, told):
    with pytest.raises(ConfigError, match=f"since {run_id} was started, {told}.* Start afresh, without --resume"):
        check_data(root, facts(run_id, **changes), space)
    check_data(root, facts(run_id), SPACE)


def test_a_training_that_ended_while_it_was_waited_for_is_not_touched(root, run_id):
    with Lock(root, run_id, 0) as first:
        ending = threading.Timer(0.2, lambda: (end(root, run_id), first.release()))
        ending.start()
        with pytest.raises(BadInput, match="is finished"), held(root, run_id):
            pytest.fail("its bundle serves")
        ending.join()


def end(root, run_id):
    with closing(root, run_id):
        """Promoted."""


def test_a_refused_training_is_refused_again_and_not_resumed(root, run_id):
    with pytest.raises(GateRefused), closing(root, run_id):
        raise GateRefused("Type accuracy 0.100 is too low.")
    with pytest.raises(
        GateRefused, match=rf"{run_id} is finished and its bundle was refused: .* is too low\. Leave out"
    ):
        run_id_of(config(root, run_id), root)


def test_a_finished_training_is_not_resumed(root, run_id):
    with closing(root, run_id):
        pass
    with pytest.raises(BadInput, match="is finished. Leave out --resume"):
        run_id_of(config(root, run_id), root)


def test_a_training_that_lost_its_cluster_at_the_end_goes_on(root, run_id):
    with pytest.raises(ClusterUnavailable), closing(root, run_id):
        raise ClusterUnavailable("Lost.")
    assert run_id_of(config(root, run_id), root) == run_id
