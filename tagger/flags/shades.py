"""Which color names are neighbouring shades, so that taking one for the other is a small mistake.

The only place that says so: docs/evaluation.md shows the pairs and why they are these.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

NEIGHBOURS: tuple[tuple[str, str], ...] = (
    ("Blue", "Navy Blue"),
    ("Blue", "Turquoise"),
    ("Green", "Turquoise"),
    ("Green", "Olive"),
    ("Grey", "Silver"),
    ("White", "Cream"),
    ("Cream", "Beige"),
    ("Beige", "Gold"),
    ("Red", "Maroon"),
    ("Red", "Orange"),
    # Names of finer label spaces.
    ("Black", "Charcoal"),
    ("Grey", "Charcoal"),
    ("White", "Off White"),
    ("Cream", "Off White"),
    ("Beige", "Khaki"),
    ("Olive", "Khaki"),
    ("Beige", "Tan"),
    ("Brown", "Tan"),
    ("Blue", "Teal"),
    ("Green", "Teal"),
    ("Turquoise", "Teal"),
    ("Red", "Burgundy"),
    ("Maroon", "Burgundy"),
    ("Yellow", "Mustard"),
    ("Orange", "Peach"),
    ("Pink", "Peach"),
    ("Pink", "Magenta"),
    ("Purple", "Magenta"),
    ("Purple", "Lavender"),
    ("Brown", "Bronze"),
    ("Brown", "Copper"),
)
"""Unordered pairs of names, case ignored. Not transitive: White and Cream, Cream and Beige, but not White and Beige."""

_PAIRS = frozenset(frozenset(name.casefold() for name in pair) for pair in NEIGHBOURS)


def tolerated(classes: Sequence[str]) -> npt.NDArray[np.bool_]:
    """(K, K) bool, symmetric: whether two classes are the same or neighbouring shades.

    classes: K names of any label space; a name that no pair holds tolerates only itself.
    """
    names = [name.casefold() for name in classes]
    near = [[first == second or frozenset((first, second)) in _PAIRS for second in names] for first in names]
    return np.array(near, dtype=bool).reshape(len(names), len(names))


def shade_tolerant_accuracy(
    classes: Sequence[str], predicted: npt.NDArray[np.integer], labels: npt.NDArray[np.integer]
) -> float:
    """Share of items whose predicted color is the label or a neighbouring shade of it, in [0, 1]; NaN where N is 0.

    predicted, labels: (N,) int, places in `classes`.
    """
    return float(tolerated(classes)[labels, predicted].mean()) if len(labels) else float("nan")
