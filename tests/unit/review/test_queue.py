import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.config import ReviewConfig
from tagger.errors import BadInput
from tagger.review.queue import Queue, committed_night, committed_nights, queue_limit, review_queue, within_limit
from tagger.storage import Root, open_root
from tagger.tables.store import Tables
from tests.tables_rows import DAY, NOON, commit_unit, tag, unit

LATER = DAY + dt.timedelta(days=1)


@pytest.fixture
def root(tmp_path) -> Root:
    return open_root(str(tmp_path / "shop"))


def flagged(key: str, risk: float | None, *reasons: str, **values: object) -> dict[str, object]:
    return tag(key, risk=risk, needs_review=True, review_reasons=list(reasons or ["low_focus"]), **values)


def keys(queue: Queue) -> list[str]:
    return [row["image_key"] for row in queue.items]


@pytest.mark.parametrize(
    ("minutes", "seconds_per_item", "limit"),
    [(None, 12, None), (30, 12, 150), (0.7, 6, 7), (0.1, 12, 0), (1, 7, 8)],
)
def test_minutes_become_items_rounded_down(minutes, seconds_per_item, limit):
    assert queue_limit(ReviewConfig(minutes=minutes, seconds_per_item=seconds_per_item)) == limit


def test_the_queue_is_what_needs_review_the_riskiest_first(root):
    rows = [flagged("b", 0.5), flagged("c", 0.9), flagged("a", 0.5), flagged("d", None), tag("e", risk=1.0)]
    commit_unit(Tables(root), "r1", unit(rows))
    queue = review_queue(root, DAY, None)
    assert keys(queue) == ["c", "a", "b", "d"] and (queue.flagged, queue.audit) == (4, 0)


def test_nights_are_told_oldest_first_with_their_runs_and_each_has_its_own_queue(root):
    commit_unit(Tables(root), "r2", unit([flagged("b", 0.5, date=LATER, run_id="r2")]), date=LATER)
    commit_unit(Tables(root), "r1", unit([flagged("a", 0.5)]))
    commit_unit(Tables(root), "r3", unit([flagged("c", 0.4, run_id="r3")]))
    told = [(night.date, night.run_ids) for night in committed_nights(root)]
    assert told == [(DAY, {"r1", "r3"}), (LATER, {"r2"})]
    assert keys(review_queue(root, DAY, None)) == ["a", "c"] and keys(review_queue(root, LATER, None)) == ["b"]


@pytest.mark.parametrize(("days", "is_recent"), [(0, True), (14, True), (15, False)])
def test_a_night_is_recent_by_when_its_last_run_was_finished_and_not_by_its_date(root, days, is_recent):
    old = DAY - dt.timedelta(days=90)
    commit_unit(Tables(root), "r1", unit(), date=old, finished_at=NOON - dt.timedelta(days=80))
    commit_unit(Tables(root), "r2", unit(), date=old, finished_at=NOON - dt.timedelta(days=days))
    commit_unit(Tables(root), "r3", unit())
    assert [night.is_recent for night in committed_nights(root)] == [is_recent, True]


def test_a_run_that_is_not_committed_is_not_reviewed(root):
    tables = Tables(root)
    commit_unit(tables, "r1", unit([flagged("a", 0.5)]))
    files = tables.finalise("r2", DAY, [unit([flagged("b", 0.9, run_id="r2")])])
    tables.commit("tags", "r2", files.tags)
    assert keys(review_queue(root, DAY, None)) == ["a"] and committed_night(root, DAY).run_ids == {"r1"}


def test_an_image_tagged_twice_in_a_night_is_judged_by_its_newer_tag(root):
    commit_unit(Tables(root), "r1", unit([flagged("a", 0.9), flagged("b", 0.8), tag("c")]))
    again = {"run_id": "r2", "tagged_at": NOON + dt.timedelta(hours=1)}
    commit_unit(Tables(root), "r2", unit([tag("a", **again), flagged("b", 0.2, **again), flagged("c", 0.3, **again)]))
    queue = review_queue(root, DAY, None)
    assert [(row["image_key"], row["run_id"]) for row in queue.items] == [("c", "r2"), ("b", "r2")]


def test_the_limit_leaves_the_audit_sample_whole(root):
    rows = [flagged("a", 0.9), flagged("b", 0.8), flagged("c", 0.7, "low_focus", "audit"), flagged("d", 0.1, "audit")]
    commit_unit(Tables(root), "r1", unit(rows))
    assert keys(review_queue(root, DAY, 3)) == ["a", "c", "d"]
    beyond = review_queue(root, DAY, 1)
    assert keys(beyond) == ["c", "d"] and (beyond.flagged, beyond.audit) == (4, 2)


@given(st.lists(st.booleans(), max_size=20), st.integers(0, 25))
def test_a_limit_takes_all_audit_items_and_the_first_of_the_others(is_audit, limit):
    rows = [{"review_reasons": ["audit" if audit else "low_focus"], "n": n} for n, audit in enumerate(is_audit)]
    kept = within_limit(rows, limit)
    others = [row for row in rows if row["review_reasons"] != ["audit"]]
    room = max(0, limit - sum(is_audit))
    assert [row for row in kept if row["review_reasons"] == ["audit"]] == [row for row in rows if row not in others]
    assert [row for row in kept if row in others] == others[:room]
    assert [row["n"] for row in kept] == sorted(row["n"] for row in kept)
    assert within_limit(rows, None) == rows


def test_a_root_without_nights_is_told(root):
    with pytest.raises(BadInput, match="shop has no committed night, so there is nothing to review"):
        committed_nights(root)


def test_a_night_that_is_not_there_is_told_with_those_that_are(root):
    commit_unit(Tables(root), "r1", unit())
    with pytest.raises(BadInput, match=r"no committed night 2026-11-23\. The newest are: 2026-11-22\."):
        committed_night(root, LATER)


def test_maps_are_not_read_into_the_queue(root):
    commit_unit(Tables(root), "r1", unit([flagged("a", 0.5, color_cam=bytes(64))]))
    assert "color_cam" not in review_queue(root, DAY, None).items[0]
