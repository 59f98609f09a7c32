"""Roots: a local folder or `s3://bucket/prefix`, one interface. With its clients in `s3.py`, all that knows S3."""

import contextlib
import errno
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import fsspec
import pyarrow.fs
from botocore import exceptions as aws
from urllib3.exceptions import HTTPError

from tagger.errors import BadInput, FetchFailed, StorageUnavailable
from tagger.s3 import arrow_s3, delta_options, s3_client, s3_environment

_MAKING_CLIENT = threading.Lock()
_BROKEN = (aws.BotoCoreError, HTTPError, OSError)
"""What boto3 raises where the network fails; urllib3's own where the body of an error breaks off."""
_MISSING = {"NoSuchKey", "404", "NotFound"}
_TERMINAL_COLOR = re.compile(r"\x1b\[\d*m")
"""deltalake colors the arrows between its causes."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {"AccessDenied", "403", "Forbidden", "SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "400"}


@dataclass(frozen=True)
class StoredObject:
    """One object as the listing shows it. `key` is relative to the root and never decoded or normalised."""

    key: str
    etag: str
    size_bytes: int
    last_modified: datetime


def open_root(uri: str) -> "Root":
    """A local folder (made on the first write) or `s3://bucket/prefix`. BadInput for any other scheme."""
    if uri.startswith("s3://"):
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        if not bucket:
            raise BadInput(f"'{uri}' names no bucket. Write s3://bucket/prefix.")
        return S3Root(f"s3://{bucket}/{prefix.strip('/')}".rstrip("/"))
    if "://" in uri:
        raise BadInput(f"'{uri}' is neither a local folder nor s3://bucket/prefix. Only these two are supported.")
    if not uri:
        raise BadInput("The root is empty. Give root=FOLDER or root=s3://bucket/prefix.")
    return LocalRoot(str(Path(uri).expanduser().absolute()))


@contextlib.contextmanager
def outages_told(root: "Root") -> Iterator[None]:
    """StorageUnavailable for the bare OSError by which deltalake and pyarrow tell an outage."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = " ".join(_TERMINAL_COLOR.sub("", str(error)).split())
        raise StorageUnavailable(f"What lies under {root.uri} did not answer: {reason}. Try again later.") from error


class Root:
    """A place that holds keys. Picklable: only the URI travels between processes."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.uri,)

    def child(self, *parts: str) -> "Root":
        """The root below this one."""
        return type(self)("/".join((self.uri, *(part.strip("/") for part in parts))))

    def check(self) -> None:
        """Raise, in one sentence, what would be wrong with reading here: no such folder or bucket, no permission."""
        raise NotImplementedError

    def list_objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        """Objects whose key starts with `prefix` and is greater than `after`, streamed, ordered by UTF-8 bytes."""
        raise NotImplementedError

    def exists(self, key: str) -> bool:
        """Whether the key holds an object."""
        raise NotImplementedError

    def read_bytes(self, key: str) -> bytes:
        """The object's bytes. FileNotFoundError where there is none, StorageUnavailable on an outage."""
        raise NotImplementedError

    def write_bytes(self, key: str, data: bytes) -> None:
        """Write the whole object or nothing. StorageUnavailable on an outage or where no space is left."""
        raise NotImplementedError

    def delete(self, key: str) -> None:
        """Remove the object; no error where there is none."""
        raise NotImplementedError

    def create_once(self, key: str, data: bytes) -> bool:
        """Write the object only where none is yet. True for the one caller that created it."""
        raise NotImplementedError

    def fetch(self, key: str, etag: str) -> bytes:
        """A listed photo's bytes, exactly as listed. FetchFailed with a transient reject reason otherwise."""
        raise NotImplementedError

    def arrow(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """The pyarrow filesystem and this root's path in it."""
        raise NotImplementedError

    def delta(self) -> tuple[str, dict[str, str]]:
        """This root's URI and storage options for the deltalake library."""
        raise NotImplementedError

    def files(self) -> fsspec.AbstractFileSystem:
        """The fsspec filesystem, for libraries that take one (DuckDB)."""
        raise NotImplementedError


class LocalRoot(Root):
    """A folder on this machine's disk, or on one that all nodes share."""

    def _path(self, key: str) -> Path:
        path = Path(self.uri, key)
        if ".." in Path(key).parts or not path.is_relative_to(self.uri):
            raise BadInput(f"The key '{key}' leads outside {self.uri}.")
        return path

    def list_objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        for path, key in _walk(self.uri, "", lambda folder: _may_hold(folder, prefix, after)):
            if key.startswith(prefix) and os.fsencode(key) > os.fsencode(after):
                with contextlib.suppress(FileNotFoundError):
                    yield _stored_file(path, key)

    def check(self) -> None:
        if not Path(self.uri).is_dir():
            raise BadInput(f"There is no folder '{self.uri}'. Correct the path, or make the folder.")

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def read_bytes(self, key: str) -> bytes:
        return self._path(key).read_bytes()

    def write_bytes(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with _written_beside(path, data) as temporary:
            os.replace(temporary, path)

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def create_once(self, key: str, data: bytes) -> bool:
        path = self._path(key)
        with _written_beside(path, data) as temporary, contextlib.suppress(FileExistsError):
            os.link(temporary, path)
            return True
        return False

    def fetch(self, key: str, etag: str) -> bytes:
        path = self._path(key)
        try:
            before = _stored_file(str(path), key).etag
            data = path.read_bytes()
            after = _stored_file(str(path), key).etag
        except FileNotFoundError as error:
            raise FetchFailed("not_found", "the file vanished after it was listed") from error
        except PermissionError as error:
            raise FetchFailed("access_denied", str(error.strerror)) from error
        except OSError as error:
            raise FetchFailed("download_failed", f"{error.strerror}") from error
        if not etag == before == after:
            raise FetchFailed("changed_during_run", f"listed as {etag}, now {after}")
        return data

    def arrow(self) -> tuple[pyarrow.fs.FileSystem, str]:
        return pyarrow.fs.LocalFileSystem(), self.uri

    def delta(self) -> tuple[str, dict[str, str]]:
        return self.uri, {}

    def files(self) -> fsspec.AbstractFileSystem:
        return fsspec.filesystem("file")


@contextlib.contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[str]:
    """A complete file in the same folder, for the length of the block."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        yield temporary
    except OSError as error:
        if error.errno not in _FULL:
            raise
        wanted = f"{len(data)} bytes to {path}"
        raise StorageUnavailable(f"Could not write {wanted}: {error.strerror}. Make space on that disk.") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _stored_file(path: str, key: str) -> StoredObject:
    stat = os.stat(path)
    modified = datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1e6, tz=UTC)
    return StoredObject(key, f"{stat.st_mtime_ns:x}-{stat.st_size:x}", stat.st_size, modified)


def _may_hold(folder: str, prefix: str, after: str) -> bool:
    """Whether keys below `folder`, which ends with "/", can start with `prefix` and be greater than `after`."""
    may_start = folder.startswith(prefix) or prefix.startswith(folder)
    return may_start and (after.startswith(folder) or os.fsencode(folder) > os.fsencode(after))


def _walk(folder: str, prefix: str, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Files below a folder as (path, key), ordered by the key's bytes as S3 orders them ("a.b" before "a/b")."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    named = [(os.fsencode(e.name) + (b"/" if e.is_dir() else b""), e.name, e.is_dir()) for e in entries]
    for _, name, is_folder in sorted(named):
        path = os.path.join(folder, name)
        if is_folder and is_wanted(f"{prefix}{name}/"):
            yield from _walk(path, f"{prefix}{name}/", is_wanted)
        elif not is_folder and not name.startswith(".writing-"):
            yield path, prefix + name


class S3Root(Root):
    """A bucket and a prefix on any S3-compatible endpoint."""

    _client: Any = None

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return urlsplit(self.uri).netloc

    @property
    def prefix(self) -> str:
        """The prefix without slashes at its ends; empty for a whole bucket."""
        return self.uri[len("s3://") + len(self.bucket) :].strip("/")

    @property
    def _s3(self) -> Any:
        with _MAKING_CLIENT:
            self._client = self._client or s3_client()
            return self._client

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def list_objects(self, prefix: str = "", after: str = "") -> Iterator[StoredObject]:
        start = {"StartAfter": self._key(after)} if after else {}
        base = len(self._key(""))
        with self._translated("list"):
            pages = self._s3.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._key(prefix), **start):
                for entry in page.get("Contents", []):
                    key = entry["Key"][base:]
                    if key and not key.endswith("/"):
                        yield StoredObject(key, entry["ETag"].strip('"'), entry["Size"], entry["LastModified"])

    def check(self) -> None:
        with self._translated("list"):
            self._s3.list_objects_v2(Bucket=self.bucket, Prefix=self._key(""), MaxKeys=1)

    def exists(self, key: str) -> bool:
        try:
            with self._translated("look up", key):
                self._s3.head_object(Bucket=self.bucket, Key=self._key(key))
        except FileNotFoundError:
            return False
        return True

    def read_bytes(self, key: str) -> bytes:
        with self._translated("read", key):
            return bytes(self._s3.get_object(Bucket=self.bucket, Key=self._key(key))["Body"].read())

    def write_bytes(self, key: str, data: bytes) -> None:
        with self._translated("write", key):
            self._s3.put_object(Bucket=self.bucket, Key=self._key(key), Body=data)

    def delete(self, key: str) -> None:
        with self._translated("delete", key):
            self._s3.delete_object(Bucket=self.bucket, Key=self._key(key))

    def create_once(self, key: str, data: bytes) -> bool:
        try:
            with self._translated("create", key):
                self._s3.put_object(Bucket=self.bucket, Key=self._key(key), Body=data, IfNoneMatch="*")
        except FileExistsError:
            return False
        return True

    def fetch(self, key: str, etag: str) -> bytes:
        try:
            answer = self._s3.get_object(Bucket=self.bucket, Key=self._key(key), IfMatch=f'"{etag}"')
            return bytes(answer["Body"].read())
        except aws.ClientError as error:
            raise FetchFailed(_fetch_reason(error), str(error)) from error
        except _BROKEN as error:
            raise FetchFailed("download_failed", str(error)) from error

    def arrow(self) -> tuple[pyarrow.fs.FileSystem, str]:
        return arrow_s3(s3_environment()), f"{self.bucket}/{self.prefix}".rstrip("/")

    def delta(self) -> tuple[str, dict[str, str]]:
        return f"s3://{quote(self.uri.removeprefix('s3://'))}", delta_options()

    def files(self) -> fsspec.AbstractFileSystem:
        where = s3_environment()
        region = {"region_name": where.region}
        return fsspec.filesystem("s3", endpoint_url=where.endpoint, client_kwargs=region, use_listings_cache=False)

    @contextlib.contextmanager
    def _translated(self, action: str, key: str = "") -> Iterator[None]:
        """boto3's errors in our words: missing and existing objects, a person's mistakes, and outages."""
        place = f"{self.uri}/{key}".rstrip("/")
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
            raise _client_error(error, action, place, self.bucket) from error
        except _BROKEN as error:
            raise StorageUnavailable(f"Could not {action} {place}: {error}. Check network and endpoint.") from error


def _client_error(error: aws.ClientError, action: str, place: str, bucket: str) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code == "NoSuchBucket":
        return BadInput(f"The bucket '{bucket}' does not exist (to {action} {place}). Create it or correct the root.")
    if code in _MISSING:
        return FileNotFoundError(place)
    if code in {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}:
        return FileExistsError(place)
    if code in _DENIED:
        return BadInput(f"Not allowed to {action} {place} ({code}). Check the credentials and the bucket's policy.")
    return StorageUnavailable(f"Could not {action} {place}: {error}. Try again later.")


def _fetch_reason(error: aws.ClientError) -> str:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _MISSING:
        return "not_found"
    if code in {"PreconditionFailed", "412"}:
        return "changed_during_run"
    return "access_denied" if code in _DENIED else "download_failed"
