"""SIGTERM and SIGINT to a real nightly run on an embedded Ray: it ends in time, frees the date, and goes on later."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PIL import Image

from tagger.storage import Root, open_root
from tagger.tables.query import run_query
from tagger.tag.verify import verify
from tests.e2e.slow_night import DAY

CHECKOUT = Path(__file__).parents[2]
PHOTOS = 24
RAY_KILLS_AFTER_S = 3.0
ROWS = "select image_key, color, focus from tags union all select image_key, reason, null from rejects order by 1"

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


class Night:
    """The command, started as often as it takes. pause_s: what a batch of 4 photos takes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, open_root(str(folder))
        for n in range(PHOTOS):
            picture = io.BytesIO()
            Image.new("RGB", (40, 30), (250, 250, 250) if n % 2 else (5, 5, 5)).save(picture, "PNG")
            self.root.write_bytes(f"images/{n:02}.png", picture.getvalue())
        self.root.write_bytes("images/notes.txt", b"no picture")

    def start(self, pause_s: float) -> subprocess.Popen:
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "RAY_USAGE_STATS_ENABLED": "0"}
        command = [sys.executable, "-m", "tests.e2e.slow_night", self.root.uri, str(pause_s)]
        return subprocess.Popen(
            command, cwd=CHECKOUT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def stop_at(self, is_time: Callable[[], bool], *numbers: signal.Signals) -> tuple[int, str, float]:
        """Signal a slow run when it is time: exit code, standard error, seconds from the first signal to the end."""
        process = self.start(1.0)
        while not is_time():
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.02)
        started = psutil.Process(process.pid).children(recursive=True)
        since = time.monotonic()
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.02)
        _, errors = process.communicate(timeout=60)
        seconds = time.monotonic() - since
        _, left = psutil.wait_procs(started, timeout=180)  # Ray's agents try for a minute to tell the end to nobody
        assert not left, f"Ray's processes outlive the command: {left}"
        return process.returncode, errors, seconds

    def finish(self) -> tuple[int, str]:
        """Run to the end: exit code and standard output."""
        process = self.start(0.0)
        out, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        return process.returncode, out

    def staged(self) -> int:
        return len(list(self.folder.glob("work/2*/units/*.parquet")))

    def rows(self) -> list[dict]:
        return run_query(self.root, ROWS).to_pylist()


def lease(root: Root) -> dict:
    newest = max(found.key for found in root.list_objects("work/locks/"))
    return json.loads(root.read_bytes(newest))


@pytest.mark.parametrize(
    ("numbers", "code"),
    [((signal.SIGTERM,), 143), ((signal.SIGINT,), 130), ((signal.SIGTERM, signal.SIGTERM), 143)],
    ids=["SIGTERM", "SIGINT", "SIGTERM twice"],
)
def test_a_stopped_run_frees_the_date_in_time_and_ends_as_if_undisturbed(tmp_path, numbers, code):
    night = Night(tmp_path)
    returned, errors, seconds = night.stop_at(lambda: night.staged() >= 2, *numbers)
    assert returned == code and seconds < RAY_KILLS_AFTER_S, errors
    assert "Traceback" not in errors and lease(night.root)["released"]
    sentence, last = errors.splitlines()[-3], errors.splitlines()[-1]
    assert sentence == (
        f"tagger: stopped by {numbers[0].name}. Nothing staged is lost: start the same command again, and the run "
        "goes on from there."
    )
    assert last.startswith(f"tagger: exit code {code}: ")
    staged, tables = night.staged(), run_query(night.root, "select * from runs").num_rows
    assert 2 <= staged < 7 and tables == 0

    assert night.finish()[1].split()[-2:] == ["committed", str(PHOTOS)]
    expected = [(f"{n:02}.png", "White" if n % 2 else "Black", 0.5) for n in range(PHOTOS)]
    assert [tuple(row.values()) for row in night.rows()] == [*expected, ("notes.txt", "not_an_image", None)]
    assert all(finding.is_ok for finding in verify(night.root, DAY))
