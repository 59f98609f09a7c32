"""Which unfinished runs a night goes on with, gives up, or leaves alone when it begins."""

import datetime as dt
import logging
from dataclasses import replace

import pytest

from tagger.config import Config, TagConfig
from tagger.picture.fit import Fit
from tagger.storage import open_root
from tagger.tables.store import Tables
from tagger.tag.history import find_run
from tagger.tag.night import Night
from tagger.tag.runs import save_state
from tagger.tag.serving import Serving, load_tagger
from tagger.tag.vacuum import vacuum
from tests.runs_made import commit, finalise, run_id_of, stage
from tests.tables_rows import DAY

NEXT = DAY + dt.timedelta(days=1)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def night_of(root, model="v1", **tag):
    config = Config(root=root.uri, model="fashion", tag=TagConfig(**tag))
    return Night(config, root, root.child("images"), Tables(root), Serving("uri", "fashion", model, Fit(), load_tagger))


def stopped(root, date=DAY, **settings):
    """A run that was planned, and staged a unit and its table files, before it was stopped."""
    night = night_of(root, **settings)
    run_id = night.opened(night.identity(date)).run_id
    stage(root, run_id, date=date)
    finalise(root, run_id, date)
    return run_id


def begin(root, date=NEXT, **settings):
    night = night_of(root, **settings)
    return night.begun(night.identity(date))


def status(root, run_id):
    return find_run(root, run_id).status


@pytest.mark.parametrize("settings", [{}, {"model": "v0"}, {"prefix": "07"}])
def test_a_run_that_can_never_be_committed_is_given_up_and_says_so(root, caplog, settings):
    run_id = stopped(root, **settings)
    commit(root, run_id_of(1))
    with caplog.at_level(logging.WARNING, "tagger"):
        assert begin(root) is None
    assert status(root, run_id) == "aborted"
    assert f"Run {run_id} is given up: another was committed since it was planned" in caplog.text
    assert run_id in {found.run_id for found in vacuum(root, dt.timedelta(0))}
    assert not list(root.list_objects(f"work/{run_id}/"))


@pytest.mark.parametrize("settings", [{}, {"model": "v0"}, {"prefix": "07"}])
def test_a_run_that_some_command_can_still_commit_is_left_alone(root, settings):
    commit(root, run_id_of(1))
    run_id = stopped(root, **settings)
    assert begin(root) is None and status(root, run_id) == "unfinished"
    assert begin(root, DAY, **settings).run_id == run_id


def test_a_run_whose_commit_is_planned_is_finished_and_never_given_up(root):
    run_id = stopped(root)
    root.write_bytes(f"work/{run_id}/commit.json", b"{}")
    commit(root, run_id_of(1))
    assert begin(root) is None and status(root, run_id) == "committing"


def test_a_run_of_an_older_version_is_left_to_people(root):
    night = night_of(root)
    state = replace(night.opened(night.identity(DAY)), committed=None)
    root.write_bytes(f"work/{state.run_id}/units/a.parquet", b"")
    save_state(root, state)
    commit(root, run_id_of(1))
    assert begin(root) is None and status(root, state.run_id) == "unfinished"


def test_a_night_without_a_date_does_not_say_that_an_overtaken_run_stays(root, caplog):
    stopped(root)
    commit(root, run_id_of(1))
    with caplog.at_level(logging.WARNING, "tagger"):
        assert night_of(root).date_to_resume() is None
    assert "stays so" not in caplog.text
