"""Photos of a folder on this machine: which count, in which order, and a row for each."""

import errno
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tagger.errors import BadInput
from tagger.tag.local import find_photos, tag_photos
from tests.decoding import decode_nothing_here

SHADES = {"b/deep.webp": 50, "a.PNG": 100, "c.jpg": 150}
INFO = SimpleNamespace(fit="stretch", size_px=128)


@pytest.fixture
def folder(tmp_path):
    """Photos of one shade each, one that is broken, and a text."""
    (tmp_path / "b").mkdir()
    for name, shade in SHADES.items():
        Image.new("L", (32, 32), shade).save(tmp_path / name)
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    (tmp_path / "notes.txt").write_text("no photo either")
    return tmp_path


class ShadeTagger:
    """Tells how bright each picture is, and how many came with it."""

    info = INFO

    def tag(self, pixels, keys, date):
        shades = np.round(pixels.mean(axis=(1, 2, 3)), -1).astype(int).tolist()
        return {"shade": shades, "batch": [len(keys)] * len(keys), "logit_residual": 0.0}


def names(paths, folder):
    return [str(path.relative_to(folder)) for path in paths]


def test_a_folder_gives_the_photos_below_it_in_order(folder):
    assert names(find_photos([str(folder)]), folder) == ["a.PNG", "b/deep.webp", "broken.jpg", "c.jpg"]


def test_what_is_named_comes_in_the_order_of_the_names_whatever_its_suffix(folder):
    operands = [str(folder / name) for name in ("notes.txt", "b", "a.PNG")]
    assert names(find_photos(operands), folder) == ["notes.txt", "b/deep.webp", "a.PNG"]


def test_what_is_not_there_and_a_folder_without_a_photo_are_told(folder, tmp_path):
    with pytest.raises(BadInput, match="There is no photo '/no/photo.jpg'"):
        find_photos([str(folder), "/no/photo.jpg"])
    with pytest.raises(BadInput, match="There is no photo 'x{300}'"):  # longer than a file's name can be
        find_photos(["x" * 300])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match=r"empty holds no photo \(\.avif, \.bmp"):
        find_photos([str(tmp_path / "empty")])


def test_folders_and_links_that_lead_nowhere_are_no_photos_whatever_their_names(folder):
    (folder / "set.jpg").mkdir()
    (folder / "b/deep.webp").rename(folder / "set.jpg/deep.webp")
    (folder / "gone.png").symlink_to("nothing.png")
    assert names(find_photos([str(folder)]), folder) == ["a.PNG", "broken.jpg", "c.jpg", "set.jpg/deep.webp"]


def test_what_the_disk_does_not_hand_out_is_a_reject_and_the_others_are_tagged(folder, monkeypatch):
    paths = find_photos([str(folder)])
    paths[1].unlink()
    whole = Path.read_bytes

    def refusing(path):
        if path.name == "c.jpg":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", refusing)
    rows = list(tag_photos(paths, ShadeTagger(), 8))
    assert [row.get("reason") for row in rows] == [None, "not_found", "not_an_image", "access_denied"]
    assert rows[0]["shade"] == 100 and rows[3]["detail"] == "Permission denied"


@pytest.mark.parametrize(("batch_size", "batches"), [(2, [2, 2, None, 1]), (8, [3, 3, None, 3])])
def test_every_photo_has_a_row_in_order_and_a_broken_one_its_reason(folder, monkeypatch, batch_size, batches):
    decode_nothing_here(monkeypatch)
    paths = find_photos([str(folder)])
    rows = list(tag_photos(paths, ShadeTagger(), batch_size))
    assert [row["image_key"] for row in rows] == [str(path) for path in paths]
    assert [row.get("shade") for row in rows] == [100, 50, None, 150]
    assert [row.get("batch") for row in rows] == batches
    assert rows[2]["reason"] == "not_an_image" and rows[2].keys() == {"image_key", "reason", "detail"}
    assert "logit_residual" not in rows[0]
