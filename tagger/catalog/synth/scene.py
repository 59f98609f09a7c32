"""One picture of the synthetic catalogue, with its exact masks."""

from dataclasses import dataclass

import cv2
import numpy as np

from tagger.catalog.synth.background import paint_background, sample_background
from tagger.catalog.synth.canvas import Canvas
from tagger.catalog.synth.look import sample_look
from tagger.catalog.synth.palette import COLORS
from tagger.catalog.synth.pose import Pose, arrange, clutter, sample_pose
from tagger.catalog.synth.shapes import TYPES

_DRAWN_PX = (
    256,
    480,
)  # longer side that is really painted: bounds the cost of large pictures and the loss of small ones
_PATTERNED = {
    "Shirt": 0.45,
    "Top": 0.35,
    "T-Shirt": 0.25,
    "Kurta": 0.3,
    "Dress": 0.3,
    "Trousers": 0.15,
    "Socks": 0.25,
    "Backpack": 0.1,
}


@dataclass(frozen=True)
class DrawnItem:
    """A drawn catalogue picture and the truth about it.

    picture:         (H, W, 3) uint8 RGB; longer side 80 to 1800 px.
    alpha:           (H, W) uint8 coverage of the foreground where the background is transparent, else None; `picture`
                     then lies on white.
    product_mask:    (H, W) uint8, 255 on the product, else 0.
    foreground_mask: (H, W) uint8, 255 on product, person, other garments and products; soft shadows are background.
    """

    picture: np.ndarray
    alpha: np.ndarray | None
    product_mask: np.ndarray
    foreground_mask: np.ndarray
    type: str
    color: str
    background: str
    pose: str


def draw_item(
    type_name: str,
    color_name: str,
    rng: np.random.Generator,
    background: str | None = None,
    background_color: str | None = None,
    product_rng: np.random.Generator | None = None,
) -> DrawnItem:
    """Draw one item of a type and color of the label space.

    background: one of `BACKGROUNDS`, or any in the mix of a shop's catalogue. background_color: a color whose shades
    the background takes (kind "studio", unless a room is asked for): given the item's own color, it ties the background
    to the label. product_rng: draws the product alone, so that the same product can be shown again elsewhere.
    KeyError for an unknown type, color or background.
    """
    product_rng = product_rng or np.random.default_rng(int(rng.integers(1 << 62)))
    kind = background or ("studio" if background_color else sample_background(rng))
    pose = arrange(
        type_name,
        sample_pose(type_name, rng),
        sample_look(color_name, product_rng, _PATTERNED.get(type_name, 0.0)),
        rng,
        product_rng,
    )
    longer = _longer_side(rng)
    shape = _drawn_shape(pose, longer, rng)
    backdrop = paint_background(kind, shape, background_color, rng)
    canvas = Canvas(backdrop)
    if kind == "room":
        _place_clutter(canvas, type_name, rng)
    matrix = _placement(pose, shape, rng)
    for sketch, is_product in pose.layers:
        canvas.draw(sketch, matrix, is_product)
    _cast_shadow(canvas, backdrop, kind, pose, rng)
    return _developed(canvas, longer, kind, (type_name, color_name, pose.kind), rng)


def _longer_side(rng: np.random.Generator) -> int:
    return int(np.clip(np.exp(rng.normal(np.log(300), 0.5)), 80, 1800))


def _drawn_shape(pose: Pose, longer: int, rng: np.random.Generator) -> tuple[int, int]:
    """Height and width to paint: portrait for most, square or landscape for some that are laid out."""
    drawn = int(np.clip(longer, *_DRAWN_PX))
    ratio = 0.75 if pose.fills_picture else float(rng.choice([0.75, 0.75, 0.8, 1.0, 1.0, 1.25]))
    return (drawn, round(drawn * ratio)) if ratio <= 1 else (round(drawn / ratio), drawn)


def _placement(pose: Pose, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The affine map, (2, 3), from the pose's units to pixels."""
    x0, y0, x1, y1 = pose.frame
    height, width = shape
    mirror = 1.0 if rng.random() < 0.5 else -1.0
    fit = min(width / (x1 - x0), height / (y1 - y0))
    if pose.fills_picture:
        turn, scale, shift = 0.0, fit, np.array([0.0, 0.0])
    elif pose.kind == "cut":
        turn, scale = np.deg2rad(rng.normal(0, 4)), fit * rng.uniform(1.02, 1.3)
        shift = rng.uniform(-0.11, 0.11, 2) * [width, height]
    else:
        turn, scale = np.deg2rad(rng.normal(0, 5)), fit * rng.uniform(0.7, 0.96)
        slack = np.array([width - scale * (x1 - x0), height - scale * (y1 - y0)]) / 2
        shift = rng.uniform(-0.6, 0.6, 2) * slack
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag([mirror, 1.0])
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    return np.column_stack([linear, np.array([width / 2, height / 2]) + shift - linear @ middle])


def _place_clutter(canvas: Canvas, type_name: str, rng: np.random.Generator) -> None:
    """One to three other products, small and towards the border."""
    height, width = canvas.product.shape
    others = [name for name in TYPES if name != type_name]
    for _ in range(int(rng.integers(1, 4))):
        look = sample_look(str(rng.choice(COLORS)), rng, 0.0)
        sketch = clutter(str(rng.choice(others)), look, rng)
        size = rng.uniform(0.16, 0.3) * max(height, width)
        x = width * float(rng.choice([rng.uniform(0.0, 0.18), rng.uniform(0.82, 1.0)]))
        y = height * float(rng.uniform(0.1, 0.95))
        canvas.draw(sketch, np.array([[size, 0, x], [0, size, y]]), False)


def _cast_shadow(canvas: Canvas, backdrop: np.ndarray, kind: str, pose: Pose, rng: np.random.Generator) -> None:
    """Darken the background by a blurred, shifted copy of the foreground; the shadow stays background in the masks."""
    if kind == "transparent" or (pose.fills_picture and kind in ("white", "off-white") and rng.random() < 0.6):
        return
    height, width = canvas.foreground.shape
    small = cv2.resize(canvas.foreground, (max(width // 8, 2), max(height // 8, 2)), interpolation=cv2.INTER_AREA)
    dx, dy = rng.uniform(-1.5, 1.5), rng.uniform(0.6, 2.2)
    moved = cv2.warpAffine(small, np.array([[1, 0, dx], [0, 1, dy]]), (small.shape[1], small.shape[0]))
    soft = cv2.resize(cv2.GaussianBlur(moved, (0, 0), float(rng.uniform(0.8, 2.2))), (width, height))
    depth = np.float32(rng.uniform(0.1, 0.32) if kind in ("white", "off-white") else rng.uniform(0.2, 0.45))
    canvas.picture -= backdrop * (depth * soft * (1 - canvas.foreground))[..., None]


def _developed(
    canvas: Canvas, longer: int, kind: str, names: tuple[str, str, str], rng: np.random.Generator
) -> DrawnItem:
    """Exposure, then the final size."""
    picture = canvas.picture
    if kind not in ("white", "transparent"):
        picture = picture * np.float32(rng.uniform(0.94, 1.05))
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    height, width = picture.shape[:2]
    share = longer / max(height, width)
    size = (max(round(width * share), 16), max(round(height * share), 16))
    how = cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(picture, size, interpolation=how) if share != 1 else picture
    how = cv2.INTER_AREA if share < 1 else cv2.INTER_LINEAR
    product = np.asarray(cv2.resize(canvas.product, size, interpolation=how))
    foreground = np.asarray(cv2.resize(canvas.foreground, size, interpolation=how))
    alpha = np.round(foreground * 255).astype(np.uint8) if kind == "transparent" else None
    foreground_mask = np.where(foreground >= 0.5, 255, 0).astype(np.uint8)
    # A thin product over other things can pass one half where the sum of both does not, by rounding alone.
    product_mask = np.where((product >= 0.5) & (foreground_mask > 0), 255, 0).astype(np.uint8)
    return DrawnItem(picture, alpha, product_mask, foreground_mask, names[0], names[1], kind, names[2])
