"""The person who wears a garment: skin, hair, face, hands, legs and shoes, in body units."""

from dataclasses import dataclass

import numpy as np

from tagger.catalog.synth.body import ANKLE_Y, CROTCH_Y, HIP_Y, KNEE_Y, Body, sleeve
from tagger.catalog.synth.curve import arc, corner, ellipse, flipped, mirrored, ribbon, smooth
from tagger.catalog.synth.sketch import Paint, Sketch, plain, toned

_SKINS = (
    (247, 216, 190),
    (238, 198, 166),
    (224, 178, 140),
    (201, 150, 112),
    (172, 120, 84),
    (134, 88, 60),
    (98, 64, 46),
    (74, 48, 36),
)
_HAIRS = ((24, 20, 18), (38, 28, 22), (66, 44, 30), (104, 70, 42), (176, 136, 84), (120, 60, 36), (140, 136, 134))
_HEAD = (0.0, -0.375)


@dataclass(frozen=True)
class Persona:
    """Skin and hair paints, and how the hair is worn: short, bob, long, bun or bald."""

    skin: Paint
    hair: Paint
    style: str
    lips: np.ndarray


def sample_persona(rng: np.random.Generator, feminine: bool) -> Persona:
    """Any tone of skin and hair."""
    skin = np.array(_SKINS[int(rng.integers(len(_SKINS)))], np.float64) + rng.uniform(-8, 8)
    hair = np.array(_HAIRS[int(rng.choice(7, p=[0.3, 0.22, 0.16, 0.12, 0.1, 0.05, 0.05]))], np.float64)
    style = str(rng.choice(("long", "bob", "bun") if feminine else ("short", "short", "crop")))
    lips = toned(skin, -0.18) * [1.05, 0.8, 0.82] if not feminine else toned(skin, -0.1) * [1.02, 0.62, 0.66]
    return Persona(plain(np.clip(skin, 0, 255), "skin"), plain(hair, "hair"), style, lips)


def figure(body: Body, persona: Persona) -> Sketch:
    """Everything that clothes lie upon: legs, trunk, neck, arms and hands."""
    sketch, skin = Sketch(), persona.skin
    if persona.style == "long":
        sketch.solid(
            smooth(mirrored([(0, -0.6), (0.17, -0.53), (0.215, -0.3), (0.23, 0.05), (0.2, 0.28), (0, 0.24)])),
            persona.hair,
            0.05,
            0.8,
        )
    for side in (1, -1):
        hip, ankle = 0.175 + 0.3 * body.stance, 0.16 + body.stance
        line = [(side * hip, HIP_Y), (side * (hip + ankle) / 2, KNEE_Y), (side * ankle, ANKLE_Y + 0.05)]
        sketch.solid(ribbon(line, [0.165, 0.125, 0.085, 0.09, 0.05]), skin, 0.07)
    trunk = [
        (0, 0.0),
        (body.shoulder * 0.5, 0.03),
        (body.shoulder * 0.95, 0.09),
        (body.chest * 0.97, 0.36),
        (body.waist, 0.72),
        (body.hip, HIP_Y),
        (0.2, CROTCH_Y),
        (0, CROTCH_Y),
    ]
    sketch.solid(smooth(mirrored(trunk)), skin, 0.1)
    for arm in body.arms:
        _arm(sketch, arm, skin)
    neck = [(0, -0.3), *corner(0.085, -0.3), (0.09, -0.1), (0.15, -0.02), *corner(0.3, 0.06), (0, 0.2)]
    sketch.solid(smooth(mirrored(neck)), skin, 0.04)
    sketch.line(smooth([(-0.2, 0.1), (-0.08, 0.11), (-0.02, 0.13)], closed=False), toned(skin.rgb, -0.25), 0.012, 0.5)
    return sketch


def _arm(sketch: Sketch, arm: np.ndarray, skin: Paint) -> None:
    sketch.solid(sleeve(arm, 1.0, 0.095, 0.046), skin, 0.05)
    forearm = arm[2] - arm[1]
    forearm /= np.linalg.norm(forearm)
    side = np.array([forearm[1], -forearm[0]]) * (1 if arm[0][0] > 0 else -1)
    hand = [arm[2] - 0.03 * forearm, arm[2] + 0.09 * forearm - 0.012 * side, arm[2] + 0.19 * forearm - 0.02 * side]
    sketch.solid(ribbon(np.stack(hand), [0.042, 0.058, 0.026]), skin, 0.03)
    thumb = np.stack(
        [arm[2] + 0.02 * forearm, arm[2] + 0.07 * forearm - 0.06 * side, arm[2] + 0.13 * forearm - 0.065 * side]
    )
    sketch.solid(ribbon(thumb, [0.022, 0.02, 0.014]), skin, 0.015)


def head(persona: Persona) -> Sketch:
    """Face, ears and the hair around them."""
    sketch, skin, (x, y) = Sketch(), persona.skin, _HEAD
    for side in (1, -1):
        sketch.solid(ellipse(x + side * 0.143, y + 0.02, 0.026, 0.045), skin, 0.015)
    face = mirrored(
        [(0, y - 0.2), (0.105, y - 0.17), (0.145, y - 0.04), (0.132, y + 0.08), (0.075, y + 0.185), (0, y + 0.215)]
    )
    sketch.solid(smooth(face), skin, 0.06)
    _features(sketch, persona)
    _hair(sketch, persona)
    return sketch


def _features(sketch: Sketch, persona: Persona) -> None:
    rgb, (_, y) = persona.skin.rgb, _HEAD
    dark = plain(np.array([34.0, 26, 24]))
    for side in (1, -1):
        sketch.detail(ellipse(side * 0.058, y, 0.029, 0.013), plain(np.array([240.0, 238, 234])), 0.95)
        sketch.detail(ellipse(side * 0.058, y, 0.013, 0.013), dark)
        sketch.line(
            smooth([(side * 0.025, y - 0.038), (side * 0.06, y - 0.052), (side * 0.098, y - 0.034)], closed=False),
            toned(persona.hair.rgb, -0.2),
            0.017,
            0.85,
        )
        sketch.line(
            smooth([(side * 0.028, y - 0.005), (side * 0.058, y - 0.018), (side * 0.09, y - 0.004)], closed=False),
            dark.rgb,
            0.009,
            0.8,
        )
    sketch.line(
        smooth([(0.008, y + 0.01), (0.024, y + 0.07), (0.0, y + 0.082), (-0.02, y + 0.075)], closed=False),
        toned(rgb, -0.3),
        0.011,
        0.6,
    )
    lips = smooth([(-0.05, y + 0.13), (-0.015, y + 0.118), (0.015, y + 0.118), (0.05, y + 0.13), (0, y + 0.152)])
    sketch.detail(lips, plain(persona.lips), 0.9)
    sketch.line(((-0.045, y + 0.131), (0.045, y + 0.131)), toned(persona.lips, -0.35), 0.008, 0.7)


def _hair(sketch: Sketch, persona: Persona) -> None:
    hair, (_, y) = persona.hair, _HEAD
    if persona.style == "bun":
        sketch.solid(ellipse(0, y - 0.24, 0.075, 0.065), hair, 0.03)
    cap = [
        (-0.155, y + 0.03),
        (-0.165, y - 0.09),
        (-0.11, y - 0.21),
        (0, y - 0.245),
        (0.11, y - 0.21),
        (0.165, y - 0.09),
        (0.155, y + 0.03),
    ]
    if persona.style in ("short", "crop"):
        fringe = [(0.135, y - 0.06), (0.09, y - 0.13), (-0.02, y - 0.125), (-0.1, y - 0.13), (-0.138, y - 0.06)]
        sketch.solid(smooth([*corner(*cap[0]), *cap[1:-1], *corner(*cap[-1]), *fringe]), hair, 0.03)
        return
    low = {"bob": 0.2, "long": 0.42, "bun": 0.05}[persona.style]
    half = [
        (0.0, y - 0.25),
        (0.12, y - 0.22),
        (0.175, y - 0.08),
        (0.185, y + 0.1),
        *corner(0.19, y + low),
        *corner(0.12, y + low + 0.02),
        (0.145, y + 0.06),
        (0.12, y - 0.07),
        (0.05, y - 0.15),
        *corner(0.0, y - 0.18),
    ]
    for points in (smooth(half), flipped(smooth(half))):
        sketch.solid(points, hair, 0.03, 0.6)


def front_shoes(body: Body, paint: Paint) -> Sketch:
    """A pair of plain shoes seen from the front, under the legs."""
    sketch = Sketch()
    for side in (1, -1):
        x = side * (0.17 + body.stance)
        outline = [
            (x - 0.06, ANKLE_Y - 0.02),
            (x + 0.06, ANKLE_Y - 0.02),
            (x + 0.085 + side * 0.02, 2.58),
            (x + side * 0.03, 2.66),
            (x - 0.085 + side * 0.02, 2.58),
        ]
        sketch.solid(smooth(outline), paint, 0.04)
        sketch.line(
            arc(x + side * 0.02, 2.56, (0.08, 0.085), 0.1 * np.pi, 0.9 * np.pi), toned(paint.rgb, 0.6), 0.02, 0.8
        )
    return sketch


def lower_leg(persona: Persona, x: float, y: float, half: float) -> Sketch:
    """A shin that ends at (x, y), reaching up out of the picture."""
    sketch = Sketch()
    sketch.solid(
        ribbon([(x, y), (x - 0.02, y - 0.7), (x - 0.06, y - 1.6)], [half, half * 1.25, half * 1.6]),
        persona.skin,
        half * 0.6,
    )
    return sketch


def forearm(persona: Persona) -> Sketch:
    """A wrist that lies across (0, 0) with its hand to the right; for a watch about 1 unit wide."""
    sketch, skin = Sketch(), persona.skin
    sketch.solid(ribbon([(-3.0, 0.1), (-0.9, 0.02), (0.9, 0.0)], [1.25, 1.02, 0.98]), skin, 0.4)
    hand = [*corner(0.8, -0.98), (1.5, -1.12), (2.6, -1.05), (3.2, 0.9), (1.6, 1.15), *corner(0.8, 0.98)]
    sketch.solid(smooth(hand), skin, 0.35)
    sketch.solid(ribbon([(1.1, 1.0), (1.6, 1.5), (2.4, 1.7)], [0.26, 0.25, 0.2]), skin, 0.14)
    return sketch
