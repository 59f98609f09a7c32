"""Handbags, backpacks and wallets, seen from the front. About 2 units wide."""

import numpy as np

from tagger.catalog.synth.curve import arc, box, corner, ellipse, flipped, mirrored, ribbon, smooth
from tagger.catalog.synth.look import Look
from tagger.catalog.synth.sketch import Sketch, plain, seam, toned


def handbag(look: Look, rng: np.random.Generator) -> Sketch:
    """A tote, satchel, hobo or small shoulder bag: a handle or strap above the body, metal rings, stitching."""
    look = look.on(str(rng.choice(("leather", "leather", "suede"))))
    kind = str(rng.choice(("tote", "satchel", "hobo", "shoulder")))
    sketch = Sketch()
    {"tote": _tote, "satchel": _satchel, "hobo": _hobo, "shoulder": _shoulder}[kind](sketch, look, rng)
    return sketch


def _handle(sketch: Sketch, look: Look, half: float, foot_y: float, rise: float) -> None:
    loop = [
        (-half, foot_y),
        (-half * 0.85, foot_y - 0.7 * rise),
        (0, foot_y - rise),
        (half * 0.85, foot_y - 0.7 * rise),
        (half, foot_y),
    ]
    sketch.solid(ribbon(loop, [0.045]), look.tone(-0.2), 0.04)


def _rings(sketch: Sketch, look: Look, half: float, y: float) -> None:
    for x in (-half, half):
        sketch.solid(box(x - 0.055, y - 0.04, x + 0.055, y + 0.13, 0.02), look.tone(-0.25), 0.03)
        sketch.solid(ellipse(x, y, 0.05, 0.05), plain(look.metal, "metal"), 0.02)


def _edge_stitches(sketch: Sketch, outline: np.ndarray, look: Look) -> None:
    centre = (outline.min(axis=0) + outline.max(axis=0)) / 2
    inner = centre + (outline - centre) * 0.93
    sketch.stitches(np.concatenate([inner, inner[:1]]), seam(look.rgb, 0.5), 0.035, 0.016)


def _tote(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    low, height = float(rng.uniform(0.7, 0.92)), float(rng.uniform(1.0, 1.35))
    _handle(sketch, look, 0.38, 0.0, 0.75)
    body = smooth(
        mirrored(
            [
                (0, 0.03),
                *corner(0.95, -0.02),
                (0.88, height * 0.5),
                (low, height * 0.95),
                (low * 0.8, height),
                (0, height + 0.02),
            ]
        )
    )
    sketch.solid(body, look.main, 0.16, 0.6)
    _edge_stitches(sketch, body, look)
    sketch.line(smooth([(-0.9, 0.14), (0, 0.2), (0.9, 0.14)], closed=False), look.seam, 0.025, 0.8)
    _handle(sketch, look, 0.42, 0.16, 0.82)
    _rings(sketch, look, 0.42, 0.2)
    if rng.random() < 0.6:
        sketch.solid(box(-0.1, height * 0.5, 0.1, height * 0.5 + 0.1, 0.02), plain(look.metal, "metal"), 0.02)


def _satchel(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    _handle(sketch, look, 0.3, 0.06, float(rng.uniform(0.4, 0.6)))
    body = smooth(mirrored([(0, 0.0), (0.7, 0.02), (0.95, 0.18), (1.0, 0.9), (0.9, 1.12), (0, 1.14)]))
    sketch.solid(body, look.main, 0.16, 0.3)
    flap = smooth(mirrored([(0, -0.02), (0.72, 0.0), (0.97, 0.16), (0.97, 0.5), (0.8, 0.66), (0, 0.74)]))
    sketch.solid(flap, look.tone(-0.06), 0.08)
    _edge_stitches(sketch, flap, look)
    for x in (-0.45, 0.45):
        sketch.solid(box(x - 0.07, 0.4, x + 0.07, 0.95, 0.03), look.tone(-0.22), 0.03)
        sketch.solid(box(x - 0.1, 0.68, x + 0.1, 0.84, 0.02), plain(look.metal, "metal"), 0.02)
        sketch.solid(box(x - 0.06, 0.72, x + 0.06, 0.8, 0.01), look.tone(-0.4), 0.01)


def _hobo(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    strap = [(-0.85, 0.2), (-0.6, -0.5), (0, -float(rng.uniform(0.75, 1.0))), (0.6, -0.5), (0.85, 0.2)]
    sketch.solid(ribbon(strap, [0.07, 0.06, 0.07]), look.tone(-0.15), 0.05)
    body = smooth(mirrored([(0, 0.26), (0.5, 0.2), *corner(0.95, 0.08), (1.0, 0.6), (0.7, 1.05), (0, 1.15)]))
    sketch.solid(body, look.main, 0.2, 1.2)
    sketch.line(
        smooth([(-0.9, 0.16), (-0.45, 0.28), (0, 0.33), (0.45, 0.28), (0.9, 0.16)], closed=False), look.metal, 0.03, 1.0
    )
    for x in (-0.87, 0.87):
        sketch.solid(ellipse(x, 0.16, 0.09, 0.09), plain(look.metal, "metal"), 0.03)
        sketch.solid(ellipse(x, 0.16, 0.05, 0.05), look.tone(-0.3), 0.02)


def _shoulder(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    strap = np.array([(-0.8, 0.1), (-0.5, -0.8), (0.1, -1.25), (0.5, -0.8), (0.8, 0.1)])
    sketch.solid(ribbon(strap, [0.035]), look.tone(-0.2), 0.025)
    if rng.random() < 0.5:
        sketch.stitches(smooth(strap, closed=False), look.metal, 0.04, 0.06)
    sketch.solid(box(-0.9, 0.0, 0.9, 1.05, 0.2), look.main, 0.13, 0.25)
    for shift in (0.36, -0.36):
        for x in np.arange(-1.6, 1.7, 0.27):
            sketch.line(((x, 0.0), (x + shift * 2.4, 1.1)), look.seam, 0.016, 0.55)
    flap = smooth(mirrored([(0, -0.01), *corner(0.9, 0.0), (0.86, 0.3), (0, 0.56)]))
    sketch.solid(flap, look.tone(-0.05), 0.07)
    sketch.solid(ellipse(0, 0.5, 0.09, 0.09), plain(look.metal, "metal"), 0.03)


def backpack(look: Look, rng: np.random.Generator) -> Sketch:
    """A domed body with a grab loop, two shoulder straps at the sides, zips, a front pocket and side pockets."""
    sketch = Sketch()
    _straps(sketch, look)
    loop = arc(0, -0.98, (0.2, 0.2), np.pi, 2 * np.pi)
    sketch.solid(ribbon(loop, [0.04], steps=2), look.tone(-0.3), 0.03)
    for side in (1, -1):
        pouch = smooth([(0.66, 0.35), (0.92, 0.38), (0.96, 0.9), (0.7, 0.98)])
        sketch.solid(pouch if side > 0 else flipped(pouch), look.trim if rng.random() < 0.5 else look.tone(-0.2), 0.06)
    dome = float(rng.uniform(0.45, 0.62))
    body = smooth(mirrored([(0, -1.0), (dome, -0.92), (0.76, -0.5), (0.8, 0.3), (0.8, 0.9), (0.62, 1.08), (0, 1.1)]))
    sketch.solid(body, look.main, 0.17, 0.4)
    zip_path = smooth(
        [(-0.7, 0.1), (-0.64, -0.5), (-0.4, -0.8), (0, -0.86), (0.4, -0.8), (0.64, -0.5), (0.7, 0.1)], closed=False
    )
    _zipper(sketch, zip_path, look)
    _front_pocket(sketch, look, rng)
    return sketch


def _straps(sketch: Sketch, look: Look) -> None:
    for side in (1, -1):
        band = np.array([(0.3, -0.9), (0.72, -0.95), (1.0, -0.4), (0.98, 0.3), (0.82, 0.85)]) * [side, 1]
        sketch.solid(ribbon(band, [0.09, 0.1, 0.07, 0.04]), look.tone(-0.25), 0.05)
        sketch.solid(
            box(side * 0.99 - 0.07, 0.12, side * 0.99 + 0.07, 0.24, 0.02), plain(np.array([36.0, 36.0, 38.0])), 0.02
        )


def _zipper(sketch: Sketch, path: np.ndarray, look: Look) -> None:
    sketch.line(path, toned(look.rgb, -0.55), 0.06, 0.9)
    sketch.stitches(path, look.metal, 0.02, 0.03)
    x, y = path[-1]
    sketch.solid(box(x - 0.03, y, x + 0.03, y + 0.13, 0.015), plain(look.metal, "metal"), 0.015)


def _front_pocket(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    top = float(rng.uniform(0.02, 0.2))
    pocket = smooth(mirrored([(0, top), (0.48, top + 0.02), (0.62, top + 0.14), (0.64, 0.86), (0.52, 0.98), (0, 1.0)]))
    sketch.solid(pocket, look.main if rng.random() < 0.6 else look.trim, 0.1, 0.2)
    _zipper(sketch, smooth([(-0.52, top + 0.2), (0, top + 0.16), (0.52, top + 0.2)], closed=False), look)
    if rng.random() < 0.5:
        sketch.detail(box(-0.18, -0.5, 0.18, -0.36, 0.03), plain(toned(look.rgb, 0.75)), 0.95)
    else:
        sketch.solid(
            smooth(mirrored([(0, -0.42), (0.4, -0.4), (0.5, -0.3), (0.5, -0.1), (0, -0.08)])), look.tone(-0.08), 0.06
        )
        _zipper(sketch, smooth([(-0.42, -0.28), (0, -0.31), (0.42, -0.28)], closed=False), look)


def wallet(look: Look, rng: np.random.Generator) -> Sketch:
    """Without a handle: a bifold, an open wallet with cards, a long zipped purse or one with a snap."""
    look = look.on("leather")
    kind = str(rng.choice(("bifold", "open", "zipped", "snap")))
    sketch = Sketch()
    {"bifold": _bifold, "open": _open_wallet, "zipped": _zipped, "snap": _snap}[kind](sketch, look, rng)
    return sketch


def _bifold(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    back = np.array([(-0.78, -0.62), (0.9, -0.7), (0.98, 0.56), (-0.78, 0.62)])
    sketch.solid(back, look.tone(-0.3), 0.04)
    sketch.solid(
        np.array([(-0.78, -0.57), (0.86, -0.62), (0.92, 0.58), (-0.78, 0.62)]),
        plain(np.array([226.0, 222.0, 212.0])),
        0.02,
    )
    front = box(-0.8, -0.6, 0.8, 0.64, 0.07)
    sketch.solid(front, look.main, 0.09, 0.2)
    _edge_stitches(sketch, front, look)
    sketch.line(((-0.72, -0.6), (-0.72, 0.64)), look.seam, 0.022, 0.6)
    x = float(rng.choice((-0.4, 0.3)))
    sketch.detail(
        box(x - 0.12, 0.34, x + 0.2, 0.46, 0.02),
        plain(look.metal, "metal") if rng.random() < 0.5 else look.tone(-0.35),
        0.9,
        0.015,
    )


def _open_wallet(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    cover = box(-1.1, -0.52, 1.1, 0.58, 0.06)
    sketch.solid(cover, look.main, 0.07, 0.1)
    _edge_stitches(sketch, cover, look)
    sketch.line(((0, -0.52), (0, 0.58)), toned(look.rgb, -0.6), 0.045, 0.9)
    for side in (1, -1)[: int(rng.integers(1, 3))]:
        for k in range(3):
            x0, x1 = sorted((side * 0.12, side * 1.0))
            sketch.solid(
                box(x0 + 0.05, -0.36 + 0.24 * k, x1 - 0.05, 0.0 + 0.24 * k),
                plain(np.array([(70.0, 112, 170), (196.0, 170, 96), (206.0, 206, 210)][k])),
                0.015,
            )
            sketch.solid(box(x0, -0.28 + 0.24 * k, x1, 0.5), look.tone(-0.06), 0.025)


def _zipped(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    outline = box(-1.05, -0.5, 1.05, 0.52, 0.14)
    sketch.solid(outline, look.main, 0.09, 0.2)
    path = np.concatenate(
        [
            [(1.0, 0.4), (1.0, -0.3)],
            arc(0.9, -0.36, (0.1, 0.1), 0, -np.pi / 2),
            [(-0.9, -0.46), (-0.99, -0.36), (-1.0, 0.4)],
        ]
    )
    sketch.line(path, toned(look.rgb, -0.6), 0.07, 0.9)
    sketch.stitches(path, look.metal, 0.022, 0.035)
    sketch.solid(ribbon([(-1.0, 0.3), (-1.06, 0.5), (-1.0, 0.72)], [0.035]), plain(look.metal, "metal"), 0.02)
    sketch.detail(box(-0.25, -0.06, 0.25, 0.14, 0.03), look.tone(-0.2), 0.9, 0.02)
    sketch.stitches(((-0.85, 0.36), (0.85, 0.36)), look.seam, 0.035, 0.018)


def _snap(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    sketch.solid(box(-1.05, -0.46, 1.05, 0.55, 0.06), look.tone(-0.1), 0.07)
    flap = box(-1.07, -0.5, 1.07, 0.16, 0.06)
    sketch.solid(flap, look.main, 0.07, 0.15)
    _edge_stitches(sketch, flap, look)
    sketch.solid(box(-0.14, -0.1, 0.14, 0.36, 0.06), look.tone(-0.15), 0.03)
    sketch.solid(ellipse(0, 0.24, 0.065, 0.065), plain(look.metal, "metal"), 0.025)
