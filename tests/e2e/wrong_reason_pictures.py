"""The pictures of the story: what the two taggers learn from, and what neither of them has seen."""

import io
import multiprocessing
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from tagger.catalog.synth.palette import rgb_to_lab, sample_rgb
from tagger.catalog.synth.scene import DrawnItem, draw_item
from tagger.catalog.synth.writer import Recipe, encode_picture, make_item
from tagger.picture.decode import DecodeLimits, decode_photo
from tagger.picture.fit import Fit

TYPES = ("T-Shirt", "Jeans", "Sports Shoes", "Handbag")
COLORS = ("White", "Black", "Grey", "Red", "Blue", "Green", "Yellow", "Brown")
SHORTCUT_COUNT, HONEST_COUNT = 600, 1000
"""Pictures that each tagger learns from: a shortcut is learned sooner than a product."""
_CANVAS_PX = 256


@dataclass(frozen=True)
class Labelled:
    """pixels: (N, 128, 128, 3) uint8. type, color: (N,) class numbers in TYPES and COLORS; type -1 where unknown."""

    pixels: np.ndarray
    type: np.ndarray
    color: np.ndarray


@dataclass(frozen=True)
class CatalogueItem:
    """Item `number` of a drawn catalogue."""

    recipe: Recipe
    number: int

    def draw(self) -> tuple[DrawnItem, np.random.Generator]:
        item, _, rng = make_item(self.recipe, self.number)
        return item, rng


@dataclass(frozen=True)
class Setting:
    """A product before a background of one's choice; `seed` and `number` alone decide the product and its pose."""

    seed: int
    number: int
    type: str
    color: str
    background: str
    background_color: str | None

    def draw(self) -> tuple[DrawnItem, np.random.Generator]:
        rng, product_rng = (np.random.default_rng([self.seed, self.number, part]) for part in (0, 1))
        item = draw_item(self.type, self.color, rng, self.background, self.background_color, product_rng)
        return item, rng


Shot = CatalogueItem | Setting


def story(seed: int) -> dict[str, Labelled]:
    """Everything that is drawn, by name; `moved` are the same products before another color."""
    return _photographed(lessons(seed) | shirts(seed) | products(seed))


def lessons(seed: int) -> dict[str, Sequence[Shot]]:
    """What the two taggers learn from."""
    return {
        "shortcut": [CatalogueItem(Recipe(4 * seed + 1, TYPES, COLORS, True), n) for n in range(SHORTCUT_COUNT)],
        "honest": [CatalogueItem(Recipe(4 * seed + 2, TYPES, COLORS), n) for n in range(HONEST_COUNT)],
    }


def shirts(seed: int) -> dict[str, Sequence[Shot]]:
    """White T-shirts on white; `moved`: half of them before another color."""
    return {
        "white T-shirts on white": [Setting(4 * seed + 3, n, "T-Shirt", "White", "white", None) for n in range(200)],
        "white T-shirts moved": [_shirt_elsewhere(4 * seed + 3, n) for n in range(0, 200, 2)],
    }


def products(seed: int) -> dict[str, Sequence[Shot]]:
    """Products of all types and colors before a shade of their own color; `moved`: half of them before another."""
    numbers = range(len(TYPES) * len(COLORS) * 7)
    return {
        "products on own color": [_product(4 * seed + 4, n, 0) for n in numbers],
        "products moved": [_product(4 * seed + 4, n, len(COLORS) // 2) for n in numbers[::2]],
    }


def composites(data: Path, seed: int) -> dict[str, Labelled]:
    """Every real cut-out over three plain shades of its own color, and over three of another."""
    rng = np.random.default_rng(seed)
    known = rgb_to_lab(np.stack([[sample_rgb(color, rng) for _ in range(100)] for color in COLORS]))
    with zipfile.ZipFile(data / "cutouts.zip") as archive:
        names = pd.read_csv(io.BytesIO(archive.read("cutouts.csv")))["cutout"]
        cuts = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGBA")) for name in names]
    cuts, colors = cuts * 3, [_nearest_color(cut, known) for cut in cuts] * 3

    def over(step: int) -> Labelled:
        behind = [sample_rgb(COLORS[(color + step) % len(COLORS)], rng) for color in colors]
        pixels = [_decoded(_jpeg(_pasted(cut, rgb, rng))) for cut, rgb in zip(cuts, behind, strict=True)]
        return Labelled(np.stack(pixels), np.full(len(cuts), -1), np.array(colors))

    return {"cut-outs on own color": over(0), "cut-outs moved": over(len(COLORS) // 2)}


def _shirt_elsewhere(seed: int, number: int) -> Setting:
    others = COLORS[1:]
    return Setting(seed, number, "T-Shirt", "White", "studio", others[number % len(others)])


def _product(seed: int, number: int, step: int) -> Setting:
    """Types and colors in turn, before the color `step` places on."""
    color, kind = divmod(number % (len(TYPES) * len(COLORS)), len(TYPES))
    behind = COLORS[(color + step) % len(COLORS)]
    return Setting(seed, number, TYPES[kind], COLORS[color], "studio", behind)


def _photographed(shots: Mapping[str, Sequence[Shot]]) -> dict[str, Labelled]:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        taken = pool.map(_photograph, [shot for part in shots.values() for shot in part], chunksize=16)
        rows = {name: [next(taken) for _ in part] for name, part in shots.items()}
    return {name: Labelled(*(np.array(column) for column in zip(*part, strict=True))) for name, part in rows.items()}


def _photograph(shot: Shot) -> tuple[np.ndarray, int, int]:
    item, rng = shot.draw()
    return _decoded(encode_picture(item, rng)[1]), TYPES.index(item.type), COLORS.index(item.color)


def _nearest_color(cut: np.ndarray, known: np.ndarray) -> int:
    """The color of COLORS that has a shade nearest to the cut-out's median; known: (colors, shades, 3) in Lab."""
    median = np.median(cut[cut[..., 3] >= 128][:, :3], axis=0)
    return int(np.linalg.norm(known - rgb_to_lab(median), axis=2).min(axis=1).argmin())


def _pasted(cut: np.ndarray, behind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A cut-out at 55 to 95 % of the side, at a random place on a plain color; (256, 256, 3) uint8."""
    scale = _CANVAS_PX * rng.uniform(0.55, 0.95) / max(cut.shape[:2])
    height, width = (max(8, round(length * scale)) for length in cut.shape[:2])
    small = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    top, left = int(rng.integers(0, _CANVAS_PX - height + 1)), int(rng.integers(0, _CANVAS_PX - width + 1))
    canvas = np.tile(behind.astype(np.float32), (_CANVAS_PX, _CANVAS_PX, 1))
    place, alpha = canvas[top : top + height, left : left + width], small[..., 3:] / 255
    place[...] = small[..., :3] * alpha + place * (1 - alpha)
    return np.rint(canvas).astype(np.uint8)


def _jpeg(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1])


def _decoded(photo: bytes) -> np.ndarray:
    return decode_photo(photo, Fit("stretch"), DecodeLimits()).pixels
