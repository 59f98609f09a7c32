import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from tagger.picture.decode import DecodedPhoto, Reject
from tagger.storage import StoredObject, open_root
from tagger.tables.schema import REJECTS, TAGS
from tagger.tables.units import read_unit, staged_units
from tagger.tag.fetch import Decoded, Rejected
from tagger.tag.infer import Inferred
from tagger.tag.ledger import LedgerError, check_ledger
from tagger.tag.manifest import Counts, Manifest, Stand, write_shard
from tagger.tag.stage import RunStamp, answered_rows, failed_rows, photo_rows, refusal_rows, stage_unit

DAY = dt.date(2026, 11, 22)
NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
STAMP = RunStamp("r1", DAY, "digest")
PICTURE = DecodedPhoto(np.zeros((2, 2, 3), np.uint8), 40, 30, "PNG", -(2**63), False)


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path))


def photo(key):
    return StoredObject(key, f"etag of {key}", 3, NOON)


def decoded(*keys):
    return photo_rows(Decoded(photo(key), PICTURE) for key in keys)


def refused(*keys, reason="corrupt"):
    return refusal_rows(Rejected(photo(key), Reject(reason, "so"), 2) for key in keys)


def manifest_of(root, *keys):
    shard = write_shard(root, "r1", "00000", [photo(key) for key in keys], Stand())
    return Manifest((shard,), 2, Counts(len(keys)))


def stage(root, unit, tags=(), rejects=(), reason="corrupt"):
    columns = {"needs_review": [True] * len(tags), "review_reasons": [["audit", "low_focus"]] * len(tags)}
    answers = pa.table({name: pa.array(values, TAGS.field(name).type) for name, values in columns.items()})
    rows = answered_rows(decoded(*tags), Inferred(answers, tuple(range(len(tags))), {}, None))
    stage_unit(root, ("00000-00000-00002", "00000-00002-00003")[unit], STAMP, rows, refused(*rejects, reason=reason))


def test_a_staged_unit_holds_what_every_room_knew(root):
    photos = decoded("a", "b", "c")
    got = Inferred(pa.table({"type": ["Shirt", "Belt"]}), (0, 2), {1: "RuntimeError: no"}, None)
    refusals = pa.concat_tables([refused("d"), failed_rows(photos, got.failed)])
    stage_unit(root, "00000-00000", STAMP, answered_rows(photos, got), refusals)
    assert staged_units(root, "r1") == {"00000-00000"}
    tags, rejects = read_unit(root, "r1", "00000-00000")
    assert (tags.schema, rejects.schema) == (TAGS, REJECTS)
    row = tags.to_pylist()[1]
    assert (row["image_key"], row["etag"], row["type"], row["phash"]) == ("c", "etag of c", "Belt", -(2**63))
    assert (row["run_id"], row["date"], row["config_digest"], row["last_modified"]) == ("r1", DAY, "digest", NOON)
    told = [(r["image_key"], r["reason"], r["detail"], r["attempts"]) for r in rejects.to_pylist()]
    assert told == [("d", "corrupt", "so", 2), ("b", "inference_failed", "RuntimeError: no", 1)]
    assert rejects["rejected_at"][0].as_py() == tags["tagged_at"][0].as_py() is not None


def test_a_unit_of_nothing_but_rejects_and_one_of_nothing_are_staged(root):
    nothing = Inferred(pa.table({}), (), {}, None)
    stage_unit(root, "u1", STAMP, answered_rows(decoded(), nothing), refused("a"))
    stage_unit(root, "u2", STAMP, answered_rows(decoded(), nothing), refused())
    assert [len(rows) for name in ("u1", "u2") for rows in read_unit(root, "r1", name)] == [0, 1, 0, 0]


def test_a_right_ledger_counts(root):
    stage(root, 0, tags=["a"], rejects=["b"])
    stage(root, 1, rejects=["c"], reason="not_found")
    ledger = check_ledger(root, "r1", manifest_of(root, "a", "b", "c"))
    assert (ledger.tagged, ledger.rejected, ledger.final_rejects, ledger.flagged) == (1, 2, 1, 1)
    assert ledger.rejected_by_reason == {"corrupt": 1, "not_found": 1}
    assert ledger.flagged_by_reason == {"audit": 1, "low_focus": 1}


@pytest.mark.parametrize(
    ("tags", "rejects", "words"),
    [
        (["a"], [], "1 of 2 photos .* first 'b': listed 1, staged 0"),
        (["a", "b", "b"], [], "first 'b': listed 1, staged 2"),
        (["a", "b"], ["a"], "first 'a': listed 1, staged 2"),
        (["a", "b", "x"], [], "first 'x': listed 0, staged 1"),
    ],
)
def test_a_wrong_ledger_commits_nothing(root, tags, rejects, words):
    stage(root, 0, tags, rejects)
    with pytest.raises(LedgerError, match=words):
        check_ledger(root, "r1", manifest_of(root, "a", "b"))


def test_a_missing_unit_is_no_ledger(root):
    with pytest.raises(FileNotFoundError):
        check_ledger(root, "r1", manifest_of(root, "a"))
