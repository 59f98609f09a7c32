"""Closed shoes seen from the side, toe to the right: length 2 units, ground at y = 0."""

import numpy as np

from tagger.catalog.synth.curve import box, corner, ellipse, ribbon, smooth
from tagger.catalog.synth.look import Look
from tagger.catalog.synth.palette import sample_rgb
from tagger.catalog.synth.sketch import Sketch, plain, seam, toned


def _opening(sketch: Sketch, look: Look, heel: tuple[float, float], front: tuple[float, float], lift: float) -> None:
    """The far rim of the collar and the lining, behind the upper."""
    middle = ((heel[0] + front[0]) / 2, (heel[1] + front[1]) / 2)
    rim = [heel, (middle[0] - 0.1, middle[1] - lift), front, (middle[0], middle[1] + 0.25)]
    sketch.solid(smooth(rim), plain(toned(look.rgb, -0.45)), 0.06)


def _laces(sketch: Sketch, low: tuple[float, float], high: tuple[float, float], rgb: np.ndarray, rows: int) -> None:
    """Crossing laces with eyelets from the vamp up to the tongue."""
    for share in np.linspace(0, 1, rows):
        x, y = low[0] + (high[0] - low[0]) * share, low[1] + (high[1] - low[1]) * share
        sketch.line(((x - 0.09, y + 0.09), (x + 0.05, y - 0.05)), rgb, 0.045, 1.0)
        sketch.line(((x - 0.11, y + 0.01), (x + 0.04, y + 0.03)), rgb, 0.035, 0.9)
        sketch.detail(ellipse(x - 0.1, y + 0.1, 0.022, 0.022), plain(seam(rgb, 0.6)))


def casual_shoes(look: Look, rng: np.random.Generator) -> Sketch:
    """Sneakers: a flat, even rubber sole with a line, a rubber toe cap or side stripes, low or high."""
    look = look.on(str(rng.choice(("cloth", "suede", "leather"))))
    high = 0.34 if rng.random() < 0.25 else 0.0
    sole_rgb = toned(sample_rgb(str(rng.choice(("White", "Cream", "Black", "Brown"), p=[0.6, 0.2, 0.1, 0.1])), rng), 0)
    sketch = Sketch()
    _opening(sketch, look, (-0.86, -0.8 - high), (-0.2, -0.84 - high), 0.1)
    sketch.solid(
        smooth([*corner(-0.42, -0.6 - high), *corner(-0.2, -0.98 - high), (-0.08, -0.9 - high), *corner(0.22, -0.5)]),
        look.tone(-0.15),
        0.04,
    )
    upper = [*corner(-0.95, -0.1), (-0.95, -0.45), *corner(-0.88, -0.8 - high), (-0.6, -0.68 - 1.1 * high)]
    upper += [
        *corner(-0.25, -0.8 - high),
        (0.08, -0.58),
        (0.38, -0.43),
        (0.72, -0.38),
        (0.95, -0.25),
        *corner(0.98, -0.1),
    ]
    sketch.solid(smooth(upper), look.main, 0.13, 0.35)
    _casual_side(sketch, look, rng)
    _laces(sketch, (0.2, -0.56), (-0.18, -0.82 - high), toned(sole_rgb, 0.3), 4 + int(high > 0) * 2)
    sketch.solid(
        smooth([*corner(-1.0, -0.17), *corner(1.0, -0.17), (1.04, -0.08), *corner(0.98, 0.0), *corner(-0.97, 0.0)]),
        plain(sole_rgb, "rubber"),
        0.05,
    )
    sketch.line(((-1.0, -0.1), (1.02, -0.1)), look.trim.rgb, 0.03, 0.9)
    return sketch


def _casual_side(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    if rng.random() < 0.5:
        cap = smooth([*corner(0.62, -0.13), (0.6, -0.28), *corner(0.66, -0.42), (0.95, -0.34), *corner(1.02, -0.1)])
        sketch.detail(cap, plain(np.array([236.0, 234.0, 228.0]), "rubber"), 1.0, 0.05)
        sketch.line(smooth([(0.6, -0.15), (0.6, -0.3), (0.68, -0.42)], closed=False), look.seam, 0.02)
    else:
        for x in (-0.25, -0.1, 0.05)[: int(rng.integers(1, 4))]:
            sketch.detail([(x, -0.62), (x + 0.09, -0.62), (x - 0.06, -0.17), (x - 0.15, -0.17)], look.trim, 0.95)
    heel = [(-1.0, -0.15), (-1.0, -0.75), (-0.78, -0.7), (-0.7, -0.15)]
    sketch.detail(heel, look.tone(-0.2), 0.8)
    sketch.stitches(smooth([(-0.68, -0.18), (-0.74, -0.45), (-0.78, -0.68)], closed=False), look.seam, 0.035, 0.016)
    sketch.line(smooth([(-0.4, -0.2), (-0.12, -0.42), (0.14, -0.5)], closed=False), look.seam, 0.018, 0.7)


def sports_shoes(look: Look, rng: np.random.Generator) -> Sketch:
    """Running shoes: a thick, waved sole in several colors with grooves, mesh, swooping overlays, a padded heel."""
    look = look.on("mesh")
    accent = sample_rgb(str(rng.choice(("Red", "Blue", "Yellow", "Orange", "Silver", "Green", "Pink"))), rng)
    sketch = Sketch()
    _opening(sketch, look, (-0.9, -0.92), (-0.22, -0.9), 0.08)
    sketch.solid(
        smooth([*corner(-0.4, -0.62), *corner(-0.2, -1.04), (-0.06, -0.96), *corner(0.26, -0.5)]),
        look.tone(-0.12),
        0.04,
    )
    upper = [
        *corner(-0.93, -0.2),
        (-0.99, -0.5),
        (-0.9, -0.76),
        *corner(-0.95, -0.95),
        (-0.66, -0.72),
        *corner(-0.26, -0.88),
    ]
    upper += [(0.05, -0.64), (0.4, -0.47), (0.76, -0.4), (1.0, -0.27), *corner(1.0, -0.18)]
    sketch.solid(smooth(upper), look.main, 0.14, 0.2)
    _overlays(sketch, look, accent, rng)
    _laces(sketch, (0.24, -0.6), (-0.18, -0.9), toned(accent, 0.6), 5)
    _running_sole(sketch, look, accent, rng)
    return sketch


def _overlays(sketch: Sketch, look: Look, accent: np.ndarray, rng: np.random.Generator) -> None:
    patch = look.tone(-0.13 if float(np.mean(look.rgb)) > 90 else 0.1, "leather")
    sketch.detail(
        smooth([*corner(0.5, -0.16), (0.66, -0.3), (0.8, -0.42), (1.02, -0.3), *corner(1.04, -0.14)]), patch, 0.95, 0.04
    )
    sketch.detail(
        smooth([*corner(-1.0, -0.15), *corner(-1.02, -0.8), (-0.84, -0.66), (-0.68, -0.4), *corner(-0.5, -0.16)]),
        patch,
        0.95,
        0.04,
    )
    if rng.random() < 0.5:
        swoop = smooth(
            [*corner(0.46, -0.44), (0.1, -0.24), (-0.3, -0.24), *corner(-0.6, -0.56), (-0.3, -0.33), (0.05, -0.31)]
        )
        sketch.detail(swoop, plain(accent, "leather"), 1.0, 0.025)
    else:
        for x in (-0.28, -0.08, 0.12):
            slash = smooth([(x, -0.64), (x - 0.04, -0.4), (x - 0.16, -0.16)], closed=False)
            sketch.detail(ribbon(slash, [0.022, 0.034]), plain(accent, "leather"), 1.0, 0.02)
    sketch.line(smooth([(-0.88, -0.86), (-0.66, -0.66), (-0.3, -0.8)], closed=False), accent, 0.05, 0.9)


def _running_sole(sketch: Sketch, look: Look, accent: np.ndarray, rng: np.random.Generator) -> None:
    foam = plain(sample_rgb(str(rng.choice(("White", "White", "Grey", "Silver"))), rng), "rubber")
    if rng.random() < 0.5:
        foam = look.tone(0.2, "rubber")
    top = [(-1.02, -0.3), (-0.6, -0.2), (-0.1, -0.17), (0.5, -0.2), *corner(1.06, -0.24)]
    bottom = [(1.0, -0.06), (0.7, 0.0), (0.2, 0.0), (-0.05, -0.05), (-0.4, 0.0), *corner(-0.96, 0.0), (-1.1, -0.12)]
    sketch.solid(smooth([*corner(-1.08, -0.3), *top[1:], *bottom]), foam, 0.07)
    sketch.detail(
        smooth([*corner(-1.1, -0.14), (-0.7, -0.07), *corner(-0.45, -0.05), *corner(-0.45, 0.05), *corner(-1.1, 0.05)]),
        plain(accent, "rubber"),
        1.0,
        0.03,
    )
    for x in np.linspace(-0.95, 0.85, 12):
        sketch.line(((x, -0.085), (x + 0.03, 0.02)), toned(foam.rgb, -0.55), 0.025, 0.8)
    sketch.line(
        smooth([(-1.0, -0.2), (-0.3, -0.11), (0.4, -0.12), (1.0, -0.17)], closed=False),
        toned(foam.rgb, -0.3),
        0.018,
        0.8,
    )


def formal_shoes(look: Look, rng: np.random.Generator) -> Sketch:
    """Polished leather: a slim toe with cap or wing, a thin dark sole with a heel block, laces or a buckle."""
    look = look.on("leather")
    sketch = Sketch()
    _opening(sketch, look, (-0.84, -0.66), (-0.22, -0.66), 0.09)
    upper = [*corner(-0.92, -0.1), (-0.95, -0.4), *corner(-0.86, -0.68), (-0.58, -0.56), *corner(-0.24, -0.64)]
    upper += [(0.06, -0.47), (0.4, -0.33), (0.8, -0.25), (1.02, -0.15), *corner(1.08, -0.07)]
    sketch.solid(smooth(upper), look.main, 0.16, 0.0)
    _formal_seams(sketch, look, rng)
    dark = plain(toned(look.rgb, -0.7), "leather")
    sketch.solid(
        smooth(
            [
                *corner(-0.97, -0.12),
                *corner(-0.1, -0.1),
                (0.5, -0.09),
                *corner(1.1, -0.1),
                (1.08, -0.03),
                (0.6, 0.0),
                (0.1, -0.04),
                *corner(-0.4, -0.06),
                *corner(-0.97, -0.06),
            ]
        ),
        dark,
        0.03,
    )
    sketch.solid([(-0.97, -0.08), (-0.45, -0.08), (-0.48, 0.03), (-0.95, 0.03)], dark, 0.03)
    return sketch


def _formal_seams(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    glow = smooth([(0.55, -0.24), (0.8, -0.22), (0.95, -0.15), (0.7, -0.17)])
    sketch.detail(glow, plain(toned(look.rgb, 0.5)), 0.5)
    cap = [(0.58, -0.09), (0.53, -0.2), (0.58, -0.3)]
    sketch.line(smooth(cap, closed=False), look.seam, 0.025, 0.95)
    if rng.random() < 0.5:
        sketch.stitches(smooth([(0.5, -0.1), (0.44, -0.2), (0.48, -0.3)], closed=False), look.seam, 0.025, 0.03)
        sketch.stitches(smooth([(0.48, -0.3), (0.7, -0.16), (1.0, -0.1)], closed=False), look.seam, 0.025, 0.024)
    quarter = smooth([(-0.3, -0.1), (-0.1, -0.3), (0.14, -0.44)], closed=False)
    sketch.line(quarter, look.seam, 0.022, 0.95)
    sketch.stitches(quarter + [-0.04, -0.005], look.seam, 0.03, 0.014)
    if rng.random() < 0.6:
        for k in range(4):
            x, y = 0.1 - 0.085 * k, -0.45 - 0.055 * k
            sketch.line(((x - 0.075, y + 0.055), (x + 0.02, y - 0.03)), look.seam, 0.032, 1.0)
    else:
        sketch.detail(ribbon([(-0.35, -0.15), (-0.1, -0.36), (0.04, -0.5)], [0.06, 0.055]), look.tone(-0.1), 1.0, 0.03)
        sketch.detail(box(-0.22, -0.4, -0.08, -0.24, 0.02), plain(look.metal, "metal"), 1.0, 0.02)
        sketch.detail(box(-0.19, -0.37, -0.11, -0.27, 0.01), look.tone(-0.3))
    sketch.line(smooth([(-0.86, -0.66), (-0.8, -0.35), (-0.8, -0.1)], closed=False), look.seam, 0.018, 0.8)
