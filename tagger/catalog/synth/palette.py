"""The 20 colors of the catalogue: 19 as ranges of shade in CIE L*C*h (Lab in polar form), and `Multicolor`."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ShadeRange:
    """Lightness 0..100, chroma 0.., hue in degrees (it may run past 360), all of CIE Lab under D65."""

    lightness: tuple[float, float]
    chroma: tuple[float, float]
    hue: tuple[float, float]


_ANY_HUE = (0.0, 360.0)

SHADES: dict[str, ShadeRange] = {
    "Black": ShadeRange((6, 21), (0, 4), _ANY_HUE),
    "White": ShadeRange((94, 99), (0, 3), _ANY_HUE),
    "Grey": ShadeRange((36, 68), (0, 5), _ANY_HUE),
    "Silver": ShadeRange((70, 85), (0, 5), _ANY_HUE),
    "Gold": ShadeRange((58, 76), (36, 56), (76, 90)),
    "Navy Blue": ShadeRange((10, 26), (16, 36), (268, 298)),
    "Blue": ShadeRange((34, 70), (28, 62), (250, 292)),
    "Turquoise": ShadeRange((48, 80), (26, 46), (178, 222)),
    "Green": ShadeRange((30, 74), (30, 72), (122, 164)),
    "Olive": ShadeRange((30, 54), (18, 38), (94, 116)),
    "Yellow": ShadeRange((80, 92), (56, 88), (86, 102)),
    "Orange": ShadeRange((58, 72), (60, 88), (50, 67)),
    "Red": ShadeRange((38, 54), (55, 82), (22, 40)),
    "Maroon": ShadeRange((14, 30), (22, 42), (2, 30)),
    "Pink": ShadeRange((54, 82), (26, 62), (342, 374)),
    "Purple": ShadeRange((26, 62), (28, 60), (300, 328)),
    "Brown": ShadeRange((18, 46), (14, 38), (42, 74)),
    "Beige": ShadeRange((66, 84), (11, 25), (62, 88)),
    "Cream": ShadeRange((88, 95), (8, 17), (80, 104)),
}
COLORS: tuple[str, ...] = (*SHADES, "Multicolor")
_VIVID = ("Red", "Blue", "Yellow", "Green", "Orange", "Pink", "Purple", "Turquoise", "Navy Blue", "White", "Black")
_WHITE_POINT = np.array([0.95047, 1.0, 1.08883])
_RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """CIE Lab (D65), (..., 3) float -> sRGB, (..., 3) float64 on the scale 0..255, beyond it where out of gamut."""
    f = (lab[..., 0] + 16) / 116
    stack = np.stack([f + lab[..., 1] / 500, f, f - lab[..., 2] / 200], axis=-1)
    xyz = np.where(stack > 6 / 29, stack**3, 3 * (6 / 29) ** 2 * (stack - 4 / 29)) * _WHITE_POINT
    linear = xyz @ np.linalg.inv(_RGB_TO_XYZ).T
    gamma = np.where(linear > 0.0031308, 1.055 * np.abs(linear) ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.asarray(255 * gamma)


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB on the scale 0..255, (..., 3) of any dtype -> CIE Lab (D65), (..., 3) float64."""
    c = np.asarray(rgb, np.float64) / 255
    linear = np.where(c > 0.04045, ((c + 0.055) / 1.055) ** 2.4, c / 12.92)
    xyz = linear @ _RGB_TO_XYZ.T / _WHITE_POINT
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def sample_rgb(color: str, rng: np.random.Generator) -> np.ndarray:
    """One shade of a color, uniform in its range and inside sRGB.

    Returns (3,) float64 on the scale 0..255. `Multicolor` gives a shade of one vivid color. KeyError for an unknown
    name.
    """
    name = str(rng.choice(_VIVID)) if color == "Multicolor" else color
    shade = SHADES[name]
    lightness, chroma, hue = (rng.uniform(*bounds, 64) for bounds in (shade.lightness, shade.chroma, shade.hue))
    angle = np.deg2rad(hue)
    rgb = lab_to_rgb(np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1))
    in_gamut = np.flatnonzero(((rgb >= 0) & (rgb <= 255)).all(axis=1))
    return np.asarray(rgb[in_gamut[0]]) if len(in_gamut) else np.clip(rgb[0], 0, 255)


def sample_vivid(count: int, rng: np.random.Generator) -> np.ndarray:
    """Shades of `count` different vivid colors, (count, 3) float64 0..255: what `Multicolor` is made of."""
    return np.stack([sample_rgb(str(name), rng) for name in rng.choice(_VIVID, count, replace=False)])


def is_shade_of(color: str, rgb: np.ndarray, slack: float = 0.0) -> bool:
    """Does one sRGB color, (3,), lie in the range of a plain color, widened by `slack` (Lab units) on every side?"""
    lightness, a, b = rgb_to_lab(rgb)
    chroma, hue = float(np.hypot(a, b)), float(np.rad2deg(np.arctan2(b, a)))
    shade = SHADES[color]
    inside = shade.lightness[0] - slack <= lightness <= shade.lightness[1] + slack
    inside &= shade.chroma[0] - slack <= chroma <= shade.chroma[1] + slack
    if shade.hue == _ANY_HUE:
        return bool(inside)
    middle, half = sum(shade.hue) / 2, (shade.hue[1] - shade.hue[0]) / 2
    turned = abs((hue - middle + 180) % 360 - 180)
    return bool(inside and turned <= half + np.rad2deg(slack / max(chroma, 1.0)))
