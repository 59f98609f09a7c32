"""Sweaters, sweatshirts and jackets."""

import numpy as np

from tagger.catalog.synth.body import Body, Cut, cuff_band, sleeve, torso
from tagger.catalog.synth.curve import box, corner, ellipse, flipped, mirrored, ribbon, smooth
from tagger.catalog.synth.look import Look
from tagger.catalog.synth.sketch import Paint, Sketch, plain, toned
from tagger.catalog.synth.tops import armholes, back_of_neck, button, chest_print, creases, neck_rib


def sweater(body: Body, look: Look, rng: np.random.Generator) -> Sketch:
    """Visible knit with cables, argyle or bands; thick ribs at neck, cuffs and hem."""
    look = look.on("knit")
    kind = str(rng.choice(("round", "v", "turtle"), p=[0.4, 0.35, 0.25]))
    cut = Cut(
        0.15, 0.27 if kind == "v" else 0.13, "v" if kind == "v" else "round", float(rng.uniform(0.98, 1.06)), 0.055
    )
    sketch, rib = Sketch(), look.tone(-0.1, "rib")
    back_of_neck(sketch, body, cut, look)
    _long_sleeves(sketch, body, look, rib)
    sketch.solid(torso(body, cut), look.main, 0.1, 0.6)
    armholes(sketch, body, look)
    _knit_front(sketch, look, str(rng.choice(("cables", "argyle", "bands"))))
    _hem_band(sketch, body, cut, rib)
    if kind == "turtle":
        sketch.solid(box(-0.16, -0.16, 0.16, 0.07, 0.05), rib, 0.05)
        sketch.line(((-0.16, -0.04), (0.16, -0.04)), look.seam, 0.02, 0.5)
    neck_rib(sketch, cut, rib, 0.036)
    return sketch


def _knit_front(sketch: Sketch, look: Look, kind: str) -> None:
    if kind == "cables":
        for x in (-0.2, 0.0, 0.2):
            _cable(sketch, x, look)
    if kind == "argyle":
        colors = np.stack([look.rgb, toned(look.rgb, -0.35), toned(look.rgb, 0.45)])
        sketch.detail(box(-0.26, 0.26, 0.26, 0.84), Paint(colors, "knit", "diamonds", 0.15), 0.95)
    if kind == "bands":
        for y, paint in ((0.36, look.trim), (0.44, look.tone(0.35)), (0.52, look.trim)):
            sketch.detail(box(-0.8, y, 0.8, y + 0.055), plain(paint.rgb, "knit"), 0.9)


def _cable(sketch: Sketch, x: float, look: Look) -> None:
    """Two strands twisted around each other."""
    y = np.linspace(0.22, 0.94, 25)
    for phase in (0, np.pi):
        strand = np.stack([x + 0.035 * np.sin(y * 22 + phase), y], axis=1)
        sketch.line(strand, toned(look.rgb, 0.3), 0.03, 0.7)
        sketch.line(strand + [0.018, 0], look.seam, 0.014, 0.9)


def _long_sleeves(sketch: Sketch, body: Body, look: Look, cuffs: Paint) -> None:
    for arm in body.arms:
        sketch.solid(sleeve(arm, 1.0, 0.14, 0.088), look.main, 0.07, 0.9)
        sketch.solid(cuff_band(arm, 1.02, 0.09, 0.078), cuffs, 0.03)


def _hem_band(sketch: Sketch, body: Body, cut: Cut, paint: Paint) -> None:
    edge = body.hip + cut.ease
    sketch.solid(box(-edge, cut.hem - 0.09, edge, cut.hem + 0.035, 0.03), paint, 0.04)


def sweatshirt(body: Body, look: Look, rng: np.random.Generator) -> Sketch:
    """Smooth fleece with ribbed cuffs and hem: a hood with drawstrings and a pouch, or a crew neck with a V stitch."""
    cut = Cut(0.15, 0.14, "round", float(rng.uniform(0.98, 1.06)), 0.065)
    sketch, rib, hooded = Sketch(), look.tone(-0.12, "rib"), rng.random() < 0.68
    if hooded:
        _hood_behind(sketch, look)
    back_of_neck(sketch, body, cut, look)
    _long_sleeves(sketch, body, look, rib)
    sketch.solid(torso(body, cut), look.main, 0.11, 0.9)
    armholes(sketch, body, look)
    creases(sketch, look, rng, body.chest, (0.4, 0.9))
    _hem_band(sketch, body, cut, rib)
    if hooded:
        _hood_front(sketch, look, rng)
    else:
        neck_rib(sketch, cut, rib, 0.032)
        sketch.detail([(-0.055, 0.175), (0.055, 0.175), (0, 0.25)], rib)
        sketch.line([(-0.055, 0.175), (0, 0.25), (0.055, 0.175)], look.seam, 0.014)
    if rng.random() < 0.55:
        chest_print(sketch, look, rng)
    return sketch


def _hood_behind(sketch: Sketch, look: Look) -> None:
    half = [(0, -0.2), (0.15, -0.19), (0.235, -0.08), (0.245, 0.05), (0.15, 0.16), (0, 0.2)]
    sketch.solid(smooth(mirrored(half)), look.tone(-0.12), 0.06, 0.5)
    sketch.detail(ellipse(0, -0.02, 0.15, 0.12), look.tone(-0.4), 0.9)


def _hood_front(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    lapel = smooth([*corner(0.0, 0.2), (0.13, 0.1), *corner(0.16, -0.1), (0.25, -0.06), (0.235, 0.12), (0.12, 0.25)])
    for points in (lapel, flipped(lapel)):
        sketch.solid(points, look.tone(-0.03), 0.04)
    cord = toned(look.rgb, 0.8) if float(np.mean(look.rgb)) < 160 else toned(look.rgb, -0.5)
    for x in (-0.07, 0.07):
        sketch.line(smooth([(x, 0.19), (x * 1.2, 0.3), (x * 1.1, 0.42)], closed=False), cord, 0.022, 1.0)
    pouch = [(-0.16, 0.62), (0.16, 0.62), (0.25, 0.8), (0.25, 0.92), (-0.25, 0.92), (-0.25, 0.8)]
    sketch.detail(pouch, look.tone(-0.05), 0.9, 0.025)
    sketch.line([*pouch, pouch[0]], look.seam, 0.017, 0.9)
    if rng.random() < 0.3:
        sketch.line(((0, 0.2), (0, 1.02)), look.metal, 0.02, 1.0)


def jacket(body: Body, look: Look, rng: np.random.Generator) -> Sketch:
    """Opens in front: biker lapels and slanted zip, quilted rolls, a ribbed bomber with flap pockets, a blazer."""
    kind = str(rng.choice(("biker", "puffer", "bomber", "blazer")))
    look = look.on({"biker": "leather", "puffer": "satin", "bomber": "cloth", "blazer": "cloth"}[kind])
    cut = Cut(0.14, 0.34 if kind in ("biker", "blazer") else 0.1, "v", 1.16 if kind == "blazer" else 1.03, 0.075)
    sketch = Sketch()
    back_of_neck(sketch, body, cut, look)
    for arm in body.arms:
        sketch.solid(sleeve(arm, 1.0, 0.15, 0.1), look.main, 0.08, 1.1)
        sketch.solid(cuff_band(arm, 1.01, 0.07, 0.1), look.tone(-0.15), 0.03)
    sketch.solid(torso(body, cut), look.main, 0.1, 1.1)
    armholes(sketch, body, look)
    creases(sketch, look, rng, body.chest, (0.4, 0.95))
    {"biker": _biker, "puffer": _puffer, "bomber": _bomber, "blazer": _blazer}[kind](sketch, body, cut, look)
    return sketch


def _zip(sketch: Sketch, look: Look, path: list[tuple[float, float]], width: float = 0.03) -> None:
    sketch.line(path, seam_dark(look), width * 1.9, 0.85)
    sketch.line(path, look.metal, width * 0.8, 1.0)
    sketch.stitches(path, toned(look.metal, -0.5), 0.014, width * 0.8)


def seam_dark(look: Look) -> np.ndarray:
    """A shadow tone for openings."""
    return toned(look.rgb, -0.6)


def _lapels(sketch: Sketch, look: Look, depth: float, width: float) -> None:
    wing = [
        *corner(0.0, depth),
        *corner(0.115, -0.08),
        (0.2, -0.02),
        *corner(0.2 + width, 0.16),
        *corner(0.17, 0.2),
        (0.1, 0.33),
    ]
    for points in (smooth(wing), flipped(smooth(wing))):
        sketch.solid(points, look.tone(-0.07), 0.025)
        sketch.line(np.concatenate([points, points[:1]]), look.seam, 0.012, 0.8)


def _biker(sketch: Sketch, body: Body, cut: Cut, look: Look) -> None:
    _lapels(sketch, look, 0.46, 0.06)
    _zip(sketch, look, [(0.0, 0.42), (0.1, 0.75), (0.12, cut.hem)])
    for side in (1, -1):
        _zip(sketch, look, [(side * 0.16, 0.72), (side * 0.27, 0.86)], 0.022)
    _hem_band(sketch, body, cut, look.tone(-0.12))


def _puffer(sketch: Sketch, body: Body, cut: Cut, look: Look) -> None:
    for y in np.arange(0.18, cut.hem, 0.135):
        row = smooth([(-0.6, y), (0, y + 0.025), (0.6, y)], closed=False)
        sketch.detail(ribbon(row + [0, 0.075], [0.06]), look.tone(0.14), 0.5, 0.035)
        sketch.line(row, seam_dark(look), 0.02, 0.8)
    sketch.solid(box(-0.17, -0.12, 0.17, 0.09, 0.05), look.tone(-0.05), 0.05)
    _zip(sketch, look, [(0, -0.12), (0, cut.hem + 0.03)], 0.034)


def _bomber(sketch: Sketch, body: Body, cut: Cut, look: Look) -> None:
    rib = Paint(look.trim.colors, "rib")
    _hem_band(sketch, body, cut, rib)
    sketch.solid(
        smooth(mirrored([(0, -0.05), *corner(0.16, -0.11), (0.19, 0.0), *corner(0.05, 0.13), (0, 0.11)])), rib, 0.03
    )
    _zip(sketch, look, [(0, 0.05), (0, cut.hem + 0.03)], 0.034)
    for side in (1, -1):
        flap = np.array([(0.12, 0.68), (0.3, 0.6), (0.315, 0.66), (0.135, 0.745)]) * [side, 1]
        sketch.solid(flap, look.tone(-0.08), 0.02)
    sketch.solid(box(0.13, 0.3, 0.26, 0.36, 0.01), look.tone(-0.1), 0.015)


def _blazer(sketch: Sketch, body: Body, cut: Cut, look: Look) -> None:
    sketch.detail([(-0.13, -0.05), (0.13, -0.05), (0, 0.62)], plain(np.array([240.0, 240.0, 244.0])), 1.0)
    sketch.line(((0, 0.6), (0.0, cut.hem + 0.03)), seam_dark(look), 0.022, 0.9)
    _lapels(sketch, look, 0.64, 0.07)
    for y in (0.7, 0.86):
        button(sketch, 0.035, y, look, 0.024)
    for side in (1, -1):
        x0, x1 = sorted((side * 0.14, side * 0.31))
        sketch.solid(box(x0, 0.82, x1, 0.875, 0.01), look.tone(-0.08), 0.015)
    sketch.solid(box(0.14, 0.33, 0.25, 0.365, 0.005), look.tone(0.2), 0.01)
