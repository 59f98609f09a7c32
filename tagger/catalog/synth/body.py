"""The body that clothes are cut for: neck at (0, 0), shoulders about 0.42 to each side, floor near y = 2.6."""

from dataclasses import dataclass, replace

import numpy as np

from tagger.catalog.synth.curve import Point, corner, flipped, mirrored, part_of, ribbon, smooth

HIP_Y, CROTCH_Y, KNEE_Y, ANKLE_Y = 1.06, 1.24, 1.86, 2.46


@dataclass(frozen=True)
class Body:
    """Half widths of the torso; right and left arm as (3, 2) shoulder, elbow, wrist; worn on a person or laid flat."""

    shoulder: float
    chest: float
    waist: float
    hip: float
    arms: tuple[np.ndarray, np.ndarray]
    stance: float
    worn: bool
    feminine: bool


@dataclass(frozen=True)
class Cut:
    """How a garment for the upper body is cut, in body units."""

    neck_width: float = 0.15
    neck_depth: float = 0.12
    neck: str = "round"  # round, v, square, boat, sweetheart
    hem: float = 1.06
    ease: float = 0.03
    flare: float = 0.0
    nip: float = 0.0
    shoulder: float = 1.0
    hem_drop: float = 0.03


def sample_body(rng: np.random.Generator, worn: bool, feminine: bool) -> Body:
    """A body standing (worn) or the spread of a garment laid flat."""
    girth = rng.uniform(0.93, 1.08)
    size = (0.38, 0.315, 0.25, 0.335) if feminine else (0.43, 0.355, 0.32, 0.335)
    shoulder, chest, waist, hip = (girth * s for s in size)
    right = _arm(rng, worn, shoulder)
    arms = (right, flipped(_arm(rng, worn, shoulder) if worn else right))
    return Body(shoulder, chest, waist, hip, arms, float(rng.uniform(0.0, 0.12)), worn, feminine)


def _arm(rng: np.random.Generator, worn: bool, reach: float) -> np.ndarray:
    shoulder = np.array([reach - 0.075, 0.145])
    upper = np.deg2rad(rng.uniform(8, 20) if worn else rng.uniform(10, 42))
    if worn and rng.random() < 0.16:
        upper, fore = np.deg2rad(38), np.deg2rad(rng.uniform(-58, -38))
    else:
        fore = upper - np.deg2rad(rng.uniform(0, 22) if worn else rng.uniform(-4, 12))
    elbow = shoulder + 0.5 * np.array([np.sin(upper), np.cos(upper)])
    return np.stack([shoulder, elbow, elbow + 0.47 * np.array([np.sin(fore), np.cos(fore)])])


def sleeve(arm: np.ndarray, share: float, top: float = 0.125, cuff: float = 0.08) -> np.ndarray:
    """Outline of a sleeve that covers a share (0..1) of the arm; half widths under the shoulder and at the cuff."""
    side = 1.0 if arm[0, 0] > 0 else -1.0
    right = arm * [side, 1]
    x, y = right[0]
    band = ribbon(part_of(smooth(right, closed=False), 0.0, share, 5), [top, top * 0.55 + cuff * 0.45, cuff], steps=4)
    inner, outer = band[: len(band) // 2], band[len(band) // 2 :][::-1]
    skipped = max(2, round(len(outer) * min(0.5, 0.17 / share)))
    cap = smooth([(x - 0.1, y - 0.1), (x + 0.045, y - 0.088), outer[skipped]], closed=False)
    outline = np.concatenate([cap[:-1], outer[skipped:], inner[:1:-1], [(x - 0.1, y + 0.2)]])
    return outline * [side, 1]


def cuff_band(arm: np.ndarray, share: float, length: float, half_width: float) -> np.ndarray:
    """A band around the arm that ends at a share of it."""
    path = part_of(smooth(arm, closed=False), max(share - length, 0.0), share, 3)
    return ribbon(path, [half_width, half_width], steps=3)


def half_neck(cut: Cut) -> list[Point]:
    """The right half of a neckline, from the middle of the front to the side of the neck."""
    w, d = cut.neck_width, cut.neck_depth
    shapes: dict[str, list[Point]] = {
        "round": [(0, d), (0.55 * w, 0.82 * d), (0.92 * w, 0.36 * d)],
        "v": [*corner(0, d), (0.5 * w, 0.48 * d)],
        "square": [(0, d), *corner(0.82 * w, d)],
        "boat": [(0, 0.45 * d), (0.7 * w, 0.3 * d)],
        "sweetheart": [*corner(0, d), (0.4 * w, 0.62 * d), (0.85 * w, 0.72 * d)],
    }
    return [*shapes[cut.neck], *corner(w, -0.045)]


def neck_line(cut: Cut) -> np.ndarray:
    """The open neckline from left to right, (M, 2)."""
    right = smooth(half_neck(cut), closed=False)
    return np.concatenate([flipped(right[::-1]), right[1:]])


def torso(body: Body, cut: Cut) -> np.ndarray:
    """Outline of the trunk of a garment."""
    shoulder = body.shoulder * cut.shoulder
    chest, waist, hip = body.chest + cut.ease, body.waist + cut.ease - cut.nip, body.hip + cut.ease
    half = [*half_neck(cut), *corner(shoulder - 0.02, 0.062), (min(shoulder, chest) * 0.93, 0.2)]
    half += [(chest, 0.34), (waist, 0.72)] if cut.hem > 0.9 else [(chest, 0.34)]
    if cut.hem > 1.3:
        half += [(hip + 0.25 * cut.flare, HIP_Y), (hip + 0.7 * cut.flare, (HIP_Y + cut.hem) / 2 + 0.1)]
    edge = hip + cut.flare if cut.hem > 0.9 else (chest + waist) / 2 + cut.flare
    half += [*corner(edge, cut.hem), (edge * 0.5, cut.hem + cut.hem_drop), (0, cut.hem + cut.hem_drop)]
    return smooth(mirrored(half))


def hem_line(body: Body, cut: Cut, up: float = 0.0) -> np.ndarray:
    """The hem from left to right, `up` units above the edge."""
    edge = body.hip + cut.ease + cut.flare
    drop = cut.hem_drop
    points = [
        (-edge, cut.hem),
        (-edge / 2, cut.hem + drop),
        (0, cut.hem + drop),
        (edge / 2, cut.hem + drop),
        (edge, cut.hem),
    ]
    return smooth(points, closed=False) - [0, up]


def legs(body: Body, hem: float, width: float, top: float = 0.8, ease: float = 0.02) -> np.ndarray:
    """Outline of trousers from the waist to a hem; `width` is the half width of a leg at the hem."""
    centre = 0.16 + body.stance
    thigh = 0.2 + body.stance * 0.4
    knee_share = (KNEE_Y - CROTCH_Y) / (hem - CROTCH_Y)
    knee_centre, knee_width = thigh + (centre - thigh) * knee_share, max(width, 0.115 + ease)
    half = [
        *corner(0, top + 0.015),
        *corner(body.waist + 0.02 + ease, top),
        (body.hip + ease, HIP_Y),
        (body.hip + ease + 0.01, CROTCH_Y + 0.05),
        (knee_centre + knee_width, KNEE_Y),
        *corner(centre + width, hem),
        *corner(centre - width, hem + 0.01),
        (knee_centre - knee_width, KNEE_Y),
        *corner(0.012, CROTCH_Y),
    ]
    ring = smooth(half, closed=False)
    return np.concatenate([ring, flipped(ring)[::-1]])


def leg_path(body: Body, side: int, hem: float) -> np.ndarray:
    """The middle of a leg from the hip to a hem, as a polyline; side is 1 (right on the picture) or -1."""
    centre, thigh = 0.16 + body.stance, 0.185 + body.stance * 0.3
    return np.array([(side * thigh, 0.95), (side * (thigh + centre) / 2, KNEE_Y), (side * centre, hem)])


def relaxed(body: Body) -> Body:
    """The same body with its arms close to it, for garments that are laid flat without sleeves."""
    arm = np.array([(0.335, 0.13), (0.4, 0.6), (0.4, 1.05)])
    return replace(body, arms=(arm, flipped(arm)))
