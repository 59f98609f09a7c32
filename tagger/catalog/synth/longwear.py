"""Kurtas and dresses."""

from dataclasses import replace

import numpy as np

from tagger.catalog.synth.body import Body, Cut, cuff_band, hem_line, neck_line, sleeve, torso
from tagger.catalog.synth.curve import box, corner, ellipse, ribbon, smooth
from tagger.catalog.synth.look import Look
from tagger.catalog.synth.palette import sample_rgb
from tagger.catalog.synth.sketch import Paint, Sketch, toned
from tagger.catalog.synth.tops import armholes, back_of_neck, bow, button, creases, neck_rib, ruffle


def kurta(body: Body, look: Look, rng: np.random.Generator) -> Sketch:
    """A straight tunic to the knee: an embroidered yoke or placket, side slits, borders at cuffs and hem."""
    hem = float(rng.uniform(1.55, 1.85))
    cut = Cut(0.13, 0.12, "round", hem, 0.035, float(rng.uniform(0.02, 0.1)), hem_drop=0.015)
    sketch, share = Sketch(), float(rng.choice([1.0, 0.78, 0.72, 0.45]))
    border = _border(look, rng)
    back_of_neck(sketch, body, cut, look)
    for arm in body.arms:
        sketch.solid(sleeve(arm, share, 0.125, 0.095), look.main, 0.06, 0.8)
        sketch.detail(cuff_band(arm, share, 0.09, 0.13), border, 0.95)
    sketch.solid(torso(body, cut), look.main, 0.08, 0.9)
    armholes(sketch, body, look)
    creases(sketch, look, rng, body.chest, (0.35, hem - 0.2))
    sketch.detail(ribbon(hem_line(body, cut, 0.06), [0.07]), border, 0.95)
    _slits(sketch, body, cut, look)
    _kurta_front(sketch, cut, look, border, rng)
    return sketch


def _border(look: Look, rng: np.random.Generator) -> Paint:
    """Embroidery: small motifs on a contrasting ground."""
    ground = (
        toned(look.rgb, -0.35)
        if rng.random() < 0.5
        else sample_rgb(str(rng.choice(("Maroon", "Gold", "Navy Blue", "Cream"))), rng)
    )
    thread = sample_rgb(str(rng.choice(("Gold", "White", "Red", "Turquoise"))), rng)
    return Paint(np.stack([ground, thread, toned(thread, 0.4)]), "cloth", "dots", float(rng.uniform(0.07, 0.1)))


def _slits(sketch: Sketch, body: Body, cut: Cut, look: Look) -> None:
    for side in (1, -1):
        x = side * (body.hip + cut.ease + cut.flare * 0.8 - 0.03)
        sketch.line(((x, 1.2), (x + side * 0.012, cut.hem + 0.02)), look.seam, 0.022, 0.9)


def _kurta_front(sketch: Sketch, cut: Cut, look: Look, border: Paint, rng: np.random.Generator) -> None:
    if rng.random() < 0.5:
        sketch.detail(
            smooth([*corner(-0.15, 0.02), *corner(0.15, 0.02), (0.13, 0.4), (0, 0.5), (-0.13, 0.4)]), border, 0.95
        )
    else:
        sketch.detail(box(-0.05, 0.08, 0.05, 0.55, 0.02), border, 0.95)
    sketch.line(((0, 0.1), (0, 0.42)), look.seam, 0.02, 0.9)
    for y in (0.2, 0.28, 0.36):
        button(sketch, 0, y, look, 0.013)
    neck_rib(sketch, cut, border, 0.03)


def dress(body: Body, look: Look, rng: np.random.Generator) -> Sketch:
    """A narrow waist with a seam, sash or bow, over a flared or tiered skirt; straps, no sleeves or caps."""
    neck = str(rng.choice(("sweetheart", "v", "round", "square")))
    width, shoulder = (0.22, 0.7) if rng.random() < 0.7 else (0.17, 0.85)
    bodice = Cut(width, float(rng.uniform(0.2, 0.3)), neck, 0.8, 0.012, -0.02, 0.02, shoulder, 0.02)
    sketch, hem = Sketch(), float(rng.uniform(1.55, 2.05))
    back_of_neck(sketch, body, bodice, look)
    if shoulder > 0.8:
        for arm in body.arms:
            sketch.solid(sleeve(arm, 0.26, 0.11, 0.13), look.main, 0.06, 0.9)
    _skirt(sketch, body, hem, look, rng)
    sketch.solid(torso(body, replace(bodice, hem=0.78)), look.main, 0.07, 0.8)
    sketch.line(neck_line(bodice), look.seam, 0.02, 0.7)
    _waist(sketch, body, look, rng)
    return sketch


def _skirt(sketch: Sketch, body: Body, hem: float, look: Look, rng: np.random.Generator) -> None:
    waist, flare = body.waist + 0.01, float(rng.uniform(0.14, 0.4))
    edge = body.hip + flare
    x = np.linspace(edge, -edge, 13)
    wave = hem + 0.03 + 0.022 * np.cos(np.arange(13) * np.pi) - 0.05 * (x / edge) ** 2
    right = [*corner(waist, 0.7), (body.hip + 0.3 * flare, 1.08), (body.hip + 0.7 * flare, (1.08 + hem) / 2)]
    left = [(-a, b) for a, b in reversed(right)]
    sketch.solid(
        smooth(
            [
                *right,
                *corner(edge, hem - 0.02),
                *zip(x[1:-1], wave[1:-1], strict=True),
                *corner(-edge, hem - 0.02),
                *left,
            ]
        ),
        look.main,
        0.1,
        1.0,
    )
    for at in np.linspace(-0.8, 0.8, 7):
        top, low = (at * waist, 0.78), (at * edge, hem)
        sketch.line((top, ((top[0] * 0.6 + low[0] * 0.4) * 1.02, 1.15), low), look.seam, 0.018, 0.35)
    if rng.random() < 0.35:
        for y in np.linspace(1.05, hem - 0.1, 3):
            ruffle(sketch, edge + 0.05, float(y), look)


def _waist(sketch: Sketch, body: Body, look: Look, rng: np.random.Generator) -> None:
    band = smooth([(-body.waist - 0.02, 0.72), (0, 0.755), (body.waist + 0.02, 0.72)], closed=False)
    sash = look.trim if rng.random() < 0.6 else look.tone(-0.2)
    sketch.solid(ribbon(band, [0.04]), sash, 0.02)
    if rng.random() < 0.4:
        bow(sketch, float(rng.uniform(-0.12, 0.12)), 0.745, 0.1, sash)
    elif rng.random() < 0.4:
        sketch.solid(ellipse(0, 0.75, 0.045, 0.045), Paint(look.metal[None], "metal"), 0.02)
