"""How much the focus numbers depend on the up-sampling of the maps and on where the 8x8 grid happens to lie.

.venv/bin/python benchmarks/focus_grid.py [--model fashion-24x20] [--pictures 300] [--seed 1]

Synthetic pictures with exact masks. The first table puts other up-samplings in U's place; the second moves the same
picture and its mask right and down by a part of a cell (16 px), its edge repeated, and asks the network again.
"""

import argparse
import os
import platform
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import numpy as np
from scipy.stats import spearmanr

from tagger import __version__
from tagger.catalog.synth.writer import Recipe, encode_picture, make_item
from tagger.focus.measures import measure_focus, upsampling_matrix
from tagger.model.bundle import NETWORK_FILES, find_bundle, load_network, read_info
from tagger.picture.decode import DecodeLimits, decode_photo
from tagger.picture.fit import Fit
from tagger.tag.predict import Tagger

_CELLS, _PIXELS, _BATCH = 8, 128, 50
_SHIFTS = (2, 4, 6, 8, 12)


class Numbers(NamedTuple):
    """Of each picture: cam_on_product, focus, whether the strongest pixel is product."""

    share: np.ndarray
    focus: np.ndarray
    hit: np.ndarray


class Seen(NamedTuple):
    """What the network says of a set of pictures: the color maps (n, 8, 8) and the colors' numbers (n,)."""

    maps: np.ndarray
    colors: np.ndarray


def drawn(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 128, 128, 3) uint8 as the tagger sees them, and exact product masks (n, 128, 128) in [0, 1]."""
    pictures, masks = [], []
    for number in range(count):
        item, _, rng = make_item(Recipe(seed), number)
        pictures.append(decode_photo(encode_picture(item, rng)[1], Fit("stretch"), DecodeLimits()).pixels)
        mask = item.product_mask.astype(np.float32) / 255
        masks.append(cv2.resize(mask, (_PIXELS, _PIXELS), interpolation=cv2.INTER_AREA))
    return np.stack(pictures), np.stack(masks)


def moved(images: np.ndarray, shift: int) -> np.ndarray:
    """(n, H, W, ...) right and down by `shift` pixels; the first row and column are repeated."""
    places = np.maximum(np.arange(_PIXELS) - shift, 0)
    return images[:, places][:, :, places]


def seen(tagger: Tagger, pictures: np.ndarray) -> Seen:
    """The network's answer, batch by batch."""
    parts = [tagger.observe(pictures[first : first + _BATCH]) for first in range(0, len(pictures), _BATCH)]
    colors = [part.evidence.color_logits.argmax(axis=1) for part in parts]
    return Seen(np.concatenate([part.color_map for part in parts]), np.concatenate(colors))


def axes() -> dict[str, np.ndarray]:
    """One axis (128, 8) of each up-sampling."""

    def opencv(method: int) -> np.ndarray:
        return np.asarray(cv2.resize(np.eye(_CELLS), (_CELLS, _PIXELS), interpolation=method))

    corners = [np.interp(np.linspace(0, _CELLS - 1, _PIXELS), range(_CELLS), row) for row in np.eye(_CELLS)]
    return {
        "bilinear, half-pixel (U)": upsampling_matrix(_CELLS, _PIXELS),
        "bilinear, align-corners": np.transpose(corners),
        "nearest": opencv(cv2.INTER_NEAREST),
        "bicubic, cut at 0": opencv(cv2.INTER_CUBIC),
    }


def numbers(axis: np.ndarray, maps: np.ndarray, masks: np.ndarray) -> Numbers:
    """The measures by their definition, pixel by pixel, with an up-sampling of one's own; its overshoot cut at 0."""
    flat, area = masks.reshape(len(masks), -1), masks.mean(axis=(1, 2), dtype=np.float64)
    large = np.maximum(axis @ maps @ axis.T, 0).reshape(flat.shape)
    cells = np.maximum(axis @ np.eye(_CELLS**2).reshape(-1, _CELLS, _CELLS) @ axis.T, 0).reshape(_CELLS**2, -1)
    share, best = (large * flat).sum(1) / large.sum(1), (flat @ (cells / cells.sum(1, keepdims=True)).T).max(1)
    strongest = large == large.max(1, keepdims=True)
    return Numbers(share, (share - area) / (best - area), (strongest & (flat >= 0.5)).any(1))


def change(before: np.ndarray, after: np.ndarray) -> str:
    """Mean and 95th percentile of the absolute change, and the rank correlation."""
    size = abs(after - before)
    return f"{size.mean():>7.3f} {np.quantile(size, 0.95):>7.3f} {spearmanr(before, after).statistic:>7.3f}"


def print_upsamplings(maps: np.ndarray, masks: np.ndarray) -> None:
    """How far the numbers of each up-sampling lie from U's."""
    print(f"{'':<26} {'cam_on_product':^31} {'focus':^31} {'pointing_hit':^15}")
    print(f"{'up-sampling':<26} {(head := '   mean change    95 %    rank')} {head} {'share':>7} {'agrees':>7}")
    found = {name: numbers(axis, maps, masks) for name, axis in axes().items()}
    first = next(iter(found.values()))
    assert np.allclose(first.focus, measure_focus(maps, masks).focus), "the definition and the product disagree"
    for name, each in found.items():
        columns = (f"{b.mean():>7.3f} {change(a, b)}" for a, b in zip(first[:2], each[:2], strict=True))
        print(f"{name:<26} {' '.join(columns)} {each.hit.mean():>7.3f} {(each.hit == first.hit).mean():>7.3f}")


def print_shifts(tagger: Tagger, pictures: np.ndarray, masks: np.ndarray, maps: Seen) -> None:
    """Change against the unmoved picture, by product area, over pictures whose color stays."""
    before = measure_focus(maps.maps, masks)
    quartile = np.searchsorted(np.quantile(before.product_area, [0.25, 0.5, 0.75]), before.product_area)
    print(f"{'':<22} {'':>15} {'cam_on_product':^23} {'focus':^23}")
    print(f"{'shift  product area':<22} {'n':>4} {'same color':>10} {(head := ' change    95 %    rank')} {head}")
    for shift in _SHIFTS:
        after = seen(tagger, moved(pictures, shift))
        measured, same = measure_focus(after.maps, moved(masks, shift)), after.colors == maps.colors
        defined = ~np.isnan(before.focus) & ~np.isnan(measured.focus)
        for part in (0, 1, 2, 3, None):
            inside = quartile == part if part is not None else quartile >= 0
            used, area = inside & same & defined, before.product_area[inside]
            columns = f"{inside.sum():>4} {same[inside].mean():>10.2f}"
            for name in ("cam_on_product", "focus"):
                columns += f" {change(getattr(before, name)[used], getattr(measured, name)[used])}"
            print(f"{shift:>2} px  {area.min():.2f} to {area.max():.2f}   {columns}")


def main() -> None:
    """Draw, ask the network, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fashion-24x20")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    bundle = find_bundle(arguments.model, "")
    info = read_info(bundle)
    tagger = Tagger(info, {name: load_network(bundle, info, name) for name in NETWORK_FILES})
    pictures, masks = drawn(arguments.seed, arguments.pictures)
    maps = seen(tagger, pictures)
    defined = ~np.isnan(measure_focus(maps.maps, masks).focus)
    used = Seen(maps.maps[defined], maps.colors[defined])
    which = f"{arguments.model} version {info.version}, map {info.focus_map}/{info.focus_cut}"
    print(f"tagger {__version__}, {platform.machine()}, {which}, seed {arguments.seed}")
    print(f"{defined.sum()} synthetic pictures, {(~defined).sum()} more without a focus number\n")
    print_upsamplings(used.maps, masks[defined])
    print()
    print_shifts(tagger, pictures[defined], masks[defined], used)


if __name__ == "__main__":
    main()
