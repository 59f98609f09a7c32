"""How far a color tag lies from the colors that the product's pixels usually have under that tag."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tagger.errors import BundleError

# Fewer items than this say too little about a color's usual place.
LEAST_ITEMS = 5
# The difference that an eye just notices (Mahy et al. 1994): a tight color must not object to invisible differences.
LEAST_SPREAD = 2.3

_LINEAR_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# The white that this matrix gives to (1, 1, 1): D65.
_WHITE = _LINEAR_TO_XYZ.sum(axis=1)


@dataclass(frozen=True)
class ColorReference:
    """By color: the median Lab of its products, and the median distance from it. Kept in the bundle."""

    lab: Mapping[str, tuple[float, float, float]]
    spread: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; the inverse of `from_dict`."""
        return {color: {"lab": list(self.lab[color]), "spread": self.spread[color]} for color in self.lab}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ColorReference":
        """BundleError where an entry is not `{lab: [L, a, b], spread: number}`."""
        try:
            lab = {color: (float(e["lab"][0]), float(e["lab"][1]), float(e["lab"][2])) for color, e in data.items()}
            return cls(lab, {color: float(entry["spread"]) for color, entry in data.items()})
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BundleError(f"The bundle's color reference is damaged: {error!r}. Train the bundle again.") from error


def lab_from_rgb(rgb: np.ndarray) -> np.ndarray:
    """CIE 1976 L*a*b* under D65, (..., 3) float64: L in [0, 100], a and b about -108 to 98.

    rgb: (..., 3) sRGB in 0..255; NaN stays NaN. Source: IEC 61966-2-1 (sRGB), CIE 15:2004 section 8.2.1.
    """
    encoded = np.asarray(rgb, dtype=np.float64) / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _LINEAR_TO_XYZ.T / _WHITE
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def fit_color_reference(dominant_rgb: np.ndarray, colors: Sequence[str]) -> ColorReference:
    """Each color's usual place, from labelled items that the networks were not fitted on.

    dominant_rgb: (N, 3) in 0..255, NaN where the product mask was empty. colors: N labels.
    A color with fewer than LEAST_ITEMS such items gets no reference. Medians, since some labels are wrong.
    """
    lab, names = lab_from_rgb(dominant_rgb), np.asarray(colors)
    is_known = ~np.isnan(lab).any(axis=1)
    medians: dict[str, tuple[float, float, float]] = {}
    spreads: dict[str, float] = {}
    for color in sorted(set(colors)):
        own = lab[is_known & (names == color)]
        if len(own) >= LEAST_ITEMS:
            median = np.median(own, axis=0)
            medians[color] = (float(median[0]), float(median[1]), float(median[2]))
            spreads[color] = max(float(np.median(np.linalg.norm(own - median, axis=1))), LEAST_SPREAD)
    return ColorReference(medians, spreads)


def color_distance(reference: ColorReference, dominant_rgb: np.ndarray, colors: Sequence[str]) -> np.ndarray:
    """(N,) float64, at least 0: distance in Lab (CIE76) from the tag's usual place, in that color's spreads.

    1 is the median item of the color. NaN where the color has no reference or dominant_rgb is NaN.
    A color of many shades (Multicolor) has a wide spread and so hardly ever objects.
    """
    unknown = (np.nan, np.nan, np.nan)
    center = np.array([reference.lab.get(color, unknown) for color in colors], dtype=np.float64).reshape(-1, 3)
    spread = np.array([reference.spread.get(color, np.nan) for color in colors], dtype=np.float64)
    return np.asarray(np.linalg.norm(lab_from_rgb(dominant_rgb) - center, axis=1) / spread)
