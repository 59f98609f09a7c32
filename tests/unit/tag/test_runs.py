import datetime as dt
import json
from dataclasses import replace

import pytest

from tagger.storage import open_root
from tagger.tag.runs import (
    RunIdentity,
    RunState,
    canonical_digest,
    load_state,
    next_run_id,
    remove_work,
    save_state,
    unfinished_states,
    work_run_ids,
)

IDENTITY = RunIdentity(dt.date(2026, 11, 22), "fashion", "v1", "0123")
NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def state(number: int, **values) -> RunState:
    return replace(RunState(f"{IDENTITY.prefix}-{number:03d}", IDENTITY, NOON, "basis"), **values)


def test_the_digest_is_of_values_and_not_of_their_order():
    assert canonical_digest({"a": 1, "b": [2.0, None]}) == canonical_digest({"b": [2.0, None], "a": 1})
    assert canonical_digest({"a": 1}) != canonical_digest({"a": 2})
    assert canonical_digest({}) == "44136fa355b3678a"  # SHA-256 of "{}"


@pytest.mark.parametrize("change", [{"model_version": "v2"}, {"model_name": "x"}, {"config_digest": "4567"}])
def test_another_model_or_configuration_is_another_run(change):
    other = replace(IDENTITY, **change)
    assert other.prefix != IDENTITY.prefix and other.prefix.startswith("20261122-")


def test_run_ids_are_counted_over_work_folders_and_committed_runs(root):
    assert next_run_id(root, IDENTITY, []) == f"{IDENTITY.prefix}-001"
    save_state(root, state(1))
    assert next_run_id(root, IDENTITY, [f"{IDENTITY.prefix}-009", "20261121-00000000-050"]) == f"{IDENTITY.prefix}-010"


def test_a_state_comes_back_as_it_was_saved(root):
    saved = state(1).worked({"tag": 3.0}, {"tag": 1.5}, 1e-6)
    saved = saved.worked({"tag": 1.0, "stage": 1.0}, {"tag": 0.5, "stage": 1.0}, None)
    save_state(root, saved)
    assert load_state(root, saved.run_id) == saved
    assert (saved.seconds, saved.busy_s) == ({"tag": 4.0, "stage": 1.0}, {"tag": 2.0, "stage": 1.0})
    assert saved.max_logit_residual == 1e-6


def test_work_folders_are_found_whatever_lies_in_them_and_beside_them(root):
    for name in ("20261122-00000000-001", "20261122-00000000-0010", "20261123-00000000-001"):
        root.write_bytes(f"work/{name}/units/a.parquet", b"")
        root.write_bytes(f"work/{name}/units/b.parquet", b"")
    root.write_bytes("work/locks/2026-11-22/00000001.json", b"")
    assert sorted(work_run_ids(root)) == [
        "20261122-00000000-001", "20261122-00000000-0010", "20261123-00000000-001"
    ]  # fmt: skip


def test_a_run_is_overtaken_by_any_commit_since_it_began():
    begun = state(1, committed=canonical_digest(["r1", "r2"]))
    assert not begun.is_overtaken({"r2", "r1"}) and begun.is_overtaken({"r1", "r2", "r3"})
    assert not state(1).is_overtaken({"r1"})  # of an older version, which did not note what was committed


def test_a_state_of_an_older_version_is_read(root):
    save_state(root, state(1))
    key = f"work/{state(1).run_id}/run.json"
    told = json.loads(root.read_bytes(key))
    del told["committed"]
    root.write_bytes(key, json.dumps(told).encode())
    assert load_state(root, state(1).run_id) == state(1)


def test_unfinished_runs_are_newest_first_without_committed_and_aborted_ones(root):
    for number in (1, 2, 3, 4):
        save_state(root, state(number, started_at=NOON + dt.timedelta(hours=number)))
    save_state(root, state(4, status="aborted"))
    found = unfinished_states(root, [state(3).run_id])
    assert [each.run_id for each in found] == [state(2).run_id, state(1).run_id]


def test_removed_work_is_gone(root, tmp_path):
    save_state(root, state(1))
    remove_work(root, state(1).run_id)
    assert list((tmp_path / "work").iterdir()) == []


def test_work_that_cannot_be_removed_is_told_and_none_is_nothing_to_tell(root, caplog):
    remove_work(root, "20261122-00000000-001")
    assert not caplog.records
    root.write_bytes("work/20261122-00000000-001", b"a file where a folder was")
    remove_work(root, "20261122-00000000-001")
    assert "could not be deleted" in caplog.text
