"""One photo explained: picture, mask and maps side by side, what was predicted and why a person should look."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tagger.focus.overlay import legend_colors, outline_mask, overlay_map, overlay_mask, unpack_map, unpack_mask
from tagger.report.canvas import Canvas, Line, height_px, shortened, wrapped
from tagger.report.photos import Shown
from tagger.tables.schema import REVIEW_REASONS

Array: TypeAlias = npt.NDArray[np.floating]
Pixels: TypeAlias = npt.NDArray[np.uint8]
Row: TypeAlias = Mapping[str, Any]

WIDTH_PX = 1600
WORDS = "reasons_in_words"
"""Beside the columns of `tags`, a row may hold one sentence for each of its review reasons."""

SIDE_PX = 576
"""Longer side of the picture to ask for: lines drawn on it are fine, and the page's own scaling only ever shrinks."""

_MARGIN_PX, _GAP_PX = 40, 20
_COLUMNS_PX = ((40, 400), (480, 500), (1020, 540))
"""Left edge and width of the three columns of text."""
_FAINT, _ALARM, _GOOD = "#666666", "#a4262c", "#1f6f43"
_NULL_WORDS = {
    "zero_map": "no place speaks for the color",
    "empty_mask": "no product was found",
    "mask_everywhere": "the product fills the picture",
}


def explain_row(row: Row, shown: Shown) -> Canvas:
    """What `explain_canvas` draws, from the bytes in a row of `tags` and the photo alone: no model is asked.

    The table keeps two maps, of the type and of the color as focus reads it.
    """
    maps = {"type": unpack_map(row["type_cam"]), _read_by_focus(row): unpack_map(row["color_cam"])}
    return explain_canvas(shown, maps, unpack_mask(row["product_mask"]), row)


def explain_canvas(shown: Shown, maps: Mapping[str, Array], product_mask: Array, row: Row) -> Canvas:
    """A panel for the picture, the mask and each map, the maps' legend, and three columns of text beneath.

    maps: relevance (h, w), at least 0, under "type", "color", "contrast", "runner_up", any of them. product_mask:
    (H, W) in [0, 1]. Maps and mask cover the whole picture. row: columns of `tags`, of which only `type` and `color`
    must be there; without `reasons_in_words` the reasons are told by their general meaning.
    """
    texts = (_answers(row), _evidence(row), _review(row))
    columns = [wrapped(lines, width) for lines, (_, width) in zip(texts, _COLUMNS_PX, strict=True)]
    heading = wrapped(_heading(row), WIDTH_PX - 2 * _MARGIN_PX)
    panels = _panels(shown, maps, product_mask, row)
    side, panels_at = _panel_px(len(panels)), 30 + height_px(heading) + 70
    text_at = panels_at + side + 84
    canvas = Canvas(WIDTH_PX, round(text_at + max(map(height_px, columns)) + 30))
    canvas.write(heading, _MARGIN_PX, 30)
    for number, (caption, image) in enumerate(panels):
        left = _MARGIN_PX + number * (side + _GAP_PX)
        canvas.write([shortened(line, side) for line in caption], left, panels_at - 50)
        canvas.show_inside(image, left, panels_at, side, side)
    _draw_legend(canvas, panels_at + side + 16, side, row.get("dominant_rgb"))
    for lines, (left, _) in zip(columns, _COLUMNS_PX, strict=True):
        canvas.write(lines, left, text_at)
    return canvas


def _panel_px(count: int) -> int:
    return (WIDTH_PX - 2 * _MARGIN_PX - (count - 1) * _GAP_PX) // count


def _draw_legend(canvas: Canvas, top: float, side: int, rgb: Sequence[int] | None) -> None:
    """The product's median color under its mask, the common scale under the maps."""
    mask_left = _MARGIN_PX + side + _GAP_PX
    if rgb:
        canvas.show(np.array(rgb, np.uint8)[None, None], mask_left, top, 28, 28)
        canvas.write([_note(f"its median color, {_hex(rgb)}")], mask_left + 38, top + 6)
    left, right = mask_left + side + _GAP_PX, WIDTH_PX - _MARGIN_PX
    canvas.show(legend_colors()[None], left, top, right - left, 12)
    canvas.write([_note("0")], left, top + 18)
    note = "evidence, as a share of each map's own maximum; the pink line is the outline of the product mask"
    canvas.write([_note(note)], (left + right) / 2, top + 18, "center")
    canvas.write([_note("1")], right, top + 18, "right")


def _panels(shown: Shown, maps: Mapping[str, Array], mask: Array, row: Row) -> list[tuple[list[Line], Pixels]]:
    titles = {
        "type": f"what speaks for {row['type']}",
        "color": f"what speaks for {row['color']}",
        "contrast": f"for {row['color']} against the others",
        "runner_up": f"for {row['color']} against the next",
    }
    panels = [
        (_caption("Picture", shown.missing or _stored_size(row), _ALARM if shown.missing else _FAINT), shown.picture),
        (
            _caption("Product mask", f"quality {number_text(row.get('mask_quality'))}"),
            overlay_mask(shown.picture, mask),
        ),
    ]
    for name, grid in maps.items():
        title = f"{name.capitalize().replace('_', '-')} map"
        heading = title + (" (read by focus)" if name == _read_by_focus(row) else "")
        panels.append((_caption(heading, titles[name]), outline_mask(overlay_map(shown.picture, grid), mask)))
    return panels


def _read_by_focus(row: Row) -> str:
    """The name of the map, as `explain_canvas` has it."""
    name = str(row.get("focus_map") or "").partition("/")[0]
    return name if name in ("contrast", "runner_up") else "color"


def _stored_size(row: Row) -> str:
    sides = f"{row['width']} x {row['height']} px as stored" if row.get("width") and row.get("height") else ""
    return sides or "as the networks saw it"


def _caption(heading: str, title: str, color: str = _FAINT) -> list[Line]:
    return [Line(heading, weight="bold"), Line(title, 10, color=color)]


def _heading(row: Row) -> list[Line]:
    model = " ".join(str(row[name]) for name in ("model_name", "model_version") if row.get(name))
    facts = [f"model {model}"] if model else []
    facts += [f"tagged in the night of {row['date']}"] if row.get("date") else []
    return [Line(str(row.get("image_key") or "photo"), 15, "bold")] + ([_small(", ".join(facts))] if facts else [])


def _answers(row: Row) -> list[Line]:
    lines: list[Line] = []
    for attribute in ("type", "color"):
        lines.append(_title(f"{attribute.capitalize()}, with calibrated confidence", 18 if lines else 0))
        lines.append(_large(f"{row[attribute]}  {number_text(row.get(f'{attribute}_confidence'))}"))
        tops = (row.get(f"{attribute}_top3") or [])[1:]
        others = ", ".join(f"{top['label']} {number_text(top['p'])}" for top in tops)
        lines += [_small(f"then {others}")] if others else []
    return lines


def _evidence(row: Row) -> list[Line]:
    null = row.get("focus_null_reason")
    focus = "undefined" if null else number_text(row.get("focus"))
    scale = _NULL_WORDS.get(null, str(null)) if null else "0: blind to the product, 1: the best map there is"
    lines = [_title("Where the color evidence lies"), _large(f"focus  {focus}"), _small(scale)]
    for name, meaning in (
        ("cam_on_product", "share of the evidence that lies on the product"),
        ("product_area", "share of the picture that is product"),
        ("cam_lift", "cam_on_product / product_area: 1 is what chance reaches"),
        ("mask_quality", "how far the product mask can be believed"),
    ):
        lines += [Line(f"{name}  {number_text(row.get(name))}", 12, space_px=12), _small(meaning)]
    return [*lines, *_flip(row)]


def _flip(row: Row) -> list[Line]:
    flips, change = row.get("background_flip"), row.get("flip_probability_change")
    if flips is None:
        return [Line("background_flip  not tried", 12, space_px=12), _small("the background was not repainted")]
    effect = f"with the background repainted the color {'changes' if flips else 'stays'}"
    moved = f"; its probability moves by {change:+.2f}" if change is not None else ""
    return [Line(f"background_flip  {'yes' if flips else 'no'}", 12, space_px=12), _small(effect + moved)]


def _review(row: Row) -> list[Line]:
    reasons = list(row.get("review_reasons") or [])
    sentences = row.get(WORDS) or [REVIEW_REASONS.get(reason, reason).replace("`", "") for reason in reasons]
    verdict, color = ("Needs review", _ALARM) if reasons else ("No reason to review", _GOOD)
    lines = [
        _title("Review"),
        _large(verdict, color),
        _small(f"risk {number_text(row.get('risk'))}, which orders the queue"),
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


def number_text(value: float | None) -> str:
    """Two decimals, never "-0.00"; "unknown" for None and NaN."""
    return "unknown" if value is None or np.isnan(value) else f"{round(value, 2) + 0:.2f}"


def _hex(rgb: Sequence[int]) -> str:
    return "#" + "".join(f"{value:02x}" for value in rgb)
