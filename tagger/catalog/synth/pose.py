"""How the product is shown: alone, as a pair, cut by the border, or worn by a person with other garments."""

from dataclasses import dataclass

import numpy as np

from tagger.catalog.synth.accessories import waist_belt
from tagger.catalog.synth.body import HIP_Y, Body, relaxed, sample_body
from tagger.catalog.synth.bottoms import jeans, trousers
from tagger.catalog.synth.look import Look, sample_look
from tagger.catalog.synth.palette import sample_rgb
from tagger.catalog.synth.person import Persona, figure, forearm, front_shoes, head, lower_leg, sample_persona
from tagger.catalog.synth.shapes import FEMININE, FOOTWEAR, GARMENTS, UPPER, sketch_of
from tagger.catalog.synth.sketch import Sketch, plain
from tagger.catalog.synth.tops import t_shirt, top

POSES: tuple[str, ...] = ("alone", "pair", "cut", "worn")
WEARABLE: tuple[str, ...] = (*GARMENTS, "Belt", "Watch", "Sunglasses", "Socks", "Handbag", "Backpack")
_OTHER_COLORS = ("Black", "White", "Grey", "Navy Blue", "Blue", "Brown", "Beige", "Red", "Green", "Olive")
Frame = tuple[float, float, float, float]


@dataclass(frozen=True)
class Pose:
    """Sketches in painting order, each with whether it is the product, and the box (x0, y0, x1, y1) to show."""

    kind: str
    layers: tuple[tuple[Sketch, bool], ...]
    frame: Frame
    fills_picture: bool


def sample_pose(type_name: str, rng: np.random.Generator) -> str:
    """A pose that suits the type, in the mix of a shop's catalogue."""
    worn = 0.62 if type_name in GARMENTS else 0.12 if type_name in WEARABLE else 0.0
    pair = 0.3 if type_name in (*FOOTWEAR, "Socks") else 0.05
    roll = rng.random()
    return "worn" if roll < worn else "pair" if roll < worn + pair else "cut" if roll < worn + pair + 0.07 else "alone"


def arrange(type_name: str, kind: str, look: Look, rng: np.random.Generator, product_rng: np.random.Generator) -> Pose:
    """Lay out one item. `product_rng` draws the product's variant, `rng` all the rest."""
    if kind == "worn" and type_name in GARMENTS:
        return _worn_garment(type_name, look, rng, product_rng)
    if kind == "worn" and type_name in WEARABLE:
        return _worn_accessory(type_name, look, rng, product_rng)
    feminine = type_name in FEMININE or bool(rng.random() < 0.4)
    sketch = sketch_of(type_name, sample_body(rng, False, feminine), look, product_rng)
    layers: tuple[tuple[Sketch, bool], ...] = ((sketch, True),)
    if kind == "pair":
        layers = ((_second(sketch, type_name, rng), True), *layers)
    return Pose(kind, layers, _bounds(layers), False)


def _bounds(layers: tuple[tuple[Sketch, bool], ...]) -> Frame:
    boxes = np.array([sketch.bounds() for sketch, _ in layers])
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _second(sketch: Sketch, type_name: str, rng: np.random.Generator) -> Sketch:
    """The other one of a pair, a little behind the first."""
    x0, y0, x1, y1 = sketch.bounds()
    width, height = x1 - x0, y1 - y0
    across, up = (0.2, 0.42) if type_name in FOOTWEAR else (0.45, 0.06)
    shift = np.array(
        [width * across * rng.choice((-1, 1)) * rng.uniform(0.6, 1.2), -height * up * rng.uniform(0.5, 1.2)]
    )
    turn = np.deg2rad(rng.uniform(-9, 9))
    mirror = -1.0 if type_name in FOOTWEAR and rng.random() < 0.25 else 1.0
    linear = np.array([[np.cos(turn) * mirror, -np.sin(turn)], [np.sin(turn) * mirror, np.cos(turn)]]) * 0.97
    return sketch.moved(np.column_stack([linear, shift]))


def _other(rng: np.random.Generator, taken: Look) -> Look:
    """The look of another garment, in a color that the product does not have."""
    looks = [sample_look(str(name), rng, 0.2) for name in rng.choice(_OTHER_COLORS, 4, replace=False)]
    return max(looks, key=lambda look: float(np.abs(look.rgb - taken.rgb).sum()) * rng.uniform(0.5, 1))


def _worn_garment(type_name: str, look: Look, rng: np.random.Generator, product_rng: np.random.Generator) -> Pose:
    feminine = type_name in FEMININE or (type_name not in ("Shirt",) and bool(rng.random() < 0.4))
    body, persona = sample_body(rng, True, feminine), sample_persona(rng, feminine)
    product = sketch_of(type_name, body, look, product_rng)
    under, over = _other_clothes(type_name, body, look, rng)
    shoes = front_shoes(body, plain(sample_rgb(str(rng.choice(("Black", "Brown", "White", "Beige"))), rng), "leather"))
    layers = [figure(body, persona), shoes, *under, product, *over]
    marked = [(sketch, sketch is product) for sketch in layers]
    # A hood or a collar lies on the neck, the chin above it.
    marked.append((head(persona), False))
    return Pose("worn", tuple(marked), _worn_frame(type_name, product, rng), True)


def _other_clothes(
    type_name: str, body: Body, look: Look, rng: np.random.Generator
) -> tuple[list[Sketch], list[Sketch]]:
    """Garments below and above the product in painting order."""
    other = _other(rng, look)
    below = [jeans if rng.random() < 0.6 else trousers][0]
    if type_name in ("Jeans", "Trousers"):
        upper = top if body.feminine and rng.random() < 0.5 else t_shirt
        return [], [upper(body, other, rng)]
    if type_name == "Dress":
        return [], []
    if type_name == "Jacket":
        return [below(body, other, rng), t_shirt(body, _other(rng, look), rng)], []
    return [below(body, other, rng)], []


def _worn_frame(type_name: str, product: Sketch, rng: np.random.Generator) -> Frame:
    """What the photographer shows: half a figure, a full one, or from the waist down; sometimes without the head."""
    _, y0, _, y1 = product.bounds()
    headless = rng.random() < 0.18
    top_y = -0.16 if headless else -0.64 - rng.uniform(0.02, 0.16)
    if type_name in UPPER:
        low = HIP_Y + rng.uniform(0.12, 0.65)
    elif type_name in ("Jeans", "Trousers"):
        top_y, low = rng.uniform(0.25, 0.7), 2.7 + rng.uniform(0.0, 0.1)
    else:
        low = min(y1 + rng.uniform(0.15, 0.9), 2.78)
    half = 0.375 * (low - top_y)
    centre = rng.uniform(-0.08, 0.08)
    return float(centre - half), float(top_y), float(centre + half), float(low)


def _worn_accessory(type_name: str, look: Look, rng: np.random.Generator, product_rng: np.random.Generator) -> Pose:
    feminine = type_name == "Handbag" or bool(rng.random() < 0.5)
    body, persona = sample_body(rng, True, feminine), sample_persona(rng, feminine)
    product = sketch_of(type_name, body, look, product_rng)
    if type_name == "Watch":
        return Pose("worn", ((forearm(persona), False), (product, True)), (-1.5, -1.75, 1.5, 2.05), True)
    if type_name == "Socks":
        shin = lower_leg(persona, 0.0, 0.0, 0.2)
        return Pose("worn", ((shin, False), (product, True)), (-1.2, product.bounds()[1] - 0.6, 1.5, 1.15), True)
    clothes = [jeans(body, _other(rng, look), rng), t_shirt(body, _other(rng, look), rng)]
    if type_name == "Belt":
        return _belt_on(body, persona, clothes, look)
    dressed: list[tuple[Sketch, bool]] = [
        (figure(body, persona), False),
        *((s, False) for s in clothes),
        (head(persona), False),
    ]
    return _carried(type_name, dressed, body, persona, product, rng)


def _belt_on(body: Body, persona: Persona, clothes: list[Sketch], look: Look) -> Pose:
    on_waist = waist_belt(look.on("leather"), body.waist + 0.05).moved(np.array([[1.0, 0, 0.0], [0, 1.0, 0.84]]))
    layers = ((figure(body, persona), False), (clothes[1], False), (clothes[0], False), (on_waist, True))
    return Pose("worn", layers, (-0.46, 0.42, 0.46, 1.36), True)


def _carried(
    type_name: str,
    dressed: list[tuple[Sketch, bool]],
    body: Body,
    persona: Persona,
    product: Sketch,
    rng: np.random.Generator,
) -> Pose:
    """Sunglasses on the nose, a handbag in the hand, a backpack on a back that is turned to us."""
    if type_name == "Sunglasses":
        worn = product.moved(np.array([[0.142, 0, 0.0], [0, 0.142, -0.362]]))
        return Pose("worn", (*dressed, (worn, True)), (-0.34, -0.72, 0.34, 0.12), True)
    if type_name == "Handbag":
        x, y = body.arms[0][2] + [0.0, 0.12]
        scale = float(rng.uniform(0.3, 0.4))
        bag = product.moved(np.array([[scale, 0, x], [0, scale, y - product.bounds()[1] * scale]]))
        return Pose("worn", (*dressed, (bag, True)), (-0.7, -0.7, 1.2, 1.9), True)
    back = Sketch([mark for mark in head(persona).marks if mark.is_solid])
    back.solid(head(persona).marks[2].points[0], persona.hair, 0.06, 0.8)
    pack = product.moved(np.array([[0.36, 0, 0.0], [0, 0.42, 0.46]]))
    return Pose("worn", (*dressed[:-1], (back, False), (pack, True)), (-0.9, -0.72, 0.9, 1.4), True)


def clutter(type_name: str, look: Look, rng: np.random.Generator) -> Sketch:
    """Another product that stands around in a room, about one unit high, centred at (0, 0)."""
    body = relaxed(sample_body(rng, False, bool(rng.random() < 0.5)))
    sketch = sketch_of(type_name, body, look, rng)
    x0, y0, x1, y1 = sketch.bounds()
    size = 1 / max(x1 - x0, y1 - y0)
    return sketch.moved(np.array([[size, 0, -size * (x0 + x1) / 2], [0, size, -size * (y0 + y1) / 2]]))
