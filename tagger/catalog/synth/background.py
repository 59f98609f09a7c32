"""What a product is photographed against, as (H, W, 3) float32 pictures on the scale 0..255."""

import cv2
import numpy as np

from tagger.catalog.synth.fabric import noise_patch
from tagger.catalog.synth.palette import sample_rgb, sample_vivid
from tagger.catalog.synth.sketch import toned

BACKGROUNDS: tuple[str, ...] = ("white", "off-white", "grey", "studio", "room", "transparent")
_SHARES = (0.58, 0.09, 0.12, 0.09, 0.09, 0.03)


def sample_background(rng: np.random.Generator) -> str:
    """A kind of background in the mix of a shop's catalogue."""
    return str(rng.choice(BACKGROUNDS, p=_SHARES))


def paint_background(kind: str, shape: tuple[int, int], color: str | None, rng: np.random.Generator) -> np.ndarray:
    """Paint a background; `color` names the shade of walls and studio paper, any shade where None."""
    if kind in ("white", "transparent"):
        return np.full((*shape, 3), 255, np.float32)
    if kind == "off-white":
        level = 255 - rng.uniform(3, 16) * np.array([1.0, 1.0, rng.uniform(0.8, 1.5)])
        return _vignetted(np.broadcast_to(level, (*shape, 3)), rng, 0.03)
    if kind == "grey":
        return _floor(shape, np.full(3, rng.uniform(150, 238)), rng)
    if kind == "studio":
        return _studio(shape, color, rng)
    if kind == "room":
        return _room(shape, color, rng)
    raise KeyError(f"no such background: {kind!r}; one of {', '.join(BACKGROUNDS)}")


def _vignetted(picture: np.ndarray, rng: np.random.Generator, depth: float) -> np.ndarray:
    """Light falls off from a lamp somewhere above the middle."""
    height, width = picture.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] - np.float32(rng.uniform(-0.5, 0.1))
    x = np.linspace(-1, 1, width, dtype=np.float32)[None] - np.float32(rng.uniform(-0.4, 0.4))
    return np.asarray(picture * (1 - np.float32(depth) * (x * x + y * y))[..., None], np.float32)


def _floor(shape: tuple[int, int], rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A seamless backdrop: wall and floor of one color that meet in a soft bend."""
    bend = rng.uniform(0.6, 0.85)
    share = 1 / (1 + np.exp(-(np.linspace(0, 1, shape[0]) - bend) * 24))
    level = 1 + rng.uniform(-0.12, 0.07) * share
    return _vignetted(rgb * np.broadcast_to(level[:, None, None], (*shape, 1)), rng, float(rng.uniform(0.02, 0.12)))


def _studio(shape: tuple[int, int], color: str | None, rng: np.random.Generator) -> np.ndarray:
    if color == "Multicolor":
        bands = sample_vivid(4, rng)
        slope = rng.uniform(-0.5, 0.5)
        y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
        return np.asarray(bands[np.floor((y + slope * x) * 5).astype(np.int64) % 4], np.float32)
    rgb = sample_rgb(color, rng) if color else _studio_rgb(rng)
    if rng.random() < 0.5:
        return _vignetted(np.broadcast_to(rgb, (*shape, 3)), rng, float(rng.uniform(0.0, 0.1)))
    return np.asarray(np.clip(_floor(shape, rgb, rng), 0, 255))


def _studio_rgb(rng: np.random.Generator) -> np.ndarray:
    rgb = sample_vivid(1, rng)[0]
    return toned(rgb, 0.35) if rng.random() < 0.6 else rgb


def _room(shape: tuple[int, int], color: str | None, rng: np.random.Generator) -> np.ndarray:
    """Wall, floor and simple furniture, slightly out of focus."""
    height, width = shape
    wall = sample_rgb(color, rng) if color else toned(sample_vivid(1, rng)[0], float(rng.uniform(0.2, 0.75)))
    picture = np.ascontiguousarray(_vignetted(np.broadcast_to(wall, (*shape, 3)), rng, 0.1))
    floor_y = int(height * rng.uniform(0.62, 0.85))
    floor = toned(wall, -0.25) if color else sample_rgb(str(rng.choice(("Brown", "Beige", "Grey", "Cream"))), rng)
    _planks(picture, floor_y, floor, rng)
    for _ in range(int(rng.integers(3, 8))):
        rgb = toned(wall, float(rng.uniform(-0.35, 0.3))) if color else sample_vivid(1, rng)[0] * rng.uniform(0.6, 1)
        _furniture(picture, floor_y, rgb, rng)
    return cv2.GaussianBlur(picture, (0, 0), max(width, height) * float(rng.uniform(0.002, 0.008)))


def _planks(picture: np.ndarray, floor_y: int, rgb: np.ndarray, rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    grain = noise_patch("brushed", (height - floor_y, width), int(rng.integers(1 << 20)))
    picture[floor_y:] = rgb + grain[..., None] * 7
    vanish = width / 2
    for x in np.linspace(-width, 2 * width, 16):
        ends = (int(vanish + (x - vanish) * 0.45), floor_y), (int(x), height)
        cv2.line(picture, *ends, [float(c) for c in rgb * 0.8], 1, cv2.LINE_AA)
    cv2.rectangle(
        picture, (0, floor_y - max(3, height // 60)), (width, floor_y), [float(c) for c in toned(rgb, 0.6)], -1
    )


def _furniture(picture: np.ndarray, floor_y: int, rgb: np.ndarray, rng: np.random.Generator) -> None:
    """A frame on the wall, a box or a shelf on the floor, a lamp, a plant."""
    height, width = picture.shape[:2]
    color, dark = [float(c) for c in rgb], [float(c) for c in rgb * 0.6]
    kind, x = int(rng.integers(4)), int(rng.uniform(0, width))
    w, h = int(width * rng.uniform(0.1, 0.3)), int(height * rng.uniform(0.1, 0.35))
    if kind == 0:
        y = int(rng.uniform(0, floor_y * 0.6))
        cv2.rectangle(picture, (x, y), (x + w, y + h // 2), dark, -1)
        cv2.rectangle(picture, (x + 4, y + 4), (x + w - 4, y + h // 2 - 4), color, -1)
    elif kind == 1:
        cv2.rectangle(picture, (x, floor_y - h), (x + w, floor_y + h // 5), color, -1)
        for share in (0.3, 0.6):
            cv2.line(picture, (x, floor_y - int(h * share)), (x + w, floor_y - int(h * share)), dark, 2)
    elif kind == 2:
        cv2.line(picture, (x, floor_y + h // 6), (x, floor_y - h), dark, max(2, width // 100))
        shade = np.array(
            [
                (x - w // 3, floor_y - h),
                (x + w // 3, floor_y - h),
                (x + w // 5, floor_y - h - w // 2),
                (x - w // 5, floor_y - h - w // 2),
            ]
        )
        cv2.fillPoly(picture, [shade.astype(np.int32)], color, cv2.LINE_AA)
    else:
        for turn in rng.uniform(-1.2, 1.2, 7):
            tip = (int(x + h * np.sin(turn) * 0.5), int(floor_y - h * np.cos(turn) * 0.8))
            cv2.line(picture, (x, floor_y), tip, dark, max(3, width // 60), cv2.LINE_AA)
        cv2.ellipse(picture, (x, floor_y), (max(w // 4, 2), max(w // 6, 2)), 0, 0, 360, color, -1, cv2.LINE_AA)
