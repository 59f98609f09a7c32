"""Photos and what is changed of them, for the behaviour of the bundle that serves: drawn ones and real ones."""

import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from tagger.catalog.split import assign_roles
from tagger.catalog.synth.palette import SHADES, lab_to_rgb, rgb_to_lab, sample_rgb
from tagger.catalog.synth.scene import draw_item
from tagger.catalog.synth.shapes import TYPES
from tagger.flags.shades import tolerated
from tagger.focus.repaint import repainted
from tagger.picture.fit import Fit, fit_picture

PLAIN_COLORS = tuple(SHADES)
SOLID_TYPES = ("Sweater", "Jacket", "Handbag", "Wallet", "Casual Shoes", "Flats")
"""Garments, bags and shoes, drawn without patterns."""
_BACKGROUNDS = ("white", "white", "off-white", "grey", "studio")
_CROP_SHARE = 0.05
_LARGEST_PX = 256
"""Longer side of the photos, as the catalogue has it."""
_BEHIND = np.array([(128, 128, 128), (35, 60, 120), (150, 40, 45), (60, 110, 70), (25, 25, 25)], np.uint8)

_NAMES = (*PLAIN_COLORS, "Multicolor")
_NEAR = {name: {_NAMES[k] for k in np.flatnonzero(row)} for name, row in zip(_NAMES, tolerated(_NAMES), strict=True)}
"""Color -> itself and its neighbouring shades, as evaluations tolerate them."""


@dataclass(frozen=True)
class Photos:
    """pictures: N of any size, RGB uint8. product, foreground: N of the pictures' height and width, in [0, 1].

    type, color: (N,) labels. Real photos come without masks: theirs are zeros.
    """

    pictures: Sequence[np.ndarray]
    product: Sequence[np.ndarray]
    foreground: Sequence[np.ndarray]
    type: np.ndarray
    color: np.ndarray


def drawn(count: int, seed: int) -> Photos:
    """Types and plain colors in turn, before the backgrounds of shops."""
    pairs = [(TYPES[n % len(TYPES)], PLAIN_COLORS[n % len(PLAIN_COLORS)]) for n in range(count)]
    return _drawn((*pair, _BACKGROUNDS[n % len(_BACKGROUNDS)], seed, n) for n, pair in enumerate(pairs))


def solid(seed: int) -> Photos:
    """Every plain color on every solid type, before white and before grey in turn."""
    pairs = [(type_name, color) for type_name in SOLID_TYPES for color in PLAIN_COLORS]
    return _drawn((*pair, ("white", "grey")[n % 2], seed, n) for n, pair in enumerate(pairs))


def _drawn(wanted: Iterable[tuple[str, str, str, int, int]]) -> Photos:
    rows = []
    for type_name, color, background, seed, number in wanted:
        item = draw_item(type_name, color, np.random.default_rng([seed, number]), background)
        masks = [_reduced(mask) / np.float32(255) for mask in (item.product_mask, item.foreground_mask)]
        rows.append((_jpeg(_reduced(item.picture), 90), *masks, type_name, color))
    pictures, product, foreground, types, colors = zip(*rows, strict=True)
    return Photos(pictures, product, foreground, np.array(types), np.array(colors))


def photographed(data: Path, count: int) -> Photos:
    """`report` items of the catalogue of medium photos, at random but always the same."""
    with zipfile.ZipFile(data / "catalog-medium.zip") as archive:
        table = pd.read_csv(io.BytesIO(archive.read("labels.csv")), keep_default_na=False)
        table = table[assign_roles(table) == "report"].sample(count, random_state=0)
        files = [np.frombuffer(archive.read(key), np.uint8) for key in table["image_key"]]
    pictures = [cv2.cvtColor(cv2.imdecode(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) for file in files]
    empty = [np.zeros(picture.shape[:2], np.float32) for picture in pictures]
    return Photos(pictures, empty, empty, table["type"].to_numpy(str), table["color"].to_numpy(str))


def fitted(pictures: Sequence[np.ndarray], fit: Fit) -> np.ndarray:
    """(N, side, side, 3) uint8, what the networks see."""
    return np.stack([fit_picture(np.ascontiguousarray(picture), fit) for picture in pictures])


def fitted_masks(masks: Sequence[np.ndarray], fit: Fit) -> np.ndarray:
    """(N, side, side) float32 in [0, 1], as the pictures are fitted."""
    layers = [np.repeat(np.rint(mask * 255).astype(np.uint8)[..., None], 3, axis=2) for mask in masks]
    return fitted(layers, fit)[..., 0].astype(np.float32) / 255


def flipped(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Left is right."""
    return [picture[:, ::-1] for picture in pictures]


def saved_again(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """As JPEG, of quality 60 to 95."""
    qualities = np.random.default_rng(10).integers(60, 96, len(pictures))
    return [_jpeg(picture, int(quality)) for picture, quality in zip(pictures, qualities, strict=True)]


def cropped(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Without 5 % of height and of width, from one corner or another."""
    rng, result = np.random.default_rng(11), []
    for picture in pictures:
        lost = [max(1, round(side * _CROP_SHARE)) for side in picture.shape[:2]]
        top, left = (int(rng.integers(length + 1)) for length in lost)
        height, width = picture.shape[:2]
        result.append(picture[top : top + height - lost[0], left : left + width - lost[1]])
    return result


def other_colors(colors: np.ndarray, seed: int) -> np.ndarray:
    """(N,): for each color another plain one, which is not its neighbor."""
    rng = np.random.default_rng(seed)
    free = ([c for c in PLAIN_COLORS if c not in _NEAR[own]] for own in colors)
    return np.array([rng.choice(names) for names in free])


def recolored(pixels: np.ndarray, product: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """The product's median moved to a shade of another color in Lab, so that folds, seams and shadows stay.

    pixels: (N, side, side, 3) uint8. product: (N, side, side) in [0, 1]. colors: N names of plain colors.
    """
    rng, result = np.random.default_rng(12), []
    for picture, mask, color in zip(pixels, product, colors, strict=True):
        lab = rgb_to_lab(picture)
        shift = rgb_to_lab(sample_rgb(str(color), rng)) - np.median(lab[mask >= 0.5], axis=0)
        moved = np.clip(lab_to_rgb(np.clip(lab + shift, [0, -128, -128], [100, 127, 127])), 0, 255)
        result.append(np.rint(picture * (1 - mask[..., None]) + moved * mask[..., None]).astype(np.uint8))
    return np.stack(result)


def before_plain(pixels: np.ndarray, foreground: np.ndarray) -> np.ndarray:
    """Each before one of five plain colors in turn."""
    behind = _BEHIND[np.arange(len(pixels)) % len(_BEHIND)]
    return repainted(pixels, foreground, behind[:, None, None].astype(np.float32))


def is_near(answers: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """(N,): the answer is the color or a neighbor of it."""
    return np.array([answer in _NEAR[color] for answer, color in zip(answers, colors, strict=True)])


def _jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _reduced(picture: np.ndarray) -> np.ndarray:
    share = _LARGEST_PX / max(picture.shape[:2])
    return cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA) if share < 1 else picture
