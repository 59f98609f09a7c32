"""The 24 types: from a type's name to its sketch."""

from collections.abc import Callable

import numpy as np

from tagger.catalog.synth.accessories import belt, socks, sunglasses, watch
from tagger.catalog.synth.bags import backpack, handbag, wallet
from tagger.catalog.synth.body import Body
from tagger.catalog.synth.bottoms import jeans, trousers
from tagger.catalog.synth.layers import jacket, sweater, sweatshirt
from tagger.catalog.synth.longwear import dress, kurta
from tagger.catalog.synth.look import Look
from tagger.catalog.synth.sandals import flats, flip_flops, heels, sandals
from tagger.catalog.synth.shoes import casual_shoes, formal_shoes, sports_shoes
from tagger.catalog.synth.sketch import Sketch
from tagger.catalog.synth.tops import shirt, t_shirt, top

_GARMENTS: dict[str, Callable[[Body, Look, np.random.Generator], Sketch]] = {
    "T-Shirt": t_shirt,
    "Shirt": shirt,
    "Top": top,
    "Kurta": kurta,
    "Dress": dress,
    "Sweater": sweater,
    "Sweatshirt": sweatshirt,
    "Jacket": jacket,
    "Jeans": jeans,
    "Trousers": trousers,
}
_OBJECTS: dict[str, Callable[[Look, np.random.Generator], Sketch]] = {
    "Casual Shoes": casual_shoes,
    "Sports Shoes": sports_shoes,
    "Formal Shoes": formal_shoes,
    "Heels": heels,
    "Flats": flats,
    "Sandals": sandals,
    "Flip Flops": flip_flops,
    "Handbag": handbag,
    "Backpack": backpack,
    "Wallet": wallet,
    "Belt": belt,
    "Watch": watch,
    "Sunglasses": sunglasses,
    "Socks": socks,
}
TYPES: tuple[str, ...] = (*_GARMENTS, *_OBJECTS)
GARMENTS: tuple[str, ...] = tuple(_GARMENTS)
FOOTWEAR: tuple[str, ...] = ("Casual Shoes", "Sports Shoes", "Formal Shoes", "Heels", "Flats", "Sandals", "Flip Flops")
UPPER: tuple[str, ...] = ("T-Shirt", "Shirt", "Top", "Sweater", "Sweatshirt", "Jacket")
FEMININE: tuple[str, ...] = ("Top", "Kurta", "Dress")


def sketch_of(type_name: str, body: Body, look: Look, rng: np.random.Generator) -> Sketch:
    """Design one item of a type; `body` matters to garments only. KeyError for an unknown type."""
    if type_name in _GARMENTS:
        return _GARMENTS[type_name](body, look, rng)
    if type_name not in _OBJECTS:
        raise KeyError(f"no such type: {type_name!r}; one of {', '.join(TYPES)}")
    return _OBJECTS[type_name](look, rng)
