import io
import itertools
import logging

import numpy as np
import pytest
from PIL import Image

from tagger.report.canvas import Line
from tagger.report.photos import Shown
from tagger.report.rows import SheetRequest
from tagger.report.sheet import WIDTH_PX, contact_sheet, sheet_canvas
from tests.unit.report.shop import row, shop

LONG = "Wide Leg Cropped Organic Denim Trousers With a Removable Belt"
RED = Shown(np.full((200, 150, 3), (200, 30, 40), np.uint8))


def tile(**values: object) -> dict[str, object]:
    return row("shop/a.jpg") | {"shown": "color", "label_type": None, "label_color": None} | values


def drawn(*rows: dict[str, object], shown: Shown = RED):
    return sheet_canvas([Line("Sheet", 15)], rows, [shown] * len(rows))


def texts(canvas) -> list[str]:
    return [text.get_text() for text in canvas.figure.texts]


def test_a_tile_tells_key_answers_and_numbers():
    words = texts(drawn(tile()))
    for expected in ("shop/a.jpg", "Shirt 0.90   White 0.80", "focus 0.50   cam_on_product 0.60   mask_quality 0.90"):
        assert expected in words
    assert "color map" in words and not any("label" in word for word in words)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"label_type": "Shirt", "label_color": "White"}, "label: Shirt, White"),
        ({"label_type": "Shirt", "label_color": "Red"}, "label: Shirt, Red (color differs)"),
        ({"label_type": "Top", "label_color": "Red"}, "label: Top, Red (both differ)"),
        ({"focus": None}, "focus null   cam_on_product 0.60   mask_quality 0.90"),
        ({"background_flip": True}, "color map; flips when repainted"),
        ({"background_flip": False, "shown": "type"}, "type map; keeps its color when repainted"),
        ({"review_reasons": ["low_focus", "audit"]}, "color map; low_focus, audit"),
    ],
)
def test_a_tile_tells_labels_flips_and_reasons_where_there_are_any(values, words):
    assert words in texts(drawn(tile(**values)))


@pytest.mark.parametrize("count", [1, 6])
def test_no_text_covers_another_or_a_picture(count):
    long = tile(
        image_key="shop/" + "x" * 200, type=LONG, color=LONG, label_type=LONG, label_color=LONG,
        review_reasons=["low_type_confidence", "low_color_confidence", "color_disagrees", "out_of_scope"],
        background_flip=False,
    )  # fmt: skip
    canvas = drawn(*[long] * count)
    canvas.png()
    boxes = [text.get_window_extent() for text in canvas.figure.texts]
    width, height = canvas.figure.get_size_inches() * canvas.figure.dpi
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for box in boxes)
    pictures = [axes.get_window_extent() for axes in canvas.figure.axes]
    for one, other in itertools.chain(itertools.combinations(boxes, 2), itertools.product(boxes, pictures)):
        assert not one.overlaps(other)


def test_the_end_of_a_long_key_is_shown():
    assert any(
        word.startswith("…") and word.endswith("/b.jpg") for word in texts(drawn(tile(image_key="a" * 99 + "/b.jpg")))
    )


def test_photo_and_map_stand_side_by_side_in_the_photos_shape():
    _, photo, overlay = (axes.get_window_extent() for axes in drawn(tile()).figure.axes)
    assert photo.width / photo.height == pytest.approx(0.75) and photo.y0 == overlay.y0 and photo.x1 < overlay.x0


def test_the_map_is_that_of_the_shown_attribute():
    def light_above(shown: str) -> bool:
        pixels = np.asarray(Image.open(io.BytesIO(drawn(tile(shown=shown)).png())).convert("L")).astype(int)
        return bool(pixels[125, 300] > pixels[260, 300])

    assert light_above("color") and not light_above("type")


def test_a_photo_that_is_gone_is_grey_and_says_so():
    canvas = drawn(tile(), shown=Shown(np.full((200, 150, 3), 190, np.uint8), "the photo is gone"))
    assert "the photo is gone" in " ".join(texts(canvas))


def test_maps_and_masks_may_be_null():
    assert drawn(tile(color_cam=None, product_mask=None)).png()


def test_a_sheet_comes_from_tables_and_photos_alone(tmp_path, caplog):
    root = shop(tmp_path, row("a", focus=0.1), row("b", focus=0.2), row("c", focus=0.3))
    root.child("images").delete("b")
    with caplog.at_level(logging.INFO):
        canvas = contact_sheet(root, root.child("images"), SheetRequest("worst", 2))
    assert "2 of 3 rows, 1 photos missing" in caplog.text
    assert Image.open(io.BytesIO(canvas.png())).size[0] == WIDTH_PX
    assert [word for word in texts(canvas) if word in ("a", "b", "c")] == ["a", "b"]
    assert "Sheet 'worst': the lowest focus, where the product mask is believed" in texts(canvas)
