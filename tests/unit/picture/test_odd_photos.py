"""Odd and hostile photos through a decode child: each has the answer that it deserves, and no neighbour notices."""

import sys

import pytest
from odd_photos import odd_photos, tiff, with_segment
from photos import encoded, scene

from tagger.picture.children import DecodeChildren
from tagger.picture.decode import REJECT_REASONS, DecodedPhoto, DecodeLimits, Reject
from tagger.picture.fit import Fit
from tagger.picture.header import ACCEPTED_FORMATS

ODD = odd_photos()
BY_DEATH = {"decode_timeout", "decode_memory", "decode_crashed"}
"""Reached in test_children.py, by photos and deaths that are made for it."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the limits on children need Linux")


@pytest.fixture(scope="module")
def children():
    with DecodeChildren(1, Fit(), DecodeLimits()) as started:
        yield started


@pytest.fixture(scope="module")
def answers(children):
    before = children.pids()
    answered = dict(zip(ODD, children.decode([photo for photo, _ in ODD.values()]), strict=True))
    assert children.pids() == before, "no photo may kill a child"
    return answered


def told(answer):
    return answer.reason if isinstance(answer, Reject) else answer.format


@pytest.mark.parametrize("name", ODD)
def test_an_odd_photo_is_the_picture_or_has_the_reason(answers, name):
    assert told(answers[name]) == ODD[name][1], answers[name]


def test_every_reason_and_every_format_is_reached():
    reached = {expected for _, expected in ODD.values()}
    assert reached == {*REJECT_REASONS, *ACCEPTED_FORMATS} - BY_DEATH - {"file_too_large"}


def test_a_file_one_byte_too_long_is_too_large(children):
    photo = encoded(scene(), "PNG")
    limit = DecodeLimits().max_bytes
    assert told(children.decode([photo + bytes(limit + 1 - len(photo))])[0]) == "file_too_large"


@pytest.mark.parametrize("name", ACCEPTED_FORMATS)
def test_a_file_cut_at_each_tenth_is_truncated(children, name):
    photo = encoded(scene(200, 150), name)
    cut = children.decode([photo[: len(photo) * tenth // 10] for tenth in range(1, 10)])
    assert {told(answer) for answer in cut} == {"truncated"}


ORIENTED_6 = (0x0112, 3, 1, 6)


@pytest.mark.parametrize(
    ("entry", "is_turned"),
    [
        (ORIENTED_6, True),
        ((0x0112, 4, 1, 6), True),  # a long in place of a short
        ((0x0112, 3, 1, 9), False),
        ((0x0112, 3, 1, 0), False),
        ((0x0112, 3, 1, 65535), False),
        ((0x0112, 2, 2, ord("6")), False),  # text
        ((0x0112, 11, 1, 0x40C00000), False),  # a float
        ((0x0112, 5, 1, 8), False),  # a ratio
        ((0x0112, 3, 99, 2**31), False),  # 99 values far outside the file
    ],
)
def test_only_an_orientation_that_exists_turns_the_picture(children, entry, is_turned):
    plain = encoded(scene(), "JPEG")
    marked = with_segment(plain, 0xE1, b"Exif\0\0" + tiff([entry], following=0))
    as_stored, answer = children.decode([plain, marked])
    assert isinstance(answer, DecodedPhoto) and (answer.width, answer.height) == (64, 48)
    assert (answer.pixels == as_stored.pixels).all() != is_turned
