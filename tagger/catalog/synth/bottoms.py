"""Jeans and trousers, seen from the front."""

import numpy as np

from tagger.catalog.synth.body import ANKLE_Y, CROTCH_Y, KNEE_Y, Body, leg_path, legs
from tagger.catalog.synth.curve import box, ellipse, flipped, ribbon, smooth
from tagger.catalog.synth.look import Look
from tagger.catalog.synth.palette import sample_rgb
from tagger.catalog.synth.sketch import Paint, Sketch, plain, toned
from tagger.catalog.synth.tops import creases

_TOP = 0.8


def jeans(body: Body, look: Look, rng: np.random.Generator) -> Sketch:
    """Denim with worn thighs, contrast stitching, curved pockets, rivets, belt loops and turned or frayed hems."""
    look = look.on("denim")
    hem, width = float(rng.uniform(2.38, 2.52)), float(rng.choice([0.085, 0.105, 0.14]))
    sketch = Sketch()
    sketch.solid(legs(body, hem, width, _TOP, 0.015), look.main, 0.1, 0.8)
    thread = np.array([214.0, 148.0, 62.0]) if rng.random() < 0.75 else toned(look.rgb, 0.7)
    _fade(sketch, body, look, hem, float(rng.uniform(0.3, 0.6)))
    creases(sketch, look, rng, 0.16 + body.stance + width, (CROTCH_Y, hem))
    if rng.random() < 0.3:
        _rips(sketch, body, look, rng)
    _jeans_hem(sketch, body, look, hem, width)
    for side in (1, -1):
        outer = leg_path(body, side, hem) + [side * 0.1, 0]
        sketch.stitches(smooth(outer, closed=False)[3:], thread, 0.03, 0.018)
        _curved_pocket(sketch, side, body, look, thread)
    _waistband(sketch, body, look, thread)
    _fly(sketch, look, thread)
    return sketch


def _fade(sketch: Sketch, body: Body, look: Look, hem: float, strength: float) -> None:
    for side in (1, -1):
        path = leg_path(body, side, hem) * [1, 1] + [0, 0.25]
        for half_width in (0.1, 0.07, 0.04):
            sketch.detail(ribbon(path[:2], [0.0, half_width, half_width * 0.9, 0.0]), look.tone(strength), 0.22)
        for k in range(4):
            y, x = CROTCH_Y - 0.02 + 0.035 * k, side * 0.16
            sketch.line(
                ((x - 0.09, y + side * 0.02), (x + 0.09, y - side * 0.02)), toned(look.rgb, strength), 0.014, 0.5
            )


def _rips(sketch: Sketch, body: Body, look: Look, rng: np.random.Generator) -> None:
    x, y = float(rng.choice((-1, 1))) * (0.17 + body.stance * 0.7), KNEE_Y + float(rng.uniform(-0.12, 0.05))
    sketch.detail(ellipse(x, y, 0.08, 0.035), plain(toned(look.rgb, 0.75)), 0.95)
    for k in (-1, 0, 1):
        sketch.line(((x - 0.08, y + 0.014 * k), (x + 0.08, y + 0.014 * k)), look.seam, 0.008, 0.8)


def _jeans_hem(sketch: Sketch, body: Body, look: Look, hem: float, width: float) -> None:
    for side in (1, -1):
        x = side * (0.16 + body.stance)
        sketch.solid(box(x - width - 0.006, hem - 0.07, x + width + 0.006, hem + 0.012, 0.01), look.tone(0.16), 0.025)


def _curved_pocket(sketch: Sketch, side: int, body: Body, look: Look, thread: np.ndarray) -> None:
    edge = body.waist + 0.035
    path = smooth([(0.13, 0.89), (0.16, 0.99), (0.24, 1.05), (edge + 0.06, 1.04)], closed=False)
    path = path if side > 0 else flipped(path)
    sketch.line(path, toned(look.rgb, -0.45), 0.018, 0.9)
    sketch.stitches(path + [0, 0.025], thread, 0.02, 0.012)
    sketch.detail(ellipse(side * 0.13, 0.905, 0.013, 0.013), plain(look.metal, "metal"))


def _waistband(sketch: Sketch, body: Body, look: Look, thread: np.ndarray) -> None:
    edge = body.waist + 0.035
    sketch.solid(box(-edge, _TOP - 0.005, edge, _TOP + 0.085, 0.015), look.tone(-0.05), 0.025)
    for y in (_TOP + 0.012, _TOP + 0.074):
        sketch.stitches(((-edge, y), (edge, y)), thread, 0.025, 0.011)
    for x in (-0.22, -0.1, 0.1, 0.22):
        sketch.solid(box(x - 0.015, _TOP - 0.012, x + 0.015, _TOP + 0.1, 0.005), look.tone(-0.12), 0.012)


def _fly(sketch: Sketch, look: Look, thread: np.ndarray) -> None:
    sketch.line(((0.0, 0.86), (0.0, CROTCH_Y)), toned(look.rgb, -0.45), 0.016, 0.9)
    sketch.stitches(smooth([(0.055, 0.89), (0.055, 1.06), (0.0, 1.16)], closed=False), thread, 0.02, 0.013)
    sketch.solid(ellipse(0.0, _TOP + 0.042, 0.024, 0.024), plain(look.metal, "metal"), 0.015)


def trousers(body: Body, look: Look, rng: np.random.Generator) -> Sketch:
    """Smooth cloth with slant pockets: pressed creases, chinos with a belt, or joggers with a drawstring."""
    kind = str(rng.choice(("pressed", "chinos", "joggers"), p=[0.45, 0.35, 0.2]))
    hem = ANKLE_Y + float(rng.uniform(-0.1, 0.05))
    width = {"pressed": 0.125, "chinos": 0.105, "joggers": 0.08}[kind]
    sketch = Sketch()
    sketch.solid(legs(body, hem, width, _TOP, 0.03), look.main, 0.1, 0.55)
    for side in (1, -1):
        slant = np.array([(0.19, 0.89), (body.hip + 0.015, 1.12)]) * [side, 1]
        sketch.line(slant, look.seam, 0.02, 0.9)
        if kind != "joggers":
            crease = smooth(leg_path(body, side, hem)[[0, 1, 2]], closed=False)
            sketch.line(crease[2:], toned(look.rgb, 0.35), 0.02, 0.85)
            sketch.line(crease[2:] + [0.02, 0], look.seam, 0.02, 0.85)
    sketch.line(((0, 0.87), (0, CROTCH_Y)), look.seam, 0.014, 0.8)
    creases(sketch, look, rng, 0.16 + body.stance + width, (CROTCH_Y, hem))
    _trousers_waist(sketch, body, look, kind, rng)
    if kind == "joggers":
        _jogger_cuffs(sketch, body, look, hem)
    return sketch


def _trousers_waist(sketch: Sketch, body: Body, look: Look, kind: str, rng: np.random.Generator) -> None:
    edge = body.waist + 0.05
    band = box(-edge, _TOP - 0.005, edge, _TOP + 0.085, 0.012)
    if kind == "joggers":
        sketch.solid(band, look.tone(-0.08, "rib"), 0.03)
        for x in (-0.03, 0.03):
            sketch.line(
                smooth([(x / 3, 0.86), (x, 0.95), (x * 1.3, 1.08)], closed=False), toned(look.rgb, 0.7), 0.02, 1.0
            )
        return
    sketch.solid(band, look.tone(-0.06), 0.02)
    if rng.random() < 0.5:
        leather = sample_rgb(str(rng.choice(("Black", "Brown"))), rng)
        sketch.solid(box(-edge, _TOP + 0.01, edge, _TOP + 0.07), plain(leather, "leather"), 0.02)
        sketch.solid(box(-0.05, _TOP - 0.002, 0.05, _TOP + 0.082, 0.012), plain(look.metal, "metal"), 0.015)
    else:
        sketch.detail(box(0.0, _TOP + 0.025, 0.05, _TOP + 0.06, 0.005), look.tone(-0.3))


def _jogger_cuffs(sketch: Sketch, body: Body, look: Look, hem: float) -> None:
    for side in (1, -1):
        x = side * (0.16 + body.stance)
        cuff = Paint(toned(look.rgb, -0.12)[None], "rib")
        sketch.solid(box(x - 0.08, hem - 0.09, x + 0.08, hem + 0.02, 0.02), cuff, 0.03)
