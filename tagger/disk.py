"""Files of a folder: written whole or not at all, and walked in the order in which S3 lists them."""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from tagger.errors import AccessDenied, BadInput, StorageUnavailable
from tagger.printable import printable

_FULL = {errno.ENOSPC, errno.EDQUOT}
_AWAY = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN}
_DENIED = {errno.EACCES, errno.EPERM}
_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, *_DENIED}
_NOTHING = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
_WRITING = ".writing-"
Kind = Literal["file", "folder", "neither"]


@contextlib.contextmanager
def written_beside(path: Path, data: bytes) -> Iterator[str]:
    """A complete file in the same folder, for the length of the block, which gives it its name.

    After it the name is on the disk too, so that a power loss takes nothing that a later write relies on.
    """
    temporary = ""
    try:
        _make(path.parent)
        handle, temporary = tempfile.mkstemp(prefix=_WRITING, dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        yield temporary
        _settle(path.parent)
    except OSError as error:
        raise _told(error, f"write {len(data)} bytes to {path}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _make(folder: Path) -> None:
    """The folder and those above it, their names on the disk."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        _settle(folder.parent)


def _settle(folder: Path) -> None:
    """Wait until the names in the folder are on the disk, where the system and its filesystem know how."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders; elsewhere one may be writable and not readable
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


def read(path: Path) -> bytes:
    """A file's bytes. FileNotFoundError where there is none; else as `kind_of`."""
    with errors_told(f"read {path}"):
        return path.read_bytes()


@contextlib.contextmanager
def errors_told(action: str) -> Iterator[None]:
    """An OSError of the block as `kind_of` raises it, but for FileNotFoundError. action: what was to be done."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _told(error, action) from error


def kind_of(path: Path) -> Kind:
    """What stands there; a pipe or a device is neither, and so is a name that no file can have.

    StorageUnavailable where the disk does not answer, AccessDenied where one may not look.
    """
    try:
        mode = path.stat().st_mode
    except ValueError:  # it holds a NUL
        return "neither"
    except OSError as error:
        if error.errno in _NOTHING:
            return "neither"
        raise _told(error, f"look at {path}") from error
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "neither"


def may_hold(folder: str, prefix: str, after: str) -> bool:
    """Whether keys below `folder`, which ends with "/", can start with `prefix` and be greater than `after`."""
    may_start = folder.startswith(prefix) or prefix.startswith(folder)
    return may_start and (after.startswith(folder) or os.fsencode(folder) > os.fsencode(after))


def walk(
    folder: str, prefix: str, is_wanted: Callable[[str], bool], above: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[tuple[str, str]]:
    """Files below a folder as (path, key), ordered by the key's bytes as S3 orders them ("a.b" before "a/b").

    Links are followed, but not into a folder in which they stand; `above` are the devices and inodes of those.
    """
    try:
        status = os.stat(folder)
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise _told(error, f"list {folder}") from error
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    kinds = [(entry.name, _kind_of_entry(entry)) for entry in entries]
    for name, kind in sorted(kinds, key=lambda named: os.fsencode(named[0] + "/" * (named[1] == "folder"))):
        path = os.path.join(folder, name)
        if kind == "folder" and is_wanted(f"{prefix}{name}/"):
            yield from walk(path, f"{prefix}{name}/", is_wanted, above | {here})
        elif kind == "file" and not name.startswith(_WRITING):
            yield path, prefix + name


def _kind_of_entry(entry: os.DirEntry[str]) -> Kind:
    """As `kind_of`, without asking the disk again where the folder's list told."""
    if entry.is_symlink():
        return kind_of(Path(entry.path))
    return "folder" if entry.is_dir() else "file" if entry.is_file() else "neither"


def _told(error: OSError, action: str) -> Exception:
    """What a person does about it: mend the place, or start again when the disk has space or answers."""
    reason = f"Could not {printable(action)}: {error.strerror}"
    if error.errno in _FULL:
        return StorageUnavailable(f"{reason}. Make space on that disk.")
    if error.errno in _AWAY:
        return StorageUnavailable(f"{reason}. Try again when that disk answers.")
    kind = AccessDenied if error.errno in _DENIED else BadInput
    return kind(f"{reason}. Correct the path or its permissions; a root's disk must be writable and know hard links.")
