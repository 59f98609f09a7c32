"""A drawing laid out in pixels from its top left corner: texts are measured and broken first, then all is placed.

No pyplot: a figure here belongs to nobody else, so that several can be drawn at once.
"""

import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import PurePath
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from tagger.errors import BadInput
from tagger.storage import open_root

Pixels: TypeAlias = npt.NDArray[np.uint8]

_DPI = 100
_NO_GLYPH = r"Glyph .* missing from"
_RIM = "#bbbbbb"
_ENCODINGS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class Line:
    """One line of text. size: points. space_px: free space above it."""

    text: str
    size: float = 11
    weight: str = "normal"
    color: str = "#1a1a1a"
    space_px: float = 0

    @property
    def pitch_px(self) -> float:
        """Height that the line takes, without the space above it."""
        return self.size * _DPI / 72 * 1.45


class Canvas:
    """A white figure of a size in pixels."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self._width_px, self._height_px = width_px, height_px
        self.figure = Figure((width_px / _DPI, height_px / _DPI), dpi=_DPI, facecolor="white")

    def write(self, lines: Sequence[Line], left: float, top: float, align: str = "left") -> None:
        """Lines beneath each other. left: of the text; its middle or right edge where `align` is "center", "right"."""
        for line in lines:
            top += line.space_px
            # Keys and labels are no formulas, whatever dollar signs they hold.
            self.figure.text(
                left / self._width_px, 1 - top / self._height_px, line.text, va="top", ha=align, fontsize=line.size,
                fontweight=line.weight, color=line.color, parse_math=False,
            )  # fmt: skip
            top += line.pitch_px

    def show(self, image: Pixels, left: float, top: float, width: float, height: float) -> None:
        """An image (H, W, 3) uint8 stretched into a box with a thin rim."""
        box = left / self._width_px, 1 - (top + height) / self._height_px, width / self._width_px
        axes = self.figure.add_axes((*box, height / self._height_px), xticks=[], yticks=[])
        axes.imshow(image, interpolation="antialiased", aspect="auto")
        for spine in axes.spines.values():
            spine.set_color(_RIM)

    def show_inside(self, image: Pixels, left: float, top: float, width: float, height: float) -> None:
        """An image in its own shape, as large as the box allows and in its middle."""
        scale = min(width / image.shape[1], height / image.shape[0])
        across, down = image.shape[1] * scale, image.shape[0] * scale
        self.show(image, left + (width - across) / 2, top + (height - down) / 2, across, down)

    def png(self) -> bytes:
        """The drawing as a PNG; the same drawing gives the same bytes."""
        return self._encoded(format="png", metadata={"Software": None})

    def jpeg(self) -> bytes:
        """The drawing as a JPEG, smaller and nearly as good."""
        return self._encoded(format="jpeg", pil_kwargs={"quality": _JPEG_QUALITY})

    def _encoded(self, **options: Any) -> bytes:
        stream = io.BytesIO()
        with warnings.catch_warnings():
            # A letter that the font lacks is drawn as a box; that is no reason to withhold the drawing.
            warnings.filterwarnings("ignore", message=_NO_GLYPH)
            self.figure.savefig(stream, **options)
        return stream.getvalue()


@dataclass(frozen=True)
class PictureFile:
    """A file for a drawing, on this machine or in S3, PNG or JPEG by its suffix. BadInput for another one."""

    uri: str

    def __post_init__(self) -> None:
        if self._suffix not in _ENCODINGS:
            raise BadInput(f"'{self.uri}' is no name for a picture. Write --out FILE.png or FILE.jpg.")

    def write(self, canvas: Canvas) -> None:
        """The whole drawing or nothing. BadInput where the place does not take it."""
        folder, slash, name = self.uri.rpartition("/")
        data = canvas.png() if _ENCODINGS[self._suffix] == "png" else canvas.jpeg()
        open_root(folder or slash or ".").write_bytes(name, data)

    @property
    def _suffix(self) -> str:
        return PurePath(self.uri).suffix.lower()


def height_px(lines: Sequence[Line]) -> float:
    """Height that lines take beneath each other."""
    return sum(line.space_px + line.pitch_px for line in lines)


def wrapped(lines: Sequence[Line], width_px: float) -> list[Line]:
    """The lines broken between words so that none is wider than `width_px`, and inside a word that alone is wider."""
    return [
        replace(line, text=text, space_px=0 if number else line.space_px)
        for line in lines
        for number, text in enumerate(_broken(line, width_px))
    ]


def shortened(line: Line, width_px: float) -> Line:
    """The line cut to `width_px` with an ellipsis where it is wider."""
    text = _printable(line.text)
    if _width(text, line) > width_px:
        text = _fitting(text, line, width_px - _width("…", line)).rstrip() + "…"
    return replace(line, text=text)


def shortened_in_front(line: Line, width_px: float) -> Line:
    """As `shortened`, keeping the end, by which the keys of one folder differ."""
    backward = shortened(replace(line, text=line.text[::-1]), width_px)
    return replace(line, text=backward.text[::-1])


def _broken(line: Line, width_px: float) -> Iterator[str]:
    rest = _printable(line.text)
    while _width(rest, line) > width_px:
        part = _fitting(rest, line, width_px)
        # At the last space that fits, which may be the one just behind.
        at = rest.rfind(" ", 1, len(part) + 1)
        part = rest[:at] if at > 0 else part
        yield part.rstrip()
        rest = rest[len(part) :].lstrip()
    yield rest


def _fitting(text: str, line: Line, width_px: float) -> str:
    """The longest beginning that is not wider, at least one letter."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _width(text[:middle], line) <= width_px else (low, middle - 1)
    return text[:low]


def _printable(text: str) -> str:
    """Line breaks would move what is beneath, and lone surrogates (of keys that are not UTF-8) stop the drawing."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


@lru_cache(maxsize=1)
def _ruler() -> Any:
    return RendererAgg(1, 1, _DPI)  # type: ignore[no-untyped-call]


def _width(text: str, line: Line) -> float:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_NO_GLYPH)
        font = FontProperties(size=line.size, weight=line.weight)
        return float(_ruler().get_text_width_height_descent(text, font, ismath=False)[0])
