"""Heels and flats from the side, sandals and flip flops from the side and above. Length 2 units, toe right."""

import numpy as np

from tagger.catalog.synth.curve import arc, box, corner, ellipse, ribbon, smooth
from tagger.catalog.synth.look import Look
from tagger.catalog.synth.sketch import Paint, Sketch, plain, seam, toned
from tagger.catalog.synth.tops import bow

_SOLE_LINE = [(-0.92, -0.8), (-0.6, -0.74), (-0.25, -0.46), (0.15, -0.14), (0.5, -0.045), (0.98, -0.07)]


def heels(look: Look, rng: np.random.Generator) -> Sketch:
    """A steep arch on a stiletto, block or wedge heel: closed pumps, peep toes or strappy ones with an ankle strap."""
    look = look.on(str(rng.choice(("leather", "suede"))))
    sketch = Sketch()
    _heel(sketch, look, str(rng.choice(("stiletto", "block", "wedge"), p=[0.5, 0.3, 0.2])))
    sole = smooth(_SOLE_LINE, closed=False)
    if rng.random() < 0.6:
        _pump(sketch, look, rng)
    else:
        _strappy(sketch, look)
    sketch.solid(ribbon(sole, [0.035, 0.03, 0.035]), plain(toned(look.rgb, -0.5), "leather"), 0.02)
    if rng.random() < 0.3:
        sketch.solid(
            smooth([(0.1, -0.1), (0.5, -0.05), (0.96, -0.06), (0.94, 0.05), (0.2, 0.05)]), look.tone(-0.1), 0.03
        )
    return sketch


def _heel(sketch: Sketch, look: Look, kind: str) -> None:
    dark = look.tone(-0.2, "leather")
    if kind == "stiletto":
        spike = smooth(
            [
                *corner(-0.95, -0.8),
                (-0.86, -0.45),
                *corner(-0.84, 0.05),
                *corner(-0.77, 0.05),
                (-0.74, -0.42),
                *corner(-0.5, -0.68),
            ]
        )
        sketch.solid(spike, dark, 0.04)
    elif kind == "block":
        sketch.solid(
            smooth(
                [*corner(-0.95, -0.8), *corner(-0.93, 0.05), *corner(-0.62, 0.05), (-0.58, -0.4), *corner(-0.48, -0.66)]
            ),
            dark,
            0.05,
        )
    else:
        wedge = smooth(
            [
                *corner(-0.94, -0.8),
                *corner(-0.95, 0.05),
                *corner(0.94, 0.05),
                *corner(0.96, -0.05),
                (0.2, -0.14),
                (-0.25, -0.44),
            ]
        )
        sketch.solid(wedge, dark, 0.06)
        for y in (-0.55, -0.35, -0.15):
            sketch.line(((-0.97, y), (0.6, y)), look.seam, 0.014, 0.6)


def _pump(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    lining = smooth(
        [*corner(-0.93, -1.1), (-0.5, -1.0), (-0.05, -0.68), *corner(0.3, -0.42), (0.0, -0.4), (-0.5, -0.7)]
    )
    sketch.solid(lining, plain(np.array([214.0, 186.0, 158.0]), "leather"), 0.04)
    top = [
        *corner(-0.94, -0.78),
        (-0.98, -0.95),
        *corner(-0.93, -1.1),
        (-0.68, -0.92),
        (-0.25, -0.6),
        (0.1, -0.36),
        *corner(0.32, -0.44),
    ]
    toe = (
        [(0.6, -0.3), (0.9, -0.17), *corner(1.06, -0.07)]
        if rng.random() < 0.7
        else [(0.6, -0.3), *corner(0.86, -0.2), *corner(0.8, -0.06)]
    )
    sketch.solid(smooth([*top, *toe, (0.5, -0.03), (0.15, -0.12), (-0.25, -0.44), (-0.6, -0.72)]), look.main, 0.1)
    sketch.line(
        smooth([(-0.94, -1.06), (-0.68, -0.9), (-0.25, -0.58), (0.1, -0.34), (0.32, -0.42)], closed=False),
        look.seam,
        0.022,
        0.8,
    )
    if rng.random() < 0.4:
        bow(sketch, 0.4, -0.36, 0.15, look.trim)
    if rng.random() < 0.4:
        _ankle_strap(sketch, look)


def _strappy(sketch: Sketch, look: Look) -> None:
    bed = smooth(np.array(_SOLE_LINE) - [0, 0.05], closed=False)
    sketch.solid(ribbon(bed, [0.045]), look.tone(0.1), 0.02)
    for x, y, lean in ((0.72, -0.07, 0.06), (0.4, -0.1, 0.1), (0.12, -0.2, 0.16)):
        band = smooth(
            [(x + 0.12, y), (x + 0.1, y - 0.26 - lean), (x - 0.1, y - 0.34 - lean), (x - 0.28, y - 0.08)], closed=False
        )
        sketch.solid(ribbon(band, [0.06, 0.055, 0.06]), look.main, 0.035)
    sketch.solid(
        smooth([*corner(-0.92, -0.78), (-0.98, -1.0), (-0.84, -1.08), (-0.66, -0.86), *corner(-0.6, -0.74)]),
        look.main,
        0.06,
    )
    _ankle_strap(sketch, look)


def _ankle_strap(sketch: Sketch, look: Look) -> None:
    loop = arc(-0.6, -1.14, (0.34, 0.13), 0.15 * np.pi, 2.1 * np.pi)
    sketch.solid(ribbon(loop, [0.04], steps=2), look.main, 0.025)
    sketch.solid(ribbon([(-0.9, -1.0), (-0.86, -1.1)], [0.05]), look.main, 0.02)
    sketch.solid(box(-0.46, -1.1, -0.34, -0.97, 0.02), plain(look.metal, "metal"), 0.02)


def flats(look: Look, rng: np.random.Generator) -> Sketch:
    """Ballerinas: a low, rounded shoe with a wide opening, a thin sole and a bow, a strap or a pointed toe."""
    look = look.on(str(rng.choice(("leather", "suede", "satin", "cloth"))))
    tip = 1.08 if rng.random() < 0.35 else 0.98
    sketch = Sketch()
    inside = smooth(
        [*corner(-0.9, -0.46), (-0.3, -0.46), (0.2, -0.42), *corner(0.42, -0.32), (0.1, -0.14), (-0.5, -0.14)]
    )
    sketch.solid(inside, plain(np.array([216.0, 190.0, 160.0]), "leather"), 0.07)
    upper = [*corner(-0.94, -0.06), (-0.98, -0.28), *corner(-0.9, -0.46), (-0.62, -0.3), (-0.15, -0.2), (0.2, -0.22)]
    upper += [*corner(0.42, -0.34), (0.7, -0.3), (0.92, -0.2), *corner(tip, -0.05)]
    sketch.solid(smooth(upper), look.main, 0.1, 0.15)
    sketch.line(
        smooth([(-0.92, -0.43), (-0.62, -0.28), (-0.15, -0.18), (0.2, -0.2), (0.4, -0.31)], closed=False),
        look.seam,
        0.028,
        0.85,
    )
    sketch.solid(
        ribbon([(-0.96, -0.03), (0, -0.025), (tip, -0.04)], [0.034]), plain(toned(look.rgb, -0.6), "leather"), 0.02
    )
    sketch.solid(
        [(-0.95, -0.03), (-0.6, -0.03), (-0.62, 0.05), (-0.93, 0.05)], plain(toned(look.rgb, -0.6), "leather"), 0.02
    )
    _flat_front(sketch, look, rng)
    return sketch


def _flat_front(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    kind = str(rng.choice(("bow", "strap", "cap")))
    if kind == "bow":
        bow(sketch, 0.52, -0.33, 0.17, look.trim if rng.random() < 0.5 else look.tone(-0.12))
    if kind == "strap":
        band = smooth([(-0.26, -0.16), (-0.24, -0.36), (-0.14, -0.47), (-0.02, -0.44)], closed=False)
        sketch.solid(ribbon(band, [0.045]), look.main, 0.03)
        sketch.solid(ellipse(-0.29, -0.28, 0.04, 0.04), plain(look.metal, "metal"), 0.02)
    if kind == "cap":
        cap = smooth([*corner(0.66, -0.05), (0.68, -0.2), *corner(0.74, -0.31), (0.92, -0.2), *corner(1.12, -0.04)])
        sketch.detail(cap, look.trim, 1.0, 0.04)


def _footbed(sketch: Sketch, bed: Paint, sole: Paint, thickness: float, width: float) -> None:
    """A sole seen from the side and above: near edge low, far edge high."""
    outline = smooth(
        [
            (-1, 0),
            (-0.85, -0.75),
            (-0.3, -0.62),
            (0.3, -0.9),
            (0.8, -0.8),
            (1, -0.1),
            (0.85, 0.7),
            (0.3, 0.95),
            (-0.3, 0.7),
            (-0.85, 0.75),
        ]
    )
    plan = np.stack([outline[:, 0] - 0.25 * outline[:, 1] * width, outline[:, 1] * width], axis=1)
    for share in (1.0, 0.66, 0.33):
        sketch.solid(plan + [0, thickness * share], sole, 0.03)
    sketch.solid(plan, bed, 0.05)
    sketch.line(np.concatenate([plan, plan[:1]]) * [0.94, 0.88], seam(bed.rgb), 0.018, 0.7)


def _over(sketch: Sketch, path: list[tuple[float, float]], half_width: float, paint: Paint) -> None:
    """A strap that rises from the sole and goes over the foot."""
    sketch.solid(ribbon(path, [half_width, half_width * 0.95, half_width]), paint, 0.03)


def sandals(look: Look, rng: np.random.Generator) -> Sketch:
    """A thick sole with two or three broad straps across and one around the heel, with buckles or tabs."""
    look = look.on(str(rng.choice(("leather", "suede", "cloth"))))
    sketch = Sketch()
    sole = look.tone(-0.5, "rubber") if rng.random() < 0.6 else plain(np.array([92.0, 66.0, 46.0]), "rubber")
    _footbed(sketch, look.tone(-0.12), sole, float(rng.uniform(0.14, 0.26)), 0.3)
    far, near = look.tone(-0.2), look.main
    _over(sketch, [(-0.85, -0.2), (-0.98, -0.5), (-0.72, -0.66), (-0.35, -0.5), (-0.2, -0.2)], 0.06, far)
    for x in (0.5, 0.12) if rng.random() < 0.6 else (0.56, 0.2, -0.14):
        _over(
            sketch,
            [(x + 0.2, -0.24), (x + 0.15, -0.38), (x + 0.02, -0.36), (x - 0.12, -0.1), (x - 0.14, 0.27)],
            float(rng.uniform(0.1, 0.15)),
            near,
        )
        sketch.stitches(
            smooth([(x + 0.1, -0.3), (x - 0.04, -0.12), (x - 0.07, 0.22)], closed=False), look.seam, 0.03, 0.016
        )
    _over(sketch, [(-0.3, 0.18), (-0.42, -0.2), (-0.68, -0.36), (-0.94, -0.32), (-0.96, -0.5)], 0.065, near)
    sketch.solid(box(-0.56, -0.38, -0.42, -0.22, 0.03), plain(look.metal, "metal"), 0.02)
    sketch.solid(box(-0.52, -0.34, -0.46, -0.26, 0.01), look.tone(-0.3), 0.01)
    return sketch


def flip_flops(look: Look, rng: np.random.Generator) -> Sketch:
    """A flat foam sole and one thong: a Y from between the toes to both sides; nothing around the heel."""
    sketch, look = Sketch(), look.on("rubber")
    layered = look.trim if rng.random() < 0.5 else look.tone(-0.3)
    _footbed(
        sketch,
        look.main,
        Paint(layered.colors, "rubber"),
        float(rng.uniform(0.08, 0.16)),
        float(rng.uniform(0.28, 0.4)),
    )
    if rng.random() < 0.5:
        for x in (-0.75, -0.6, -0.45):
            sketch.detail(ellipse(x, 0.02, 0.05, 0.05), look.trim, 0.9)
    strap = Paint(look.trim.colors, "rubber") if rng.random() < 0.6 else look.tone(-0.25)
    post = (0.56, -0.12)
    _over(sketch, [(-0.12, -0.24), (0.06, -0.46), (0.34, -0.4), post], 0.05, strap)
    _over(sketch, [(-0.28, 0.24), (-0.1, -0.1), (0.22, -0.26), post], 0.06, strap)
    sketch.solid(ellipse(post[0], post[1], 0.05, 0.04), strap, 0.02)
    return sketch
