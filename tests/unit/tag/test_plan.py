import dataclasses
import datetime as dt
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.catalog.listing import KeyRange, StorageListing
from tagger.config import TagConfig
from tagger.errors import DateLocked, StorageUnavailable
from tagger.storage import StoredObject, open_root
from tagger.tables.query import ask_for_batches, connect
from tagger.tables.store import Tables
from tagger.tag.manifest import complete, load_range, read_photos, save_ranges, written_shards
from tagger.tag.plan import (
    Answer,
    Pair,
    PlanJob,
    committed_answers,
    in_shards,
    is_redone,
    joined,
    plan_range,
    stretches,
)
from tagger.tag.runs import RunIdentity
from tests.tables_rows import DAY, NOON, commit_unit, reject, tag, unit

IDENTITY = RunIdentity(DAY, "m", "1", "c")
ALL = (KeyRange(),)


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


def answers_of(root, part, *more):
    with connect(root) as connection:
        return list(committed_answers(connection, root, part, *more))


def etag_of(images, key):
    return next(found.etag for found in images.list_objects() if found.key == key)


def job(root, images, run_id="r9", **settings):
    return PlanJob(root, run_id, StorageListing(images, settings.get("prefix", "")), IDENTITY, TagConfig(**settings))


def planned(root, images, ranges=ALL, run_id="r9", **settings):
    """The manifest of these ranges, and its keys."""
    save_ranges(root, run_id, ranges)
    for number, part in enumerate(ranges):
        list(plan_range(job(root, images, run_id, **settings), number, part))
    manifest = complete(root, run_id, 256, is_full=not settings.get("prefix"))
    return manifest, [p.key for u in manifest.units() for p in read_photos(root, run_id, u)]


def test_a_range_opens_only_the_files_that_may_hold_its_keys(root):
    tables = Tables(root)
    for number, key in enumerate(("a/1", "b/\U00020bb7", "c/1")):
        run_id = f"r{number}"
        commit_unit(tables, run_id, unit([tag(key, run_id)]))
    for file in Path(root.uri).glob("tables/tags/*/part-r[02]-*.parquet"):
        file.write_bytes(b"no Parquet")
    assert [found.image_key for found in answers_of(root, KeyRange("b/\U00020000", "c"))] == ["b/\U00020bb7"]
    with pytest.raises(Exception, match="Parquet"):
        answers_of(root, KeyRange("b", "d"))


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
    found = [(a.image_key, a.etag, a.reason, a.model_version) for a in answers_of(root, KeyRange())]
    assert found == [("a", "two", None, None), ("b", "three", "corrupt", "1")]


def test_answers_of_a_part_alone(root):
    commit_unit(Tables(root), "r1", unit([tag(key) for key in ("a", "a/1", "a/2", "b", "é")]))

    def keys(*asked):
        return [a.image_key for a in answers_of(root, *asked)]

    assert keys(KeyRange()) == ["a", "a/1", "a/2", "b", "é"]
    assert keys(KeyRange("a/1", "b")) == ["a/1", "a/2"] and keys(KeyRange("a/3")) == ["b", "é"]
    assert keys(KeyRange("", "c"), "a/1") == ["a/2", "b"] and keys(KeyRange(), "", "a/") == ["a/1", "a/2"]


def test_a_table_file_that_breaks_off_is_an_outage_in_one_sentence(root):
    commit_unit(Tables(root), "r1", unit([tag("a")]))
    [file] = [stored.key for stored in root.list_objects("tables/tags/date")]
    root.write_bytes(file, root.read_bytes(file)[:-200])
    with pytest.raises(StorageUnavailable, match="tables under .* did not answer"):
        answers_of(root, KeyRange())


def test_rows_of_a_run_that_is_not_committed_are_no_answers(root):
    tables = Tables(root)
    files = tables.finalise("r1", DAY, [unit([tag("a")])])
    tables.commit("tags", "r1", files.tags)
    assert answers_of(root, KeyRange()) == []


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
    manifest, keys = planned(root, images, run_id="r8", retag="model")
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
    later = (modified + dt.timedelta(seconds=1)).replace(tzinfo=None)
    assert planned(root, images, run_id="r8", since=later)[1] == []


def test_a_name_that_is_not_utf8_is_left_out_and_counted(root, images, tmp_path):
    images.write_bytes("a", b"123")
    (tmp_path / "shop" / "images" / "b\udcff").write_bytes(b"123")
    manifest, keys = planned(root, images)
    assert keys == ["a"] and (manifest.counts.listed, manifest.counts.unreadable_names) == (2, 1)


@pytest.mark.parametrize("retried, keys", [(None, []), ("all", ["a", "b"]), ("corrupt", ["a"]), ("empty", ["b"])])
def test_final_rejects_are_tried_again_on_request(root, images, retried, keys):
    for key in ("a", "b", "c"):
        images.write_bytes(key, b"123")
    etags = {key: etag_of(images, key) for key in ("a", "b", "c")}
    rejects = [reject("a", etag=etags["a"]), reject("b", etag=etags["b"], reason="empty")]
    commit_unit(Tables(root), "r1", unit([tag("c", model_name="m", etag=etags["c"])], rejects))
    assert planned(root, images, retry_rejects=retried)[1] == keys


def night_before(root, images):
    """Ten photos, of which three are answered; and five answers whose photos are gone."""
    for n in range(10):
        images.write_bytes(f"{n}", b"123")
    tags = [tag(f"{n}", etag=etag_of(images, f"{n}"), model_name="m", model_version="0") for n in (0, 4, 9)]
    commit_unit(Tables(root), "r1", unit([*tags, *(tag(f"{n}-gone", model_name="m") for n in range(5))]))


@pytest.mark.parametrize("cuts", [[], ["5"], ["0", "00", "4", "4-", "4-gone", "45", "9", "99", "a"]])
def test_however_the_key_space_is_cut_the_manifest_says_the_same(root, images, cuts):
    night_before(root, images)
    whole = planned(root, images)
    parts = [KeyRange(start, end) for start, end in itertools.pairwise(["", *cuts, ""])]
    manifest, keys = planned(root, images, parts, run_id="r8")
    assert keys == whole[1] == ["1", "2", "3", "5", "6", "7", "8"]
    assert manifest.counts == whole[0].counts
    assert (manifest.counts.listed, manifest.counts.vanished, manifest.counts.older_answers) == (10, 5, 3)


@pytest.fixture
def stretched(monkeypatch):
    """Sets how many photos are compared at once."""

    def of(most):
        monkeypatch.setattr("tagger.tag.plan.stretches", lambda photos, part: stretches(photos, part, most=most))

    return of


@pytest.mark.parametrize("most", [1, 2, 3, 9, 10])
def test_however_long_a_stretch_is_the_manifest_says_the_same(root, images, tmp_path, stretched, most):
    night_before(root, images)
    (tmp_path / "shop" / "images" / "4-\udcff").write_bytes(b"123")
    whole = planned(root, images)
    stretched(most)
    for run_id, parts in {"r8": ALL, "r7": (KeyRange("", "4-gone"), KeyRange("4-gone", ""))}.items():
        manifest, keys = planned(root, images, parts, run_id)
        assert (manifest.counts, keys) == (whole[0].counts, whole[1])
    assert (whole[0].counts.listed, whole[0].counts.unreadable_names, whole[0].counts.vanished) == (11, 1, 5)


def test_the_first_photos_wait_for_the_answers_of_their_own_stretch_alone(root, images, stretched, monkeypatch):
    keys = [f"{n:04d}" for n in range(200)]
    for key in keys[::10]:
        images.write_bytes(key, b"123")
    commit_unit(Tables(root), "r1", unit([tag(key, etag="old", model_name="m") for key in keys]))
    sorted_rows = []

    def spy(*asked):
        for batch in ask_for_batches(*asked):
            sorted_rows.append(batch.num_rows)
            yield batch

    monkeypatch.setattr("tagger.tag.plan.ask_for_batches", spy)
    stretched(2)
    shards = plan_range(job(root, images), 0, KeyRange())
    monkeypatch.setattr("tagger.tag.plan.in_shards", lambda photos, limit: in_shards(photos, limit, most=1))
    next(shards)
    assert sorted_rows == [20]
    assert len(list(shards)) == 19 and sorted_rows == [20] * 10


@given(st.lists(st.text(min_size=1, max_size=3), unique=True), st.integers(1, 5), st.sampled_from([-1.0, 99.0]))
def test_stretches_are_the_range_and_its_photos(keys, most, wait_s):
    listed = [photo(key) for key in sorted(keys)]
    found = list(stretches(listed, KeyRange("\0", "\U0010ffff"), most, wait_s))
    assert [p for photos, _ in found for p in photos] == listed
    parts = [part for _, part in found]
    assert (parts[0].start, parts[-1].end) == ("\0", "\U0010ffff")
    assert all(before.end == part.start for before, part in itertools.pairwise(parts))
    assert all(len(photos) <= (1 if wait_s < 0 else most) for photos, _ in found)
    assert all(
        p.key >= part.start and (p.key < part.end or part is parts[-1]) for photos, part in found for p in photos
    )


@pytest.mark.parametrize("stopped_after", range(5))
def test_a_range_that_was_stopped_goes_on_behind_its_last_shard(root, images, monkeypatch, stopped_after):
    night_before(root, images)
    whole = planned(root, images)
    monkeypatch.setattr("tagger.tag.plan.in_shards", lambda photos, limit: in_shards(photos, limit, most=2))
    begun = plan_range(job(root, images, "r8"), 0, KeyRange())
    kept = list(itertools.islice(begun, stopped_after))
    begun.close()
    assert written_shards(root, "r8", 0)[0] == kept
    assert list(plan_range(job(root, images, "r8"), 0, KeyRange()))[:stopped_after] == kept
    shards, counts = load_range(root, "r8", 0)
    assert [shard.photos for shard in shards] == [2, 2, 2, 1]
    assert (counts, planned(root, images, run_id="r8")[1]) == (whole[0].counts, whole[1])


class RacedListing(StorageListing):
    """After it was listed, another process plans the same run, and finds one photo more."""

    def photos(self, part, after=""):
        listed = list(super().photos(part, after))
        self.images.write_bytes("b", b"123")
        list(plan_range(job(self.images, self.images), 0, part))
        yield from listed


def test_a_shard_that_another_process_wrote_meanwhile_stops_the_planning(images):
    images.write_bytes("a", b"123")
    raced = dataclasses.replace(job(images, images), listing=RacedListing(images))
    with pytest.raises(DateLocked, match="Another process plans run r9"):
        list(plan_range(raced, 0, KeyRange()))


def test_a_photo_does_not_wait_for_its_shard_to_fill():
    now = photo("a"), None, None
    assert [len(each) for each in in_shards(iter(now), None, wait_s=-1)] == [1]
    assert list(in_shards(iter([None, None]), None, wait_s=-1)) == []


@pytest.mark.parametrize("limit", range(8))
def test_shards_hold_no_more_than_is_asked_for(limit):
    listed = [photo(str(n)) for n in range(5)]
    found = list(in_shards(iter(listed), limit, most=2))
    assert [p for shard in found for p in shard] == listed[:limit] and all(len(shard) <= 2 for shard in found)
