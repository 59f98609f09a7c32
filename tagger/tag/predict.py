"""`Tagger`: a bundle and pictures -> rows. No Ray, so that a test and a notebook can call it."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tagger.flags.color_distance import ColorReference, color_distance
from tagger.flags.reasons import Signals, Thresholds, audit_draws, review_reasons
from tagger.flags.risk import risk
from tagger.focus.mask import dominant_rgb, foreground_masks, product_masks
from tagger.focus.measures import FocusMeasures, measure_focus
from tagger.model.bundle import NETWORK_FILES, BundleInfo, load_network, read_info
from tagger.model.calibrate import calibrated_probabilities
from tagger.model.classmap import FoldedHead, contrast_map, evidence_map, fold_head, relevance
from tagger.model.engine import NetworkOutput, TensorFlowEngine
from tagger.storage import open_root

Array: TypeAlias = npt.NDArray[np.floating]
Pixels: TypeAlias = npt.NDArray[np.uint8]

_MASK_CELLS = 32
_TOP = 3


@dataclass(frozen=True)
class Evidence:
    """The small part of an observation, on which calibration, thresholds and metrics are fitted.

    type_logits, color_logits: (B, C). focus, cam_on_product: (B,), NaN where undefined. mask_quality: (B,).
    dominant_rgb: (B, 3), NaN without a product.
    """

    type_logits: Array
    color_logits: Array
    focus: Array
    cam_on_product: Array
    mask_quality: Array
    dominant_rgb: Array


@dataclass(frozen=True)
class Observation:
    """What both networks and the masks say of a batch, before calibration and thresholds.

    type_map, color_map: (B, 8, 8) relevance, at least 0, of the predicted classes. foreground, product: (B, 128, 128)
    in [0, 1]. measures: of the configured color map. logit_residual: largest |logit - mean of its map|.
    """

    evidence: Evidence
    type_map: Array
    color_map: Array
    foreground: Array
    product: Array
    measures: FocusMeasures
    logit_residual: float


class Tagger:
    """Both networks of a bundle with everything needed to turn pictures into rows of the `tags` table."""

    def __init__(self, info: BundleInfo, networks: Mapping[str, Any]) -> None:
        self.info = info
        self.thresholds = Thresholds.from_dict(info.thresholds) if info.thresholds else Thresholds()
        self._engine = TensorFlowEngine(networks)
        self._heads = {attribute: fold_head(network) for attribute, network in networks.items()}
        self._reference = ColorReference.from_dict(info.color_reference)

    @classmethod
    def load(cls, bundle_uri: str) -> "Tagger":
        """The tagger of a bundle's folder, digests checked. BundleError or BadInput where it cannot serve."""
        root = open_root(bundle_uri)
        info = read_info(root)
        return cls(info, {attribute: load_network(root, info, attribute) for attribute in NETWORK_FILES})

    def observe(self, pixels: Pixels) -> Observation:
        """Networks, maps, masks and focus of pictures (B, 128, 128, 3) uint8."""
        outputs = self._engine.run(pixels)
        foreground = foreground_masks(pixels)
        type_map = self._class_map("type", outputs["type"])
        product = product_masks(foreground.masks, type_map)
        color_map = self.color_map(outputs["color"])
        measures = measure_focus(color_map, product)
        evidence = Evidence(
            outputs["type"].logits,
            outputs["color"].logits,
            measures.focus,
            measures.cam_on_product,
            foreground.quality,
            dominant_rgb(pixels, product),
        )
        residual = max(_residual(outputs[attribute], head) for attribute, head in self._heads.items())
        return Observation(evidence, type_map, color_map, foreground.masks, product, measures, residual)

    def maps(self, pixels: Pixels) -> dict[str, Array]:
        """Relevance (B, 8, 8) of the predicted classes: "type", "color", and the color "contrast" map."""
        outputs = self._engine.run(pixels)
        return {
            "type": self._class_map("type", outputs["type"]),
            "color": self._class_map("color", outputs["color"]),
            "contrast": self._contrast_map(outputs["color"]),
        }

    def color_map(self, output: NetworkOutput) -> Array:
        """The color map that the focus number reads, as the bundle says: class or contrast, (B, 8, 8), at least 0."""
        return self._contrast_map(output) if self.info.focus_map == "contrast" else self._class_map("color", output)

    def _class_map(self, attribute: str, output: NetworkOutput) -> Array:
        classes = output.logits.argmax(axis=1)
        return relevance(evidence_map(output.features, self._heads[attribute], classes, self._cut))

    def _contrast_map(self, output: NetworkOutput) -> Array:
        classes = output.logits.argmax(axis=1)
        return relevance(contrast_map(output.features, self._heads["color"], output.logits, classes, self._cut))

    @property
    def _cut(self) -> Any:
        return self.info.focus_cut

    def probabilities(self, evidence: Evidence) -> dict[str, Array]:
        """Calibrated (B, C) of both attributes."""
        logits = {"type": evidence.type_logits, "color": evidence.color_logits}
        return {name: calibrated_probabilities(values, self.info.temperatures[name]) for name, values in logits.items()}

    def signals(self, evidence: Evidence, draws: Array) -> Signals:
        """What the review reasons are judged on; `draws` as from `audit_draws`."""
        probabilities = self.probabilities(evidence)
        colors = [self.info.classes["color"][c] for c in evidence.color_logits.argmax(axis=1)]
        return Signals(
            probabilities["type"].max(axis=1),
            probabilities["color"].max(axis=1),
            evidence.focus,
            evidence.mask_quality,
            color_distance(self._reference, evidence.dominant_rgb, colors),
            scope_score(evidence.type_logits, self.info.scope_reference),
            draws,
        )

    def tag(self, pixels: Pixels, image_keys: Sequence[str], run_date: datetime.date) -> dict[str, Any]:
        """The columns of `tags` that pictures determine, each of length B, and `logit_residual`, one number."""
        observation = self.observe(pixels)
        signals = self.signals(observation.evidence, audit_draws(image_keys, run_date))
        reasons = review_reasons(signals, self.thresholds)
        constant = {
            "audit_probability": self.thresholds.audit_share,
            "focus_map": f"{self.info.focus_map}/{self.info.focus_cut}",
            "model_name": self.info.name,
            "model_version": self.info.version,
            "engine": self._engine.name,
            "background_flip": None,
            "flip_probability_change": None,
        }
        return {
            **self._answer_columns(self.probabilities(observation.evidence)),
            **_focus_columns(observation),
            **_map_columns(observation),
            "risk": risk(signals, self.thresholds).tolist(),
            "review_reasons": reasons,
            "needs_review": [bool(each) for each in reasons],
            **{name: [value] * len(pixels) for name, value in constant.items()},
            "logit_residual": observation.logit_residual,
        }

    def _answer_columns(self, probabilities: Mapping[str, Array]) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for attribute, values in probabilities.items():
            names = self.info.classes[attribute]
            order = np.argsort(-values, axis=1, kind="stable")[:, :_TOP]
            columns[attribute] = [names[row[0]] for row in order]
            columns[f"{attribute}_confidence"] = values.max(axis=1).tolist()
            columns[f"{attribute}_top3"] = [
                [{"label": names[c], "p": float(p[c])} for c in row] for row, p in zip(order, values, strict=True)
            ]
        return columns


def scope_score(type_logits: Array, reference: Mapping[str, float]) -> Array:
    """How far a picture's energy lies below that of ordinary items, in their standard deviations, (B,); NaN unfitted.

    Energy is the log-sum-exp of the type logits, low for the never seen (Liu et al. 2020, arXiv 2010.03759).
    """
    if not reference:
        return np.full(len(type_logits), np.nan)
    return np.asarray((reference["mean"] - energy(type_logits)) / reference["deviation"])


def energy(logits: Array) -> Array:
    """Log-sum-exp over classes, (B, C) -> (B,)."""
    peak = logits.max(axis=1)
    return np.asarray(peak + np.log(np.exp(logits - peak[:, None]).sum(axis=1)), np.float64)


def _residual(output: NetworkOutput, head: FoldedHead) -> float:
    return float(np.abs(head.logits(output.features) - output.logits).max(initial=0))


def _nullable(values: npt.NDArray[Any]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _focus_columns(observation: Observation) -> dict[str, Any]:
    measures = observation.measures
    defined = ~np.isnan(measures.cam_on_product)
    return {
        "cam_on_product": _nullable(measures.cam_on_product),
        "focus": _nullable(measures.focus),
        "cam_lift": _nullable(measures.cam_lift),
        "product_area": measures.product_area.tolist(),
        "pointing_hit": [bool(hit) if ok else None for hit, ok in zip(measures.pointing_hit, defined, strict=True)],
        "focus_null_reason": measures.null_reason,
        "foreground_area": observation.foreground.mean(axis=(1, 2)).tolist(),
        "mask_quality": observation.evidence.mask_quality.tolist(),
    }


def _map_columns(observation: Observation) -> dict[str, Any]:
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
