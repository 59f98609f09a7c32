"""The jobs under the policies of deploy/iam, on an S3 server that enforces them: enough for the work, and not more."""

import datetime as dt
import json
import logging
import os
import subprocess
import sys

import boto3
import pytest
from botocore.exceptions import ClientError

from tagger.catalog.synth.writer import write_catalogue
from tagger.storage import open_root
from tagger.tag.runs import RunIdentity, RunState, save_state
from tests.e2e.iam_server import ADMIN, GuardedServer, shipped_policies

ROOT = "s3://shop/a"
DATE = "2026-11-22"
SYNTH = ["catalog.ignore_columns=[background,pose]", "catalog.min_per_class=1"]
SMALL = ["train.width=0.06", "train.batch_size=16", "train.epochs_type=1", "train.epochs_color=1"]
POLICIES = shipped_policies("shop", "a")
BEGUN = RunState(
    "20261121-00000000-001",
    RunIdentity(dt.date(2026, 11, 21), "tagger", "older", "0" * 16),
    dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
    "none",
)
"""A run that somebody will give up."""
SECRET, TOKEN = "sEcReTaCcEsSkEy", "sEsSiOnToKeN"

WHEN_NEEDED = {
    ("train", "AbortUploads", "s3:AbortMultipartUpload"),  # an upload that fails
    ("train", "DeleteWork", "s3:DeleteObject"),  # the third checkpoint of a stage
    ("tag", "DeleteExpiredLogs", "s3:DeleteObject"),  # every hundredth commit; shown below
}
"""What an ordinary night does not use."""


@pytest.fixture(scope="module")
def server():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # `old` may do what `tag` may, for a root of its own.
    with (
        GuardedServer(POLICIES | {"old": shipped_policies("shop", "old")["tag"]}) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        known = {"SECRET_ACCESS_KEY": SECRET, "SESSION_TOKEN": TOKEN, "REGION": "us-east-1"}
        known |= {"EC2_METADATA_DISABLED": "true"}
        for name, value in (known | {"ENDPOINT_URL": server.url, "ACCESS_KEY_ID": ADMIN}).items():
            patch.setenv(f"AWS_{name}", value)
        boto3.client("s3", endpoint_url=server.url).create_bucket(Bucket="shop")
        yield server


def run_as(policy: str, *arguments: str) -> subprocess.CompletedProcess:
    """A command with the credentials of one policy, which it must not repeat."""
    code = "import sys; from tagger.cli import main; main(sys.argv[1:])"
    done = python_as(policy, code, *arguments, "--verbose")
    assert SECRET not in done.stdout + done.stderr and TOKEN not in done.stdout + done.stderr
    return done


def run_until_it_answers(policy: str, *arguments: str) -> subprocess.CompletedProcess:
    """Exit code 5 says to start again: a busy machine may not start Ray within the 30 s that Ray allows itself."""
    for _ in range(5):
        done = run_as(policy, *arguments)
        if done.returncode != 5:
            break
    return done


def python_as(policy: str, code: str, *arguments: str) -> subprocess.CompletedProcess:
    """A process of its own, since clients keep the credentials that they started with."""
    environment = os.environ | {"AWS_ACCESS_KEY_ID": policy}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True, timeout=900
    )


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_every_job_works_with_its_own_policy_and_uses_all_of_it(server):
    write_catalogue(open_root(ROOT), 120, 1, types=("T-Shirt", "Jeans"), colors=("Black", "White"))
    save_state(open_root(ROOT), BEGUN)
    night = [f"root={ROOT}", "model=tagger", f"date={DATE}"]
    for policy, *arguments in [
        ("train", "train", f"root={ROOT}", *SMALL, *SYNTH),
        ("tag", "tag", *night),
        ("tag", "tag", *night),
        ("review", "review", "export", f"root={ROOT}"),
        ("review", "review", "export", f"root={ROOT}"),
        ("review", "review", "export", f"root={ROOT}", f"date={DATE}"),
        ("evaluate", "evaluate", f"root={ROOT}", "model=tagger", "evaluate.split=all", *SYNTH),
        ("query", "query", f"root={ROOT}", "--format", "json", "select count(*) n from tags"),
        ("query", "verify", f"root={ROOT}", f"date={DATE}"),
        ("tag", "runs", "list", f"root={ROOT}"),
        ("upkeep", "runs", "list", f"root={ROOT}"),
        ("upkeep", "runs", "abort", BEGUN.run_id, f"root={ROOT}"),
        ("upkeep", "runs", "show", BEGUN.run_id, f"root={ROOT}"),
        ("upkeep", "runs", "compact", f"root={ROOT}", f"date={DATE}"),
        ("upkeep", "runs", "vacuum", f"root={ROOT}", "--grace-hours=0"),
    ]:
        done = run_until_it_answers(policy, *arguments)
        assert done.returncode == 0, (policy, arguments, done.stdout, done.stderr, server.guard.refused)
        if arguments[0] == "query":
            assert json.loads(done.stdout) == [{"n": 120}]
    for stored in open_root("s3://shop").list_objects():
        data = open_root("s3://shop").read_bytes(stored.key)
        assert SECRET.encode() not in data and TOKEN.encode() not in data, stored.key
    granted = {
        (name, each["Sid"], action)
        for name, policy in POLICIES.items()
        for each in policy["Statement"]
        for action in ([each["Action"]] if isinstance(each["Action"], str) else each["Action"])
    }
    assert granted - server.guard.used <= WHEN_NEEDED


def test_a_command_that_lacks_a_permission_says_which_place_is_closed(server):
    done = run_as("evaluate", "query", f"root={ROOT}", "select 1")
    assert done.returncode == 2 and f"Not allowed to list {ROOT} (AccessDenied)." in done.stderr
    assert "Traceback" in done.stderr


def test_old_logs_of_a_table_can_be_deleted_by_those_who_write_it(server):
    code = """
from deltalake import DeltaTable
from tagger.storage import open_root
from tagger.tables.store import Tables
from tests.tables_rows import commit_unit, tag, unit
root = open_root("s3://shop/old")
assert all(commit_unit(Tables(root), run_id, unit([tag("a", run_id)])) for run_id in ("r1", "r2"))
uri, options = root.child("tables", "tags").delta()
table = DeltaTable(uri, storage_options=options)
table.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 seconds"})
table.create_checkpoint()
table.cleanup_metadata()
"""
    done = python_as("old", code)
    assert done.returncode == 0, (done.stderr, server.guard.refused)
    assert ("old", "DeleteExpiredLogs", "s3:DeleteObject") in server.guard.used


@pytest.mark.parametrize(
    ("policy", "key", "status"),
    [
        ("query", "tables/none", 404),
        ("query", "images/none", 403),  # not even whether it exists
        ("review", "images/none", 403),
        ("review", "review/none", 404),
        ("evaluate", "work/none", 403),
    ],
)
def test_whether_an_object_exists_is_told_to_those_alone_who_may_list_it(server, policy, key, status):
    client = boto3.Session(policy, SECRET, TOKEN, region_name="us-east-1").client("s3", endpoint_url=server.url)
    with pytest.raises(ClientError) as refused:
        client.head_object(Bucket="shop", Key=f"a/{key}")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize("policy", POLICIES)
def test_no_job_may_write_labels_or_photos_or_leave_its_root(server, policy):
    client = boto3.Session(policy, SECRET, TOKEN, region_name="us-east-1").client("s3", endpoint_url=server.url)
    for key in ("a/images/x.jpg", "a/labels/labels.csv", "b/tables/x", "tables/x"):
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket="shop", Key=key, Body=b"")
    with pytest.raises(ClientError, match="AccessDenied"):
        client.list_objects_v2(Bucket="shop", Prefix="b/")
