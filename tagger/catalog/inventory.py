"""A bucket's photos from its S3 Inventory: Amazon's own list of the bucket, made daily or weekly, in no order.

Such a list is cheaper than listing, and older: a photo that has changed or gone since becomes a transient reject, and
one that is newer is found the next time. `manifest.json` lies in a dated folder and names the list's files, which lie
in the folder `data` beside that one:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

from tagger.catalog.listing import KeyRange
from tagger.catalog.sorted_rows import SortedRows, lacks_space, quoted, sort_rows, sorting
from tagger.errors import BadInput
from tagger.storage import Root, S3Root, StoredObject, open_file, open_root, outages_told

_NEEDED = {"key": "Key", "size": "Size", "lastmodifieddate": "Last modified", "etag": "ETag"}
_FORMATS = ("CSV", "Parquet")
_FIELD = re.compile(r"\w+")
_FILE = re.compile(r"\w[\w.-]*")
_CHUNK_BYTES = 8 << 20
_THREADS = 4


@dataclass(frozen=True)
class InventoryListing:
    """The photos that an inventory names, sorted by `prepare` into a folder that every reader reaches."""

    rows: SortedRows

    @classmethod
    def prepare(cls, manifest_uri: str, images: Root, prefix: str, into: Root) -> "InventoryListing":
        """Check and sort an inventory into the folder `into`; nothing to do where that is done already.

        Takes the current versions of objects below `images` whose key begins with `prefix`. BadInput for an inventory
        of another bucket or without the facts that a photo needs, and for files that are not as the manifest says.
        """
        report = _read_report(manifest_uri)
        bucket = _checked(report, images)
        rows = SortedRows(into)
        source = {"uri": manifest_uri, "digest": report.digest, "images": images.uri, "prefix": prefix}
        if not rows.is_made_from(source):
            with sorting() as (connection, folder):
                files = _fetch_files(report, folder)
                try:
                    sort_rows(_photos(connection, report, files, bucket, prefix), into, source)
                except duckdb.Error as error:
                    if lacks_space(error):
                        raise
                    reason = " ".join(str(error).split())
                    raise BadInput(f"{manifest_uri}: a file cannot be read: {reason} Take another day's.") from error
        return cls(rows)

    def ranges(self, wanted: int) -> list[KeyRange]:
        """See `Listing`. Ranges have the same number of photos, but for the last, and 65,536 at least."""
        return self.rows.ranges(wanted)

    def photos(self, part: KeyRange, after: str = "") -> Iterator[StoredObject]:
        """See `Listing`."""
        for batch in self.rows.batches(part, after):
            columns = (batch[name].to_pylist() for name in ("image_key", "etag", "size_bytes", "last_modified"))
            yield from (StoredObject(*values) for values in zip(*columns, strict=True))


@dataclass(frozen=True)
class _Report:
    """What a manifest says. fields: the columns' names in order. files: (name, MD5) of the list's files."""

    uri: str
    digest: str
    bucket: str
    format: str
    fields: tuple[str, ...]
    files: tuple[tuple[str, str], ...]

    @property
    def folder(self) -> Root:
        """The folder beside the manifest's that holds the files."""
        return open_root(f"{self.uri.rsplit('/', 2)[0]}/data")

    def column(self, name: str) -> str:
        """The column as SQL, by the field's name in small letters alone: CSV has ETag where Parquet has e_tag."""
        return _identifier(next(field for field in self.fields if _plain(field) == name))

    def has(self, name: str) -> bool:
        """Whether the inventory tells this."""
        return name in map(_plain, self.fields)


def _read_report(uri: str) -> _Report:
    place = uri if "://" in uri else str(Path(uri).expanduser().absolute())
    if place.rsplit("/", 2)[0] == "s3:/":
        raise BadInput(f"{uri} does not lie in a dated folder. Name …/<date>/manifest.json of an S3 inventory.")
    root, name = open_file(place)
    try:
        data = root.read_bytes(name)
        told = json.loads(data)
        files = tuple((str(file["key"]).rpartition("/")[2], str(file["MD5checksum"])) for file in told["files"])
        bucket, kind, schema = (str(told[name]) for name in ("sourceBucket", "fileFormat", "fileSchema"))
    except FileNotFoundError as error:
        raise BadInput(f"There is no manifest {uri}. Name the manifest.json of an S3 inventory.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{uri} is no manifest of an S3 inventory ({error!r}). Name its manifest.json.") from error
    fields = _fields(kind, schema)
    _check_names(uri, fields, [name for name, _ in files])
    return _Report(place, hashlib.sha256(data).hexdigest(), bucket, kind, fields, files)


def _fields(kind: str, schema: str) -> tuple[str, ...]:
    """The columns' names: of CSV divided by commas, of Parquet its message type."""
    if kind == "CSV":
        return tuple(field.strip() for field in schema.split(","))
    return tuple(re.findall(r"\b(?:required|optional)\s+\w+\s+(\w+)", schema))


def _check_names(uri: str, fields: Sequence[str], files: Sequence[str]) -> None:
    """BadInput for a name that S3 would not give: names go into SQL and into paths, and anyone may write a manifest."""
    odd = [name for name in fields if not _FIELD.fullmatch(name)] + [
        name for name in files if not _FILE.fullmatch(name)
    ]
    if odd:
        raise BadInput(
            f"{uri} names {odd[0]!r}, which is no plain name of a column or a file. Name a manifest.json that S3 wrote."
        )


def _checked(report: _Report, images: Root) -> S3Root:
    """The images' root, if the inventory is of its bucket and tells what a photo needs."""
    if not isinstance(images, S3Root) or images.bucket != report.bucket:
        raise BadInput(
            f"{report.uri} is the inventory of the bucket {report.bucket}, and the images are at {images.uri}. "
            "Name an inventory of the images' bucket."
        )
    if report.format not in _FORMATS:
        raise BadInput(
            f"{report.uri} is in the format {report.format}. Set the inventory's output format to Parquet or CSV, and "
            "take the next report."
        )
    missing = [name for field, name in _NEEDED.items() if not report.has(field)]
    if missing:
        raise BadInput(
            f"{report.uri} does not tell {', '.join(missing)}. Switch these additional fields on in the inventory's "
            "configuration, and take the next report."
        )
    return images


def _fetch_files(report: _Report, folder: Path) -> list[str]:
    """Bring the files here, some at once, and compare each with its checksum."""
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(partial(_fetch_file, report, folder), report.files))


def _fetch_file(report: _Report, folder: Path, named: tuple[str, str]) -> str:
    (name, md5), target = named, folder / named[0]
    filesystem, base = report.folder.arrow()
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with outages_told(report.folder), target.open("wb") as file:
            with filesystem.open_input_stream(f"{base}/{name}", compression=None) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
    except FileNotFoundError as error:
        raise BadInput(
            f"{report.uri} names {name}, which is not in {report.folder.uri}. Take another day's."
        ) from error
    if digest.hexdigest() != md5.lower():
        raise BadInput(f"{report.folder.uri}/{name} is not the file that {report.uri} names (MD5). Take another day's.")
    return str(target)


def _photos(
    connection: duckdb.DuckDBPyConnection, report: _Report, files: list[str], images: S3Root, prefix: str
) -> duckdb.DuckDBPyRelation:
    """The objects below the prefix, as the listing would show them."""
    base = f"{images.prefix}/" if images.prefix else ""
    return connection.sql(f"""
        SELECT substr(object_key, {len(base) + 1}) AS image_key, trim({report.column("etag")}, '"') AS etag,
               {report.column("size")}::BIGINT AS size_bytes,
               {report.column("lastmodifieddate")}::TIMESTAMPTZ AS last_modified
        FROM (SELECT {_object_key(report)} AS object_key, * FROM {_table(report, files)} WHERE {_is_current(report)})
        WHERE starts_with(object_key, {quoted(base + prefix)}) AND NOT ends_with(object_key, '/')""")


def _object_key(report: _Report) -> str:
    """SQL for the key. CSV encodes it as HTML forms are: a space is "+", and a plus sign is "%2B"."""
    key = report.column("key")
    return f"url_decode(replace({key}, '+', ' '))" if report.format == "CSV" else key


def _is_current(report: _Report) -> str:
    """SQL for what an inventory of all versions must leave out."""
    is_latest = f"coalesce({report.column('islatest')}::BOOLEAN, true)" if report.has("islatest") else "true"
    if not report.has("isdeletemarker"):
        return is_latest
    return f"{is_latest} AND NOT coalesce({report.column('isdeletemarker')}::BOOLEAN, false)"


def _table(report: _Report, files: list[str]) -> str:
    """SQL for the rows of all files."""
    if not files:
        return f"(SELECT {', '.join(f'NULL::VARCHAR AS {_identifier(field)}' for field in report.fields)} WHERE false)"
    names = f"[{', '.join(map(quoted, files))}]"
    if report.format == "Parquet":
        return f"read_parquet({names})"
    columns = ", ".join(f"{quoted(field)}: 'VARCHAR'" for field in report.fields)
    return f"""read_csv({names}, columns = {{{columns}}}, header = false, auto_detect = false, delim = ',',
                        quote = '"', escape = '"')"""


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(field: str) -> str:
    return field.replace("_", "").lower()
