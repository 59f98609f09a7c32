"""1,555 odd, corrupt and hostile files through decode children: each is a picture or a reason, and the right one."""

import collections
import csv
import os
import re
import zipfile
from pathlib import Path

import pytest
from photos import encoded, scene

from tagger.picture.children import DecodeChildren
from tagger.picture.decode import REJECT_REASONS, DecodedPhoto, DecodeLimits, Reject
from tagger.picture.fit import Fit

DATA = Path(os.environ.get("TAGGER_DATA", Path(__file__).parents[4] / "shared" / "data"))
ARCHIVE, MANIFEST = DATA / "bad-images.zip", DATA / "bad-images.manifest.csv"

pytestmark = pytest.mark.skipif(not ARCHIVE.exists(), reason=f"{ARCHIVE} is absent; set TAGGER_DATA to its folder")

NEIGHBOUR = encoded(scene(), "PNG")
"""Decoded after each file, in the same child or the other one."""

# The manifest's names for the formats that are read; MPO is a JPEG with more pictures behind it.
ACCEPTED = {"JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"}

# Pillow opens these two, and still they are refused.
WHY_NOT = {
    "libspng/missing_plte.png": "corrupt",  # a palette picture without a palette
    "generated/jpeg-progressive-500-scans.jpg": "unsupported_format",
}


@pytest.fixture(scope="module")
def rows():
    with MANIFEST.open(encoding="utf-8", newline="") as manifest:
        return list(csv.DictReader(manifest))


@pytest.fixture(scope="module")
def answers(rows):
    with zipfile.ZipFile(ARCHIVE) as archive, DecodeChildren(2, Fit(), DecodeLimits()) as children:
        before = children.pids()
        (expected,) = children.decode([NEIGHBOUR])
        answered = children.decode([photo for row in rows for photo in (archive.read(row["file"]), NEIGHBOUR)])
        assert children.pids() == before, "no file may kill a child"
        assert max(map(peak_bytes, before)) < 1.5 * 2**30
    assert all((neighbour.pixels == expected.pixels).all() for neighbour in answered[1::2])
    return answered[::2]


def peak_bytes(pid):
    """Largest resident size so far; nought where the system does not keep it."""
    status = Path(f"/proc/{pid}/status")
    kilobytes = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    return int(kilobytes[1]) * 1024 if kilobytes else 0


def within_limits(row):
    width, height = int(row["width"]), int(row["height"])
    return width * height <= DecodeLimits().max_pixels and min(width, height) >= DecodeLimits().min_side_px


def test_every_file_is_a_picture_or_a_final_reason(rows, answers):
    assert len(answers) == len(rows)
    for answer in answers:
        if isinstance(answer, DecodedPhoto):
            assert answer.pixels.shape == (128, 128, 3)
        else:
            assert answer.reason in REJECT_REASONS and answer.detail


def test_good_files_of_accepted_formats_and_sizes_are_pictures(rows, answers):
    refused = {
        row["file"]: answer.reason
        for row, answer in zip(rows, answers, strict=True)
        if row["outcome"] in ("ok", "exif_error") and row["format"] in ACCEPTED and within_limits(row)
        if isinstance(answer, Reject)
    }
    assert refused == WHY_NOT


def test_pictures_have_the_size_that_was_measured(rows, answers):
    """Sides in either order: the manifest's are of the upright picture, ours as stored."""
    for row, answer in zip(rows, answers, strict=True):
        if isinstance(answer, DecodedPhoto):
            assert {answer.width, answer.height} == {int(row["width"]), int(row["height"])}, row["file"]


def test_no_bad_file_becomes_a_picture(rows, answers):
    passed = [row["outcome"] for row, answer in zip(rows, answers, strict=True) if isinstance(answer, DecodedPhoto)]
    assert set(passed) == {"ok", "exif_error"}


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("truncated", {"truncated", "unsupported_format", "too_small", "too_many_pixels"}),
        ("decompression_bomb", {"too_many_pixels", "unsupported_format", "not_an_image"}),
        ("needs_ghostscript", {"unsupported_format"}),
        ("timeout", {"unsupported_format"}),  # the JPEGs of 5,000 and 20,000 scans
        ("metadata_bomb", {"corrupt"}),
    ],
)
def test_reasons_agree_with_what_was_measured(rows, answers, outcome, expected):
    given = {answer.reason for row, answer in zip(rows, answers, strict=True) if row["outcome"] == outcome}
    assert given <= expected


def test_no_reason_needs_a_child_to_be_killed(answers):
    counts = collections.Counter(answer.reason for answer in answers if isinstance(answer, Reject))
    assert not {"decode_timeout", "decode_memory", "decode_crashed", "file_too_large"} & set(counts)
    assert counts["empty"] == 2
