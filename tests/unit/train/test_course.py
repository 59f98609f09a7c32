"""The epochs of a stage reach those who read along while it runs."""

import queue
from types import SimpleNamespace

import pytest

from tagger.errors import BadInput
from tagger.storage import open_root
from tagger.train.course import read_along, write_epochs

FIRST, SECOND = {"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}


@pytest.fixture
def plan(tmp_path):
    return SimpleNamespace(stage="type", work=open_root(str(tmp_path)))


def test_epochs_are_told_while_the_stage_runs_and_not_after(plan):
    told = queue.Queue()
    with read_along(plan, told.put, every_s=0.01):
        write_epochs(plan, [FIRST])
        assert told.get(timeout=30) == [FIRST]
        write_epochs(plan, [FIRST, SECOND])
        while told.get(timeout=30) != [FIRST, SECOND]:
            pass
    while not told.empty():
        told.get()
    write_epochs(plan, [])
    with pytest.raises(queue.Empty):
        told.get(timeout=0.1)


def test_storage_that_does_not_answer_is_asked_again(plan, monkeypatch):
    write_epochs(plan, [FIRST])
    answers = iter([BadInput("denied"), FileNotFoundError()])
    read = plan.work.read_bytes

    def read_bytes(key):
        for error in answers:
            raise error
        return read(key)

    monkeypatch.setattr(type(plan.work), "read_bytes", lambda _, key: read_bytes(key))
    told = queue.Queue()
    with read_along(plan, told.put, every_s=0.01):
        assert told.get(timeout=30) == [FIRST]
