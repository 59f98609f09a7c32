"""A contact sheet: many rows at a glance, each with its photo, the mask's outline and the map, and its numbers.

Drawn from the tables and the photos alone, with no network.
"""

import logging
from collections.abc import Sequence

from tagger.focus.overlay import legend_colors, outline_mask, overlay_map, unpack_map, unpack_mask
from tagger.report.canvas import Canvas, Line, height_px, shortened, shortened_in_front, wrapped
from tagger.report.explain import Row, number_text
from tagger.report.photos import Shown, known_bundles, show_rows
from tagger.report.rows import SHEETS, SHOWN, SheetRequest, SheetRows, sheet_rows
from tagger.storage import Root

_LOG = logging.getLogger(__name__)

_COLUMNS = 5
_SIDE_PX = 172
"""Side of the box that a photo or a map fits in."""
_INNER_PX, _GAP_PX, _MARGIN_PX = 4, 24, 30
_TILE_PX = 2 * _SIDE_PX + _INNER_PX
WIDTH_PX = 2 * _MARGIN_PX + _COLUMNS * _TILE_PX + (_COLUMNS - 1) * _GAP_PX
_DRAWN_SIDE_PX = 2 * _SIDE_PX
"""Pictures are drawn larger than shown, so that outlines come out smooth."""
_LEGEND_PX = 340
_FAINT, _ALARM = "#666666", "#a4262c"


def contact_sheet(root: Root, images: Root, request: SheetRequest, model: str = "") -> Canvas:
    """The sheet that is asked for; photos come from `images`, and one that is gone becomes a grey tile that says so.

    model: where bundles may be beside the root's own, see `known_bundles`. BadInput where there is nothing to draw.
    """
    chosen = sheet_rows(root, request)
    shown = show_rows(chosen.rows, images, known_bundles(chosen.rows, root, model), _DRAWN_SIDE_PX)
    missing = sum(bool(each.missing) for each in shown)
    _LOG.info("sheet '%s': %d of %d rows, %d photos missing", request.name, len(shown), chosen.among, missing)
    return sheet_canvas(_heading(root, request, chosen), chosen.rows, shown)


def sheet_canvas(heading: Sequence[Line], rows: Sequence[Row], shown: Sequence[Shown]) -> Canvas:
    """Tiles in reading order under a heading and the maps' legend. rows: as `SheetRows.rows`; shown: their photos."""
    has_labels = any(_has_label(row) for row in rows)
    texts = [_texts(row, has_labels) for row in rows]
    top = _MARGIN_PX + max(height_px(heading), 60) + 16
    step = _SIDE_PX + 6 + max(map(height_px, texts)) + _GAP_PX
    canvas = Canvas(WIDTH_PX, round(top + step * -(-len(rows) // _COLUMNS)))
    canvas.write(heading, _MARGIN_PX, _MARGIN_PX)
    _draw_legend(canvas)
    for number, (row, photo, lines) in enumerate(zip(rows, shown, texts, strict=True)):
        down, across = divmod(number, _COLUMNS)
        left, upper = _MARGIN_PX + across * (_TILE_PX + _GAP_PX), top + down * step
        _draw_pictures(canvas, row, photo, left, upper)
        canvas.write(lines, left, upper + _SIDE_PX + 6)
    return canvas


def _draw_pictures(canvas: Canvas, row: Row, shown: Shown, left: float, top: float) -> None:
    """The photo and beside it the map, both with the mask's outline; or, on grey, why there is no photo."""
    mask, grid = unpack_mask(row["product_mask"]), unpack_map(row[f"{row[SHOWN]}_cam"])
    right, picture = left + _SIDE_PX + _INNER_PX, shown.picture
    canvas.show_inside(picture if shown.missing else outline_mask(picture, mask), left, top, _SIDE_PX, _SIDE_PX)
    canvas.show_inside(outline_mask(overlay_map(picture, grid), mask), right, top, _SIDE_PX, _SIDE_PX)
    if shown.missing:
        width = _SIDE_PX * min(1, picture.shape[1] / picture.shape[0])
        lines = wrapped([Line(shown.missing, 10, "bold")], width - 16)
        canvas.write(lines, left + _SIDE_PX / 2, top + (_SIDE_PX - height_px(lines)) / 2, "center")


def _draw_legend(canvas: Canvas) -> None:
    left, top = WIDTH_PX - _MARGIN_PX - _LEGEND_PX, _MARGIN_PX + 6
    canvas.show(legend_colors()[None], left, top, _LEGEND_PX, 12)
    canvas.write([Line("no evidence", 9, color=_FAINT)], left, top + 16)
    canvas.write([Line("this map's most", 9, color=_FAINT)], left + _LEGEND_PX, top + 16, "right")
    canvas.write([Line("pink line: outline of the product mask", 9, color=_FAINT)], left, top + 34)


def _heading(root: Root, request: SheetRequest, chosen: SheetRows) -> list[Line]:
    night = f"night of {request.date}" if request.date else "newest tag of each photo"
    models = sorted({f"{row['model_name']} {row['model_version']}" for row in chosen.rows})
    told = f"{night}; {len(chosen.rows)} of {chosen.among} rows; model {', '.join(models)}; {root.uri}"
    lines = [
        Line(f"Sheet '{request.name}': {SHEETS[request.name]}", 15, "bold"),
        Line(told, 10, color=_FAINT),
    ]
    return [shortened(line, WIDTH_PX - 2 * _MARGIN_PX - _LEGEND_PX - 40) for line in lines]


def _texts(row: Row, has_labels: bool) -> list[Line]:
    """Four lines below the pictures, five where some row of the sheet has a label."""
    answers = "   ".join(f"{row[name]} {number_text(row[f'{name}_confidence'])}" for name in ("type", "color"))
    numbers = "   ".join(f"{name} {_short(row[name])}" for name in ("focus", "cam_on_product", "mask_quality"))
    lines = [
        Line(answers, 10, "bold"),
        *([_label(row)] if has_labels else []),
        Line(numbers, 8.5),
        Line(_notes(row), 8.5, color=_ALARM if row["review_reasons"] else _FAINT),
    ]
    key = shortened_in_front(Line(str(row["image_key"]), 9, color=_FAINT), _TILE_PX)
    return [key, *(shortened(line, _TILE_PX) for line in lines)]


def _label(row: Row) -> Line:
    if not _has_label(row):
        return Line("no label", 9, color=_FAINT)
    wrong = [name for name in ("type", "color") if row[f"label_{name}"] != row[name]]
    told = f"label: {row['label_type']}, {row['label_color']}"
    if not wrong:
        return Line(told, 9)
    return Line(f"{told} ({'both differ' if len(wrong) > 1 else f'{wrong[0]} differs'})", 9, color=_ALARM)


def _short(value: float | None) -> str:
    return "null" if value is None else number_text(value)


def _has_label(row: Row) -> bool:
    return row.get("label_type") is not None


def _notes(row: Row) -> str:
    """Which map is shown, what repainting did, and the review reasons."""
    flip = {None: "", True: "; flips when repainted", False: "; keeps its color when repainted"}[row["background_flip"]]
    return f"{row[SHOWN]} map{flip}" + (f"; {', '.join(row['review_reasons'])}" if row["review_reasons"] else "")
