"""How one item is colored: its cloth in the label's color, trims, seams and metal parts."""

from dataclasses import dataclass, replace

import numpy as np

from tagger.catalog.synth.palette import COLORS, sample_rgb, sample_vivid
from tagger.catalog.synth.sketch import Paint, plain, seam, toned

_METALLIC = {"Silver": "satin", "Gold": "satin"}
_METALS = ((196, 198, 202), (206, 168, 88), (120, 118, 116), (52, 50, 50))
_BOLD = ("stripes", "checks", "blocks", "prints")
_QUIET = ("pinstripes", "windowpane", "dots")


@dataclass(frozen=True)
class Look:
    """Paints of one item. `main` carries the label; `trim` is a second color; seams and metal are (3,) colors."""

    main: Paint
    trim: Paint
    seam: np.ndarray
    metal: np.ndarray

    @property
    def rgb(self) -> np.ndarray:
        """The main color, (3,) on the scale 0..255."""
        return self.main.rgb

    def tone(self, amount: float, material: str | None = None) -> Paint:
        """The main color lighter or darker, without its pattern."""
        return plain(toned(self.rgb, amount), material or self.main.material)

    def on(self, material: str) -> "Look":
        """The same look in another material; shining colors keep their sheen on cloth."""
        shiny = self.main.material == "satin" and material in ("cloth", "mesh", "suede")
        return self if shiny else replace(self, main=replace(self.main, material=material))


def sample_look(color: str, rng: np.random.Generator, patterned: float = 0.3) -> Look:
    """Draw the paints of an item with this color label; `patterned` is the chance of a quiet pattern on a plain color.

    A quiet pattern leaves the label's color the most of the cloth; `Multicolor` has no color that leads.
    """
    if color not in COLORS:
        raise KeyError(f"no such color: {color!r}; one of {', '.join(COLORS)}")
    if color == "Multicolor":
        main = _bold(rng)
    else:
        main = _quiet(color, rng) if rng.random() < patterned else plain(sample_rgb(color, rng))
        main = replace(main, material=_METALLIC.get(color, main.material))
    main = replace(main, seed=int(rng.integers(1 << 30)))
    metal = np.array(_METALS[rng.choice(4, p=[0.45, 0.3, 0.15, 0.1])], np.float64)
    return Look(main, plain(_trim_rgb(main.rgb, rng)), seam(main.rgb), metal)


def _bold(rng: np.random.Generator) -> Paint:
    kind = str(rng.choice(_BOLD))
    scale = {"stripes": rng.uniform(0.22, 0.5), "checks": rng.uniform(0.16, 0.34), "blocks": rng.uniform(0.3, 0.5)}
    angle = rng.choice([0.0, 0.0, np.pi / 2, rng.uniform(-0.8, 0.8)]) if kind in ("stripes", "checks") else 0.0
    colors = sample_vivid(int(rng.integers(4, 6)), rng)
    return Paint(colors, "cloth", kind, float(scale.get(kind, rng.uniform(0.7, 1.3))), float(angle))


def _quiet(color: str, rng: np.random.Generator) -> Paint:
    rgb = sample_rgb(color, rng)
    light = float(np.mean(rgb)) > 120
    second = (
        toned(rgb, -0.3 if light else 0.45) if rng.random() < 0.5 else sample_rgb("Black" if light else "White", rng)
    )
    kind = str(rng.choice(_QUIET))
    angle = float(rng.choice([0.0, np.pi / 2])) if kind == "pinstripes" else 0.0
    return Paint(np.stack([rgb, second]), "cloth", kind, float(rng.uniform(0.07, 0.18)), angle)


def _trim_rgb(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    roll = rng.random()
    if roll < 0.55:
        return toned(rgb, -0.25 if float(np.mean(rgb)) > 70 else 0.18)
    return sample_rgb(str(rng.choice(("White", "Black", "Red", "Navy Blue", "Yellow", "Grey"))), rng)
