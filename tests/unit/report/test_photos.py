import logging
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tagger.errors import FetchFailed, StorageUnavailable
from tagger.picture.decode import Reject
from tagger.report.photos import fit_of, known_bundles, show_photos, show_rows
from tagger.storage import open_root
from tests.decoding import decode_nothing_here
from tests.unit.report.shop import photo, row, shop


def shown(data: bytes, policy, side_px):
    [answer] = show_photos([data], policy, side_px)
    return answer


def fails(error: Exception):
    def answer(*_: object) -> None:
        raise error

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
def images(tmp_path):
    images = open_root(str(tmp_path)).child("images")
    images.write_bytes("good", photo())
    images.write_bytes("blue", photo(color=(0, 0, 250)))
    images.write_bytes("broken", b"nothing")
    images.write_bytes("folder/photo", b"")
    return images


def listed(images, key, **values):
    """The row of a photo as it is listed now."""
    return row(key, etag=images.stat(key).etag, size_bytes=images.stat(key).size_bytes, **values)


def is_grey(shown) -> bool:
    return not np.ptp(shown.picture.reshape(-1, 3), axis=1).any()


def test_a_photo_as_it_was_tagged_is_shown(images):
    [shown] = show_rows([listed(images, "good")], images, {}, 200)
    assert shown.missing == "" and shown.picture.shape == (200, 150, 3) and not is_grey(shown)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("gone", "the photo is gone"),
        ("folder", "the photo is gone"),
        ("good", "the photo has changed since it was tagged"),
        ("../blue", "the photo cannot be read"),
    ],
)
@pytest.mark.parametrize("values", [{"etag": "e1"}, {"etag": None, "size_bytes": 1}], ids=["etag", "size"])
def test_a_photo_that_cannot_be_shown_is_grey_in_its_shape_and_says_why(images, key, words, values):
    if key == "folder" and not values["etag"]:
        words = "the photo cannot be read"
    [shown] = show_rows([row(key, **values)], images, {}, 200)
    assert shown.missing == words and shown.picture.shape == (200, 150, 3) and is_grey(shown)


def test_what_is_no_photo_is_grey_and_says_why(images):
    [shown] = show_rows([listed(images, "broken")], images, {}, 200)
    assert shown.missing == "the photo cannot be read: not_an_image" and is_grey(shown)


def test_another_photo_of_the_same_size_is_not_shown(images):
    tagged = listed(images, "good")
    other = photo(color=(0, 0, 250))
    images.write_bytes("good", other + bytes(len(photo()) - len(other)))
    assert images.stat("good").size_bytes == tagged["size_bytes"]
    [shown] = show_rows([tagged], images, {}, 200)
    assert shown.missing == "the photo has changed since it was tagged" and is_grey(shown)


@pytest.mark.parametrize("reason", ["download_failed", "access_denied"])
def test_a_photo_that_alone_does_not_come_is_grey(images, monkeypatch, caplog, reason):
    monkeypatch.setattr(images, "fetch", fails(FetchFailed(reason, "told by storage")))
    [shown] = show_rows([row("good")], images, {}, 200)
    assert shown.missing == "the photo cannot be read" and "told by storage" in caplog.text


def test_an_outage_ends_the_drawing(images, monkeypatch):
    monkeypatch.setattr(images, "fetch", fails(FetchFailed("download_failed", "no answer")))
    monkeypatch.setattr(images, "exists", fails(StorageUnavailable("no answer")))
    with pytest.raises(StorageUnavailable):
        show_rows([row("good")], images, {}, 200)


def test_rows_without_an_etag_and_a_size_are_shown(images):
    assert show_rows([row("blue", etag=None)], images, {}, 100)[0].missing == ""


def test_each_row_is_shown_as_its_own_bundle_fitted_it(images):
    rows = [listed(images, "good"), row("gone")]
    rows += [listed(images, key, model_version="2") for key in ("blue", "good")]
    shown = show_rows(rows, images, {("m", "2"): SimpleNamespace(fit="pad")}, 200)
    assert [each.picture.shape[:2] for each in shown] == [(200, 150), (200, 150), (200, 200), (200, 200)]
    assert shown[2].picture[100, 100, 2] > 200 and shown[3].picture[100, 100, 0] > 150


def test_photos_come_in_the_order_of_their_rows(images):
    shown = show_rows([listed(images, "blue"), row("gone"), listed(images, "good")], images, {}, 100)
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
