import errno
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tagger.errors import BadInput
from tagger.flags.reasons import Thresholds
from tagger.report.asked import Places, explain_file, explain_photo
from tests.decoding import decode_nothing_here
from tests.tables_rows import DAY
from tests.unit.report.shop import NEXT_DAY, photo, row, shop

GRID = np.outer(np.arange(8.0), np.ones(8))


class Stand:
    """Answers as a Tagger does, the same for any picture."""

    thresholds = Thresholds(focus=0.3)
    info = SimpleNamespace(fit="pad", size_px=128)

    def maps(self, pixels):
        assert pixels.shape == (1, 128, 128, 3)
        return {name: GRID[None] for name in ("type", "color", "contrast")}

    def observe(self, pixels):
        return SimpleNamespace(product=np.ones((1, 128, 128)))

    def tag(self, pixels, image_keys, run_date):
        known = row("ignored", review_reasons=["low_focus", "audit"])
        stored = ("image_key", "width", "height", "format", "phash")
        columns = {name: [value] for name, value in known.items() if name not in stored}
        return columns | {"needs_review": [True], "logit_residual": 1e-6}


def words(told, thresholds):
    return [f"{name} below {thresholds and thresholds.focus}" for name in told["review_reasons"]]


def never():
    raise AssertionError("the networks were loaded")


def texts(explained):
    return [text.get_text() for text in explained.canvas.figure.texts]


@pytest.fixture
def places(tmp_path):
    root = shop(tmp_path, row("a.jpg", review_reasons=["low_focus"]), rejects=("bad.jpg",))
    return Places(root, root.child("images"))


def test_a_tagged_photo_is_drawn_from_its_row_and_no_network_is_loaded(places):
    explained = explain_photo("a.jpg", places, words, never)
    assert explained.row["run_id"] == "r1" and explained.row["reasons_in_words"] == ["low_focus below None"]
    assert "Color map (read by focus)" in texts(explained) and "low_focus below None" in texts(explained)


def test_a_file_below_the_images_is_the_photo_of_its_key(places):
    assert explain_photo(f"{places.images.uri}/a.jpg", places, words, never).row["image_key"] == "a.jpg"


def test_a_tagged_photo_that_is_gone_is_told_on_the_drawing(places):
    places.images.delete("a.jpg")
    assert "the photo is gone" in texts(explain_photo("a.jpg", places, words, never))


@pytest.mark.parametrize("is_local", [True, False])
def test_a_photo_without_a_row_is_tagged_now(places, tmp_path, is_local):
    places.images.write_bytes("new.jpg", photo())
    (tmp_path / "new.jpg").write_bytes(photo())
    name = str(tmp_path / "new.jpg") if is_local else "new.jpg"
    explained = explain_photo(name, places, words, Stand)
    assert explained.row["image_key"] == name and "Contrast map" in texts(explained)


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("b.jpg", {}, "No photo 'b.jpg' was tagged under .* The nearest keys are: a.jpg"),
        ("bad.jpg", {}, "rejected on 2026-11-22 as corrupt"),
        ("/no/b.jpg", {}, "nearest keys are: a.jpg"),
        ("a.jpg", {"date": NEXT_DAY}, f"tagged in the night of {DAY}, not of {NEXT_DAY}"),
        ("a.jpg", {"root": None, "images": None}, "Name a local file, or give root= or images="),
        ("b.jpg", {"root": None}, "no photo 'b.jpg', neither here nor under"),
        (
            "x" * 300,
            {},
            "No photo 'x{300}' was tagged under .* The nearest keys are: a.jpg",
        ),  # longer than a file's name
        ("x" * 300, {"root": None, "images": None}, "Name a local file, or give root= or images="),
        ("a\0b", {"root": None}, "neither here nor under"),
    ],
)
def test_a_name_that_is_nothing_is_told_before_any_network_is_loaded(places, name, values, told):
    with pytest.raises(BadInput, match=told):
        explain_photo(name, Places(**({"root": places.root, "images": places.images} | values)), words, never)


def test_a_photo_is_explained_by_the_row_that_tagging_would_write():
    told = explain_file(Stand(), photo(90, 128), "b.jpg", words).row
    assert (told["image_key"], told["width"], told["height"], told["format"]) == ("b.jpg", 90, 128, "JPEG")
    assert (told["type"], told["model_version"]) == ("Shirt", "1") and "logit_residual" not in told
    assert told["reasons_in_words"] == ["low_focus below 0.3"] and told["needs_review"]
    assert told["review_reasons"] == ["low_focus"], "no audit without a night"


def test_a_strangers_photo_is_decoded_in_another_process(monkeypatch):
    strange = photo(90, 128)
    decode_nothing_here(monkeypatch)
    assert explain_file(Stand(), strange, "b.jpg", words).row["width"] == 90


def test_a_photo_that_cannot_be_decoded_is_refused_by_name():
    with pytest.raises(BadInput, match=r"c\.jpg cannot be explained: (truncated|corrupt)"):
        explain_file(Stand(), photo()[:80], "c.jpg", words)


@pytest.mark.parametrize("values", [{"root": None, "images": None}, {"root": None}, {}])
def test_a_name_forges_no_line_of_a_sentence(places, values):
    asked = Places(**({"root": places.root, "images": places.images} | values))
    with pytest.raises(BadInput, match=r"'b\\nc'") as refused:
        explain_photo("b\nc", asked, words, never)
    assert "\n" not in str(refused.value)


def test_a_photo_here_that_may_not_be_read_is_told(places, tmp_path, monkeypatch):
    (tmp_path / "new.jpg").write_bytes(photo())

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(BadInput, match=r"Could not read .*new\.jpg: Permission denied"):
        explain_photo(str(tmp_path / "new.jpg"), places, words, never)
