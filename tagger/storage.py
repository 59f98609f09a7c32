"""Roots: a local folder or `s3://bucket/prefix`, one interface. With its clients in `s3.py`, all that knows S3."""

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import fsspec
import pyarrow.fs
from botocore import exceptions as aws

from tagger.disk import errors_told, kind_of, may_hold, read, walk, written_beside
from tagger.errors import BadInput, FetchFailed, StorageUnavailable
from tagger.printable import printable
from tagger.s3 import (
    BROKEN,
    CONFLICTS,
    WHOLE_BODIES,
    arrow_s3,
    delta_options,
    ended_after,
    is_as_stored,
    reject_reason,
    s3_client,
    s3_environment,
    translated,
)

FETCH_WITHIN_S = 60.0
"""Longest time for a photo's bytes, unless the caller says another."""

_MAKING_CLIENT = threading.Lock()
_FULL_PAGE = 1000
_DENIED = re.compile(
    "401 Unauthorized|403 Forbidden|ACCESS_DENIED|ExpiredToken|InvalidAccessKeyId|SignatureDoesNotMatch"
    r"|status 400\) during HeadObject"  # an expired token, to a question whose answer has no body
)
_TERMINAL_COLOR = re.compile(r"\x1b\[\d*m")  # deltalake colors the arrows between its causes


@dataclass(frozen=True)
class StoredObject:
    """One object as the listing shows it. `key` is relative to the root and never decoded or normalised."""

    key: str
    etag: str
    size_bytes: int
    last_modified: datetime


def open_root(uri: str) -> "Root":
    """A local folder (made on the first write) or `s3://bucket/prefix`.

    BadInput for any other scheme, and for a URI that holds credentials, which is not repeated.
    """
    if "://" in uri and "@" in uri.partition("://")[2].partition("/")[0]:
        raise BadInput(
            "A URI holds a user name or a password. Write s3://bucket/prefix alone: credentials come from the standard "
            "AWS chain (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, an attached role)."
        )
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


def open_file(uri: str) -> tuple["Root", str]:
    """The root and the key of one file: local, or `s3://bucket/prefix/name`. Looks at nothing yet."""
    folder, slash, name = uri.rpartition("/")
    return open_root(folder or slash or "."), name


@contextlib.contextmanager
def outages_told(root: "Root") -> Iterator[None]:
    """StorageUnavailable for the bare OSError by which deltalake and pyarrow tell an outage, BadInput for a refusal."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = " ".join(_TERMINAL_COLOR.sub("", str(error)).split())
        if _DENIED.search(reason):
            told = f"Not allowed to use what lies under {root.uri}: {reason}"
            raise BadInput(f"{told}. Check the credentials and the bucket's policy.") from error
        raise StorageUnavailable(f"What lies under {root.uri} did not answer: {reason}. Try again later.") from error


class Root:
    """A place that holds keys. Picklable: only the URI travels between processes."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.uri,)

    def child(self, *parts: str) -> "Root":
        """The root below this one. BadInput where a part leads out of it: models' names come from tables and files."""
        if any(step == ".." for part in parts for step in part.split("/")):
            raise BadInput(f"'{'/'.join(parts)}' leads outside {self.uri}. Correct the name that holds '..'.")
        return type(self)("/".join((self.uri, *(part.strip("/") for part in parts))))

    def check(self) -> None:
        """Raise, in one sentence, what would be wrong with reading here: no such folder or bucket, no permission."""
        raise NotImplementedError

    def list_objects(self, prefix: str = "", after: str = "", start: str = "", end: str = "") -> Iterator[StoredObject]:
        """Objects whose key begins with `prefix`, streamed, ordered by UTF-8 bytes.

        Their keys are greater than `after`, at least `start`, and less than `end` unless that is empty; nothing beyond
        `end` is asked for.
        """
        raise NotImplementedError

    def first_key(self, prefix: str = "", after: str = "") -> str | None:
        """The first key of that listing, for as little as the storage lets it cost; None where it is empty."""
        return next((found.key for found in self.list_objects(prefix, after)), None)

    def stat(self, key: str) -> StoredObject:
        """The facts of one object, without its bytes. FileNotFoundError where there is none, AccessDenied where storage
        will not say.

        The etag and the size are those of the listing. Of the time, S3 tells only whole seconds here.
        """
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
        """Write the object only where none is yet. True where it holds these bytes then: an answer may get lost."""
        raise NotImplementedError

    def _holds(self, key: str, data: bytes) -> bool:
        """Whether an object that was there just now holds these bytes."""
        try:
            return self.read_bytes(key) == data
        except FileNotFoundError as error:
            told = f"Could not create {self.uri}/{printable(key)}: another process was just writing or deleting it"
            raise StorageUnavailable(f"{told}. Try again later.") from error

    def fetch(self, key: str, etag: str, within_s: float = FETCH_WITHIN_S) -> bytes:
        """A listed photo's bytes, exactly as listed. FetchFailed with a transient reject reason otherwise.

        within_s: longest time for the bytes of an object on S3, from the moment when the server begins to send them.
        """
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
            raise BadInput(f"The key '{printable(key)}' leads outside {self.uri}.")
        return path

    def list_objects(self, prefix: str = "", after: str = "", start: str = "", end: str = "") -> Iterator[StoredObject]:
        low, high = max(after, start, key=os.fsencode), os.fsencode(end)
        for path, key in walk(self.uri, "", lambda folder: may_hold(folder, prefix, low)):
            name = os.fsencode(key)
            if end and name >= high:
                return
            if key.startswith(prefix) and name > os.fsencode(after) and name >= os.fsencode(start):
                with contextlib.suppress(FileNotFoundError):
                    yield _stored_file(path, key)

    def stat(self, key: str) -> StoredObject:
        path = self._path(key)
        # "a//b" and "./a/b" open the same file, and are not how it is listed.
        if kind_of(path) != "file" or str(path.relative_to(self.uri)) != key:
            raise FileNotFoundError(str(path))
        return _stored_file(str(path), key)

    def check(self) -> None:
        if kind_of(Path(self.uri)) != "folder":
            raise BadInput(f"There is no folder '{self.uri}'. Correct the path, or make the folder.")

    def exists(self, key: str) -> bool:
        return kind_of(self._path(key)) == "file"

    def read_bytes(self, key: str) -> bytes:
        return read(self._path(key))

    def write_bytes(self, key: str, data: bytes) -> None:
        with written_beside(path := self._path(key), data) as temporary:
            os.replace(temporary, path)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with errors_told(f"delete {path}"):
            path.unlink(missing_ok=True)

    def create_once(self, key: str, data: bytes) -> bool:
        with written_beside(path := self._path(key), data) as temporary, contextlib.suppress(FileExistsError):
            os.link(temporary, path)
            return True
        return self._holds(key, data)

    def fetch(self, key: str, etag: str, within_s: float = FETCH_WITHIN_S) -> bytes:
        path = self._path(key)
        try:
            before, data, after = _etag(path.stat()), path.read_bytes(), _etag(path.stat())
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


def _stored_file(path: str, key: str) -> StoredObject:
    with errors_told(f"look at {path}"):
        stat = os.stat(path)
    return StoredObject(key, _etag(stat), stat.st_size, datetime.fromtimestamp(stat.st_mtime_ns // 1000 / 1e6, tz=UTC))


def _etag(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"


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

    def _told(self, action: str, key: str = "") -> contextlib.AbstractContextManager[None]:
        return translated(action, printable(f"{self.uri}/{key}").rstrip("/"), self.bucket)

    def _key(self, key: str) -> str:
        return f"{self.prefix}/{key}" if self.prefix else key

    def list_objects(self, prefix: str = "", after: str = "", start: str = "", end: str = "") -> Iterator[StoredObject]:
        for found in self._listed(prefix, max(after, _just_below(start)), _FULL_PAGE):
            if end and found.key >= end:
                return
            if found.key >= start:
                yield found

    def _listed(self, prefix: str, after: str, page_keys: int) -> Iterator[StoredObject]:
        bounds = {"StartAfter": self._key(after)} if after else {}
        base = len(self._key(""))
        with self._told("list"):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._key(prefix), PaginationConfig={"PageSize": page_keys}, **bounds
            )
            for page in pages:
                for entry in page.get("Contents", []):
                    key = entry["Key"][base:]
                    if key and not key.endswith("/"):
                        yield StoredObject(key, entry["ETag"].strip('"'), entry["Size"], entry["LastModified"])

    def first_key(self, prefix: str = "", after: str = "") -> str | None:
        return next((found.key for found in self._listed(prefix, after, 1)), None)

    def stat(self, key: str) -> StoredObject:
        with self._told("look up", key):
            found = self._s3.head_object(Bucket=self.bucket, Key=self._key(key))
        return StoredObject(key, found["ETag"].strip('"'), found["ContentLength"], found["LastModified"])

    def check(self) -> None:
        with self._told("list"):
            self._s3.list_objects_v2(Bucket=self.bucket, Prefix=self._key(""), MaxKeys=1)

    def exists(self, key: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return bool(self.stat(key))
        return False

    def read_bytes(self, key: str) -> bytes:
        with self._told("read", key):
            return self._whole(key)

    @WHOLE_BODIES
    def _whole(self, key: str) -> bytes:
        return bytes(self._s3.get_object(Bucket=self.bucket, Key=self._key(key))["Body"].read())

    def write_bytes(self, key: str, data: bytes) -> None:
        with self._told("write", key):
            self._s3.put_object(Bucket=self.bucket, Key=self._key(key), Body=data)

    def delete(self, key: str) -> None:
        with self._told("delete", key):
            self._s3.delete_object(Bucket=self.bucket, Key=self._key(key))

    def create_once(self, key: str, data: bytes) -> bool:
        with contextlib.suppress(FileExistsError), self._told("create", key):
            self._put_new(key, data)
            return True
        return self._holds(key, data)

    @CONFLICTS
    def _put_new(self, key: str, data: bytes) -> None:
        self._s3.put_object(Bucket=self.bucket, Key=self._key(key), Body=data, IfNoneMatch="*")

    def fetch(self, key: str, etag: str, within_s: float = FETCH_WITHIN_S) -> bytes:
        try:
            first, is_sure = self._sent(key, etag, within_s)
            if is_sure:
                return first
            again, is_sure = self._sent(key, etag, within_s)
        except aws.ClientError as error:
            raise FetchFailed(reject_reason(error), str(error)) from error
        except BROKEN as error:
            raise FetchFailed("download_failed", str(error)) from error
        if is_sure or again == first:  # the same twice is what the store holds, whatever its etag is made of
            return again
        raise FetchFailed("download_failed", f"two tries brought different bytes, neither those of the etag {etag}")

    def _sent(self, key: str, etag: str, within_s: float) -> tuple[bytes, bool]:
        """The object's bytes as they came, and whether nothing says that they changed on the way."""
        answer = self._s3.get_object(Bucket=self.bucket, Key=self._key(key), IfMatch=f'"{etag}"')
        with ended_after(answer["Body"], within_s):
            data = bytes(answer["Body"].read())
        return data, is_as_stored(data, answer)

    def arrow(self) -> tuple[pyarrow.fs.FileSystem, str]:
        return arrow_s3(s3_environment()), f"{self.bucket}/{self.prefix}".rstrip("/")

    def delta(self) -> tuple[str, dict[str, str]]:
        return f"s3://{quote(self.uri.removeprefix('s3://'))}", delta_options()

    def files(self) -> fsspec.AbstractFileSystem:
        where = s3_environment()
        region = {"region_name": where.region}
        return fsspec.filesystem("s3", endpoint_url=where.endpoint, client_kwargs=region, use_listings_cache=False)


def _just_below(key: str) -> str:
    """A text that is less, with hardly a key between: S3 starts a listing after a text, and not at one."""
    last = ord(key[-1]) if key else 0
    if last <= ord(" "):  # not every server takes the characters below, nor those that XML lacks
        return key[:-1]
    return f"{key[:-1]}{chr({0xE000: 0xD7FF, 0x10000: 0xFFFD}.get(last, last - 1))}\U0010ffff"
