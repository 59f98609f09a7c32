import json
import logging
import math
import threading

import pytest

from tagger.errors import DateLocked
from tagger.tag import progress as module
from tagger.tag.progress import Progress, Rates, Worked


def row(tagged=2, rejected=None, residual=math.nan):
    reasons = json.dumps(rejected or {})
    return {"tagged": tagged, "rejected_by_reason": reasons, "seconds": json.dumps({"tag": 0.5}), "residual": residual}


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def test_staged_units_add_up():
    worked = Worked(planned=20, is_planned=True, staged_before=10)
    for residual in (math.nan, 2e-6, 1e-6):
        worked.add(row(rejected={"empty": 1}, residual=residual))
    assert (worked.tagged, worked.rejected, worked.done, worked.seconds) == (6, 3, 19, {"tag": 1.5})
    assert (worked.max_logit_residual, worked.rejected_by_reason) == (2e-6, {"empty": 3})


def test_a_run_that_may_not_go_on_ends_with_the_next_staged_unit():
    def lost():
        raise DateLocked("another run took it over")

    worked = Worked(may_go_on=lost)
    with pytest.raises(DateLocked):
        worked.add(row())
    assert worked.tagged == 2  # it is staged all the same


def test_progress_is_a_line_an_interval_and_promises_nothing_before_it_can_be_known(clock, caplog):
    worked = Worked(planned=100, is_planned=True)
    progress = Progress("run", worked, clock)
    with caplog.at_level(logging.INFO, "tagger"):
        for second in range(1, 31):
            clock.now_s = float(second)
            if second > 5:  # the networks load until then
                worked.add(row())
            progress.look()
    assert caplog.messages == [
        "10 of 100 photos, 0:10 so far",
        "30 of 100 photos, 2.0 photos/s, 0:35 left, 0:20 so far",
        "50 of 100 photos, 2.0 photos/s, 0:25 left, 0:30 so far",
    ]


def test_the_queue_is_what_was_handed_out_and_is_not_staged(clock):
    worked = Worked(planned=1000, handed_out=5)
    progress = Progress("run", worked, clock)
    worked.add(row())
    worked.add(row())
    assert (progress.facts()["units"], progress.facts()["queued_units"]) == (2, 3)
    worked.handed_out += 4
    assert progress.facts()["queued_units"] == 7


def test_rejects_are_told_by_reason(clock):
    worked = Worked(planned=1200, is_planned=True, staged_before=1000)
    worked.add(row(2, {"empty": 1, "truncated": 3}))
    progress = Progress("run", worked, clock)
    assert progress.line() == "1,006 of 1,200 photos, 4 rejected (truncated 3, empty 1), 0:00 so far"
    assert progress.facts()["rejected"] == {"empty": 1, "truncated": 3}


def test_while_planning_goes_on_the_total_is_a_least_and_there_is_no_time_left(clock):
    worked = Worked(planned=100, is_planned=False)
    progress = Progress("run", worked, clock)
    for second in range(30):
        clock.now_s = float(second)
        worked.add(row())
        progress.look()
    assert progress.line() == "60 of at least 100 (still planning) photos, 2.0 photos/s, 0:29 so far"
    assert progress.facts()["eta_s"] is None
    worked.is_planned = True
    assert progress.facts()["eta_s"] == 20


def test_the_rate_is_of_the_last_minute_and_the_time_left_of_a_longer_while():
    rates = Rates()
    for second in range(1200):
        rates.look(float(second), second * 10 if second < 1100 else 11_000 + (second - 1100) * 4)
    assert rates.over(60) == pytest.approx(4.0)
    assert 8 < rates.over(600) < 10


def test_a_pipeline_that_stands_still_has_a_rate_of_zero_and_no_time_left(clock):
    worked = Worked(planned=100, is_planned=True)
    progress = Progress("run", worked, clock)
    worked.add(row())
    for second in range(700):
        clock.now_s = float(second)
        progress.look()
    facts = progress.facts()
    assert (facts["photos_per_s"], facts["eta_s"]) == (0.0, None)


def test_the_run_is_told_at_its_beginning_in_between_and_at_its_end(monkeypatch, caplog):
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(module, "LINE_EVERY_S", 0.02)
    worked = Worked(planned=2, is_planned=True)
    with caplog.at_level(logging.INFO, "tagger"), Progress("run-1", worked).told():
        threading.Event().wait(0.2)
        worked.add(row())
    assert caplog.messages[0].startswith("0 of 2 photos") and caplog.messages[-1].startswith("2 of 2 photos")
    assert len(caplog.messages) > 3
    first, last = caplog.records[0], caplog.records[-1]
    assert first.live().startswith("2 of 2 photos") and last.live is None
    assert {name: last.fields[name] for name in ("run_id", "stage", "done", "total")} == {
        "run_id": "run-1", "stage": "tag", "done": 2, "total": 2,
    }  # fmt: skip
