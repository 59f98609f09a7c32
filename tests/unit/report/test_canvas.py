import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tagger.errors import BadInput
from tagger.report.canvas import Canvas, Line, PictureFile, height_px, shortened, shortened_in_front, wrapped


def extent_px(line: Line) -> float:
    canvas = Canvas(4000, 100)
    canvas.write([line], 0, 0)
    canvas.png()
    return canvas.figure.texts[0].get_window_extent().width


@pytest.mark.parametrize("text", ["plain words that go on for more than one line", "W" * 80, "a " + "i" * 200])
def test_no_line_is_wider_than_it_may_be(text):
    lines = wrapped([Line(text, 12, "bold")], 200)
    assert len(lines) > 1 and max(map(extent_px, lines)) <= 200


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=40), st.integers(20, 300))
def test_wrapping_loses_nothing_but_spaces(text, width):
    whole = "".join(line.text for line in wrapped([Line(text)], width))
    assert [letter for letter in whole if letter.isprintable() and letter != " "] == [
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text if letter != " "
    ]


def test_words_stay_whole_where_they_fit():
    assert [line.text for line in wrapped([Line("trousers trousers")], 90)] == ["trousers", "trousers"]


def test_space_above_is_kept_above_the_first_line_only():
    lines = wrapped([Line("trousers trousers", space_px=7)], 90)
    assert [line.space_px for line in lines] == [7, 0]
    assert height_px(lines) == pytest.approx(7 + 2 * lines[0].pitch_px)


def test_a_shortened_line_says_that_it_was():
    short = shortened(Line("Fluorescent Yellowish-Green With Stripes"), 120)
    assert short.text.startswith("Fluor") and short.text.endswith("…") and extent_px(short) <= 120
    assert shortened(Line("Red"), 120) == Line("Red")


def test_keys_are_drawn_as_they_are_and_can_stop_nothing():
    canvas = Canvas(400, 100)
    canvas.write(wrapped([Line("a$b$c\n\udce9 日本 \\frac")], 380), 10, 10)
    canvas.png()
    assert canvas.figure.texts[0].get_text() == "a$b$c\ufffd\ufffd 日本 \\frac"


def test_an_image_fills_its_box_and_the_same_drawing_gives_the_same_bytes():
    def drawn() -> bytes:
        canvas = Canvas(300, 200)
        canvas.show(np.full((4, 4, 3), (200, 0, 0), np.uint8), 100, 50, 80, 60)
        return canvas.png()

    pixels = np.asarray(Image.open(io.BytesIO(drawn())).convert("RGB"))
    assert pixels.shape == (200, 300, 3) and (pixels[55:105, 105:175] == (200, 0, 0)).all()
    assert (pixels[:45] == 255).all() and (pixels[:, 185:] == 255).all()
    assert drawn() == drawn()


def test_a_key_is_shortened_in_front():
    short = shortened_in_front(Line("shop/2026/11/22/women/dresses/0815-red.jpg"), 120)
    assert short.text.startswith("…") and short.text.endswith("0815-red.jpg") and extent_px(short) <= 121
    assert shortened_in_front(Line("a/b.jpg"), 120) == Line("a/b.jpg")


@pytest.mark.parametrize(("shape", "box"), [((8, 4), (120, 50, 40, 80)), ((4, 8), (100, 70, 80, 40))])
def test_an_image_in_its_own_shape_lies_in_the_middle_of_its_box(shape, box):
    canvas = Canvas(300, 200)
    canvas.show_inside(np.zeros((*shape, 3), np.uint8), 100, 50, 80, 80)
    drawn = canvas.figure.axes[0].get_position()
    assert (drawn.x0 * 300, 200 - drawn.y1 * 200, drawn.width * 300, drawn.height * 200) == pytest.approx(box)


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("b/A.JPEG", "JPEG")])
def test_the_suffix_chooses_the_format(tmp_path, name, kind):
    PictureFile(str(tmp_path / name)).write(Canvas(30, 20))
    with Image.open(tmp_path / name) as image:
        assert (image.format, image.size) == (kind, (30, 20))
    assert [path.name for path in (tmp_path / name).parent.iterdir()] == [(tmp_path / name).name]


@pytest.mark.parametrize("name", ["a.gif", "a", "png", "folder/", ""])
def test_other_names_are_refused_before_anything_is_drawn(name):
    with pytest.raises(BadInput, match=r"FILE\.png or FILE\.jpg"):
        PictureFile(name)


def test_a_place_that_takes_no_file_is_told(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(BadInput, match=r"Could not write .*a\.png: Is a directory"):
        PictureFile(str(tmp_path / "a.png")).write(Canvas(30, 20))
