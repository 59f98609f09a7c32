import datetime as dt
import itertools

import pytest

from tagger.config import TagConfig
from tagger.storage import StoredObject, open_root
from tagger.tables.store import Tables
from tagger.tag.manifest import load_manifest, read_photos
from tagger.tag.plan import Answer, Pair, committed_answers, is_redone, joined, make_manifest
from tagger.tag.runs import RunIdentity
from tests.tables_rows import DAY, NOON, commit_unit, reject, tag, unit

IDENTITY = RunIdentity(DAY, "m", "1", "c")


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path / "shop"))


@pytest.fixture
def images(root):
    return root.child("images")


def photo(key: str, etag: str = "e1") -> StoredObject:
    return StoredObject(key, etag, 3, NOON)


def answer(key: str, **values) -> Answer:
    known = {"etag": "e1", "reason": None, "model_name": "m", "model_version": "1", "config_digest": "c", "date": DAY}
    return Answer(key, **(known | values))


def etag_of(images, key):
    return next(found.etag for found in images.list_objects() if found.key == key)


def planned(root, images, **settings):
    manifest = make_manifest(root, images, "r9", IDENTITY, TagConfig(**settings))
    assert load_manifest(root, "r9") == manifest
    return manifest, [p.key for u in manifest.units() for p in read_photos(root, "r9", u)]


def test_merging_pairs_every_key_once():
    keys = ["a", "a/b", "a0", "é", "𝄞"]
    for listed, known in itertools.product(*[[c for n in range(6) for c in itertools.combinations(keys, n)]] * 2):
        pairs = joined([photo(key) for key in listed], [answer(key) for key in known])
        found = {(p.photo and p.photo.key, p.answer and p.answer.image_key) for p in pairs}
        wanted = {(k if k in listed else None, k if k in known else None) for k in {*listed, *known}}
        assert found == wanted


def test_an_answer_without_a_photo_is_its_own_pair():
    assert list(joined([], [answer("a")])) == [Pair(None, answer("a"))]


def test_new_changed_and_transiently_rejected_photos_are_new(root, images):
    for key in ("tagged", "changed", "corrupt", "lost", "new"):
        images.write_bytes(key, b"123")
    etags = {key: etag_of(images, key) for key in ("tagged", "corrupt", "lost")}
    rows = unit(
        [tag("tagged", model_name="m", etag=etags["tagged"]), tag("changed", etag="old"), tag("gone")],
        [reject("corrupt", etag=etags["corrupt"]), reject("lost", etag=etags["lost"], reason="download_failed")],
    )
    commit_unit(Tables(root), "r1", rows)
    manifest, keys = planned(root, images)
    assert keys == ["changed", "lost", "new"]
    assert (manifest.counts.listed, manifest.new, manifest.counts.vanished) == (5, 3, 1)


def test_the_newest_row_of_a_key_decides(root):
    later = NOON + dt.timedelta(days=1)
    commit_unit(Tables(root), "r1", unit([tag("a", etag="one"), tag("b", etag="one")]))
    commit_unit(Tables(root), "r2", unit([tag("a", "r2", etag="two", tagged_at=later)]))
    commit_unit(Tables(root), "r3", unit([], [reject("b", "r3", etag="three", rejected_at=later)]))
    found = [(a.image_key, a.etag, a.reason, a.model_version) for a in committed_answers(root)]
    assert found == [("a", "two", None, None), ("b", "three", "corrupt", "1")]


def test_rows_of_a_run_that_is_not_committed_are_no_answers(root):
    tables = Tables(root)
    files = tables.finalise("r1", DAY, [unit([tag("a")])])
    tables.commit("tags", "r1", files.tags)
    assert list(committed_answers(root)) == []


@pytest.mark.parametrize(
    ("retag", "values", "is_again"),
    [
        ("none", {"model_version": "0"}, False),
        ("model", {}, False),
        ("model", {"model_version": "0"}, True),
        ("model", {"model_name": "n"}, True),
        ("model", {"model_version": "0", "reason": "corrupt"}, False),  # decoding does not depend on the model
        ("config", {"model_version": "0"}, False),
        ("config", {"config_digest": "d"}, True),
        ("config", {"config_digest": "d", "reason": "corrupt"}, True),
        ("all", {"date": DAY - dt.timedelta(1)}, True),
        ("all", {}, False),  # else a second run of the night would tag everything once more
    ],
)
def test_what_retag_redoes(retag, values, is_again):
    assert is_redone(answer("a", **values), IDENTITY, retag) == is_again


def test_older_answers_are_counted_when_they_stay(root, images):
    images.write_bytes("a", b"123")
    commit_unit(Tables(root), "r1", unit([tag("a", etag=etag_of(images, "a"), model_name="m", model_version="0")]))
    assert planned(root, images)[0].counts.older_answers == 1
    manifest, keys = planned(root, images, retag="model")
    assert (manifest.counts.older_answers, keys) == (0, ["a"])


def test_prefix_and_limit_narrow_the_plan_and_leave_vanished_unknown(root, images):
    for key in ("a/1", "a/2", "a/3", "b/1"):
        images.write_bytes(key, b"123")
    manifest, keys = planned(root, images, prefix="a/", limit=2)
    assert keys == ["a/1", "a/2"] and manifest.counts.vanished is None


def test_since_takes_what_was_modified_at_or_after(root, images):
    images.write_bytes("a", b"123")
    modified = next(images.list_objects()).last_modified
    assert planned(root, images, since=modified)[1] == ["a"]
    assert planned(root, images, since=(modified + dt.timedelta(seconds=1)).replace(tzinfo=None))[1] == []


def test_a_name_that_is_not_utf8_is_left_out_and_told(root, images, tmp_path, caplog):
    images.write_bytes("a", b"123")
    (tmp_path / "shop" / "images" / "b\udcff").write_bytes(b"123")
    manifest, keys = planned(root, images)
    assert keys == ["a"] and manifest.counts.unreadable_names == 1
    assert "not UTF-8" in caplog.text
