"""The nightly run on a real local Ray, with a Tagger that looks at the mean color alone."""

import datetime as dt
import io
import logging
import os
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import boto3
import numpy as np
import pytest
import ray
from moto.server import ThreadedMotoServer
from PIL import Image

from tagger.catalog.listing import KeyRange, StorageListing
from tagger.config import Config, TagConfig
from tagger.errors import ClusterUnavailable, DateLocked, GateRefused, StorageUnavailable
from tagger.lease import Lock
from tagger.picture.fit import Fit
from tagger.storage import open_root
from tagger.tables.query import run_query
from tagger.tables.store import Tables
from tagger.tag import night
from tagger.tag.manifest import complete, save_ranges
from tagger.tag.night import Serving
from tagger.tag.plan import PlanJob
from tagger.tag.planning import Planning
from tagger.tag.progress import Worked
from tagger.tag.runs import RunIdentity, work_run_ids
from tagger.tag.verify import verify
from tests.tables_rows import commit_unit, tag, unit

# Ray Data copies its own settings, the deprecated ones with them.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test

DAY = dt.date(2026, 11, 22)
POISON = (1, 2, 3)
DEADLY = (3, 2, 1)


@dataclass(frozen=True)
class HeldListing(StorageListing):
    """Two ranges, the second of which storage does not list before a file is there; or never, but fails."""

    gate: str = ""
    fails: bool = False

    def ranges(self, wanted):
        return [KeyRange("", "m"), KeyRange("m", "")]

    def photos(self, part, after=""):
        while part.start and not Path(self.gate).exists():
            if self.fails:
                raise StorageUnavailable("The listing broke off.")
            time.sleep(0.05)
        yield from super().photos(part, after)


class MeanColorTagger:
    """Fails on a poison picture, and takes its whole process with it on a deadly one."""

    confidence = 0.75

    def tag(self, pixels, image_keys, run_date):
        means = pixels.reshape(len(pixels), -1, 3).mean(axis=1)
        if (means == POISON).all(axis=1).any():
            raise RuntimeError("poison")
        if (means == DEADLY).all(axis=1).any():
            os._exit(1)
        colors = ["White" if mean > 128 else "Black" for mean in means.mean(axis=1)]
        constant = {
            "type": "Shirt",
            "type_confidence": 1.0,
            "type_top3": [{"label": "Shirt", "p": 1.0}],
            "color_confidence": self.confidence,
            "focus": np.nan,
            "focus_map": "class/post_bn",
            "focus_null_reason": "mask_empty",
            "risk": 0.25,
            "audit_probability": 0.0,
            "model_name": "stub",
            "model_version": "v1",
            "engine": "stub",
        }
        return {name: [value] * len(pixels) for name, value in constant.items()} | {
            "color": colors,
            "color_top3": [[{"label": color, "p": self.confidence}] for color in colors],
            "dominant_rgb": np.rint(means).astype(np.int16),
            "needs_review": [color == "White" for color in colors],
            "review_reasons": [["low_focus"] if color == "White" else [] for color in colors],
            "logit_residual": 1e-6,
        }


class TooSureTagger(MeanColorTagger):
    """Is certain beyond reason."""

    confidence = 1.5


def load_too_sure(uri):
    return TooSureTagger()


def load_stub(uri):
    return MeanColorTagger()


def load_nothing(uri):
    raise StorageUnavailable("The bundle's storage is away.")


def load_without_libraries(uri):
    raise ModuleNotFoundError("No module named 'tensorflow'")


def serving(load=load_stub, version="v1"):
    return Serving("stub", "stub", version, Fit(), load)


def png(rgb):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), rgb).save(buffer, "PNG")
    return buffer.getvalue()


def config(root, **tag):
    known = {"unit_size": 4, "batch_size": 3, "max_reject_share": 0.5, "lock_wait_s": 0, "decode_children": 1}
    return Config(root=root.uri, date=DAY, tag=TagConfig(**(known | tag)))


def answer(root, sql):
    return run_query(root, sql).to_pylist()


def count(root, view):
    return answer(root, f"select count(*) as n from {view}")[0]["n"]


def assert_verified(root):
    found = verify(root, DAY)
    assert found and all(finding.is_ok for finding in found), found


@pytest.fixture(scope="module", autouse=True)
def cluster():
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_BACKEND_LOG_LEVEL", "error")
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}.items():
            environment.setenv(f"AWS_{name}", value)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        environment.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")  # workers inherit it from ray.init
        ray.init("local", num_cpus=2, object_store_memory=300 * 2**20, include_dashboard=False, logging_level="error")
        yield
        ray.shutdown()
        server.stop()


@pytest.fixture(params=["disk", "s3"])
def root(request, tmp_path):
    if request.param == "disk":
        return open_root(str(tmp_path))
    bucket = f"bucket-{secrets.token_hex(4)}"
    boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_bucket(Bucket=bucket)
    return open_root(f"s3://{bucket}/shop")


@pytest.fixture
def disk(tmp_path):
    return open_root(str(tmp_path))


def fill(root, count=10):
    images = root.child("images")
    for n in range(count):
        images.write_bytes(f"ü/{n:02d}.png", png((250, 250, 250) if n % 2 else (5, 5, 5)))
    return images


def test_two_nights(root, caplog):
    images = fill(root)
    images.write_bytes("corrupt.png", png((9, 9, 9))[:50])
    images.write_bytes("notes.txt", b"no picture")
    images.write_bytes("poison.png", png(POISON))

    with caplog.at_level(logging.INFO, "tagger"):
        first = night.run(config(root), serving())
    assert (first.status, first.listed, first.new, first.tagged, first.rejected) == ("committed", 13, 13, 10, 3)
    reasons = dict(first.rejected_by_reason)
    assert reasons.pop("inference_failed") == 1 and reasons.pop("not_an_image") == 1 and sum(reasons.values()) == 1
    assert (first.flagged, first.flagged_by_reason, first.max_logit_residual) == (5, {"low_focus": 5}, 1e-6)
    assert set(first.seconds_per_stage) == {"download", "decode", "tag", "stage"} and first.bottleneck
    assert "13 of 13 photos" in caplog.text and "3 rejected" in caplog.text
    rows = answer(root, "select image_key, color, focus, width, dominant_rgb, config_digest from tags order by 1")
    assert [row["image_key"] for row in rows] == [f"ü/{n:02d}.png" for n in range(10)]
    assert rows[1]["color"] == "White" and rows[1]["focus"] is None and rows[1]["dominant_rgb"] == [250, 250, 250]
    assert {(row["width"], row["config_digest"]) for row in rows} == {(40, first.config_digest)}
    assert_verified(root)

    images.write_bytes("ü/00.png", png((200, 200, 200)))
    images.delete("ü/09.png")
    images.delete("poison.png")
    images.write_bytes("poison.png", png((8, 8, 8)))
    second = night.run(config(root), serving())
    assert (second.new, second.tagged, second.vanished, second.run_id[-3:]) == (2, 2, 1, "002")
    assert answer(root, "select color from current where image_key = 'ü/00.png'") == [{"color": "White"}]

    third = night.run(config(root), serving())
    assert (third.status, third.new, third.run_id) == ("nothing new", 0, None)
    assert (count(root, "tags"), count(root, "rejects"), count(root, "runs")) == (12, 3, 2)
    assert list(work_run_ids(root)) == []
    assert_verified(root)

    older = night.run(config(root), serving(version="v2"))
    assert (older.status, older.older_answers) == ("nothing new", 10)


def held(disk, tmp_path, fails=False):
    for key in ("a", "b", "c", "x", "y"):
        disk.write_bytes(f"images/{key}", b"123")
    listing = HeldListing(disk.child("images"), gate=str(tmp_path / "gate"), fails=fails)
    job = PlanJob(disk, "r1", listing, RunIdentity(DAY, "stub", "v1", "c"), TagConfig(unit_size=2))
    save_ranges(disk, "r1", listing.ranges(2))
    return Planning(job, listing.ranges(2), parallel=2, worked=Worked(), patience_s=1.0)


def test_work_begins_while_the_listing_goes_on(disk, tmp_path):
    with held(disk, tmp_path) as planning:
        waves = planning.waves(most=10)
        assert [unit.count for unit in next(waves)] == [2, 1]
        (tmp_path / "gate").touch()
        assert sum(unit.count for wave in waves for unit in wave) == 2
    assert complete(disk, "r1", 2, is_full=True).new == 5


def test_no_wave_is_larger_than_asked_for(disk, tmp_path):
    (tmp_path / "gate").touch()
    with held(disk, tmp_path) as planning:
        assert [len(wave) for wave in planning.waves(most=1)] == [1, 1, 1]


def test_a_listing_that_breaks_off_keeps_its_words(disk, tmp_path):
    with pytest.raises(StorageUnavailable, match="^The listing broke off.$"), held(disk, tmp_path, True) as planning:
        list(planning.waves(most=10))
    with pytest.raises(ValueError, match="not planned yet"):
        complete(disk, "r1", 2, is_full=True)


def test_a_file_of_keys_narrows_the_night(root, tmp_path, caplog):
    fill(root, 6)
    keys = tmp_path / "keys.txt"
    keys.write_text("ü/03.png\nü/99.png\nü/01.png\nü/03.png\n")
    asked = config(root, keys_from=str(keys))
    assert (night.dry_run(asked, serving()).new, list(work_run_ids(root))) == (2, [])
    with caplog.at_level(logging.WARNING, "tagger"):
        summary = night.run(asked, serving())
    assert (summary.listed, summary.new, summary.tagged, summary.vanished) == (2, 2, 2, None)
    assert "1 keys in" in caplog.text
    rest = night.run(config(root), serving())
    assert (rest.listed, rest.new) == (6, 4)
    assert_verified(root)


def test_a_dry_run_tells_what_is_new_and_writes_nothing(disk):
    fill(disk, 6)
    first = night.dry_run(config(disk, price_per_hour=3.6), serving())
    assert (first.listed, first.new, first.vanished, first.photos_per_s, first.cost) == (6, 6, 0, None, None)
    assert first.size_bytes == 6 * len(png((5, 5, 5))) and first.first == tuple(f"ü/{n:02d}.png" for n in range(5))
    assert [found.key for found in disk.list_objects() if not found.key.startswith("images/")] == []

    moment = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
    spent = [dt.timedelta(seconds=100 / rate) for rate in (1, 2, 50)]
    for number, took in enumerate(spent):
        rows = unit([tag(f"{number}-{n}", f"r{number}") for n in range(100)])
        commit_unit(Tables(disk), f"r{number}", rows, started_at=moment, finished_at=moment + took)
    later = night.dry_run(config(disk, price_per_hour=3600), serving())
    assert (later.new, later.vanished, later.photos_per_s, later.seconds, later.cost) == (6, 300, 2, 3, 3)


def test_a_unit_of_rejects_alone_passes_and_a_transient_reject_is_new_again(disk):
    images = disk.child("images")
    for n in range(5):
        images.write_bytes(f"{n}.png", png((5, 5, 5)))
    images.write_bytes("0.png", png(POISON))
    first = night.run(config(disk, unit_size=1), serving())
    assert (first.tagged, first.rejected_by_reason) == (4, {"inference_failed": 1})
    again = night.run(config(disk), serving())
    assert (again.new, again.rejected_by_reason, count(disk, "rejects")) == (1, {"inference_failed": 1}, 2)


def test_too_many_rejects_commit_nothing_until_more_are_allowed(disk, caplog):
    images = fill(disk, 2)
    for n in range(4):
        images.write_bytes(f"{n}.txt", b"no picture")
    told = r"4 of 6 photos \(66.7%\) were rejected.*0.2 allows \(not_an_image 4\)"
    with pytest.raises(GateRefused, match=told) as refused:
        night.run(config(disk, unit_size=1, max_reject_share=0.2), serving())
    assert refused.value.exit_code == 3 and len(list(work_run_ids(disk))) == 1
    assert (count(disk, "runs"), count(disk, "rejects")) == (0, 0)

    disk.child("work", *work_run_ids(disk), "units").delete("00000-00000-00001-00002.parquet")
    with caplog.at_level(logging.INFO, "tagger"):
        summary = night.run(config(disk, unit_size=1, max_reject_share=0.5), serving())
    assert "5 units are staged already" in caplog.text
    assert (summary.resumed, summary.tagged, count(disk, "runs")) == (True, 2, 1)


def test_a_refused_run_does_not_stop_the_next_night(disk, caplog):
    images = fill(disk, 2)
    for n in range(4):
        images.write_bytes(f"{n}.txt", b"no picture")
    with pytest.raises(GateRefused):
        night.run(config(disk, max_reject_share=0.2), serving())
    fill(disk, 12)
    summary = night.run(config(disk, max_reject_share=0.2).model_copy(update={"date": None}), serving())
    assert "4 of 6 photos (66.7%) were rejected" in caplog.text and "Tonight's run takes up its photos" in caplog.text
    assert (summary.tagged, summary.rejected, count(disk, "runs"), count(disk, "current")) == (12, 4, 1, 12)
    assert summary.date > DAY and summary.finished_earlier == ()


def test_an_unfinished_run_whose_photos_were_moved_does_not_stop_the_next_night(disk, caplog):
    images = fill(disk, 12)
    with pytest.raises(GateRefused):
        night.run(config(disk, max_flagged_share=0.1), serving())
    remove_units(disk)  # as if it had been killed before any was staged
    for found in list(images.list_objects()):
        images.write_bytes(f"done/{found.key}", images.read_bytes(found.key))
        images.delete(found.key)
    summary = night.run(config(disk).model_copy(update={"date": None}), serving())
    assert "did not hand out 12 of 12 photos (100.0%; not_found 12)" in caplog.text
    assert (summary.tagged, summary.rejected, count(disk, "runs"), count(disk, "rejects")) == (12, 0, 1, 0)
    assert summary.date > DAY


def remove_units(root):
    units = root.child("work", *work_run_ids(root), "units")
    for stored in list(units.list_objects()):
        units.delete(stored.key)


def test_a_node_without_the_libraries_is_a_defect_that_says_so_and_no_outage(disk):
    fill(disk, 2)
    with pytest.raises(ray.exceptions.RayError, match="No module named 'tensorflow'"):
        night.run(config(disk), serving(load_without_libraries))


def test_one_bad_photo_of_a_small_night_is_a_reject_and_stops_nothing(disk):
    fill(disk, 2).write_bytes("a.txt", b"no picture")
    summary = night.run(config(disk, max_reject_share=0.2), serving())
    assert (summary.status, summary.tagged, summary.rejected) == ("committed", 2, 1)


def test_rows_that_break_promises_and_too_many_flags_commit_nothing(disk):
    fill(disk, 20)
    with pytest.raises(GateRefused, match=r"color_confidence is a number in \[0, 1\] \(not in 20 rows"):
        night.run(config(disk), serving(load_too_sure))
    assert count(disk, "runs") == 0
    remove_units(disk)
    with pytest.raises(GateRefused, match=r"10 of 20 photos \(50.0%\) need review.*0.2 allows \(low_focus 10\)"):
        night.run(config(disk, max_flagged_share=0.2), serving())
    assert count(disk, "runs") == 0
    summary = night.run(config(disk, max_flagged_share=0.5), serving())
    assert (summary.resumed, summary.tagged, summary.estimated_color_accuracy) == (True, 20, 0.75)
    sql = "select estimated_type_accuracy, estimated_type_accuracy_margin, warnings, drift from runs"
    told = {"estimated_type_accuracy": 1.0, "estimated_type_accuracy_margin": 0.0, "warnings": [], "drift": []}
    assert answer(disk, sql) == [told]


def killed_before_the_commit(disk, monkeypatch, update=None, **tag):
    """All units are staged, and that is all."""

    def killed(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(night, "check_ledger", killed)
    with pytest.raises(KeyboardInterrupt):
        night.run(config(disk, **tag).model_copy(update=update), serving())
    monkeypatch.undo()


def test_a_picture_that_kills_its_process_is_a_reject_and_its_neighbours_are_not(disk):
    fill(disk, 6).write_bytes("z.png", png(DEADLY))
    summary = night.run(config(disk), serving())
    assert (summary.status, summary.tagged, summary.rejected_by_reason) == ("committed", 6, {"inference_failed": 1})
    assert answer(disk, "select image_key, detail from rejects") == [
        {"image_key": "z.png", "detail": "RuntimeError: the process that tags died on it 2 times"}
    ]
    assert_verified(disk)


def test_where_actors_die_too_often_the_run_ends_and_the_next_start_rejects_the_picture(disk, monkeypatch):
    fill(disk, 6).write_bytes("z.png", png(DEADLY))
    monkeypatch.setattr("tagger.tag.pipeline.ACTOR_RESTARTS", 1)
    with pytest.raises(ClusterUnavailable, match="start the command again"):
        night.run(config(disk), serving())
    assert count(disk, "runs") == 0
    monkeypatch.undo()
    summary = night.run(config(disk), serving())
    assert (summary.resumed, summary.tagged, summary.rejected_by_reason) == (True, 6, {"inference_failed": 1})


def test_without_a_date_an_unfinished_run_is_resumed_and_then_comes_tonights(disk, monkeypatch):
    images = fill(disk, 6)
    images.write_bytes("z.png", png((9, 9, 9)))
    killed_before_the_commit(disk, monkeypatch, unit_size=3)
    assert count(disk, "runs") == 0
    images.write_bytes("z.png", png((5, 5, 5)))
    summary = night.run(config(disk, unit_size=3).model_copy(update={"date": None}), serving())
    [earlier] = answer(disk, f"select * from runs where date = date '{DAY}'")
    assert (earlier["tagged"], earlier["rejected"], summary.finished_earlier) == (7, 0, (earlier["run_id"],))
    assert summary.date > DAY and not summary.resumed
    assert (summary.tagged, summary.rejected, count(disk, "current")) == (1, 0, 7)  # the one that had changed
    assert_verified(disk)


def test_a_killed_run_that_redoes_everything_does_so_once(disk, monkeypatch):
    fill(disk, 3)
    night.run(config(disk), serving())
    images, again = disk.child("images"), {"retag": "all", "unit_size": 2, "batch_size": 1}
    images.write_bytes("z.png", png((9, 9, 9)))
    later = {"date": DAY + dt.timedelta(days=1)}
    killed_before_the_commit(disk, monkeypatch, later, **again)
    images.write_bytes("z.png", png((5, 5, 5)))
    summary = night.run(config(disk, **again).model_copy(update={"date": None}), serving())
    assert summary.resumed and summary.date == later["date"] and count(disk, "runs") == 2


class Unlocked(Lock):
    """A lock that everybody gets, as if its lease were lost."""

    is_held = True

    def __enter__(self):
        return self

    def check(self):
        """Nothing is wrong."""


def test_what_another_run_committed_meanwhile_is_not_tagged_twice(disk, monkeypatch):
    fill(disk, 3)
    finalise = Tables.finalise

    def overtaken(self, *arguments):
        monkeypatch.setattr(Tables, "finalise", finalise)
        night.run(config(disk).model_copy(update={"date": DAY + dt.timedelta(days=1)}), serving())
        return finalise(self, *arguments)

    monkeypatch.setattr("tagger.tag.claim.Lock", Unlocked)
    monkeypatch.setattr(Tables, "finalise", overtaken)
    with pytest.raises(DateLocked, match="Another run was committed since"):
        night.run(config(disk), serving())
    assert night.run(config(disk), serving()).status == "nothing new"
    assert (count(disk, "tags"), count(disk, "runs")) == (3, 1)


def test_a_night_without_photos_whose_folder_stays_does_not_hide_later_ones(disk, monkeypatch):
    fill(disk, 2)
    night.run(config(disk), serving())
    monkeypatch.setattr(night, "remove_work", lambda root, run_id: None)
    assert night.run(config(disk), serving()).status == "nothing new"
    disk.child("images").write_bytes("later.png", png((5, 5, 5)))
    assert night.run(config(disk), serving()).tagged == 1


def test_units_of_another_size_are_done_again(disk, monkeypatch):
    images = fill(disk, 6)
    images.write_bytes("z.png", png((9, 9, 9)))
    killed_before_the_commit(disk, monkeypatch, unit_size=3)
    for stored in list(disk.list_objects(f"work/{next(work_run_ids(disk))}/manifest/")):
        if stored.key.endswith("complete.json"):  # as after a death while photos were still being listed
            disk.delete(stored.key)
    images.write_bytes("z.png", png((5, 5, 5)))
    summary = night.run(config(disk, unit_size=2), serving())
    assert summary.resumed and (summary.tagged, summary.rejected) == (6, 1)
    assert_verified(disk)


def killed_in_the_commit(disk, monkeypatch, **tag):
    commit = Tables.commit

    def killed(self, name, *arguments):
        commit(self, name, *arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Tables, "commit", killed)
    with pytest.raises(KeyboardInterrupt):
        night.run(config(disk, **tag), serving())
    monkeypatch.undo()
    disk.child("images").write_bytes("tonight.png", png((5, 5, 5)))


def test_what_was_to_be_done_once_and_lacked_its_commit_alone_is_done(disk, monkeypatch):
    fill(disk, 3)
    killed_in_the_commit(disk, monkeypatch, retag="all")
    summary = night.run(config(disk, retag="all").model_copy(update={"date": None}), serving())
    assert (summary.date, summary.status, len(summary.finished_earlier)) == (DAY, "nothing new", 1)
    assert (count(disk, "tags"), count(disk, "runs")) == (3, 1)


def test_a_commit_begun_yesterday_is_completed_and_tonights_photos_are_tonights(disk, monkeypatch):
    fill(disk, 3)
    killed_in_the_commit(disk, monkeypatch)
    summary = night.run(config(disk).model_copy(update={"date": None}), serving())
    assert summary.date > DAY and summary.tagged == 1 and len(summary.finished_earlier) == 1
    assert answer(disk, "select date, tagged from runs order by date")[0] == {"date": DAY, "tagged": 3}


@pytest.mark.parametrize("last", ["rejects", "tags"])
def test_a_run_killed_between_two_commits_is_finished_by_the_next(disk, monkeypatch, last):
    fill(disk, 3).write_bytes("a.txt", b"no picture")
    commit = Tables.commit

    def killed(self, name, *arguments):
        commit(self, name, *arguments)
        if name == last:
            raise KeyboardInterrupt

    monkeypatch.setattr(Tables, "commit", killed)
    with pytest.raises(KeyboardInterrupt):
        night.run(config(disk), serving())
    assert (count(disk, "tags"), count(disk, "rejects"), count(disk, "runs")) == (0, 0, 0)
    monkeypatch.undo()
    summary = night.run(config(disk), serving())
    assert summary.status == "nothing new" and len(summary.finished_earlier) == 1
    assert (count(disk, "tags"), count(disk, "rejects"), count(disk, "runs")) == (3, 1, 1)
    assert_verified(disk)


def test_an_error_of_a_worker_keeps_its_class_and_words(disk):
    fill(disk, 3)
    with pytest.raises(StorageUnavailable, match="The bundle's storage is away."):
        night.run(config(disk), serving(load_nothing))


def test_a_plan_too_large_for_the_cluster_is_refused_at_once(disk):
    fill(disk, 3)
    with pytest.raises(ClusterUnavailable, match="has 2 CPUs; the plan needs 3"):
        night.run(config(disk, actors=2), serving())
