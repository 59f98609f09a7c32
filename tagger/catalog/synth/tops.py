"""T-Shirts, shirts and tops."""

import numpy as np

from tagger.catalog.synth.body import Body, Cut, cuff_band, hem_line, neck_line, sleeve, torso
from tagger.catalog.synth.curve import box, corner, ellipse, flipped, mirrored, ribbon, smooth
from tagger.catalog.synth.look import Look
from tagger.catalog.synth.palette import sample_vivid
from tagger.catalog.synth.sketch import Paint, Sketch, plain, seam, toned


def t_shirt(body: Body, look: Look, rng: np.random.Generator) -> Sketch:
    """Short sleeves; a ribbed round or V neck, or a polo collar with a short placket."""
    kind = str(rng.choice(("round", "v", "polo"), p=[0.55, 0.21, 0.24]))
    depth = {"round": 0.13, "v": 0.26, "polo": 0.2}[kind]
    cut = Cut(
        0.145,
        depth,
        "v" if kind != "round" else "round",
        float(rng.uniform(1.02, 1.14)),
        float(rng.uniform(0.02, 0.06)),
    )
    sketch, share = Sketch(), float(rng.uniform(0.4, 0.52))
    back_of_neck(sketch, body, cut, look)
    for arm in body.arms:
        sketch.solid(sleeve(arm, share, 0.135, 0.115), look.main, 0.07, 0.7)
        sketch.line(cuff_band(arm, share - 0.045, 0.002, 0.12), look.seam, 0.012)
        if kind == "polo":
            sketch.detail(cuff_band(arm, share, 0.06, 0.12), Paint(look.trim.colors, "rib"), 0.9)
    sketch.solid(torso(body, cut), look.main, 0.09, 0.8)
    creases(sketch, look, rng, body.chest, (0.3, 0.95))
    armholes(sketch, body, look)
    sketch.line(hem_line(body, cut, 0.05), look.seam, 0.01, 0.5)
    if kind == "polo":
        _polo_front(sketch, look)
    else:
        neck_rib(sketch, cut, Paint(look.trim.colors, "rib"), 0.022)
        if rng.random() < 0.6:
            chest_print(sketch, look, rng)
    return sketch


def _polo_front(sketch: Sketch, look: Look) -> None:
    sketch.solid(box(-0.035, 0.1, 0.035, 0.36, 0.01), look.tone(0.06), 0.02)
    for y in (0.2, 0.28):
        button(sketch, 0, y, look)
    collar(sketch, Paint(look.trim.colors, "rib"), 0.2, look.seam)


def shirt(body: Body, look: Look, rng: np.random.Generator) -> Sketch:
    """A pointed collar, buttons all the way down, a curved hem, cuffs or rolled or half sleeves, chest pockets."""
    cut = Cut(0.135, 0.15, "v", float(rng.uniform(1.1, 1.24)), float(rng.uniform(0.03, 0.06)), 0.015, hem_drop=0.09)
    sketch, share = Sketch(), float(rng.choice([1.0, 1.0, 0.72, 0.5]))
    back_of_neck(sketch, body, cut, look)
    for arm in body.arms:
        sketch.solid(sleeve(arm, share, 0.13, 0.085 if share > 0.6 else 0.115), look.main, 0.06, 0.8)
        sketch.solid(cuff_band(arm, share, 0.1, 0.084 if share > 0.6 else 0.117), look.tone(-0.04), 0.025)
    sketch.solid(torso(body, cut), look.main, 0.09, 0.9)
    armholes(sketch, body, look)
    creases(sketch, look, rng, body.chest, (0.3, 1.0))
    placket(sketch, look, 0.14, cut.hem + cut.hem_drop)
    for side in (1, -1)[: int(rng.integers(0, 3))]:
        pocket(sketch, look, side * 0.19, 0.34, flap=bool(rng.random() < 0.4))
    collar(sketch, look.main, 0.22, look.seam)
    return sketch


def placket(sketch: Sketch, look: Look, top: float, bottom: float) -> None:
    """The button band of a shirt."""
    sketch.detail(box(-0.034, top, 0.034, bottom), look.tone(0.05), 0.6)
    for x in (-0.034, 0.034):
        sketch.line(((x, top), (x, bottom)), look.seam, 0.016, 0.9)
    for y in np.arange(top + 0.06, bottom - 0.06, 0.135):
        button(sketch, 0, float(y), look)


def top(body: Body, look: Look, rng: np.random.Generator) -> Sketch:
    """Women's: straps, flutter or bell sleeves, a wide neck, gathers, ruffles, a tied bow or a peplum."""
    kind = str(rng.choice(("straps", "flutter", "bell", "tank", "peplum")))
    neck = str(rng.choice(("round", "square", "sweetheart", "v")))
    width, shoulder = {"straps": (0.22, 0.7), "tank": (0.2, 0.72)}.get(kind, (0.2, 0.88))
    hem, flare = (0.98, 0.1) if kind == "peplum" else (float(rng.uniform(0.92, 1.08)), float(rng.uniform(0.0, 0.1)))
    cut = Cut(
        width, float(rng.uniform(0.2, 0.3)), neck, hem, 0.015, flare, 0.03, shoulder, float(rng.uniform(0.02, 0.07))
    )
    sketch = Sketch()
    back_of_neck(sketch, body, cut, look)
    if kind in ("bell", "flutter"):
        for arm in body.arms:
            share, cuff = (0.62, 0.17) if kind == "bell" else (0.3, 0.175)
            sketch.solid(sleeve(arm, share, 0.105, cuff), look.main, 0.07, 1.0)
            sketch.line(cuff_band(arm, share - 0.04, 0.002, cuff), look.seam, 0.012)
    sketch.solid(torso(body, cut), look.main, 0.09, 1.0)
    sketch.line(neck_line(cut), look.seam, 0.03, 0.7)
    _top_front(sketch, body, cut, look, rng)
    return sketch


def _top_front(sketch: Sketch, body: Body, cut: Cut, look: Look, rng: np.random.Generator) -> None:
    kind = str(rng.choice(("gathers", "ruffles", "bow", "lace")))
    if kind == "gathers":
        for x in np.linspace(-0.2, 0.2, 7):
            sketch.line(((x, cut.neck_depth + 0.02), (x * 1.25, cut.neck_depth + 0.22)), look.seam, 0.014, 0.6)
    if kind == "ruffles":
        for y in np.arange(cut.hem - 0.34, cut.hem + 0.05, 0.13):
            ruffle(sketch, body.hip + 0.06 + cut.flare, float(y), look)
    if kind == "bow":
        bow(sketch, 0.0, cut.neck_depth + 0.03, 0.12, look.tone(-0.12))
    if kind == "lace":
        band = ribbon(neck_line(cut) + [0, 0.05], [0.045])
        sketch.detail(band, Paint(np.stack([toned(look.rgb, -0.1), toned(look.rgb, 0.5)]), "cloth", "dots", 0.07), 0.95)
    if cut.hem == 0.98:
        waist = smooth([(-0.4, 0.7), (0, 0.73), (0.4, 0.7)], closed=False)
        sketch.detail(ribbon(waist, [0.03]), look.trim, 0.9)


def ruffle(sketch: Sketch, half_width: float, y: float, look: Look) -> None:
    """A wavy frill across the front."""
    x = np.linspace(-half_width, half_width, 15)
    lower = np.stack([x, y + 0.03 * np.cos(np.arange(15) * np.pi)], axis=1)
    sketch.detail(
        np.concatenate([smooth(lower, closed=False), [(half_width, y - 0.12), (-half_width, y - 0.12)]]),
        look.main,
        1,
        0.03,
    )
    sketch.line(smooth(lower, closed=False), look.seam, 0.016, 0.8)


def bow(sketch: Sketch, x: float, y: float, size: float, paint: Paint) -> None:
    """A tied bow with two loops and two ends."""
    loop = smooth([(0, 0), (size, -0.55 * size), (1.15 * size, 0), (size, 0.5 * size)])
    for side in (1, -1):
        end = np.array(
            [(0, 0), (side * 0.5 * size, 1.7 * size), (side * 0.85 * size, 1.6 * size), (side * 0.2 * size, 0)]
        )
        sketch.solid(end + [x, y], paint, 0.02)
        sketch.solid((loop if side > 0 else flipped(loop)) + [x, y], paint, 0.03)
    sketch.solid(ellipse(x, y, 0.2 * size, 0.24 * size), paint, 0.02)


def back_of_neck(sketch: Sketch, body: Body, cut: Cut, look: Look) -> None:
    """The inside of the back, seen through the neck of a garment laid flat."""
    if body.worn:
        return
    w, d = cut.neck_width, cut.neck_depth
    half = [(0, -0.03), (0.6 * w, -0.045), *corner(w, -0.06), (w * 1.05, d * 0.4), (0.5 * w, d + 0.04), (0, d + 0.05)]
    sketch.solid(smooth(mirrored(half)), look.tone(-0.34), 0.03)
    sketch.line(smooth([(-0.9 * w, -0.02), (0, 0.0), (0.9 * w, -0.02)], closed=False), look.seam, 0.012)
    sketch.detail(box(-0.03, 0.02, 0.03, 0.05), plain(toned(look.rgb, 0.7)), 0.9)


def creases(sketch: Sketch, look: Look, rng: np.random.Generator, side_x: float, span: tuple[float, float]) -> None:
    """Folds of cloth that run inward and down from both sides, between two heights."""
    for side in (1, -1):
        for y in rng.uniform(*span, int(rng.integers(1, 4))):
            reach, fall = side_x * rng.uniform(0.35, 0.75), rng.uniform(-0.12, 0.16)
            x = side * side_x
            path = [(x, y), (x - side * 0.5 * reach, y + fall * 0.35), (x - side * reach, y + fall)]
            sketch.detail(ribbon(path, [0.006, float(rng.uniform(0.016, 0.03)), 0.002]), look.main, 0.6, 0.03)


def armholes(sketch: Sketch, body: Body, look: Look) -> None:
    """The seams where the sleeves are set in."""
    right = smooth([(body.shoulder - 0.01, 0.04), (body.shoulder * 0.86, 0.19), (body.chest, 0.36)], closed=False)
    for path in (right, flipped(right)):
        sketch.line(path, look.seam, 0.012, 0.7)


def neck_rib(sketch: Sketch, cut: Cut, paint: Paint, half_width: float) -> None:
    """A ribbed band along the neckline."""
    sketch.solid(ribbon(neck_line(cut), [half_width], steps=2), paint, 0.015)


def collar(sketch: Sketch, paint: Paint, drop: float, edge: np.ndarray) -> None:
    """Two pointed wings and the stand behind the neck."""
    stand = smooth([(-0.14, -0.07), (0, -0.05), (0.14, -0.07), (0.1, 0.0), (0, 0.02), (-0.1, 0.0)])
    sketch.solid(stand, plain(toned(paint.rgb, -0.15), paint.material), 0.02)
    wing = smooth([*corner(0.0, 0.135), *corner(0.125, -0.085), *corner(0.185, -0.01), *corner(0.13, drop)], steps=4)
    for points in (wing, flipped(wing)):
        sketch.solid(points, paint, 0.022)
        sketch.line(np.concatenate([points, points[:1]]), edge, 0.011, 0.7)


def button(sketch: Sketch, x: float, y: float, look: Look, radius: float = 0.02) -> None:
    """A round button with a dark rim."""
    rgb = toned(look.rgb, 0.75) if float(np.mean(look.rgb)) < 150 else toned(look.rgb, -0.35)
    sketch.detail(ellipse(x, y, radius * 1.3, radius * 1.3), plain(seam(look.rgb, 0.5)), 0.8)
    sketch.detail(ellipse(x, y, radius, radius), plain(rgb))


def pocket(sketch: Sketch, look: Look, x: float, y: float, flap: bool) -> None:
    """A patch pocket, its upper edge at y."""
    outline = [(x - 0.075, y), (x + 0.075, y), (x + 0.075, y + 0.14), (x, y + 0.17), (x - 0.075, y + 0.14)]
    sketch.detail(outline, look.main, 0.8, 0.02)
    sketch.line([*outline, outline[0]], look.seam, 0.012, 0.8)
    if flap:
        sketch.solid(
            [(x - 0.08, y - 0.01), (x + 0.08, y - 0.01), (x + 0.08, y + 0.04), (x, y + 0.065), (x - 0.08, y + 0.04)],
            look.main,
            0.015,
        )
        button(sketch, x, y + 0.045, look, 0.011)


def chest_print(sketch: Sketch, look: Look, rng: np.random.Generator) -> None:
    """A graphic on the chest: a badge, lines of lettering, or a striped band."""
    ink = plain(sample_vivid(1, rng)[0])
    kind = str(rng.choice(("badge", "letters", "bars")))
    y = float(rng.uniform(0.36, 0.5))
    if kind == "badge":
        sketch.detail(ellipse(0, y, 0.14, 0.14), ink, 0.9)
        sketch.detail(box(-0.09, y - 0.03, 0.09, y + 0.03), plain(sample_vivid(1, rng)[0]), 0.9)
    if kind == "bars":
        for k in range(3):
            sketch.detail(box(-0.5, y + 0.07 * k, 0.5, y + 0.03 + 0.07 * k), ink, 0.85)
    for row in range(int(rng.integers(1, 4)) if kind == "letters" else 0):
        left = -rng.uniform(0.1, 0.2)
        for x in np.arange(left, -left, 0.055):
            sketch.detail(box(x, y + 0.1 * row, x + float(rng.uniform(0.02, 0.045)), y + 0.1 * row + 0.07), ink, 0.9)
