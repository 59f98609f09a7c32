"""The clients of S3, all configured from one place, so that boto3, pyarrow, s3fs and deltalake agree.

Credentials come from the standard AWS chain alone, the endpoint from `AWS_ENDPOINT_URL`.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import boto3
import pyarrow.fs
from botocore.config import Config

from tagger.errors import BadInput

_ARROW_ATTEMPTS = 10
"""Of a request through pyarrow. The growing waits between them add up to a minute, more or less."""


@dataclass(frozen=True)
class S3Environment:
    """What all S3 clients must agree on."""

    endpoint: str | None
    region: str


def s3_environment() -> S3Environment:
    """What the process's environment variables say. BadInput for an endpoint without a scheme, or with a password."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint and "@" in endpoint:  # every message that names the endpoint would tell it
        raise BadInput(
            "AWS_ENDPOINT_URL holds a user name or a password. Write http://host:9000 alone, and give credentials as "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise BadInput(f"AWS_ENDPOINT_URL is '{endpoint}'. Write it with its scheme, for example http://host:9000.")
    region = os.environ.get("AWS_REGION") or boto3.Session().region_name or "us-east-1"
    return S3Environment(endpoint, region)


def s3_client() -> Any:
    """A boto3 client with the product's retries, time-outs and connection pool."""
    where, retries = s3_environment(), {"mode": "standard", "max_attempts": 5}
    config = Config(retries=retries, connect_timeout=5, read_timeout=30, max_pool_connections=64)
    # A session of its own: boto3's default one keeps the first credentials and breaks between threads.
    return boto3.Session().client("s3", endpoint_url=where.endpoint, region_name=where.region, config=config)


class _PatientS3(pyarrow.fs.S3FileSystem):  # type: ignore[misc]
    """pyarrow's own, with retries that survive the way to another process: its pickle leaves them out."""

    def __init__(self, environment: S3Environment) -> None:
        options: dict[str, Any] = {"region": environment.region}
        if environment.endpoint:
            parts = urlsplit(environment.endpoint)
            options |= {"endpoint_override": parts.netloc, "scheme": parts.scheme}
        retries = pyarrow.fs.AwsStandardS3RetryStrategy(_ARROW_ATTEMPTS)
        # Otherwise Ray Train's wish for a folder writes an object for each of its parents, up to the bucket, which
        # would take a permission to write there.
        super().__init__(retry_strategy=retries, check_directory_existence_before_creation=True, **options)
        self._environment = environment

    def __reduce__(self) -> tuple[Any, ...]:
        return arrow_s3, (self._environment,)


@lru_cache(maxsize=8)
def arrow_s3(environment: S3Environment) -> pyarrow.fs.FileSystem:
    """pyarrow's filesystem, which waits out an outage of half a minute, in whatever process it is used."""
    return _PatientS3(environment)


def delta_options() -> dict[str, str]:
    """Storage options of the deltalake library."""
    where = s3_environment()
    options = {"AWS_REGION": where.region}
    if where.endpoint:
        is_plain = where.endpoint.startswith("http://")
        options |= {"AWS_ENDPOINT_URL": where.endpoint, "AWS_ALLOW_HTTP": str(is_plain).lower()}
    credentials = boto3.Session().get_credentials()
    if credentials is not None:
        frozen = credentials.get_frozen_credentials()
        options |= {"AWS_ACCESS_KEY_ID": frozen.access_key, "AWS_SECRET_ACCESS_KEY": frozen.secret_key}
        if frozen.token:
            options["AWS_SESSION_TOKEN"] = frozen.token
    return options
