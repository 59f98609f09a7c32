"""Formats by their first bytes, and JPEG scans by their markers."""

import time

import pytest
from photos import encoded, many_scans, scene

from tagger.picture.header import ACCEPTED_FORMATS, ends_early, jpeg_scan_count, picture_format, stated_size


@pytest.mark.parametrize("name", ACCEPTED_FORMATS)
def test_what_pillow_writes_is_recognised(name):
    assert picture_format(encoded(scene(), name)) == name


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", None),  # a film
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"<?xml version='1.0'?>\n<!-- shoe -->\n<svg/>", "SVG"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", None),
        (b"<!DOCTYPE html><html><body><svg/></body></html>", None),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"8BPS\0\1", "Photoshop"),
        (b"P6\n4 4\n255\n", "netpbm"),
        (b"II*\0\x10\0\0\0CR\2\0", "Canon raw"),
        (b"\0\0\1\0\1\0\x20\x20", "ICO"),
        (b"\0\0\2\0\0\0\0\0\0\0\0\0\x80\0\x80\0\x18\0", "TGA"),  # begins as a cursor without pictures would
        (b"BMW is a maker of cars", None),
        (b"RIFF\0\0\0\0AVI LIST", None),
        (b"\xff\xd8", None),
        (b"\0" * 1000, None),
    ],
)
def test_first_bytes_tell_the_format(data, name):
    assert picture_format(data) == name


def test_a_baseline_jpeg_has_one_scan():
    assert jpeg_scan_count(encoded(scene(), "JPEG")) == 1


def test_scans_of_a_progressive_jpeg_are_counted():
    assert jpeg_scan_count(many_scans(300)) == 300


def test_scans_inside_metadata_and_behind_the_end_are_not_counted():
    photo = encoded(scene(), "JPEG", comment=b"\xff\xda" * 500)
    assert jpeg_scan_count(photo + photo) == 1


def test_a_cut_jpeg_ends_the_count():
    photo = encoded(scene(), "JPEG")
    assert [jpeg_scan_count(photo[:length]) for length in (0, 1, 2, 3, 30)] == [0] * 5


def test_scans_behind_a_long_run_of_filling_bytes_are_counted_at_once():
    photo = encoded(scene(), "JPEG")
    started = time.process_time()
    assert jpeg_scan_count(photo[:2] + b"\xff" * 3_000_000 + b"\0" + photo[2:]) == 1
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("WebP", {}),
        ("WebP", {"lossless": True}),
        ("WebP", {"exif": b"Exif\0\0"}),
        ("WebP", {"save_all": True, "append_images": [scene(301, 200).rotate(180)]}),
        ("AVIF", {}),
    ],
)
def test_a_webp_or_avif_states_its_size_before_it_is_opened(name, options):
    photo = encoded(scene(301, 200), name, **options)
    assert stated_size(photo, name) == (301, 200)
    assert stated_size(photo[:20], name) is None


def test_other_formats_are_left_to_their_readers():
    assert stated_size(encoded(scene(), "PNG"), "PNG") is None


@pytest.mark.parametrize("name", ["WebP", "AVIF"])
def test_a_cut_file_of_known_length_ends_early(name):
    photo = encoded(scene(), name)
    assert not ends_early(photo, name)
    assert all(ends_early(photo[: len(photo) * share // 100], name) for share in (20, 50, 99))


def test_a_box_of_length_zero_reaches_the_end():
    assert not ends_early(b"\0\0\0\x10ftypavif\0\0\0\0" + b"\0\0\0\0mdat" + b"x" * 50, "AVIF")
