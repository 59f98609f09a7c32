"""Checkpoints: to the bit there and back, and never trusted where a byte has changed."""

import hashlib
import io
import json
import logging
from dataclasses import dataclass

import numpy as np
import pytest

from tagger.train.checkpoint import (
    State,
    newest_state,
    pack_weights,
    read_state,
    unpack,
    unpack_weights,
    weights_digest,
    write_state,
)


def state(epoch=3):
    rng = np.random.default_rng(epoch)
    arrays = [rng.normal(size=(2, 3)).astype(np.float32) for _ in range(12)]
    return State(epoch, 5, (1.5, 2.0, 3.0), [{"epoch": 1, "loss": 0.25}], "abc", arrays, [np.int64(7)], arrays[:2])


@pytest.fixture
def folder(tmp_path):
    write_state(tmp_path, state())
    return tmp_path


def test_a_state_comes_back_to_the_bit(folder):
    before, after = state(), read_state(folder)
    for name, value in vars(before).items():
        if name in ("weights", "hidden", "best"):
            assert len(value) == len(getattr(after, name))
            for old, new in zip(value, getattr(after, name), strict=True):
                np.testing.assert_array_equal(old, new)
                assert old.dtype == new.dtype
        else:
            assert getattr(after, name) == value


@pytest.mark.parametrize("file", ["arrays.npz", "state.json"])
@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:20] + b"\x00" + path.read_bytes()[21:]),
    ],
    ids=["missing", "cut", "empty", "changed"],
)
def test_a_damaged_checkpoint_is_none_and_says_so(folder, file, harm, caplog):
    harm(folder / file)
    with caplog.at_level(logging.WARNING):
        assert read_state(folder) is None
    assert "one before it is looked for" in caplog.text


def test_the_newest_whole_checkpoint_counts(tmp_path):
    folders = [tmp_path / name for name in ("new", "middle", "old")]
    for number, folder in enumerate(folders):
        folder.mkdir()
        write_state(folder, state(epoch=9 - number))
    assert newest_state(folders).epoch == 9
    (folders[0] / "arrays.npz").write_bytes(b"half")
    assert newest_state(folders).epoch == 8
    assert newest_state([]) is None


@dataclass(frozen=True)
class LaterState(State):
    """As another version might write it."""

    pace: float = 1.0


def test_a_fact_that_is_changed_is_seen(folder):
    facts = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps(facts | {"epoch": facts["epoch"] + 1}))
    assert read_state(folder) is None


def test_a_checkpoint_of_another_version_is_none(folder, tmp_path):
    (later := tmp_path / "later").mkdir()
    write_state(later, LaterState(**vars(state())))
    assert read_state(later) is None
    facts = json.loads((folder / "state.json").read_text())
    earlier = hashlib.sha256((folder / "arrays.npz").read_bytes()).hexdigest()
    (folder / "state.json").write_text(json.dumps(facts | {"sha256": earlier}))
    assert read_state(folder) is None


def test_facts_of_another_shape_are_no_state(folder):
    (folder / "state.json").write_text(json.dumps([1, 2]))
    assert read_state(folder) is None


def test_weights_travel_as_bytes_in_their_order():
    weights = [np.full((2,), n, np.float32) for n in range(12)]
    for old, new in zip(weights, unpack_weights(pack_weights(weights)), strict=True):
        np.testing.assert_array_equal(old, new)


def test_no_weights_are_not_a_network():
    with pytest.raises(ValueError, match="no weights"):
        pack_weights([])


def test_the_digest_sees_every_bit():
    weights = [np.ones(3, np.float32), np.zeros(2, np.float32)]
    changed = [weights[0], np.array([0, -0.0], np.float32)]
    assert weights_digest(weights) == weights_digest([w.copy() for w in weights]) != weights_digest(changed)


def test_a_pickle_among_the_arrays_is_not_unpickled(folder):
    buffer = io.BytesIO()
    np.savez(buffer, weights=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        unpack(buffer.getvalue())
