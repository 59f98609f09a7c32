"""Photos whose keys a person wrote into a file: one key a line, or a column `image_key` of a CSV or Parquet file.

The file says which photos; what they are now, the storage says, by one small request a photo.
"""

import contextlib
import io
import itertools
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.fs
import pyarrow.parquet as pq

from tagger.catalog.listing import KeyRange
from tagger.catalog.sorted_rows import SortedRows, sort_rows, sorting
from tagger.errors import AccessDenied, BadInput
from tagger.storage import Root, StoredObject, open_file, outages_told

_COLUMN = "image_key"
_BATCH_KEYS = 65_536
_THREADS = 16
_AT_ONCE = 256
_NO_GZIP = re.compile("zlib inflate failed|Truncated compressed stream")
_UPWARD = r"(^|/)\.\.(/|$)"


@dataclass(frozen=True)
class KeysListing:
    """The photos of a list of keys, sorted by `prepare` into a folder that every reader reaches.

    A key that is not there is no photo: `photos` leaves it out, `missing` tells it, `looked_up` tells both in one pass.
    A key that storage will say nothing about is a photo with an empty etag, whose download will be refused too.
    """

    images: Root
    rows: SortedRows

    @classmethod
    def prepare(cls, keys_uri: str, images: Root, prefix: str, into: Root) -> "KeysListing":
        """Sort the file's keys that begin with `prefix` into the folder `into`, each once.

        Keys are relative to `images`. A line's end is no part of the key, spaces are, and empty lines are passed over.
        Nothing to do where this very file was sorted there already. BadInput for a file that cannot be read, and for a
        key with a part `..`.
        """
        rows = SortedRows(into)
        source = {"uri": keys_uri, "digest": file_digest(keys_uri), "prefix": prefix}
        if not rows.is_made_from(source):
            with sorting() as (connection, _):
                connection.execute(f"CREATE TABLE keys ({_COLUMN} VARCHAR)")
                for keys in _wanted_keys(keys_uri, prefix):
                    connection.from_arrow(pa.table({_COLUMN: keys})).insert_into("keys")
                sort_rows(connection.table("keys"), into, source)
        return cls(images, rows)

    def ranges(self, wanted: int) -> list[KeyRange]:
        """See `Listing`. Ranges have the same number of keys, but for the last, and 65,536 at least."""
        return self.rows.ranges(wanted)

    def photos(self, part: KeyRange, after: str = "") -> Iterator[StoredObject]:
        """See `Listing`."""
        return (found for _, found in self.looked_up(part, after) if found)

    def missing(self, part: KeyRange) -> Iterator[str]:
        """The range's keys that are not there, in order, by a request for each of its keys."""
        return (key for key, found in self.looked_up(part) if not found)

    def looked_up(self, part: KeyRange, after: str = "") -> Iterator[tuple[str, StoredObject | None]]:
        """The range's keys greater than `after`, in order, each with its photo or with None.

        AccessDenied where not even the images' root may be looked at: that is no matter of a few photos.
        """
        keys = (key for batch in self.rows.batches(part, after) for key in batch[_COLUMN].to_pylist())
        with ThreadPoolExecutor(_THREADS) as pool:
            while some := list(itertools.islice(keys, _AT_ONCE)):
                found = list(pool.map(self._photo, some))
                if any(map(_is_withheld, found)):
                    self.images.check()
                yield from zip(some, found, strict=True)

    def check(self) -> None:
        """AccessDenied where storage withholds every key of the list: then credentials or policy are wrong."""
        withheld = ""
        for key, found in self.looked_up(KeyRange()):
            if not _is_withheld(found):
                return
            withheld = withheld or key
        if withheld:
            raise AccessDenied(
                f"Not allowed to look up any of the {self.asked()} keys of the list under {self.images.uri}, "
                f"the first is {withheld!r}. Check the credentials and the bucket's policy."
            )

    def asked(self) -> int:
        """How many keys the list has."""
        return self.rows.count()

    def _photo(self, key: str) -> StoredObject | None:
        try:
            return self.images.stat(key)
        except FileNotFoundError:
            return None
        except AccessDenied:
            return StoredObject(key, "", 0, datetime.now(UTC))  # of unknown age: not older than any `since`


def _is_withheld(found: StoredObject | None) -> bool:
    return found is not None and not found.etag


def file_digest(uri: str) -> str:
    """What changes when the file does. BadInput where there is none."""
    root, name = open_file(uri)
    try:
        return root.stat(name).etag
    except FileNotFoundError as error:
        raise BadInput(f"There is no file of keys {uri}. Correct the path.") from error


def _wanted_keys(uri: str, prefix: str) -> Iterator[pa.Array]:
    """The file's keys that begin with the prefix, in the file's order, some thousands at once."""
    root, name = open_file(uri)
    filesystem, base = root.arrow()
    try:
        with outages_told(root), _damage_told(uri):
            for keys in _keys(filesystem, f"{base}/{name}"):
                outside = keys.filter(pc.match_substring_regex(keys, _UPWARD))
                if len(outside):
                    raise BadInput(f"{uri} holds the key {outside[0].as_py()!r}, which leads upward. Remove it.")
                yield keys.filter(pc.and_(pc.starts_with(keys, prefix), pc.not_equal(keys, "")))
    except UnicodeDecodeError as error:
        raise BadInput(f"{uri} is not UTF-8 (byte {error.start} of a block). Save it as UTF-8.") from error
    except (pa.ArrowInvalid, KeyError) as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"{uri} cannot be read: {reason}. Give it a column {_COLUMN}, or one key a line.") from error


@contextlib.contextmanager
def _damage_told(uri: str) -> Iterator[None]:
    """BadInput for the OSError by which pyarrow tells that a file is not compressed as its name says, or cut."""
    try:
        yield
    except OSError as error:
        if not _NO_GZIP.search(str(error)):
            raise
        raise BadInput(f"{uri} is not whole, or no gzip file as its name says ({error}). Write it again.") from error


def _keys(filesystem: pyarrow.fs.FileSystem, path: str) -> Iterator[pa.Array]:
    """What the file's name says: Parquet, CSV with a header, or lines. Names that end with .gz are unpacked."""
    if path.endswith(".parquet"):
        with filesystem.open_input_file(path) as file:
            table = pq.ParquetFile(file)
            table.schema_arrow.field(_COLUMN)
            for batch in table.iter_batches(_BATCH_KEYS, columns=[_COLUMN]):
                yield batch[_COLUMN].cast(pa.string())
        return
    with filesystem.open_input_stream(path) as stream:
        yield from _from_csv(stream) if path.removesuffix(".gz").endswith(".csv") else _from_lines(stream)


def _from_csv(stream: pa.NativeFile) -> Iterator[pa.Array]:
    only = pyarrow.csv.ConvertOptions(include_columns=[_COLUMN], column_types={_COLUMN: pa.string()})
    for batch in pyarrow.csv.open_csv(stream, convert_options=only):
        yield batch[_COLUMN]


def _from_lines(stream: pa.NativeFile) -> Iterator[pa.Array]:
    lines = (line.removesuffix("\n").removesuffix("\r") for line in io.TextIOWrapper(stream, "utf-8-sig", newline="\n"))
    while some := list(itertools.islice(lines, _BATCH_KEYS)):
        yield pa.array(some, pa.string())
