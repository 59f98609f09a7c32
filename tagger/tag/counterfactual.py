"""Does the color tag change when the background is repainted? Turns correlation into cause, for the few that need it.

A map says where the evidence lies; only another picture can tell whether the answer depends on it. The color network
runs again on three repaints of the picture: two plain colors that differ most from its background, and its own
background without detail. Source of the idea: counterfactual backgrounds, Xiao et al. 2021 (Noise or Signal, ICLR).
"""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tagger.flags.reasons import audit_draws
from tagger.focus.repaint import blurred_backgrounds, plain_backgrounds, repainted

Array: TypeAlias = npt.NDArray[np.floating]
Pixels: TypeAlias = npt.NDArray[np.uint8]

CHECK_SHARE = 0.01
"""Share of all items that are repainted whatever their focus, so that the rate of flips among the others is known."""
_SALT = "background check"


@dataclass(frozen=True)
class Repainting:
    """flip: (B,) 1 where the answer changed on both plain colors, 0 where on none or one, NaN where not tried.

    probability_change: (B,) the tag's probability after, mean of the three repaints, minus before; NaN where not tried.
    """

    flip: Array
    probability_change: Array


def drawn_for_check(image_keys: Sequence[str], run_date: datetime.date) -> npt.NDArray[np.bool_]:
    """(N,): the random sample that is repainted; a run done again draws the same items."""
    return np.asarray(audit_draws([f"{_SALT}\0{key}" for key in image_keys], run_date) < CHECK_SHARE)


def repaint(
    pictures: Pixels,
    foreground: Array,
    probabilities: Array,
    chosen: npt.NDArray[np.bool_],
    ask: Callable[[Pixels], Array],
) -> Repainting:
    """Repaint the chosen pictures and ask the color network again.

    pictures: (B, H, W, 3) uint8. foreground: (B, H, W). probabilities: (B, C) before. chosen: (B,).
    ask: pictures (n, H, W, 3) -> calibrated probabilities (n, C).
    """
    flip, change = np.full(len(pictures), np.nan), np.full(len(pictures), np.nan)
    rows = np.flatnonzero(chosen & foreground.any(axis=(1, 2)))
    if len(rows):
        flip[rows], change[rows] = _asked(pictures[rows], foreground[rows], probabilities[rows], ask)
    return Repainting(flip, change)


def _asked(pictures: Pixels, foreground: Array, before: Array, ask: Callable[[Pixels], Array]) -> tuple[Array, Array]:
    backgrounds = [*plain_backgrounds(pictures, foreground), blurred_backgrounds(pictures, foreground)]
    after = np.stack([ask(repainted(pictures, foreground, behind)) for behind in backgrounds])
    answers = before.argmax(axis=1)
    changed = after.argmax(axis=2) != answers
    own = np.arange(len(pictures))
    change = after[:, own, answers].mean(axis=0) - before[own, answers]
    return changed[:2].all(axis=0).astype(np.float64), change
