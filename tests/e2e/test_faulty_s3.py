"""The proxy before an S3 server: what passes is as it was sent, and each fault is what it says."""

import http.client
import io
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pyarrow.fs
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, ResponseStreamingError
from moto.server import ThreadedMotoServer

from tests.e2e.faulty_s3 import (
    Delay,
    FaultyS3,
    Garble,
    Instead,
    Outage,
    Refuse,
    RepeatBorder,
    Reset,
    Rule,
    Then,
    Truncate,
    Unanswered,
)

BREAKS = (ConnectionClosedError, EndpointConnectionError)
KEYS = {"region_name": "us-east-1", "aws_access_key_id": "key", "aws_secret_access_key": "secret"}


def client(endpoint):
    once = Config(retries={"mode": "standard", "total_max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.Session().client("s3", endpoint_url=endpoint, config=once, **KEYS)


@pytest.fixture(scope="module")
def server():
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    endpoint = "http://{}:{}".format(*moto.get_host_and_port())
    client(endpoint).create_bucket(Bucket="shop")
    yield endpoint
    moto.stop()


@pytest.fixture
def proxy(server):
    made = FaultyS3(server, seed=1)
    yield made
    made.close()


@pytest.fixture
def s3(proxy):
    made = client(proxy.uri)
    yield made
    made.close()


@pytest.fixture(scope="module")
def direct(server):
    made = client(server)
    yield made
    made.close()


def put(s3, key="a", data=b"0123456789"):
    s3.put_object(Bucket="shop", Key=key, Body=data)


def read(s3, key="a"):
    return s3.get_object(Bucket="shop", Key=key)["Body"].read()


@pytest.mark.parametrize("key", ["a b", "a+b%2F", "e\u0301", "雪/😀", "a//b", "a/../b", "<a>&'\"?#"])
def test_without_rules_everything_passes_as_it_was_sent(s3, direct, key):
    put(s3, key)
    assert read(s3, key) == read(direct, key) == b"0123456789"
    told = [each.head_object(Bucket="shop", Key=key) for each in (s3, direct)]
    assert told[0]["ETag"] == told[1]["ETag"] and told[0]["ContentLength"] == 10
    s3.delete_object(Bucket="shop", Key=key)
    with pytest.raises(ClientError, match="404"):
        direct.head_object(Bucket="shop", Key=key)


def test_a_conditional_write_and_an_upload_in_parts_pass(proxy, s3):
    s3.put_object(Bucket="shop", Key="once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.put_object(Bucket="shop", Key="once", Body=b"2", IfNoneMatch="*")
    host = proxy.uri.removeprefix("http://")
    names = {"access_key": "key", "secret_key": "secret", "region": "us-east-1"}
    filesystem = pyarrow.fs.S3FileSystem(endpoint_override=host, scheme="http", **names)
    with filesystem.open_output_stream("shop/large") as stream:
        stream.write(bytes(12 * 2**20))
    assert filesystem.get_file_info("shop/large").size == 12 * 2**20
    s3.upload_fileobj(io.BytesIO(b"streamed"), "shop", "streamed")
    assert read(s3, "streamed") == b"streamed"


class Told(BaseHTTPRequestHandler):
    """Says which headers and which body came."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size + 2)[:-2])
        self.rfile.readline()
        text = f"{self.path} {self.headers['Host']} {self.headers['Authorization']} {b''.join(chunks).decode()}"
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def test_path_host_signature_and_chunks_are_the_clients_own():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy = FaultyS3(f"http://127.0.0.1:{server.server_port}")
    connection = http.client.HTTPConnection(proxy.uri.removeprefix("http://"))
    headers = {"Host": "shop.example", "Authorization": "AWS4 signed", "Transfer-Encoding": "chunked"}
    connection.request("PUT", "/b/%2e%2E/a%20b?x=1&y", iter([b"one", b"two"]), headers, encode_chunked=True)
    assert connection.getresponse().read() == b"/b/%2e%2E/a%20b?x=1&y shop.example AWS4 signed onetwo"
    connection.close()
    proxy.close()
    server.shutdown()
    server.server_close()


def test_a_refusal_is_told_in_s3s_words_and_nothing_is_done(proxy, s3, direct):
    proxy.follow([Rule("PUT /shop/refused", Refuse(503, "SlowDown"))])
    with pytest.raises(ClientError, match="SlowDown"):
        put(s3, "refused")
    with pytest.raises(ClientError, match="404"):
        direct.head_object(Bucket="shop", Key="refused")
    assert proxy.struck == 1


@pytest.mark.parametrize(("fault", "is_done"), [(Reset(), False), (Unanswered(), True)])
def test_a_broken_connection_leaves_the_write_undone_or_done(proxy, s3, direct, fault, is_done):
    key = type(fault).__name__
    proxy.follow([Rule(f"PUT /shop/{key}", fault)])
    with pytest.raises(BREAKS):
        put(s3, key)
    assert ("Contents" in direct.list_objects_v2(Bucket="shop", Prefix=key)) is is_done


def test_a_body_is_cut_late_or_garbled(proxy, s3, direct):
    put(direct)
    proxy.follow([Rule("GET", Truncate(0.7), times=1)])
    with pytest.raises((ResponseStreamingError, ConnectionError, *BREAKS)):
        read(s3)
    proxy.follow([Rule("GET", Garble("x-amz-checksum"))])
    assert sum(got != sent for got, sent in zip(read(s3), b"0123456789", strict=True)) == 1
    proxy.follow([Rule("GET", Garble())])
    with pytest.raises(Exception, match="checksum"):
        read(s3)
    proxy.follow([Rule("GET", Delay(0.3))])
    started = time.monotonic()
    assert read(s3) == b"0123456789" and time.monotonic() - started >= 0.3


def test_a_rule_skips_counts_and_ends(proxy, s3, direct):
    put(direct)
    proxy.follow([Rule("GET /shop/a", Refuse(500, "InternalError"), skip=1, times=2)])

    def is_refused():
        try:
            read(s3)
        except ClientError:
            return True
        return False

    assert [is_refused() for _ in range(4)] == [False, True, True, False]
    proxy.follow([Rule("GET /shop/a", Refuse(500, "InternalError"), seconds=0.2)])
    first = is_refused()
    time.sleep(0.3)
    assert (first, is_refused()) == (True, False)


def test_which_requests_are_struck_follows_from_the_seed_alone(server):
    def struck(seed, order):
        proxy = FaultyS3(server, [Rule("GET", Reset(), share=0.3)], seed)
        found = {n for n in order if proxy.fault_of(f"GET /shop/{n}")}
        proxy.close()
        return found

    forward = struck(1, range(300))
    assert forward == struck(1, reversed(range(300))) != struck(2, range(300))
    assert 60 <= len(forward) <= 120


def test_a_lost_server_answers_nobody_and_comes_back(proxy, s3, direct):
    put(direct)
    proxy.follow([Rule("PUT /shop/lost", Outage(3.0), times=1)])
    with pytest.raises(BREAKS):
        put(s3, "lost")
    with pytest.raises(BREAKS):
        read(s3)
    time.sleep(3.1)
    assert read(s3) == b"0123456789"
    assert "Contents" not in direct.list_objects_v2(Bucket="shop", Prefix="lost")


def test_something_happens_before_or_after_a_write(proxy, s3, direct):
    def keys():
        seen.append([each["Key"] for each in direct.list_objects_v2(Bucket="shop", Prefix="act").get("Contents", [])])

    seen = []
    proxy.follow([Rule("PUT /shop/act-1", Instead(keys)), Rule("PUT /shop/act-2", Then(keys))])
    with pytest.raises(BREAKS):
        put(s3, "act-1")
    put(s3, "act-2")
    assert seen == [[], ["act-2"]]


def test_a_page_repeats_the_key_on_its_border(proxy, s3, direct):
    for n in range(5):
        put(direct, f"page/{n}", b"")
    border = RepeatBorder()
    proxy.follow([Rule(r"GET /shop\?", border)])
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="shop", Prefix="page/", PaginationConfig={"PageSize": 2}
    )
    keys = [[each["Key"][-1] for each in page["Contents"]] for page in pages]
    assert keys == [["0", "1"], ["1", "2", "3"], ["3", "4"]] and border.repeats == 2
