"""One photo explained: picture, mask and maps side by side, what was predicted and why a person should look."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from tagger.errors import BadInput
from tagger.flags.reasons import Thresholds
from tagger.focus.overlay import enlarge, legend_colors, outline_mask, overlay_map, overlay_mask
from tagger.picture.decode import DecodedPhoto, DecodeLimits, Reject, decode_photo
from tagger.picture.fit import Fit, Policy
from tagger.report.canvas import Canvas, Line, height_px, shortened, wrapped
from tagger.tables.schema import REVIEW_REASONS

Array: TypeAlias = npt.NDArray[np.floating]
Pixels: TypeAlias = npt.NDArray[np.uint8]
Words: TypeAlias = Callable[[Mapping[str, Any], Thresholds], list[str]]

WIDTH_PX = 1600
WORDS = "reasons_in_words"
"""Beside the columns of `tags`, a row may hold one sentence for each of its review reasons."""

_MARGIN_PX, _GAP_PX = 40, 20
_PANEL_PX = (WIDTH_PX - 2 * _MARGIN_PX - 4 * _GAP_PX) // 5
_STEP_PX = _PANEL_PX + _GAP_PX
_ENLARGED = 4
"""Factor on the picture, so that lines drawn on it are fine, and the page's own scaling only ever shrinks."""
_COLUMNS_PX = ((40, 400), (480, 500), (1020, 540))
"""Left edge and width of the three columns of text."""
_FAINT, _ALARM, _GOOD = "#666666", "#a4262c", "#1f6f43"
_NULL_WORDS = {
    "zero_map": "no place speaks for the color",
    "empty_mask": "no product was found",
    "mask_everywhere": "the product fills the picture",
}
_NO_NIGHT = datetime.date(1970, 1, 1)


class InfoLike(Protocol):
    """What is asked of a bundle's description: how a photo fills the input."""

    @property
    def fit(self) -> str: ...
    @property
    def size_px(self) -> int: ...


class ObservationLike(Protocol):
    """What is asked of an observation: the product masks, (B, H, W) in [0, 1]."""

    @property
    def product(self) -> Array: ...


class Explainer(Protocol):
    """What is asked of a Tagger."""

    thresholds: Thresholds

    @property
    def info(self) -> InfoLike: ...
    def maps(self, pixels: Pixels) -> Mapping[str, Array]: ...
    def observe(self, pixels: Pixels) -> ObservationLike: ...
    def tag(self, pixels: Pixels, image_keys: Sequence[str], run_date: datetime.date) -> Mapping[str, Any]: ...


def explain_file(tagger: Explainer, photo: bytes, name: str, words: Words) -> tuple[bytes, dict[str, Any]]:
    """A photo's picture as by `explain_picture`, and its row: the columns of `tags` that one photo determines, and
    `reasons_in_words`, which `words` gives from the row and the bundle's thresholds.

    The random audit belongs to a night and is left out of the reasons. BadInput where the photo cannot be decoded.
    """
    decoded = _decoded(tagger.info, photo, name)
    pixels = decoded.pixels[None]
    row = {"image_key": name, **_stored(decoded), **_only_row(tagger.tag(pixels, [name], _NO_NIGHT))}
    row["review_reasons"] = [reason for reason in row["review_reasons"] if reason != "audit"]
    row["needs_review"] = bool(row["review_reasons"])
    row[WORDS] = words(row, tagger.thresholds)
    maps = {attribute: grids[0] for attribute, grids in tagger.maps(pixels).items()}
    return explain_picture(decoded.pixels, maps, tagger.observe(pixels).product[0], row), row


def explain_picture(picture: Pixels, maps: Mapping[str, Array], product_mask: Array, row: Mapping[str, Any]) -> bytes:
    """A PNG of what `explain_canvas` draws, WIDTH_PX wide; the same arguments give the same bytes."""
    return explain_canvas(picture, maps, product_mask, row).png()


def explain_canvas(picture: Pixels, maps: Mapping[str, Array], product_mask: Array, row: Mapping[str, Any]) -> Canvas:
    """Five panels, the legend of the maps, and three columns of text beneath; as high as the text needs.

    picture: (H, W, 3) uint8 as the network saw it. maps: relevance (h, w), at least 0, under "type", "color" and
    "contrast". product_mask: (H, W) in [0, 1]. row: columns of `tags`, of which only `type` and `color` must be there;
    without `reasons_in_words` the reasons are told by their general meaning.
    """
    texts = (_answers(row), _evidence(row), _review(row))
    columns = [wrapped(lines, width) for lines, (_, width) in zip(texts, _COLUMNS_PX, strict=True)]
    heading = wrapped(_heading(row), WIDTH_PX - 2 * _MARGIN_PX)
    panels_at = 30 + height_px(heading) + 70
    text_at = panels_at + _PANEL_PX + 84
    canvas = Canvas(WIDTH_PX, round(text_at + max(map(height_px, columns)) + 30))
    canvas.write(heading, _MARGIN_PX, 30)
    for number, (caption, image) in enumerate(_panels(picture, maps, product_mask, row)):
        left = _MARGIN_PX + number * _STEP_PX
        canvas.write([shortened(line, _PANEL_PX) for line in caption], left, panels_at - 50)
        canvas.show(image, left, panels_at, _PANEL_PX, _PANEL_PX)
    _draw_legend(canvas, panels_at + _PANEL_PX + 16, row.get("dominant_rgb"))
    for lines, (left, _) in zip(columns, _COLUMNS_PX, strict=True):
        canvas.write(lines, left, text_at)
    return canvas


def _draw_legend(canvas: Canvas, top: float, rgb: Sequence[int] | None) -> None:
    """The product's median color under its mask, the common scale under the three maps."""
    if rgb:
        canvas.show(np.array(rgb, np.uint8)[None, None], _MARGIN_PX + _STEP_PX, top, 28, 28)
        canvas.write([_note(f"its median color, {_hex(rgb)}")], _MARGIN_PX + _STEP_PX + 38, top + 6)
    left, right = _MARGIN_PX + 2 * _STEP_PX, WIDTH_PX - _MARGIN_PX
    canvas.show(legend_colors()[None], left, top, right - left, 12)
    canvas.write([_note("0")], left, top + 18)
    note = "evidence, as a share of each map's own maximum; the white line is the outline of the product mask"
    canvas.write([_note(note)], (left + right) / 2, top + 18, "center")
    canvas.write([_note("1")], right, top + 18, "right")


def _panels(
    picture: Pixels, maps: Mapping[str, Array], mask: Array, row: Mapping[str, Any]
) -> list[tuple[list[Line], Pixels]]:
    large = enlarge(picture, _ENLARGED)
    read = "contrast" if str(row.get("focus_map") or "").startswith("contrast") else "color"
    titles = {
        "type": f"what speaks for {row['type']}",
        "color": f"what speaks for {row['color']}",
        "contrast": f"for {row['color']} against the others",
    }
    panels = [
        (_caption("Picture", "as the networks saw it"), large),
        (_caption("Product mask", f"quality {_number(row.get('mask_quality'))}"), overlay_mask(large, mask)),
    ]
    for name, title in titles.items():
        heading = f"{name.capitalize()} map" + (" (read by focus)" if name == read else "")
        panels.append((_caption(heading, title), outline_mask(overlay_map(large, maps[name]), mask)))
    return panels


def _caption(heading: str, title: str) -> list[Line]:
    return [Line(heading, weight="bold"), _small(title)]


def _heading(row: Mapping[str, Any]) -> list[Line]:
    model = " ".join(str(row[name]) for name in ("model_name", "model_version") if row.get(name))
    return [Line(str(row.get("image_key") or "photo"), 15, "bold")] + ([_small(f"model {model}")] if model else [])


def _answers(row: Mapping[str, Any]) -> list[Line]:
    lines: list[Line] = []
    for attribute in ("type", "color"):
        lines.append(_title(f"{attribute.capitalize()}, with calibrated confidence", 18 if lines else 0))
        lines.append(_large(f"{row[attribute]}  {_number(row.get(f'{attribute}_confidence'))}"))
        others = ", ".join(f"{top['label']} {_number(top['p'])}" for top in (row.get(f"{attribute}_top3") or [])[1:])
        lines += [_small(f"then {others}")] if others else []
    return lines


def _evidence(row: Mapping[str, Any]) -> list[Line]:
    null = row.get("focus_null_reason")
    focus = "undefined" if null else _number(row.get("focus"))
    scale = _NULL_WORDS.get(null, null) if null else "0: blind to the product, 1: the best map there is"
    lines = [_title("Where the color evidence lies"), _large(f"focus  {focus}"), _small(scale)]
    for name, meaning in (
        ("cam_on_product", "share of the evidence that lies on the product"),
        ("product_area", "share of the picture that is product"),
        ("cam_lift", "cam_on_product / product_area: 1 is what chance reaches"),
        ("mask_quality", "how far the product mask can be believed"),
    ):
        lines += [Line(f"{name}  {_number(row.get(name))}", 12, space_px=12), _small(meaning)]
    return lines


def _review(row: Mapping[str, Any]) -> list[Line]:
    reasons = list(row.get("review_reasons") or [])
    sentences = row.get(WORDS) or [REVIEW_REASONS.get(reason, reason).replace("`", "") for reason in reasons]
    verdict, color = ("Needs review", _ALARM) if reasons else ("No reason to review", _GOOD)
    lines = [
        _title("Review"),
        _large(verdict, color),
        _small(f"risk {_number(row.get('risk'))}, which orders the queue"),
    ]
    for reason, sentence in zip(reasons, sentences, strict=True):
        lines += [Line(reason, weight="bold", space_px=10), Line(sentence)]
    return lines


def _title(text: str, space_px: float = 0) -> Line:
    return Line(text, 10, "bold", _FAINT, space_px)


def _large(text: str, color: str = Line.color) -> Line:
    return Line(text, 17, "bold", color)


def _small(text: str) -> Line:
    return Line(text, 10, color=_FAINT)


def _note(text: str) -> Line:
    return Line(text, 9, color=_FAINT)


def _number(value: float | None) -> str:
    return "unknown" if value is None or np.isnan(value) else f"{round(value, 2) + 0:.2f}"


def _hex(rgb: Sequence[int]) -> str:
    return "#" + "".join(f"{value:02x}" for value in rgb)


def _decoded(info: InfoLike, photo: bytes, name: str) -> DecodedPhoto:
    decoded = decode_photo(photo, Fit(cast(Policy, info.fit), info.size_px), DecodeLimits())
    if isinstance(decoded, Reject):
        detail = f" ({decoded.detail})" if decoded.detail else ""
        raise BadInput(f"{name} cannot be explained: {decoded.reason}{detail}. Give a photo that can be read.")
    return decoded


def _stored(decoded: DecodedPhoto) -> dict[str, Any]:
    return {"width": decoded.width, "height": decoded.height, "format": decoded.format, "phash": decoded.phash}


def _only_row(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The one row of columns of length 1; what is no column (one number for the batch) is left out."""
    return {name: values[0] for name, values in columns.items() if not isinstance(values, float)}
