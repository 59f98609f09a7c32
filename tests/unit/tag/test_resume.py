import pytest

from tagger.config import Config, TagConfig
from tagger.errors import BadInput
from tagger.picture.fit import Fit
from tagger.storage import open_root
from tagger.tag.history import find_run
from tagger.tag.resume import config_to_resume, resumable
from tagger.tag.runs import RunIdentity, RunState, canonical_digest, save_state
from tagger.tag.serving import Serving, answer_settings, load_tagger
from tagger.tag.upkeep import abort_run
from tests.runs_made import begin, commit, commit_in_part, run_id_of
from tests.tables_rows import DAY, NOON

SERVING = Serving("uri", "fashion", "v1", Fit(), load_tagger)


@pytest.fixture
def config(tmp_path):
    return Config(root=str(tmp_path), model="fashion", date="2020-01-01")


@pytest.fixture
def begun(config):
    """A run begun with the configuration."""
    digest = canonical_digest(answer_settings(config, SERVING.fit))
    root = open_root(config.root)
    save_state(root, RunState(run_id_of(1), RunIdentity(DAY, "fashion", "v1", digest), NOON, "basis"))
    return find_run(root, run_id_of(1))


def test_a_run_is_gone_on_with_on_its_own_date(config, begun):
    resumed = config_to_resume(config, resumable(config, begun.run_id), SERVING)
    assert resumed == config.model_copy(update={"date": DAY})


def test_another_model_is_refused_with_both_named(config, begun):
    other = Serving("uri", "fashion", "v2", Fit(), load_tagger)
    with pytest.raises(BadInput, match="begun with model fashion version v1, and fashion is fashion version v2"):
        config_to_resume(config, begun, other)


def test_other_settings_are_refused(config, begun):
    other = config.model_copy(update={"tag": TagConfig(max_file_mb=1)})
    with pytest.raises(BadInput, match="begun with other settings"):
        config_to_resume(other, begun, SERVING)


def test_a_half_committed_run_can_be_resumed(config):
    commit_in_part(open_root(config.root), begin(open_root(config.root)), ("rejects",))
    assert resumable(config, run_id_of(1)).status == "committing"


def test_a_finished_a_given_up_and_an_unknown_run_are_refused(config):
    root = open_root(config.root)
    commit(root, run_id_of(1))
    abort_run(root, begin(root, 2), 0)
    for run_id, words in (
        (run_id_of(1), "is committed"),
        (run_id_of(2), "status is 'aborted'"),
        ("x", "is no run 'x'"),
    ):
        with pytest.raises(BadInput, match=words):
            resumable(config, run_id)
