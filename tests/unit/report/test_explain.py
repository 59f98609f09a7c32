import io
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tagger.errors import BadInput
from tagger.flags.reasons import Thresholds
from tagger.report.canvas import Canvas
from tagger.report.explain import WIDTH_PX, explain_canvas, explain_file, explain_picture

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
    "model_name": "fashion", "model_version": "7",
}  # fmt: skip
LONG = "Wide Leg Cropped Organic Denim Trousers With a Removable Belt"
REASONS = ["low_type_confidence", "low_color_confidence", "low_focus", "color_disagrees", "out_of_scope"]


def canvas(**values: object) -> Canvas:
    return explain_canvas(PICTURE, MAPS, MASK, ROW | values)


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
        "low_focus", "It looks elsewhere.", "Drawn at random.",
    ):  # fmt: skip
        assert expected in words


def test_five_panels_stand_side_by_side_and_differ():
    image = pixels(explain_picture(PICTURE, MAPS, MASK, ROW))
    assert image.shape[1] == WIDTH_PX
    panels = [panel(image, number).astype(int) for number in range(5)]
    for one, other in itertools.combinations(panels, 2):
        assert np.abs(one - other).mean() > 5
    assert panels[0][90, 125].tolist() == [180, 30, 40]


def test_maps_are_drawn_on_one_scale_whatever_their_units():
    scaled = {name: grid * factor for (name, grid), factor in zip(MAPS.items(), (1, 1e4, 1e-4), strict=True)}
    assert explain_picture(PICTURE, scaled, MASK, ROW) == explain_picture(PICTURE, MAPS, MASK, ROW)


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
    assert pixels(explain_picture(PICTURE, nothing, np.zeros((128, 128)), ROW)).shape[1] == WIDTH_PX


def test_a_row_without_sentences_tells_what_its_reasons_mean():
    assert "too little of the color evidence lies on the product" in told(reasons_in_words=None)


def test_no_reasons_are_no_review():
    assert "No reason to review" in told(review_reasons=[], reasons_in_words=[])


@pytest.mark.parametrize(("focus_map", "title"), [("class/post_bn", "Color map"), ("contrast/post_bn", "Contrast map")])
def test_the_map_that_focus_reads_is_marked(focus_map, title):
    assert [text for text in texts(canvas(focus_map=focus_map)) if "read by focus" in text] == [
        f"{title} (read by focus)"
    ]


class Stand:
    """Answers as a Tagger does, the same for any picture."""

    thresholds = Thresholds(focus=0.3)
    info = SimpleNamespace(fit="pad", size_px=128)

    def maps(self, pixels):
        assert pixels.shape == (1, 128, 128, 3)
        return {name: grid[None] for name, grid in MAPS.items()}

    def observe(self, pixels):
        return SimpleNamespace(product=MASK[None])

    def tag(self, pixels, image_keys, run_date):
        columns = {name: [value] for name, value in ROW.items() if name not in ("image_key", "reasons_in_words")}
        return columns | {"needs_review": [True], "logit_residual": 1e-6}


def photo() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PICTURE[:, 20:110]).save(stream, format="PNG")
    return stream.getvalue()


def test_a_photo_is_explained_by_the_row_that_tagging_would_write():
    png, row = explain_file(Stand(), photo(), "b.png", lambda row, thresholds: [f"below {thresholds.focus}"])
    assert pixels(png).shape[1] == WIDTH_PX
    assert (row["image_key"], row["width"], row["height"], row["format"]) == ("b.png", 90, 128, "PNG")
    assert (row["type"], row["model_version"]) == ("Shirt", "7") and "logit_residual" not in row
    assert row["reasons_in_words"] == ["below 0.3"] and row["needs_review"]
    assert row["review_reasons"] == ["low_focus"], "no audit without a night"


def test_a_photo_that_cannot_be_decoded_is_refused_by_name():
    with pytest.raises(BadInput, match=r"c\.jpg cannot be explained: truncated|c\.jpg cannot be explained: corrupt"):
        explain_file(Stand(), photo()[:80], "c.jpg", lambda row, thresholds: [])
