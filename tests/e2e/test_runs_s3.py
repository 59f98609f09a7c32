"""Looking after runs on an S3 server: abort, vacuum, compaction and proof."""

import datetime as dt

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tagger.storage import open_root
from tagger.tag.history import list_runs, show_run
from tagger.tag.upkeep import abort_run, compact_date
from tagger.tag.vacuum import vacuum
from tagger.tag.verify import verify
from tests.runs_made import begin, commit, finalise, run_id_of, stage
from tests.tables_rows import DAY


@pytest.fixture
def root(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="catalogue")
    yield open_root("s3://catalogue/shop")
    server.stop()


def keys(root, prefix):
    return {stored.key for stored in root.list_objects(prefix)}


def test_runs_are_given_up_vacuumed_compacted_and_proven(root):
    for number in (1, 2):
        commit(root, run_id_of(number))
    held = keys(root, "tables/tags/date=")
    stage(root, begin(root, 3))
    finalise(root, run_id_of(3))
    assert abort_run(root, run_id_of(3), 0).status == "aborted"
    assert [run.status for run in list_runs(root)] == ["aborted", "committed", "committed"]
    assert show_run(root, run_id_of(3))["lease"] == "nobody holds 2026-11-22"

    # S3 tells times in whole seconds: an hour from now everything is old enough.
    gone = {(each.kind, each.run_id, len(each.keys)) for each in vacuum(root, dt.timedelta(hours=-1))}
    assert gone == {
        ("work", run_id_of(1), 1), ("work", run_id_of(2), 1),
        ("table files", run_id_of(3), 2), ("work", run_id_of(3), 2),
    }  # fmt: skip
    assert keys(root, "tables/tags/date=") == held and len(list_runs(root)) == 2

    gained = {each.table: (each.files_before, each.files_after) for each in compact_date(root, DAY, 0)}
    assert gained == {"tags": (2, 1), "rejects": (2, 1), "runs": (2, 1)}
    assert vacuum(root, dt.timedelta(hours=-1)) == [] and held < keys(root, "tables/tags/date=")
    assert all(finding.verdict == "ok" for finding in verify(root, DAY))
