"""What Prometheus scrapes of a real nightly run: the numbers of its row in `runs`."""

import contextlib
import io
import re
import socket
import time
import urllib.error
import urllib.request
from collections import defaultdict

import pytest
import ray
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from tagger.config import Config, TagConfig
from tagger.picture.fit import Fit
from tagger.storage import open_root
from tagger.tag import night
from tagger.tag.metrics import MEASURES
from tagger.tag.progress import Progress, Worked
from tests.e2e.slow_night import DAY, load

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.timeout(900)]


GAUGES = {f"ray_{name}" for name, measure in MEASURES.items() if measure.kind == "gauge"}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def port():
    """The metrics port of a Ray that reports each half second."""
    chosen = free_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            "local", num_cpus=2, object_store_memory=200 * 2**20, include_dashboard=False, logging_level="error",
            _metrics_export_port=chosen, _system_config={"metrics_report_interval_ms": 500},
        )  # fmt: skip
        yield chosen
        ray.shutdown()


def scraped(port: int) -> dict[tuple[str, str], float]:
    """(metric, value of its own label) -> sum over the processes that report it, of this product's metrics."""
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = "\n".join(re.findall(r"^.*ray_tagger_.*$", answer.read().decode(), re.MULTILINE)) + "\n"
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            own = next(
                (sample.labels[name] for name in ("reason", "stage", "state", "run_id") if name in sample.labels), ""
            )
            sums[sample.name, own] += sample.value
    return sums


def scraped_until(port: int, name: str, own: str, value: float) -> dict[tuple[str, str], float]:
    """What is scraped once this series has this value, or after half a minute."""
    found: dict[tuple[str, str], float] = {}
    for _ in range(60):
        with contextlib.suppress(urllib.error.URLError):  # the exporter may come up after Ray
            found = scraped(port)
        if found.get((name, own)) == value:
            break
        time.sleep(0.5)
    return found


def test_a_run_counts_what_its_record_says(port, tmp_path):
    root = open_root(str(tmp_path))
    for n in range(10):
        picture = io.BytesIO()
        Image.new("RGB", (40, 30), (250, 250, 250) if n % 2 else (5, 5, 5)).save(picture, "PNG")
        root.write_bytes(f"images/{n}.png", picture.getvalue())
    root.write_bytes("images/notes.txt", b"no picture")
    tag = TagConfig(unit_size=4, batch_size=2, decode_children=1, max_reject_share=0.5)
    summary = night.run(Config(root=root.uri, date=DAY, tag=tag), night.Serving("0.02", "slow", "v1", Fit(), load))

    found = scraped_until(port, "ray_tagger_units_staged_total", "", 3)
    assert found["ray_tagger_units_staged_total", ""] == 3
    assert found["ray_tagger_photos_tagged_total", ""] == summary.tagged == 10
    assert found["ray_tagger_photos_rejected_total", "not_an_image"] == 1
    assert found["ray_tagger_photos_flagged_total", "low_focus"] == summary.flagged == 5
    assert found["ray_tagger_downloaded_bytes_total", ""] == sum(o.size_bytes for o in root.list_objects("images/"))
    for stage, seconds in summary.seconds_per_stage.items():
        assert found["ray_tagger_stage_seconds_total", stage] == pytest.approx(seconds, rel=1e-4)
    assert found["ray_tagger_batch_seconds_count", ""] == 5  # 4, 4 and 2 pictures, two at a time
    counted = {re.sub("_(total|count|sum|bucket)$", "", name) for name, _ in found} - GAUGES
    assert counted == {f"ray_{name}" for name in MEASURES} - GAUGES


def test_gauges_are_there_while_a_run_works(port):
    worked = Worked(planned=11, staged_before=4)
    with Progress("20261122-00000000-001", worked).told():
        found = scraped_until(port, "ray_tagger_run_photos", "staged", 4)
    assert found["ray_tagger_run_info", "20261122-00000000-001"] == 1
    assert (found["ray_tagger_run_photos", "planned"], found["ray_tagger_run_photos", "staged"]) == (11, 4)
