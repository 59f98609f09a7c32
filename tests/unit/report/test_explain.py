import io
import itertools

import numpy as np
import pytest
from PIL import Image

from tagger.report.canvas import Canvas
from tagger.report.explain import WIDTH_PX, explain_canvas, explain_row
from tagger.report.photos import Shown

MASK = np.zeros((128, 128), np.float32)
MASK[30:100, 40:90] = 1
PICTURE = np.where(MASK[..., None] > 0, np.uint8([180, 30, 40]), np.uint8(245)).astype(np.uint8)
GRID = np.outer(np.arange(8.0), np.ones(8))
MAPS = {"type": GRID, "color": GRID.T, "contrast": GRID[::-1]}
ROW = {
    "image_key": "shop/a.jpg", "type": "Shirt", "type_confidence": 0.93, "color": "Red", "color_confidence": 0.41,
    "type_top3": [{"label": "Shirt", "p": 0.93}, {"label": "Top", "p": 0.04}, {"label": "Kurta", "p": 0.01}],
    "focus": -0.001, "cam_on_product": 0.21, "product_area": 0.212, "cam_lift": 0.99, "focus_map": "class/post_bn",
    "focus_null_reason": None, "mask_quality": 0.88, "dominant_rgb": [180, 30, 40], "risk": 0.62,
    "review_reasons": ["low_focus", "audit"], "reasons_in_words": ["It looks elsewhere.", "Drawn at random."],
    "model_name": "fashion", "model_version": "7", "width": 90, "height": 120, "date": "2026-11-22",
    "background_flip": True, "flip_probability_change": -0.331,
    "type_cam": bytes([0] * 32 + [255] * 32), "color_cam": bytes([255] * 32 + [0] * 32),
    "product_mask": bytes([0] * 48 + [0, 255, 255, 0] * 8 + [0] * 48),
}  # fmt: skip
LONG = "Wide Leg Cropped Organic Denim Trousers With a Removable Belt"
REASONS = ["low_type_confidence", "low_color_confidence", "low_focus", "color_disagrees", "out_of_scope"]


def canvas(**values: object) -> Canvas:
    return explain_canvas(Shown(PICTURE), MAPS, MASK, ROW | values)


def texts(drawn: Canvas) -> list[str]:
    return [text.get_text() for text in drawn.figure.texts]


def told(**values: object) -> str:
    return " ".join(texts(canvas(**values)))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def panel(image: np.ndarray, number: int) -> np.ndarray:
    """The inside of a panel, found by its place in the row."""
    left = 40 + number * (288 + 20)
    return image[200:380, left + 10 : left + 278]


def test_the_picture_tells_labels_confidences_evidence_and_reasons():
    words = told()
    for expected in (
        "shop/a.jpg", "model fashion 7", "Shirt  0.93", "then Top 0.04, Kurta 0.01", "Red  0.41", "focus  0.00",
        "cam_on_product  0.21", "cam_lift  0.99", "mask_quality  0.88", "#b41e28", "risk 0.62", "Needs review",
        "low_focus", "It looks elsewhere.", "Drawn at random.", "90 x 120 px as stored", "night of 2026-11-22",
        "background_flip  yes", "the color changes; its probability moves by -0.33",
    ):  # fmt: skip
        assert expected in words


def test_five_panels_stand_side_by_side_and_differ():
    image = pixels(canvas().png())
    assert image.shape[1] == WIDTH_PX
    panels = [panel(image, number).astype(int) for number in range(5)]
    for one, other in itertools.combinations(panels, 2):
        assert np.abs(one - other).mean() > 5
    assert panels[0][90, 125].tolist() == [180, 30, 40]


def test_maps_are_drawn_on_one_scale_whatever_their_units():
    scaled = {name: grid * factor for (name, grid), factor in zip(MAPS.items(), (1, 1e4, 1e-4), strict=True)}
    assert explain_canvas(Shown(PICTURE), scaled, MASK, ROW).png() == canvas().png()


def test_a_row_of_the_table_is_enough_for_mask_and_two_maps():
    drawn = explain_row(ROW, Shown(PICTURE))
    assert [text for text in texts(drawn) if text.endswith("map") or "read by" in text] == [
        "Type map", "Color map (read by focus)",
    ]  # fmt: skip
    for focus_map, title in (("contrast/post_bn", "Contrast"), ("runner_up/post_bn", "Runner-up")):
        drawn = explain_row(ROW | {"focus_map": focus_map}, Shown(PICTURE))
        assert f"{title} map (read by focus)" in texts(drawn) and "Color map (read by focus)" not in texts(drawn)


def test_stored_maps_lie_where_they_say():
    top_half = Shown(np.full((200, 100, 3), 128, np.uint8))
    image = pixels(explain_row(ROW, top_half).png()).astype(int)
    lights = [[image[rows, 40 + number * 385 + 182].sum() for rows in (200, 460)] for number in (2, 3)]
    (type_top, type_bottom), (color_top, color_bottom) = lights
    assert type_bottom > type_top + 200 and color_top > color_bottom + 200


def test_null_maps_and_masks_of_a_row_are_drawn_empty():
    empty = {"type_cam": None, "color_cam": None, "product_mask": None, "focus": None, "focus_null_reason": "zero_map"}
    assert "focus  undefined" in texts(explain_row(ROW | empty, Shown(PICTURE)))


def test_a_picture_keeps_its_shape():
    boxes = [axes.get_position() for axes in explain_canvas(Shown(PICTURE[:, :64]), MAPS, MASK, ROW).figure.axes]
    width, height = canvas().figure.get_size_inches()
    assert boxes[0].width * width / (boxes[0].height * height) == pytest.approx(0.5)


def test_a_photo_that_is_gone_is_told():
    assert "the photo is gone" in texts(explain_row(ROW, Shown(PICTURE, "the photo is gone")))


@pytest.mark.parametrize(
    ("flip", "words"),
    [(None, "background_flip  not tried"), (True, "background_flip  yes"), (False, "background_flip  no")],
)
def test_repainting_is_told_as_what_came_of_it(flip, words):
    assert words in told(background_flip=flip, flip_probability_change=None)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"image_key": "x" * 400, "type": LONG, "color": "W" * 60, "focus_map": "contrast/post_relu",
         "type_top3": [{"label": LONG, "p": 0.3}] * 3, "color_top3": [{"label": "W" * 60, "p": 0.3}] * 3,
         "review_reasons": REASONS, "reasons_in_words": [f"The {LONG} of this item is {LONG}."] * 5},
    ],
)  # fmt: skip
def test_no_text_covers_another_or_leaves_the_picture(values):
    drawn = canvas(**values)
    drawn.png()
    boxes = [text.get_window_extent() for text in drawn.figure.texts]
    width, height = drawn.figure.get_size_inches() * drawn.figure.dpi
    for text, box in zip(texts(drawn), boxes, strict=True):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text
    panels = [axes.get_window_extent() for axes in drawn.figure.axes]
    for one, other in itertools.chain(itertools.combinations(boxes, 2), itertools.product(boxes, panels)):
        assert not one.overlaps(other)


def test_an_undefined_focus_is_told_with_its_reason():
    words = told(focus=None, cam_on_product=None, cam_lift=float("nan"), focus_null_reason="zero_map")
    assert "focus  undefined no place speaks for the color" in words and "cam_on_product  unknown" in words
    assert "nan" not in words and "None" not in words


def test_maps_and_masks_may_be_empty():
    nothing = {name: np.zeros((8, 8)) for name in MAPS}
    empty = explain_canvas(Shown(PICTURE), nothing, np.zeros((128, 128)), ROW)
    assert pixels(empty.png()).shape[1] == WIDTH_PX


def test_a_row_without_sentences_tells_what_its_reasons_mean():
    assert "too little of the color evidence lies on the product" in told(reasons_in_words=None)


def test_no_reasons_are_no_review():
    assert "No reason to review" in told(review_reasons=[], reasons_in_words=[])


@pytest.mark.parametrize(
    ("focus_map", "maps", "title"),
    [
        ("class/post_bn", MAPS, "Color map"),
        ("contrast/post_bn", MAPS, "Contrast map"),
        ("runner_up/post_bn", {"type": GRID, "color": GRID.T, "runner_up": GRID}, "Runner-up map"),
    ],
)
def test_the_map_that_focus_reads_is_marked(focus_map, maps, title):
    drawn = explain_canvas(Shown(PICTURE), maps, MASK, ROW | {"focus_map": focus_map})
    assert [text for text in texts(drawn) if "read by focus" in text] == [f"{title} (read by focus)"]
