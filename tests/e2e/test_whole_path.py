"""Labels to answers on an S3 server and a real Ray cluster, through `ray job submit` as users type it."""

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import psutil
import pytest
from moto.server import ThreadedMotoServer

from tagger.catalog.synth.writer import write_catalogue
from tagger.storage import open_root

REPOSITORY = Path(__file__).parents[2]
TYPES, COLORS = ("T-Shirt", "Jeans", "Handbag", "Watch"), ("Black", "White", "Red", "Blue")
DATE = "2026-11-22"
SMALL = ["train.width=0.06", "train.batch_size=16", "train.epochs_type=2", "train.epochs_color=1"]
SYNTH = ["catalog.ignore_columns=[background,pose]", "catalog.min_per_class=1"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def beside_python(command: str) -> str:
    return str(Path(sys.executable).parent / command)


@pytest.fixture(scope="module")
def environment():
    """AWS variables of a real HTTP S3 server, for this process and everything it starts."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}.items():
            patch.setenv(f"AWS_{name}", value)
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).create_bucket(Bucket="shop")
        yield dict(os.environ)
    server.stop()


@pytest.fixture(scope="module")
def cluster(environment, tmp_path_factory):
    """`ray start --head` on this machine; yields the address for `ray job submit`."""
    dashboard = free_port()
    command = [beside_python("ray"), "start", "--head", "--block", "--disable-usage-stats", "--num-cpus", "2"]
    command += ["--object-store-memory", str(400 * 2**20), "--port", str(free_port())]
    command += ["--dashboard-host", "127.0.0.1", "--dashboard-port", str(dashboard)]
    # Other Rays may run on this machine, and the agent that starts jobs has a fixed port by default.
    command += ["--dashboard-agent-listen-port", str(free_port())]
    log = tmp_path_factory.mktemp("cluster") / "ray.log"
    with log.open("w") as output:
        head = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{dashboard}"
    try:
        wait_until_it_takes_jobs(address, environment, log)
        yield address
    finally:
        # Asked to end, the head waits half a minute for its processes.
        of_ours = [*psutil.Process(head.pid).children(recursive=True), psutil.Process(head.pid)]
        for each in of_ours:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()
        head.wait(60)
        psutil.wait_procs(of_ours, 10)


def wait_until_it_takes_jobs(address: str, environment: dict[str, str], log: Path) -> None:
    """The dashboard listens some seconds before an agent can start jobs, so an empty job is the only honest probe."""
    for _ in range(20):
        if submit(address, environment, "-c", "pass").returncode == 0:
            return
        time.sleep(3)
    raise AssertionError(log.read_text())


def submit(cluster: str, environment: dict[str, str], *job: str) -> subprocess.CompletedProcess:
    command = [beside_python("ray"), "job", "submit", "--address", cluster, "--working-dir", str(REPOSITORY), "--"]
    return subprocess.run(
        [*command, sys.executable, *job], env=environment, capture_output=True, text=True, timeout=600
    )


def tagger(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [beside_python("tagger"), *arguments], env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module")
def trained(cluster, environment):
    """A shop on S3, trained on with two workers by `ray job submit`."""
    write_catalogue(open_root("s3://shop/a"), 260, 1, types=TYPES, colors=COLORS)
    write_catalogue(open_root("s3://shop/night"), 24, 2, types=TYPES, colors=COLORS)
    open_root("s3://shop/night").write_bytes("images/broken.jpg", b"\xff\xd8\xff\xe0 no photo")
    done = submit(cluster, environment, "jobs/train.py", "root=s3://shop/a", "train.workers=2", *SMALL, *SYNTH)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def tagged(trained, cluster, environment):
    """The night's photos, tagged by `ray job submit`, twice."""
    night = ["root=s3://shop/a", "images=s3://shop/night/images", "model=tagger", f"date={DATE}"]
    runs = [submit(cluster, environment, "jobs/tag.py", "--format", "json", *night) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], "".join(run.stdout + run.stderr for run in runs)
    return runs


def rows(environment: dict[str, str], sql: str) -> list[dict]:
    return json.loads(tagger(environment, "query", "root=s3://shop/a", "--format", "json", sql).stdout)


@pytest.mark.timeout(900)
def test_training_writes_a_promoted_bundle_with_both_stages_on_two_workers(trained):
    assert "exit code 0: done" in trained
    models = open_root("s3://shop/a/models/tagger")
    version = json.loads(models.read_bytes("production.json"))["version"]
    info = json.loads(models.read_bytes(f"{version}/bundle.json"))
    assert [(row["stage"], row["epoch"]) for row in info["provenance"]["history"]] == [
        ("type", 1),
        ("type", 2),
        ("color", 1),
    ]
    assert set(info["digests"]) == {"type.keras", "color.keras", "reference.json", "MODEL_CARD.md"}


@pytest.mark.timeout(900)
def test_every_listed_photo_is_one_row_and_a_second_run_adds_nothing(tagged, environment):
    counts = rows(environment, "select (select count(*) from tags) t, (select count(*) from rejects) r, "
                               "(select count(*) from runs) n, (select max(listed) from runs) l")  # fmt: skip
    assert counts == [{"t": 24, "r": 1, "n": 1, "l": 25}]
    assert '"nothing new"' in tagged[1].stdout
    assert rows(environment, "select reason from rejects") == [{"reason": "truncated"}]


@pytest.mark.timeout(900)
def test_rows_keep_their_promises(tagged, environment):
    [worst] = rows(
        environment,
        "select min(type_confidence) > 0 p, max(color_confidence) <= 1 q, count(*) filter (focus is null and "
        "focus_null_reason is null) unexplained, min(octet_length(type_cam)) cam, min(octet_length(product_mask)) mask "
        "from tags",
    )
    assert worst == {"p": True, "q": True, "unexplained": 0, "cam": 64, "mask": 128}
    [record] = rows(environment, "select max_logit_residual r from runs")
    assert record["r"] < 1e-4


@pytest.mark.timeout(900)
def test_the_other_commands_work_on_what_the_jobs_wrote(tagged, environment, tmp_path):
    verified = tagger(environment, "verify", "root=s3://shop/a", f"date={DATE}")
    assert verified.returncode == 0 and "WRONG" not in verified.stdout, verified.stdout + verified.stderr
    exported = tagger(environment, "review", "export", "root=s3://shop/a", "images=s3://shop/night/images")
    assert exported.returncode == 0, exported.stderr
    [flagged] = rows(environment, "select count(*) n from tags where needs_review")
    queue = open_root("s3://shop/a").read_bytes(f"review/{DATE}/queue.jsonl").decode().splitlines()
    assert len(queue) == flagged["n"]
    photo = tmp_path / "photo.jpg"
    key = rows(environment, "select image_key k from tags where format = 'JPEG' limit 1")[0]["k"]
    photo.write_bytes(open_root("s3://shop/night/images").read_bytes(key))
    model = ["root=s3://shop/a", "model=tagger"]
    explained = tagger(environment, "explain", str(photo), *model, "--out", str(tmp_path / "explained.png"))
    assert explained.returncode == 0 and (tmp_path / "explained.png").stat().st_size > 10_000, explained.stderr
    local = tagger(environment, "tag", str(photo), *model, "--format", "json")
    [same] = rows(environment, f"select type, color from tags where image_key = '{key}'")
    assert [{"type": row["type"], "color": row["color"]} for row in json.loads(local.stdout)] == [same]


@pytest.mark.timeout(900)
def test_a_failed_job_says_its_exit_code_in_words(cluster, environment):
    done = submit(cluster, environment, "jobs/tag.py", "root=s3://no-such-bucket/a", "model=tagger", f"date={DATE}")
    assert done.returncode == 1  # Ray's own, whatever the job's was
    assert "The bucket 'no-such-bucket' does not exist" in done.stdout + done.stderr
    assert "exit code 2: usage or configuration" in done.stdout + done.stderr
