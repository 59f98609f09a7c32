"""Belts, watches, sunglasses and socks. About 2 units long."""

import numpy as np

from tagger.catalog.synth.curve import arc, box, corner, ellipse, flipped, ribbon, smooth
from tagger.catalog.synth.look import Look
from tagger.catalog.synth.sketch import Sketch, plain, seam, toned


def belt(look: Look, rng: np.random.Generator) -> Sketch:
    """A strap with a metal buckle, a prong, a keeper and punched holes: closed to a ring, or laid out straight."""
    look = look.on(str(rng.choice(("leather", "leather", "suede", "cloth"))))
    sketch = Sketch()
    if rng.random() < 0.72:
        _ring_belt(sketch, look, float(rng.uniform(0.2, 0.36)), float(rng.uniform(0.2, 0.34)))
    else:
        straight_belt(sketch, look, 1.15, float(rng.uniform(0.1, 0.15)))
    return sketch


def _ring_belt(sketch: Sketch, look: Look, depth: float, height: float) -> None:
    far, near = arc(0, 0, (0.97, depth), np.pi, 2 * np.pi), arc(0, 0, (1.0, depth), 0, np.pi)
    sketch.solid(np.concatenate([far, far[::-1] + [0, height * 0.9]]), look.tone(-0.24), 0.04)
    sketch.solid(np.concatenate([near, near[::-1] + [0, height]]), look.main, 0.06, 0.15)
    for edge in (0.16, 0.84):
        sketch.stitches(near + [0, height * edge], seam(look.rgb, 0.55), 0.03, 0.014)
    for t in np.linspace(0.56, 0.74, 4):
        x, y = np.cos(t * np.pi + 0.1), depth * np.sin(t * np.pi + 0.1)
        sketch.detail(ellipse(x, y + height / 2, 0.02, 0.024), plain(toned(look.rgb, -0.75)))
    buckle(sketch, look, 0.1, depth + height / 2, height * 0.66)


def buckle(sketch: Sketch, look: Look, x: float, y: float, half: float) -> None:
    """A square frame with a prong, and the leather keeper beside it."""
    sketch.solid(box(x + half * 1.15, y - half * 0.85, x + half * 1.55, y + half * 0.85, 0.02), look.tone(-0.15), 0.02)
    frame = box(x - half, y - half, x + half, y + half, half * 0.3)
    sketch.solid(
        ribbon(np.concatenate([frame, frame[:1]]), [half * 0.17], steps=1), plain(look.metal, "metal"), half * 0.15
    )
    sketch.solid(ribbon([(x + half * 0.8, y), (x - half, y)], [half * 0.13]), plain(look.metal, "metal"), half * 0.1)


def straight_belt(sketch: Sketch, look: Look, half_length: float, half: float) -> None:
    """A belt from its buckle on the left to its tip on the right."""
    tip = [
        (-half_length, -half),
        *corner(half_length - half, -half),
        (half_length + half * 0.6, 0),
        *corner(half_length - half, half),
        (-half_length, half),
    ]
    sketch.solid(smooth([*corner(*tip[0]), *tip[1:-1], *corner(*tip[-1])]), look.main, 0.05, 0.1)
    for y in (-half * 0.72, half * 0.72):
        sketch.stitches(((-half_length, y), (half_length - half, y)), seam(look.rgb, 0.55), 0.03, 0.014)
    for x in np.linspace(0.45, 0.8, 5) * half_length:
        sketch.detail(ellipse(float(x), 0, 0.02, 0.024), plain(toned(look.rgb, -0.75)))
    buckle(sketch, look, -half_length, 0, half * 1.5)


def waist_belt(look: Look, half_length: float) -> Sketch:
    """A closed belt on a waist, its buckle in the middle at (0, 0)."""
    sketch = Sketch()
    sketch.solid(box(-half_length, -0.05, half_length, 0.05, 0.02), look.main, 0.03)
    for y in (-0.036, 0.036):
        sketch.stitches(((-half_length, y), (half_length, y)), seam(look.rgb, 0.55), 0.02, 0.01)
    for x in (-0.24, -0.19, -0.14):
        sketch.detail(ellipse(x, 0, 0.01, 0.012), plain(toned(look.rgb, -0.75)))
    buckle(sketch, look, 0.0, 0.0, 0.072)
    return sketch


def watch(look: Look, rng: np.random.Generator) -> Sketch:
    """A strap or a bracelet of links around a round or square case with dial, hands, marks and crown; some digital."""
    sketch, half = Sketch(), float(rng.uniform(0.2, 0.3))
    linked = rng.random() < 0.45
    strap = look.on("metal" if linked else str(rng.choice(("leather", "rubber"))))
    for side in (1, -1):
        band = np.array(
            [
                (-half, 0.3),
                (half, 0.3),
                (half * 0.8, 1.15),
                (half * 0.6, 1.22),
                (-half * 0.6, 1.22),
                (-half * 0.8, 1.15),
            ]
        ) * [1, side]
        sketch.solid(band, strap.main, 0.07)
        _strap_marks(sketch, strap, half, side, linked)
    round_case = rng.random() < 0.7
    rim = look.on("metal").main if rng.random() < 0.65 else plain(look.metal, "metal")
    sketch.solid(box(0.36, -0.06, 0.56, 0.06, 0.02), rim, 0.03)
    radius = float(rng.uniform(0.42, 0.52))
    case, face = (ellipse(0, 0, radius, radius), ellipse(0, 0, radius - 0.09, radius - 0.09))
    if not round_case:
        case, face = box(-0.4, -0.46, 0.4, 0.46, 0.12), box(-0.31, -0.37, 0.31, 0.37, 0.06)
    sketch.solid(case, rim, 0.06)
    _dial(sketch, face, look, round_case, rng)
    return sketch


def _strap_marks(sketch: Sketch, strap: Look, half: float, side: int, linked: bool) -> None:
    if linked:
        for y in np.arange(0.5, 1.2, 0.095):
            sketch.line(((-half, side * y), (half, side * y)), toned(strap.rgb, -0.55), 0.02, 0.75)
        for x in (-half * 0.4, half * 0.4):
            sketch.line(((x, side * 0.4), (x, side * 1.2)), toned(strap.rgb, -0.5), 0.018, 0.8)
        return
    for x in (-half * 0.72, half * 0.72):
        sketch.stitches(((x, side * 0.45), (x * 0.85, side * 1.12)), seam(strap.rgb, 0.5), 0.03, 0.018)
    for y in (0.8, 0.9, 1.0) if side > 0 else ():
        sketch.detail(ellipse(0, y, 0.026, 0.02), plain(toned(strap.rgb, -0.7)))


def _dial(sketch: Sketch, face: np.ndarray, look: Look, round_case: bool, rng: np.random.Generator) -> None:
    ground = [
        look.tone(-0.1),
        look.tone(0.12),
        plain(np.array([244.0, 244.0, 240.0])),
        plain(np.array([22.0, 22.0, 25.0])),
    ]
    paint = ground[int(rng.choice(4, p=[0.42, 0.3, 0.18, 0.1]))]
    ink = np.array([28.0, 28, 30]) if float(np.mean(paint.rgb)) > 110 else np.array([238.0, 238, 232])
    sketch.solid(face, plain(paint.rgb, "glass"), 0.025)
    if rng.random() < 0.18:
        sketch.detail(box(-0.25, -0.14, 0.25, 0.14, 0.03), plain(np.array([176.0, 190, 168])))
        for x in (-0.17, -0.06, 0.07, 0.18):
            sketch.detail(box(x - 0.035, -0.09, x + 0.035, 0.09), plain(np.array([30.0, 34, 30])), 0.85)
        return
    size = np.ptp(face, axis=0) / 2
    for hour in range(12):
        direction = np.array([np.sin(hour * np.pi / 6), -np.cos(hour * np.pi / 6)]) * (
            size if round_case else size * 0.95
        )
        sketch.line((direction * 0.78, direction * 0.93), ink, 0.045 if hour % 3 == 0 else 0.024, 1.0)
    if rng.random() < 0.4:
        for x, y in ((-0.15, 0.0), (0.15, 0.0), (0.0, 0.16)):
            sketch.line(np.concatenate([ellipse(x, y, 0.075, 0.075)] * 1), ink, 0.018, 0.7)
    _hands(sketch, ink, rng)


def _hands(sketch: Sketch, ink: np.ndarray, rng: np.random.Generator) -> None:
    for length, width in ((0.19, 0.05), (0.29, 0.034)):
        turn = float(rng.uniform(0, 2 * np.pi))
        sketch.line(((0, 0), (length * np.sin(turn), -length * np.cos(turn))), ink, width, 1.0)
    sketch.detail(ellipse(0, 0, 0.035, 0.035), plain(ink))


def sunglasses(look: Look, rng: np.random.Generator) -> Sketch:
    """Two dark, shining lenses in a frame with bridge and temples: aviators, wayfarers, round, cat-eye or wrap."""
    kind = str(rng.choice(("aviator", "wayfarer", "round", "cat")))
    sketch, thick = Sketch(), {"aviator": 0.028, "round": 0.04}.get(kind, 0.07)
    frame = look.on("metal" if thick < 0.05 else "rubber")
    shapes = {
        "aviator": [(-0.36, -0.22), (0.1, -0.27), (0.4, -0.2), (0.4, 0.1), (0.12, 0.36), (-0.2, 0.28), (-0.4, 0.02)],
        "wayfarer": [
            *corner(-0.4, -0.22),
            (0.0, -0.27),
            *corner(0.44, -0.28),
            (0.36, 0.12),
            (0.1, 0.27),
            (-0.24, 0.22),
        ],
        "round": [
            (-0.36, 0.0),
            (-0.25, -0.26),
            (0, -0.36),
            (0.25, -0.26),
            (0.36, 0),
            (0.25, 0.26),
            (0, 0.36),
            (-0.25, 0.26),
        ],
        "cat": [*corner(-0.38, -0.16), (0.05, -0.24), *corner(0.52, -0.36), (0.4, 0.06), (0.08, 0.24), (-0.26, 0.18)],
    }
    lens = smooth(shapes[kind])
    temples(sketch, frame, float(rng.uniform(0.3, 0.7)), 0.04 + thick / 2)
    bridge = smooth([(-0.16, -0.1), (0, -0.16), (0.16, -0.1)], closed=False)
    sketch.solid(ribbon(bridge, [max(thick, 0.035)]), frame.main, 0.03)
    if kind == "aviator":
        sketch.solid(ribbon([(-0.2, -0.23), (0, -0.25), (0.2, -0.23)], [0.025]), frame.main, 0.02)
    for side in (1, -1):
        outline = lens + [0.52, 0]
        _lens(sketch, outline if side > 0 else flipped(outline), frame, look, thick)
    return sketch


def temples(sketch: Sketch, frame: Look, back: float, half: float) -> None:
    """The two arms, folded away behind the lenses or seen at an angle."""
    for side in (1, -1):
        arm = np.array(
            [
                (0.9, -0.18),
                (1.02, -0.2 - 0.1 * back),
                (1.0 - 0.25 * back, -0.25 - 0.25 * back),
                (0.62, -0.3 - 0.3 * back),
            ]
        ) * [side, 1]
        sketch.solid(ribbon(arm, [half, half * 0.8, half * 0.7]), frame.tone(-0.3), 0.03)


def _lens(sketch: Sketch, outline: np.ndarray, frame: Look, look: Look, thick: float) -> None:
    sketch.solid(outline, plain(toned(look.rgb, -0.12), "glass"), 0.06)
    x, y = outline.mean(axis=0)
    upper = outline[outline[:, 1] < y + 0.02]
    sketch.detail(upper, plain(toned(look.rgb, -0.5)), 0.45)
    shine = np.array([(x - 0.2, y - 0.16), (x - 0.08, y - 0.2), (x - 0.18, y + 0.14), (x - 0.26, y + 0.1)])
    sketch.detail(shine, plain(np.array([255.0, 255, 255])), 0.5)
    sketch.solid(ribbon(np.concatenate([outline, outline[:1]]), [thick], steps=1), frame.main, thick * 0.7)


def socks(look: Look, rng: np.random.Generator) -> Sketch:
    """A knitted L: ribbed cuff, heel and toe in another color, stripes or diamonds; ankle, crew or knee length."""
    sketch, look = Sketch(), look.on("knit")
    rise = float(rng.choice([0.45, 0.95, 1.35], p=[0.3, 0.5, 0.2]))
    top, half = 0.3 - rise, 0.235
    patch = plain(look.trim.rgb, "knit") if rng.random() < 0.6 else look.main
    leg = [
        *corner(-half, top),
        *corner(half, top),
        (half * 0.95, 0.1),
        (half * 1.15, 0.34),
        (0.62, 0.52),
        (0.96, 0.62),
        (1.06, 0.78),
        (0.92, 0.92),
    ]
    leg += [(0.4, 0.9), (-0.05, 0.86), (-0.3, 0.76), (-0.34, 0.5), (-half * 0.95, 0.2)]
    sketch.solid(smooth(leg), look.main, 0.1, 0.7)
    sketch.detail(smooth([(-0.4, 0.42), (-0.16, 0.46), (0.0, 0.72), (0.0, 0.95), (-0.4, 0.95)]), patch, 0.95, 0.03)
    sketch.detail(smooth([(0.8, 0.45), (0.76, 0.72), (0.84, 1.0), (1.2, 1.0), (1.2, 0.5)]), patch, 0.95, 0.03)
    sketch.line(smooth([(0.8, 0.5), (0.75, 0.72), (0.82, 0.95)], closed=False), look.seam, 0.02, 0.7)
    if rng.random() < 0.55:
        for k in range(int(rng.integers(1, 4))):
            sketch.detail(
                box(-0.5, top + 0.24 + 0.11 * k, 0.5, top + 0.3 + 0.11 * k), plain(look.trim.rgb, "knit"), 0.95
            )
    sketch.solid(box(-half - 0.015, top - 0.02, half + 0.015, top + 0.17, 0.04), look.tone(-0.1, "rib"), 0.04)
    return sketch
