import json
import logging
import math

from tagger.tag.progress import Progress, Worked


def row(tagged=2, rejected=1, residual=math.nan):
    return {"tagged": tagged, "rejected": rejected, "seconds": json.dumps({"tag": 0.5}), "residual": residual}


def test_staged_units_add_up():
    worked = Worked()
    for residual in (math.nan, 2e-6, 1e-6):
        worked.add(row(residual=residual))
    assert (worked.tagged, worked.rejected, worked.seconds) == (6, 3, {"tag": 1.5})
    assert worked.max_logit_residual == 2e-6


def test_progress_is_one_line_an_interval(caplog):
    now = [0.0]
    worked = Worked()
    progress = Progress(100, worked, clock=lambda: now[0])
    with caplog.at_level(logging.INFO, "tagger"):
        for second in range(1, 21):
            now[0] = float(second)
            worked.add(row(tagged=2, rejected=0))
            progress.tell()
    assert caplog.messages == [
        "20 of 100 photos, 2.0 photos/s, 0 rejected, 40 s left",
        "40 of 100 photos, 2.0 photos/s, 0 rejected, 30 s left",
    ]
