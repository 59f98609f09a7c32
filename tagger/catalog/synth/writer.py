"""Writes a synthetic catalogue under a root: pictures, labels, exact masks."""

import csv
import io
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass

import cv2
import numpy as np

from tagger.catalog.synth.palette import COLORS
from tagger.catalog.synth.scene import DrawnItem, draw_item
from tagger.catalog.synth.shapes import TYPES
from tagger.errors import BadInput
from tagger.storage import Root

_CHUNK = 16
_TRAIN_SHARE = 0.85
_RESHOT_SHARE = 0.25  # of the items with an odd number: they show the product of the item before, photographed again
_LABELS = "labels/labels.csv"
# How common a color is in shops, in the order of COLORS; one item in three follows it, the others go through all pairs.
_COLOR_WEIGHTS = np.array([20, 11, 7, 3, 2, 5, 12, 1.5, 5, 2, 2.5, 2, 6, 2, 4, 4, 9, 3, 2, 1.5])


@dataclass(frozen=True)
class Recipe:
    """What decides every byte of a catalogue, beside the number of the item."""

    seed: int
    types: tuple[str, ...] = TYPES
    colors: tuple[str, ...] = COLORS
    shortcut: bool = False

    def __post_init__(self) -> None:
        for name, chosen, known in (("types", self.types, TYPES), ("colors", self.colors, COLORS)):
            unknown = [value for value in chosen if value not in known]
            if unknown or not chosen:
                raise BadInput(f"{name} {list(chosen)} must be some of: {', '.join(known)}.")
        if self.seed < 0:
            raise BadInput(f"seed {self.seed} must not be negative.")


@dataclass(frozen=True)
class WrittenItem:
    """One row of `labels.csv`; `group` is shared by pictures of the same product."""

    image_key: str
    type: str
    color: str
    split: str
    group: int
    background: str
    pose: str


def write_catalogue(
    root: Root,
    count: int,
    seed: int,
    *,
    types: Sequence[str] | None = None,
    colors: Sequence[str] | None = None,
    shortcut: bool = False,
    workers: int = 2,
    start: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write items `start` to `start + count`, their masks and labels; returns how many were written.

    Item i depends only on (seed, i) and on what is to be drawn: `types` and `colors` (all where None) and `shortcut`,
    which ties the background's color to the color label. So a catalogue can be extended (`start`) or written again.
    `progress` is called with (done, total) after every few items. BadInput for impossible values; storage errors pass.
    """
    recipe = Recipe(seed, tuple(types or TYPES), tuple(colors or COLORS), shortcut)
    if count < 1 or start < 0:
        raise BadInput(f"count {count} must be at least 1 and start {start} at least 0.")
    rows: list[WrittenItem] = []
    for written in _written(root, recipe, range(start, start + count), workers):
        rows.extend(written)
        if progress:
            progress(len(rows), count)
    root.write_bytes(_LABELS, _labels_csv(_earlier_rows(root, rows) if start else [], rows))
    return len(rows)


def _written(root: Root, recipe: Recipe, numbers: range, workers: int) -> Iterator[list[WrittenItem]]:
    chunks = [numbers[i : i + _CHUNK] for i in range(0, len(numbers), _CHUNK)]
    if workers <= 1 or len(chunks) == 1:
        yield from (_write_chunk(root, recipe, chunk) for chunk in chunks)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(_write_chunk, [root] * len(chunks), [recipe] * len(chunks), chunks)


def _write_chunk(root: Root, recipe: Recipe, numbers: Sequence[int]) -> list[WrittenItem]:
    return [_write_item(root, recipe, number) for number in numbers]


def _write_item(root: Root, recipe: Recipe, number: int) -> WrittenItem:
    item, group, encoding = make_item(recipe, number)
    name = f"{number:07d}"
    extension, data = encode_picture(item, encoding)
    root.write_bytes(f"images/{name}.{extension}", data)
    root.write_bytes(f"masks/{name}.png", encode_mask(item))
    split = "train" if np.random.default_rng([recipe.seed, group, 3]).random() < _TRAIN_SHARE else "val"
    return WrittenItem(f"{name}.{extension}", item.type, item.color, split, group, item.background, item.pose)


def make_item(recipe: Recipe, number: int) -> tuple[DrawnItem, int, np.random.Generator]:
    """Draw item `number`. Returns it, its group and the generator that goes on to choose the file format."""
    rng = np.random.default_rng([recipe.seed, number])
    again = number % 2 == 1 and rng.random() < _RESHOT_SHARE
    group = number - 1 if again else number
    type_name, color = _pair(recipe, group)
    product_rng = np.random.default_rng([recipe.seed, group, 1])
    if recipe.shortcut:
        return draw_item(type_name, color, rng, "studio", color, product_rng), group, rng
    return draw_item(type_name, color, rng, product_rng=product_rng), group, rng


def _pair(recipe: Recipe, group: int) -> tuple[str, str]:
    """Type and color of a group: a shuffled round through all pairs, mixed with colors as common as in shops."""
    rng = np.random.default_rng([recipe.seed, group, 2])
    if rng.random() < 1 / 3:
        weights = np.array([_COLOR_WEIGHTS[COLORS.index(color)] for color in recipe.colors])
        return str(rng.choice(recipe.types)), str(rng.choice(recipe.colors, p=weights / weights.sum()))
    pairs = len(recipe.types) * len(recipe.colors)
    order = np.random.default_rng([recipe.seed, group // pairs, 4]).permutation(pairs)
    place = int(order[group % pairs])
    return recipe.types[place % len(recipe.types)], recipe.colors[place // len(recipe.types)]


def encode_picture(item: DrawnItem, rng: np.random.Generator) -> tuple[str, bytes]:
    """File extension and bytes: JPEG of quality 60 to 95; PNG or WebP with alpha where transparent, and a few more."""
    quality = int(rng.integers(60, 96))
    pixels = cv2.cvtColor(item.picture, cv2.COLOR_RGB2BGR)
    extension = "png" if rng.random() < 0.5 else "webp"
    if item.alpha is not None:
        share = np.maximum(item.alpha, 1)[..., None] / np.float32(255)
        own = np.clip(255 - (255 - pixels.astype(np.float32)) / share, 0, 255).astype(np.uint8)
        pixels = np.dstack([own, item.alpha])
    elif rng.random() > 0.02:
        extension = "jpg"
    options = {"jpg": [cv2.IMWRITE_JPEG_QUALITY, quality], "webp": [cv2.IMWRITE_WEBP_QUALITY, quality], "png": []}[
        extension
    ]
    return extension, _encoded(extension, pixels, options)


def encode_mask(item: DrawnItem) -> bytes:
    """PNG of one channel: 255 product, 128 other foreground, 0 background."""
    levels = np.where(item.product_mask > 0, 255, np.where(item.foreground_mask > 0, 128, 0)).astype(np.uint8)
    return _encoded("png", levels, [])


def _encoded(extension: str, pixels: np.ndarray, options: Sequence[int]) -> bytes:
    done, data = cv2.imencode(f".{extension}", pixels, options)
    if not done:
        raise RuntimeError(f"OpenCV did not encode a {pixels.shape} picture as {extension}")
    return bytes(data)


def _earlier_rows(root: Root, rows: list[WrittenItem]) -> list[list[str]]:
    """Labels of items that an earlier call wrote and this one did not."""
    if not root.exists(_LABELS):
        return []
    stems = {row.image_key.split(".")[0] for row in rows}
    lines = list(csv.reader(io.StringIO(root.read_bytes(_LABELS).decode())))[1:]
    return [line for line in lines if line[0].split(".")[0] not in stems]


def _labels_csv(earlier: list[list[str]], rows: list[WrittenItem]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(WrittenItem.__dataclass_fields__)
    writer.writerows(sorted([*earlier, *([str(value) for value in astuple(row)] for row in rows)]))
    return text.getvalue().encode()
