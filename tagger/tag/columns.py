"""Observations to the columns of `tags` that pictures determine; what is undefined is null."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tagger.tag.observe import Observation

Array: TypeAlias = npt.NDArray[np.floating]

_MASK_CELLS = 32
_TOP = 3


def answer_columns(classes: Mapping[str, Sequence[str]], probabilities: Mapping[str, Array]) -> dict[str, Any]:
    """Predicted labels, calibrated confidences and the three most probable, by attribute; probabilities: (B, C)."""
    columns: dict[str, Any] = {}
    for attribute, values in probabilities.items():
        names = classes[attribute]
        order = np.argsort(-values, axis=1, kind="stable")[:, :_TOP]
        columns[attribute] = [names[row[0]] for row in order]
        columns[f"{attribute}_confidence"] = values.max(axis=1).tolist()
        columns[f"{attribute}_top3"] = [
            [{"label": names[c], "p": float(p[c])} for c in row] for row, p in zip(order, values, strict=True)
        ]
    return columns


def nullable(values: npt.NDArray[Any]) -> list[float | None]:
    """Numbers of a column, NaN as null."""
    return [None if np.isnan(value) else float(value) for value in values]


def focus_columns(observation: Observation) -> dict[str, Any]:
    """Where the color evidence lies, and how good the mask is."""
    measures = observation.measures
    defined = ~np.isnan(measures.cam_on_product)
    return {
        "cam_on_product": nullable(measures.cam_on_product),
        "focus": nullable(measures.focus),
        "cam_lift": nullable(measures.cam_lift),
        "product_area": measures.product_area.tolist(),
        "pointing_hit": [bool(hit) if ok else None for hit, ok in zip(measures.pointing_hit, defined, strict=True)],
        "focus_null_reason": measures.null_reason,
        "foreground_area": observation.foreground.mean(axis=(1, 2)).tolist(),
        "mask_quality": observation.evidence.mask_quality.tolist(),
    }


def map_columns(observation: Observation) -> dict[str, Any]:
    """The bytes from which every overlay can be drawn, and the product's color."""
    rgb = observation.evidence.dominant_rgb
    return {
        "dominant_rgb": [None if np.isnan(c).any() else [round(v) for v in c.tolist()] for c in rgb],
        "color_cam": [pack_map(grid) for grid in observation.color_map],
        "type_cam": [pack_map(grid) for grid in observation.type_map],
        "product_mask": [pack_mask(mask) for mask in observation.product],
    }


def pack_map(grid: Array) -> bytes | None:
    """A relevance map (h, w) as h * w bytes, 255 at its maximum; None for a map of zeros."""
    peak = float(grid.max())
    return np.rint(grid / peak * 255).astype(np.uint8).tobytes() if peak > 0 else None


def pack_mask(mask: Array) -> bytes:
    """A mask (H, W) in [0, 1] as 32x32 bits, row by row: a bit is set where at least half of its cell is product."""
    cell = mask.shape[0] // _MASK_CELLS
    cells = mask.reshape(_MASK_CELLS, cell, _MASK_CELLS, cell).mean(axis=(1, 3))
    return np.packbits(cells >= 0.5).tobytes()
