"""Masks where no plain background exists: furniture, a street, a wall with pictures.

GrabCut (Rother, Kolmogorov and Blake 2004, OpenCV's), told that the product stands in the middle and the border is
background. The type network's map would be the better seed if it held on such pictures; it does not
(`docs/focus.md`). Several milliseconds a picture: meant for the few that the border's color cannot explain.
"""

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating]

_SIDE_PX, _ROUNDS = 48, 2
_MIDDLE_SPREAD, _MIDDLE_SURE, _MIDDLE_LIKELY = 0.27, 0.85, 0.5
"""How a product is spread around the middle, as a share of the side, and from where it is surely, or likely, there."""


def scene_masks(pictures: npt.NDArray[np.uint8]) -> Array:
    """(B, H, W, 3) uint8 RGB -> (B, H, W) float32, 0 or 1."""
    return np.array([_cut(picture) for picture in pictures], np.float32).reshape(pictures.shape[:3])


def _cut(picture: npt.NDArray[np.uint8]) -> Array:
    small = cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    labels = _guess()
    cv2.setRNGSeed(0)  # GrabCut's color models start from a random k-means
    behind, product = np.zeros((1, 65)), np.zeros((1, 65))
    small = np.ascontiguousarray(small[:, :, ::-1])
    cv2.grabCut(small, labels, (0, 0, 1, 1), behind, product, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    found = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.float32)
    return np.asarray(cv2.resize(found, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR) >= 0.5)


def _guess() -> npt.NDArray[np.uint8]:
    """What GrabCut starts from: background at the border, foreground in the middle, guesses between."""
    offset = np.linspace(-0.5, 0.5, _SIDE_PX)
    middle = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * _MIDDLE_SPREAD**2))
    labels = np.where(middle > _MIDDLE_LIKELY, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[middle > _MIDDLE_SURE] = cv2.GC_FGD
    labels[0], labels[-1], labels[:, 0], labels[:, -1] = (cv2.GC_BGD,) * 4
    return labels
