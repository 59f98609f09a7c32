"""The clients of S3, configured in one place, so that boto3, pyarrow, s3fs and deltalake agree; what its errors mean.

Credentials come from the standard AWS chain alone, the endpoint from `AWS_ENDPOINT_URL`.
"""

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import boto3
import pyarrow.fs
from botocore import exceptions as aws
from botocore.config import Config
from tenacity import retry, retry_if_exception, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from urllib3.exceptions import HTTPError

from tagger.errors import AccessDenied, BadInput, FetchFailed, StorageUnavailable

_ARROW_ATTEMPTS = 10
"""Of a request through pyarrow. The growing waits between them add up to a minute, more or less."""

BROKEN = (aws.BotoCoreError, HTTPError, OSError)
"""What boto3 raises where the network fails; urllib3's own where the body of an error breaks off."""

_BROKEN_BODY = (aws.IncompleteReadError, aws.ResponseStreamingError, aws.FlexibleChecksumError, HTTPError)

WHOLE_BODIES = retry(
    retry=retry_if_exception_type(_BROKEN_BODY),
    stop=stop_after_attempt(5),
    wait=wait_random_exponential(max=5),
    reraise=True,
)
"""Asks again where an answer's body breaks off or is damaged: boto3 itself only tries again until an answer begins."""

_CONFLICT = {"ConditionalRequestConflict", "409"}

CONFLICTS = retry(
    retry=retry_if_exception(lambda error: isinstance(error, aws.ClientError) and _code(error) in _CONFLICT),
    stop=stop_after_attempt(5),
    wait=wait_random_exponential(max=2),
    reraise=True,
)
"""Writes again where another write of the same key was under way, as AWS advises: boto3 takes that for an answer."""

_MD5 = re.compile("[0-9a-f]{32}")
_MISSING = {"NoSuchKey", "404", "NotFound"}
_DENIED = {"AccessDenied", "403", "Forbidden", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "400"}


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


@contextlib.contextmanager
def translated(action: str, place: str, bucket: str) -> Iterator[None]:
    """boto3's errors in our words: missing and existing objects, a person's mistakes, and outages."""
    try:
        yield
    except (aws.NoCredentialsError, aws.PartialCredentialsError, aws.ProfileNotFound) as error:
        raise BadInput(
            f"No AWS credentials to {action} {place}: {error}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "AWS_PROFILE, or run where a role is attached."
        ) from error
    except (aws.ParamValidationError, aws.InvalidRegionError) as error:
        last = str(error).splitlines()[-1]
        raise BadInput(f"Could not {action} {place}: {last} Correct the root or AWS_REGION.") from error
    except aws.ClientError as error:
        raise _client_error(error, action, place, bucket) from error
    except BROKEN as error:
        raise StorageUnavailable(f"Could not {action} {place}: {error}. Check network and endpoint.") from error


@contextlib.contextmanager
def ended_after(body: Any, seconds: float) -> Iterator[None]:
    """Ends the reading of a body that takes too long, with FetchFailed.

    Time-outs never see a server that sends a byte now and then.
    """
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        with contextlib.suppress(RuntimeError, ValueError, OSError):  # it has just been read to its end
            body._raw_stream.shutdown()  # urllib3's way to wake a reading thread; botocore passes it on under no name

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except BROKEN:
        if not is_late.is_set():
            raise
    finally:
        timer.cancel()
    if is_late.is_set():
        raise FetchFailed("download_failed", f"the bytes did not arrive within {seconds:g} s")


def is_as_stored(data: bytes, answer: Mapping[str, Any]) -> bool:
    """Whether nothing in the answer of GetObject says that its bytes changed on the way.

    A plain etag is the bytes' MD5, but not where a key of KMS or of the client encrypts them (AWS, S3 API reference,
    "Object", ETag). A few stores draw theirs at random: there the answer is False for every object.
    """
    etag = answer.get("ETag", "").strip('"')
    is_other = answer.get("ServerSideEncryption", "").startswith("aws:kms") or "SSECustomerAlgorithm" in answer
    return is_other or not _MD5.fullmatch(etag) or hashlib.md5(data, usedforsecurity=False).hexdigest() == etag


def reject_reason(error: aws.ClientError) -> str:
    """Why a photo did not come, as a transient reject reason."""
    code = _code(error)
    if code in _MISSING:
        return "not_found"
    if code in {"PreconditionFailed", "412"}:
        return "changed_during_run"
    return "access_denied" if code in _DENIED or _is_final(error) else "download_failed"


def _is_final(error: aws.ClientError) -> bool:
    """Whether storage would say the same again of this object: it is archived, or its KMS key is gone."""
    code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code.startswith("KMS."):
        return "Throttling" not in code
    return status in (401, 403) and code != "RequestTimeTooSkewed"


def _client_error(error: aws.ClientError, action: str, place: str, bucket: str) -> Exception:
    code = _code(error)
    if code == "NoSuchBucket":
        return BadInput(f"The bucket '{bucket}' does not exist (to {action} {place}). Create it or correct the root.")
    if code in _MISSING:
        return FileNotFoundError(place)
    if code in {"PreconditionFailed", "412", *_CONFLICT}:
        return FileExistsError(place)
    if code in _DENIED:
        return AccessDenied(f"Not allowed to {action} {place} ({code}). Check the credentials and the bucket's policy.")
    return StorageUnavailable(f"Could not {action} {place}: {error}. Try again later.")


def _code(error: aws.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
