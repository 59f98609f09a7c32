"""Event files of a training in a bucket."""

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tagger.config import TrainConfig
from tagger.errors import BadInput
from tagger.storage import open_root
from tagger.train.record import TrainingFacts
from tagger.train.tracking import Tracker, open_sinks


@pytest.fixture
def bucket(monkeypatch):
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="board")
    yield "s3://board/shop"
    server.stop()


def train(uri, epochs):
    with Tracker(open_sinks(TrainConfig(tensorboard=uri)), TrainingFacts("a", {}, "0", "0", {})) as tracker:
        tracker.epochs([{"stage": "type", "epoch": epoch, "loss": 0.5} for epoch in range(1, epochs + 1)])


def test_event_files_go_to_a_bucket_and_no_epoch_goes_twice(bucket):
    import tensorflow as tf

    train(bucket, 2)
    train(bucket, 3)
    root = open_root(bucket)
    curves = "a/type/events.out.tfevents."
    keys = [found.key for found in root.list_objects()]
    assert keys == ["a/events.out.tfevents.0000000000.facts", f"{curves}0000000002", f"{curves}0000000003"]
    steps = []
    for key in keys[1:]:
        (start, *records) = _records(root.read_bytes(key))
        assert tf.compat.v1.Event.FromString(start).file_version == "brain.Event:2"
        steps += [tf.compat.v1.Event.FromString(record).step for record in records]
    assert steps == [1, 2, 3]


def test_an_absent_bucket_is_told_at_the_start(bucket):
    with pytest.raises(BadInput, match="The bucket 'nowhere' does not exist"):
        open_sinks(TrainConfig(tensorboard="s3://nowhere/shop"))


def _records(data):
    """A TFRecord: 8 bytes of length, 4 of checksum, the record, 4 of checksum."""
    while data:
        length = int.from_bytes(data[:8], "little")
        yield data[12 : 12 + length]
        data = data[16 + length :]
