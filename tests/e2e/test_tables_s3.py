import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tagger.errors import BadInput, StorageUnavailable
from tagger.storage import Root, open_root
from tagger.tables.history import recent_runs
from tagger.tables.query import run_query, summary
from tagger.tables.store import Tables
from tagger.tables.units import read_unit, staged_units, write_unit
from tests.e2e.faulty_s3 import FaultyS3, Refuse, Reset, Rule, Unanswered
from tests.older_runs import write_with_the_older_version
from tests.tables_rows import commit_unit, record, reject, tag, unit


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def environment(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    return monkeypatch


@pytest.fixture
def root(request, endpoint, environment) -> Root:
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="catalogue")
    return open_root(f"s3://catalogue/{request.node.name}")


ROWS = unit([tag("a"), tag("ü b#1")], [reject("c")])


def count(root: Root, view: str) -> int:
    return run_query(root, f"select count(*) as n from {view}")["n"][0].as_py()


def test_a_night_goes_from_units_to_answers(root):
    assert count(root, "current") == 0 and Tables(root).unfinished_runs() == []
    write_unit(root, "r1", "0-0", *ROWS)
    assert staged_units(root, "r1") == {"0-0"}
    assert commit_unit(Tables(root), "r1", read_unit(root, "r1", "0-0"))
    assert not commit_unit(Tables(root), "r1", ROWS)
    assert (count(root, "current"), count(root, "rejects"), count(root, "runs")) == (2, 1, 1)
    assert run_query(root, "select image_key from tags order by 1")["image_key"].to_pylist() == ["a", "ü b#1"]
    assert summary(root)["tagged"].to_pylist() == [2]


def test_a_half_committed_run_is_found_and_finished(root):
    tables = Tables(root)
    files = tables.finalise("r1", record().date, [ROWS])
    committed = tables.commit
    tables.commit = lambda name, *rest: name == "rejects" and committed(name, *rest)
    tables.commit_run(record("r1", 2, 1), files.tags, files.rejects)
    assert (count(root, "rejects"), Tables(root).unfinished_runs()) == (0, ["r1"])
    assert Tables(root).finish_run("r1")
    assert (count(root, "rejects"), count(root, "tags"), Tables(root).unfinished_runs()) == (1, 2, [])


def test_conditional_writes_keep_jobs_that_commit_at_once_apart(root):
    def commit(run_id: str) -> bool:
        return commit_unit(Tables(root), run_id, unit([tag(run_id, run_id)]))

    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(commit, ["r1", "r2", "r3", "r1", "r2", "r3"]))
    assert sum(added) == 3 and (count(root, "tags"), count(root, "runs")) == (3, 3)
    logs = [root.read_bytes(stored.key) for stored in root.list_objects("tables/tags/_delta_log/")]
    lines = [json.loads(line) for log in logs for line in log.splitlines()]
    assert sum("metaData" in line for line in lines) == 1


def test_a_table_of_an_older_version_is_read_and_widened(root, monkeypatch):
    write_with_the_older_version(root, monkeypatch)
    assert run_query(root, "select tagged, drift from runs").to_pylist() == [{"tagged": 1, "drift": None}]
    assert commit_unit(Tables(root), "r2", unit([tag("b", "r2")]), warnings=["w"])
    assert run_query(root, "select warnings from runs order by run_id")["warnings"].to_pylist() == [None, ["w"]]
    assert [run.run_id for run in recent_runs(root, 1)] == ["r2"]


@pytest.mark.parametrize(
    "fault", [Reset(), Unanswered(), Refuse(503, "SlowDown")], ids=lambda fault: type(fault).__name__
)
@pytest.mark.parametrize("version", [0, 1], ids=["creation", "commit"])
def test_a_request_that_fails_in_a_commit_is_tried_again_and_adds_nothing_twice(
    root, endpoint, environment, fault, version
):
    with closing(
        FaultyS3(endpoint, [Rule(rf"PUT \S*/tables/\w+/_delta_log/0*{version}\.json", fault, times=3)])
    ) as proxy:
        environment.setenv("AWS_ENDPOINT_URL", proxy.uri)
        commit_unit(Tables(root), "r1", ROWS)
        assert proxy.struck == 3
    environment.setenv("AWS_ENDPOINT_URL", endpoint)
    assert (count(root, "tags"), count(root, "rejects"), count(root, "runs")) == (2, 1, 1)


def test_an_outage_is_told_without_the_terminals_colors(root, endpoint, environment):
    with closing(FaultyS3(endpoint, [Rule(r"PUT \S*_delta_log", Reset())])) as proxy:
        environment.setenv("AWS_ENDPOINT_URL", proxy.uri)
        with pytest.raises(StorageUnavailable, match="did not answer") as told:
            commit_unit(Tables(root), "r1", ROWS)
    assert "\x1b" not in str(told.value)


@pytest.mark.parametrize(
    ("request_told", "status", "code"),
    [
        (r"PUT \S*_delta_log", 403, "AccessDenied"),
        (r"GET \S*_delta_log", 403, "AccessDenied"),
        (r"GET /catalogue/?\?", 403, "AccessDenied"),
        (r"GET \S*part-", 403, "AccessDenied"),
        (r"PUT \S*_delta_log", 400, "ExpiredToken"),
    ],
    ids=["commit", "log", "listing", "rows", "expired"],
)
def test_a_refusal_is_a_persons_to_mend_and_no_outage(root, endpoint, environment, request_told, status, code):
    commit_unit(Tables(root), "r1", ROWS)
    with closing(FaultyS3(endpoint, [Rule(request_told, Refuse(status, code))])) as proxy:
        environment.setenv("AWS_ENDPOINT_URL", proxy.uri)
        refused = Tables(open_root(root.uri))
        with pytest.raises(BadInput, match="Not allowed to use what lies under s3://catalogue/.*credentials"):
            refused.committed_run_ids()
            commit_unit(refused, "r2", unit([tag("d", "r2")]))


def test_an_endpoint_that_does_not_answer_is_an_outage(environment):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    started = time.monotonic()
    with pytest.raises(StorageUnavailable, match="s3://catalogue/shop did not answer"):
        run_query(open_root("s3://catalogue/shop"), "select 1")
    assert time.monotonic() - started < 60
