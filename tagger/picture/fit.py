"""A picture of any size to the network's square input, and boxes there and back.

Both policies resize with Pillow's bilinear filter, each axis by itself: its triangle widens with the reduction,
so shrinking averages every source pixel (antialiased), and growing interpolates between neighbours.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from PIL import Image

Policy = Literal["stretch", "pad"]


@dataclass(frozen=True)
class Fit:
    """How a picture becomes the network's input; kept in the bundle, since tagging must repeat what training did.

    policy: "stretch" fills the square and changes the aspect ratio; "pad" keeps the aspect ratio, centres the picture
            and fills what is left with the median color of the picture's border. White bars would be evidence for
            "White" that is not in the photo; the border's color continues the background that is there.
    size_px: side of the square in pixels, at least 1.
    """

    policy: Policy = "stretch"
    size_px: int = 128

    def __post_init__(self) -> None:
        if self.policy not in get_args(Policy):
            raise ValueError(f"fit policy must be one of {', '.join(get_args(Policy))}. Received: {self.policy!r}")
        if self.size_px < 1:
            raise ValueError(f"fit size must be at least 1 pixel. Received: {self.size_px}")


class Box(NamedTuple):
    """Left, top, right and bottom edge in pixels from the top left corner; right and bottom are outside."""

    left: float
    top: float
    right: float
    bottom: float


def fit_picture(picture: np.ndarray, fit: Fit) -> np.ndarray:
    """Array form of `fit_image`: (H, W, 3) uint8, both sides at least 1, to (size_px, size_px, 3) uint8."""
    return fit_image(Image.fromarray(picture), fit)


def fit_image(image: Image.Image, fit: Fit) -> np.ndarray:
    """Pillow image of mode RGB, any size, to a new (size_px, size_px, 3) uint8 array."""
    left, top, right, bottom = content_box(image.width, image.height, fit)
    content = np.array(image.resize((right - left, bottom - top), Image.Resampling.BILINEAR))
    if content.shape[:2] == (fit.size_px, fit.size_px):
        return content
    fitted = np.empty((fit.size_px, fit.size_px, 3), np.uint8)
    fitted[:] = _border_median(content)
    fitted[top:bottom, left:right] = content
    return fitted


def content_box(width: int, height: int, fit: Fit) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in whole pixels of the square: where a width x height picture lies after fitting.

    The whole square for "stretch". For "pad" the longer side fills the square, the shorter has at least one pixel, and
    an odd rest puts one more row or column of filling to the right or the bottom.
    """
    if fit.policy == "stretch":
        return 0, 0, fit.size_px, fit.size_px
    longer = max(width, height)
    across, down = (max(1, round(side * fit.size_px / longer)) for side in (width, height))
    left, top = (fit.size_px - across) // 2, (fit.size_px - down) // 2
    return left, top, left + across, top + down


def box_in_fitted(box: Box, width: int, height: int, fit: Fit) -> Box:
    """A box in the pixels of a width x height picture, in the pixels of the fitted square."""
    left, top, right, bottom = content_box(width, height, fit)
    across, down = (right - left) / width, (bottom - top) / height
    return Box(left + box.left * across, top + box.top * down, left + box.right * across, top + box.bottom * down)


def box_in_picture(box: Box, width: int, height: int, fit: Fit) -> Box:
    """Inverse of `box_in_fitted`. Parts of the box that lie on the filling are cut off at the picture's edge."""
    left, top, right, bottom = content_box(width, height, fit)
    across, down = width / (right - left), height / (bottom - top)
    x = np.clip([(box.left - left) * across, (box.right - left) * across], 0, width)
    y = np.clip([(box.top - top) * down, (box.bottom - top) * down], 0, height)
    return Box(float(x[0]), float(y[0]), float(x[1]), float(y[1]))


def _border_median(content: np.ndarray) -> np.ndarray:
    border = np.concatenate([content[0], content[-1], content[:, 0], content[:, -1]])
    return np.asarray(np.median(border, axis=0), np.uint8)
