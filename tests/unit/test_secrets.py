"""Credentials are repeated nowhere: not in sentences, not with --verbose, not in what the configuration shows."""

import json
import os
import pickle
import subprocess
import sys

import pytest

from tagger.config_file import as_yaml, load_config
from tagger.errors import BadInput, ConfigError
from tagger.s3 import s3_environment
from tagger.storage import open_root

SECRET = "wJalrXUtnFEMI"


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
@pytest.mark.parametrize("endpoint", ["http://key:{}@host:9000", "https://{}@host", "key:{}@host:9000"])
def test_an_endpoint_with_a_password_is_refused_and_not_repeated(monkeypatch, name, endpoint):
    monkeypatch.setenv(name, endpoint.format(SECRET))
    with pytest.raises(BadInput, match="holds a user name or a password") as refused:
        s3_environment()
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("uri", ["s3://key:{}@bucket/shop", "https://key:{}@host/x", "ftp://{}@host"])
def test_a_uri_with_a_password_is_refused_and_not_repeated(uri):
    with pytest.raises(BadInput, match="holds a user name or a password") as refused:
        open_root(uri.format(SECRET))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("uri", ["s3://bucket/a@b", "/photos/a@b"])
def test_a_prefix_or_folder_may_hold_an_at_sign(uri):
    assert open_root(uri).uri == uri


@pytest.mark.parametrize(
    "override",
    [
        "root=s3://key:{}@bucket/shop",
        "train.mlflow=https://ada:{}@tracking",
        "train.cache=s3://key:a@{}@bucket",
    ],
)
def test_a_password_in_a_uri_is_not_shown(override):
    shown = as_yaml(load_config(None, [override.format(SECRET)]))
    assert SECRET not in shown and "://***@" in shown


@pytest.mark.parametrize(
    "override",
    [
        "review.sink_token={}",
        "api_key=[{}",
        "review={{token: {}}}",
        "train=[{{password: {}}}]",
        "catalog=[https://ada:{}@host]",
        "train.width=https://ada:{}@host",
    ],
)
def test_a_refused_secret_is_not_repeated(override):
    with pytest.raises(ConfigError) as refused:
        load_config(None, [override.format(SECRET)])
    assert SECRET not in str(refused.value)


def test_a_root_travels_between_processes_without_credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    root = open_root("s3://bucket/shop")
    root.delta()
    filesystem, _ = root.arrow()
    assert SECRET.encode() not in pickle.dumps([root, filesystem])


def test_a_verbose_command_tells_no_credentials():
    code = "from tagger.cli import main; main(['query', 'root=s3://bucket/shop', 'select 1', '--verbose'])"
    known = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": SECRET, "SESSION_TOKEN": SECRET[::-1], "REGION": "us-east-1"}
    # Port 9 is closed: the error comes from the deepest place, with every cause in its traceback.
    known |= {"ENDPOINT_URL": "http://127.0.0.1:9", "EC2_METADATA_DISABLED": "true"}
    environment = os.environ | {f"AWS_{name}": value for name, value in known.items()}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 5 and "Traceback" in done.stderr and "Could not list s3://bucket/shop" in done.stderr
    assert SECRET not in done.stdout + done.stderr and SECRET[::-1] not in done.stdout + done.stderr


def test_a_message_that_quotes_a_key_forges_no_line_of_the_log():
    code = (
        "import logging; from tagger.entry import start_logging; start_logging(False); "
        "logging.getLogger('tagger').info('photo %s', 'a\\n12:00:00 committed \x1b[2J\u202e')"
    )

    def told(style):
        environment = os.environ | {"TAGGER_LOG_FORMAT": style}
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stderr

    first, second = told("text").splitlines()
    assert first.endswith(" photo a") and second == "  12:00:00 committed \\x1b[2J\\u202e"
    (line,) = told("json").splitlines()
    assert line.isascii() and json.loads(line)["message"] == "photo a\n12:00:00 committed \x1b[2J\u202e"
