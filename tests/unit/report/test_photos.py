import logging
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tagger.picture.decode import Reject
from tagger.report.photos import fit_of, known_bundles, show_photos, show_rows
from tests.decoding import decode_nothing_here
from tests.unit.report.shop import photo, row, shop


def shown(data: bytes, policy, side_px):
    [answer] = show_photos([data], policy, side_px)
    return answer


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return photo(80, 60, exif=exif)


@pytest.mark.parametrize(
    ("data", "shape"),
    [(photo(60, 80), (200, 150)), (photo(80, 40), (100, 200)), (turned(6), (200, 150)), (turned(3), (150, 200))],
)
def test_a_stretched_photo_is_shown_in_its_own_shape_and_upright(data, shape):
    assert shown(data, "stretch", 200).picture.shape == (*shape, 3)


def test_a_padded_photo_is_shown_as_the_square_that_its_maps_cover():
    assert shown(photo(60, 80), "pad", 200).picture.shape == (200, 200, 3)


def test_the_photo_keeps_its_colors():
    assert np.abs(shown(photo(), "stretch", 100).picture.astype(int) - (200, 30, 40)).max() < 8


def test_what_is_no_photo_is_a_reject():
    assert isinstance(shown(b"nothing", "stretch", 100), Reject)


def test_photos_of_strangers_are_decoded_in_other_processes(monkeypatch):
    photos = [turned(6), photo(80, 40)]
    decode_nothing_here(monkeypatch)
    assert [each.picture.shape for each in show_photos(photos, "stretch", 200)] == [(200, 150, 3), (100, 200, 3)]


@pytest.fixture
def root(tmp_path):
    sizes = {"size_bytes": len(photo())}
    root = shop(tmp_path, *(row(key, **sizes) for key in ("good", "gone", "changed")), row("broken", size_bytes=7))
    images = root.child("images")
    images.delete("gone")
    images.write_bytes("changed", photo(color=(0, 0, 250)) + b"\0")
    images.write_bytes("broken", b"nothing")
    images.write_bytes("folder/photo", b"")
    return root


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("good", ""),
        ("gone", "the photo is gone"),
        ("changed", "the photo has changed since it was tagged"),
        ("broken", "the photo cannot be read: not_an_image"),
        ("folder", "the photo cannot be read"),
    ],
)
def test_a_photo_that_cannot_be_shown_is_grey_in_its_shape_and_says_why(root, key, words):
    size = {"gone": 1, "broken": 7}.get(key, len(photo()))
    [shown] = show_rows([row(key, size_bytes=size)], root.child("images"), {}, 200)
    assert shown.missing == words and shown.picture.shape == (200, 150, 3)
    assert (np.ptp(shown.picture.reshape(-1, 3), axis=1).max() == 0) == bool(words)


def test_rows_without_a_listed_size_are_shown(root):
    assert show_rows([row("changed")], root.child("images"), {}, 100)[0].missing == ""


def test_each_row_is_shown_as_its_own_bundle_fitted_it(root):
    rows = [row("good"), row("gone"), row("changed", model_version="2"), row("good", model_version="2")]
    shown = show_rows(rows, root.child("images"), {("m", "2"): SimpleNamespace(fit="pad")}, 200)
    assert [each.picture.shape[:2] for each in shown] == [(200, 150), (200, 150), (200, 200), (200, 200)]
    assert shown[2].picture[100, 100, 2] > 200 and shown[3].picture[100, 100, 0] > 150


def test_photos_come_in_the_order_of_their_rows(root):
    shown = show_rows([row("changed"), row("gone"), row("good")], root.child("images"), {}, 100)
    assert [each.missing for each in shown] == ["", "the photo is gone", ""]
    assert shown[0].picture[50, 40, 2] > 200 and shown[2].picture[50, 40, 0] > 150


def test_how_a_photo_filled_the_square_is_its_bundles_word():
    infos = {("m", "1"): SimpleNamespace(fit="pad")}
    assert fit_of(row("a"), infos) == "pad" and fit_of(row("a", model_version="2"), infos) == "stretch"


def test_a_shipped_bundle_is_known_without_loading_it(tmp_path):
    shipped = row("a", model_name="fashion-24x20")
    assert known_bundles([shipped], shop(tmp_path, shipped))["fashion-24x20", "1"].fit == "stretch"


def test_a_bundle_that_is_nowhere_is_warned_of(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert known_bundles([row("a")], shop(tmp_path, row("a")), str(tmp_path / "models")) == {}
    assert "bundle m 1 is not found" in caplog.text
