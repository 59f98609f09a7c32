"""Pictures with exact masks, from several sources, for the studies beside this file. Not a study itself.

synthetic    drawn by the project; masks of product and foreground come with the drawing
cutouts      real products with alpha (`cutouts.zip`), on white as photographed
composites   the same cut-outs pasted over plain colors, gradients with a shadow, and crops of street photos
moved        catalogue products cut out by their own (believed) masks and put before other backgrounds
persons      street photos with garment label maps (`garment-masks.zip`): one garment of a person is the product
"""

import argparse
import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from tagger.catalog.split import assign_roles
from tagger.catalog.synth.writer import Recipe, encode_picture, make_item
from tagger.focus.mask import foreground_masks
from tagger.focus.repaint import repainted
from tagger.picture.decode import DecodedPhoto, DecodeLimits, decode_photo
from tagger.picture.fit import Fit

SIDE_PX = 128
PLAIN = np.array(
    [(128, 128, 128), (35, 60, 120), (150, 40, 45), (60, 110, 70), (25, 25, 25), (200, 180, 150)], np.uint8
)
"""Plain colors that products are moved to."""
BELIEVED = 0.8
"""Expected IoU of an estimated mask from which it may stand for the truth."""
GARMENTS = {
    "Handbag": ("bag", "purse", "wallet"),
    "Dress": ("dress",),
    "Jacket": ("coat", "jacket", "blazer"),
    "Jeans": ("pants", "jeans", "leggings"),
    "Shirt": ("shirt", "blouse", "top", "t-shirt"),
    "Sweater": ("sweater", "cardigan", "jumper", "hoodie", "sweatshirt"),
    "Heels": ("heels", "pumps", "wedges", "shoes", "boots", "flats", "loafers", "sneakers", "sandals"),
}
"""Groups of garment names that photographers' labels do not tell apart, by the type whose map stands for them."""


@dataclass(frozen=True)
class Scenes:
    """pixels: (N, side, side, 3) uint8. product, foreground: (N, side, side) float32 in [0, 1].

    kind: (N,) the background. type, color: (N,) labels, empty where unknown. group: (N,) same product, same group.
    """

    pixels: np.ndarray
    product: np.ndarray
    foreground: np.ndarray
    kind: np.ndarray
    type: np.ndarray
    color: np.ndarray
    group: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)

    def part(self, rows: np.ndarray) -> "Scenes":
        """The scenes at rows (indices or booleans)."""
        return Scenes(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def parser(description: str) -> argparse.ArgumentParser:
    """With the options that every study has."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data", default=os.environ.get("TAGGER_DATA", "../shared/data"), help="folder of the zip files")
    return made


def joined(parts: Sequence[Scenes]) -> Scenes:
    """All scenes of several sets."""
    return Scenes(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Scenes)})


def synthetic(count: int, seed: int, **recipe: object) -> Scenes:
    """Drawn items `0` to `count` of a seed, encoded and decoded as photos are."""
    with ProcessPoolExecutor(2) as pool:
        drawn = list(pool.map(_drawn, [(Recipe(seed, **recipe), n) for n in range(count)], chunksize=16))
    return _scenes(drawn)


def _drawn(task: tuple[Recipe, int]) -> tuple[object, ...]:
    item, group, rng = make_item(*task)
    pixels = _decoded(encode_picture(item, rng)[1])
    masks = [_shrunk(mask > 0) for mask in (item.product_mask, item.foreground_mask)]
    return pixels, *masks, item.background, item.type, item.color, group


def cutouts(data: str) -> Scenes:
    """Real products on white; `kind` is "white on white" where the product itself is nearly white, else "white"."""
    rows = []
    with zipfile.ZipFile(Path(data, "cutouts.zip")) as archive:
        for number, row in enumerate(_table(archive, "cutouts.csv").itertuples()):
            pixels, mask = _decoded(archive.read(row.photo)), _mask(archive, row.mask)
            light = np.median(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[mask > 0.5])
            kind = "white on white" if light > 225 else "white"
            rows.append((pixels, mask, mask, kind, "", "", number))
    return _scenes(rows)


def composites(data: str, count: int, rng: np.random.Generator) -> Scenes:
    """Cut-outs at random places and sizes over plain colors, gradients with a soft shadow, and crops of photos."""
    with zipfile.ZipFile(Path(data, "cutouts.zip")) as archive:
        cuts = [_rgba(archive.read(name)) for name in _table(archive, "cutouts.csv")["cutout"]]
    photos = _street_strips(data)
    rows = []
    for number in range(count):
        chosen = number % len(cuts)
        kind = ("plain", "gradient", "photo")[number // len(cuts) % 3]
        layer = _placed(cuts[chosen], rng)
        behind = _background(kind, layer[..., 3], photos, rng)
        alpha = layer[..., 3:].astype(np.float32) / 255
        pixels = np.rint(layer[..., :3] * alpha + behind * (1 - alpha)).astype(np.uint8)
        mask = _shrunk(layer[..., 3] >= 128)
        rows.append((_decoded(_jpeg(pixels)), mask, mask, kind, "", "", chosen))
    return _scenes(rows)


def persons(data: str, least_share: float = 0.01) -> Scenes:
    """One row a photo and garment group of GARMENTS that covers at least `least_share`; foreground is the person."""
    rows = []
    with zipfile.ZipFile(Path(data, "garment-masks.zip")) as archive:
        classes = _table(archive, "classes.csv").set_index("name")["index"]
        for number, row in enumerate(_table(archive, "masks.csv").itertuples()):
            pixels = _decoded(archive.read(row.photo))
            levels = np.asarray(Image.open(io.BytesIO(archive.read(row.label_map))))
            for type_name, names in GARMENTS.items():
                worn = np.isin(levels, [classes[name] for name in names])
                if worn.mean() >= least_share:
                    rows.append((pixels, _shrunk(worn), _shrunk(levels > 0), "street", type_name, "", number))
    return _scenes(rows)


def catalogue(data: str, role: str, zipped: str = "catalog-medium.zip") -> Scenes:
    """Labelled photos of a role, or all; `product` and `foreground` are empty."""
    table = catalogue_table(data, zipped)
    return photos(data, table if role == "all" else table[assign_roles(table) == role], zipped)


def catalogue_table(data: str, zipped: str) -> pd.DataFrame:
    """The labels of a catalogue, one row a photo."""
    with zipfile.ZipFile(Path(data, zipped)) as archive:
        return _table(archive, "labels.csv")


def photos(data: str, table: pd.DataFrame, zipped: str, fit: Fit | None = None) -> Scenes:
    """The photos of some rows of a catalogue, stretched to 128 px or fitted otherwise; masks are empty."""
    with zipfile.ZipFile(Path(data, zipped)) as archive, ThreadPoolExecutor(2) as threads:
        files = [archive.read(key) for key in table["image_key"]]
        pixels = np.array(list(threads.map(lambda file: _decoded(file, fit), files)))
    empty = np.zeros(pixels.shape[:3], np.float32)
    labels = (table[name].to_numpy(str) for name in ("type", "color"))
    return Scenes(pixels, empty, empty, np.full(len(table), zipped), *labels, table["group"].to_numpy())


def believed(scenes: Scenes) -> Scenes:
    """The scenes whose estimated foreground is good enough to stand for the truth, with it as both masks."""
    found = [foreground_masks(part.pixels) for part in batches(scenes)]
    masks, quality = (np.concatenate([getattr(f, name) for f in found]) for name in ("masks", "quality"))
    return replace(scenes, product=masks, foreground=masks).part(quality >= BELIEVED)


def before_plain(scenes: Scenes) -> Scenes:
    """The same products before every color of PLAIN: all before the first, then all before the second, and so on."""
    return joined([moved(scenes, np.broadcast_to(color, scenes.pixels.shape), "plain") for color in PLAIN])


def before_street(scenes: Scenes, data: str, rng: np.random.Generator) -> Scenes:
    """The same products before street photos."""
    return moved(scenes, street_backgrounds(data, len(scenes), rng, scenes.pixels.shape[1]), "street")


def street_backgrounds(data: str, count: int, rng: np.random.Generator, side: int = SIDE_PX) -> np.ndarray:
    """(count, side, side, 3) uint8: side strips of street photos, drawn with replacement."""
    strips = [cv2.resize(strip, (side, side), interpolation=cv2.INTER_AREA) for strip in _street_strips(data)]
    return np.array(strips)[rng.integers(len(strips), size=count)]


def moved(scenes: Scenes, backgrounds: np.ndarray, kind: str) -> Scenes:
    """The same products before other pictures (N, side, side, 3), cut out by their foreground, which is the truth."""
    pixels = repainted(scenes.pixels, scenes.foreground, backgrounds)
    return replace(scenes, pixels=pixels, product=scenes.foreground, kind=np.full(len(scenes), kind))


def _scenes(rows: Sequence[tuple[object, ...]]) -> Scenes:
    return Scenes(*(np.array(column) for column in zip(*rows, strict=True)))


def _decoded(photo: bytes, fit: Fit | None = None) -> np.ndarray:
    answer = decode_photo(photo, fit or Fit("stretch", SIDE_PX), DecodeLimits())
    assert isinstance(answer, DecodedPhoto), answer
    return answer.pixels


def _shrunk(mask: np.ndarray) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)


def _mask(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    return _shrunk(np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("L")) >= 128)


def _table(archive: zipfile.ZipFile, name: str) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(archive.read(name)), keep_default_na=False)


def _rgba(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))


def _jpeg(pixels: np.ndarray) -> bytes:
    return bytes(cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])[1])


@lru_cache(maxsize=1)
def _street_strips(data: str) -> list[np.ndarray]:
    """Side strips of street photos, where hardly ever a person stands."""
    with zipfile.ZipFile(Path(data, "garment-masks.zip")) as archive:
        names = _table(archive, "masks.csv")["photo"][:120]
        photos = [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names]
    halves = [photo[:, : photo.shape[1] // 3] for photo in photos]
    return [cv2.resize(half, (256, 256), interpolation=cv2.INTER_CUBIC) for half in halves]


def _placed(cut: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A cut-out on an empty 256 px canvas, at 55 to 95 % of its side; (256, 256, 4) uint8."""
    side = 256
    scale = side * rng.uniform(0.55, 0.95) / max(cut.shape[:2])
    height, width = (max(8, round(length * scale)) for length in cut.shape[:2])
    canvas = np.zeros((side, side, 4), np.uint8)
    top, left = int(rng.integers(0, side - height + 1)), int(rng.integers(0, side - width + 1))
    canvas[top : top + height, left : left + width] = cv2.resize(cut, (width, height), interpolation=cv2.INTER_AREA)
    return canvas


def _background(kind: str, alpha: np.ndarray, photos: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """(256, 256, 3) float32."""
    side = len(alpha)
    if kind == "photo":
        return photos[int(rng.integers(len(photos)))].astype(np.float32)
    color = rng.uniform(30, 245, 3) if kind == "plain" else np.full(3, rng.uniform(150, 245))
    if kind == "plain":
        return np.broadcast_to(color, (side, side, 3)).astype(np.float32)
    fall = np.linspace(rng.uniform(-25, 10), rng.uniform(-25, 10), side)[:, None, None]
    shadow = cv2.GaussianBlur(np.roll(alpha, int(rng.integers(4, 12)), axis=0).astype(np.float32), (0, 0), 8.0)
    noise = rng.normal(0, 1.5, (side, side, 1))
    return np.clip(color + fall + noise - 0.15 * shadow[..., None], 0, 255).astype(np.float32)


def batches(scenes: Scenes, size: int = 64) -> Iterator[Scenes]:
    """In order, `size` at a time."""
    for start in range(0, len(scenes), size):
        yield scenes.part(np.arange(start, min(start + size, len(scenes))))
