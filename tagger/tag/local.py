"""Photos on this machine's disk -> rows, with no root, no Ray and no tables: for a look, a script, a notebook."""

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tagger.disk import kind_of
from tagger.errors import BadInput, FetchFailed
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits, Reject
from tagger.picture.fit import Fit
from tagger.printable import printable
from tagger.storage import LocalRoot
from tagger.tag.predict import Tagger

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif"}
"""Which files of a folder count as photos."""


def find_photos(operands: Sequence[str]) -> list[Path]:
    """The files that are named, and the photos below the folders that are named. BadInput for what is not there.

    AccessDenied or StorageUnavailable where the disk does not tell. A folder is no photo, whatever its name.
    """
    found: list[Path] = []
    for operand in operands:
        path = Path(operand)
        match kind_of(path):
            case "folder":
                named = (p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
                found += sorted(p for p in named if kind_of(p) == "file")
            case "file":
                found.append(path)
            case "neither":
                raise BadInput(f"There is no photo '{printable(operand)}'. Name files or folders on this machine.")
    if not found:
        raise BadInput(f"{', '.join(map(printable, operands))} holds no photo ({', '.join(sorted(SUFFIXES))}).")
    return found


def tag_photos(paths: Sequence[Path], tagger: Tagger, batch_size: int) -> Iterator[dict[str, Any]]:
    """One row a photo, in order: the columns of `tags` that a photo determines, or `image_key`, `reason`, `detail`."""
    fit = Fit(tagger.info.fit, tagger.info.size_px)  # type: ignore[arg-type]
    today = datetime.datetime.now(datetime.UTC).date()
    with DecodeChildren(1, fit, DecodeLimits()) as children:
        for start in range(0, len(paths), batch_size):
            batch = paths[start : start + batch_size]
            yield from _rows(tagger, [str(path) for path in batch], _decoded(batch, children), today)


def _decoded(paths: Sequence[Path], children: DecodeChildren) -> list[DecodedPhoto | Reject]:
    """What became of each photo; one that the disk does not hand out is a reject as in a night."""
    photos = [_read(path) for path in paths]
    answers = iter(children.decode([photo for photo in photos if isinstance(photo, bytes)]))
    return [photo if isinstance(photo, Reject) else next(answers) for photo in photos]


def _read(path: Path) -> bytes | Reject:
    folder, name = LocalRoot(str(path.absolute().parent)), path.name
    try:
        return folder.fetch(name, folder.stat(name).etag)
    except FileNotFoundError:
        return Reject("not_found", "the file vanished after it was listed")
    except FetchFailed as failure:
        return Reject(failure.reason, failure.detail)


def _rows(
    tagger: Tagger, names: list[str], answers: list[DecodedPhoto | Reject], today: datetime.date
) -> Iterator[dict[str, Any]]:
    good = [(name, answer) for name, answer in zip(names, answers, strict=True) if isinstance(answer, DecodedPhoto)]
    tagged: dict[str, dict[str, Any]] = {}
    if good:
        keys = [name for name, _ in good]
        columns = tagger.tag(np.stack([answer.pixels for _, answer in good]), keys, today)
        del columns["logit_residual"]
        tagged = {key: {name: values[n] for name, values in columns.items()} for n, key in enumerate(keys)}
    for name, answer in zip(names, answers, strict=True):
        rest = {"reason": answer.reason, "detail": answer.detail} if isinstance(answer, Reject) else tagged[name]
        yield {"image_key": name, **rest}
