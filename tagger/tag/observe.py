"""Pictures to what both networks, their maps and the masks say of them, before calibration and thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tagger.focus.mask import foreground_masks
from tagger.focus.measures import FocusMeasures, measure_focus
from tagger.focus.product import dominant_rgb, product_masks
from tagger.model.classmap import FoldedHead, contrast_map, evidence_map, fold_head, relevance, runner_up_map
from tagger.model.engine import NetworkOutput, TensorFlowEngine

Array: TypeAlias = npt.NDArray[np.floating]
Pixels: TypeAlias = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Evidence:
    """The small part of an observation, on which calibration, thresholds and metrics are fitted.

    type_logits, color_logits: (B, C). type_features: (B, K), the type trunk's output, mean over positions.
    focus, cam_on_product, cam_lift: (B,), NaN where undefined. product_area, mask_quality: (B,) in [0, 1].
    map_agreement: (B,) in [0, 1], the part that the type map and the color map have in common; NaN for a map of zeros.
    dominant_rgb: (B, 3), NaN without a product.
    """

    type_logits: Array
    color_logits: Array
    type_features: Array
    focus: Array
    cam_on_product: Array
    cam_lift: Array
    product_area: Array
    map_agreement: Array
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


class Observer:
    """Both networks behind one engine, their folded heads, and which map the focus number reads."""

    def __init__(self, networks: Mapping[str, Any], focus_map: str, focus_cut: Any) -> None:
        self.engine = TensorFlowEngine(networks)
        self._heads = {attribute: fold_head(network) for attribute, network in networks.items()}
        self._map, self._cut = focus_map, focus_cut

    def observe(self, pixels: Pixels) -> Observation:
        """Networks, maps, masks and focus of pictures (B, 128, 128, 3) uint8."""
        outputs = self.engine.run(pixels)
        foreground = foreground_masks(pixels)
        type_map = self._class_map("type", outputs["type"])
        product = product_masks(pixels, foreground.masks, type_map)
        color_map = self.color_map(outputs["color"])
        measures = measure_focus(color_map, product)
        evidence = Evidence(
            type_logits=outputs["type"].logits,
            color_logits=outputs["color"].logits,
            type_features=outputs["type"].features.mean(axis=(1, 2)),
            focus=measures.focus,
            cam_on_product=measures.cam_on_product,
            cam_lift=measures.cam_lift,
            product_area=measures.product_area,
            map_agreement=map_agreement(type_map, color_map),
            mask_quality=foreground.quality,
            dominant_rgb=dominant_rgb(pixels, product),
        )
        residual = max(_residual(outputs[attribute], head) for attribute, head in self._heads.items())
        return Observation(evidence, type_map, color_map, foreground.masks, product, measures, residual)

    def maps(self, pixels: Pixels) -> dict[str, Array]:
        """Relevance (B, 8, 8) of the predicted classes: "type", "color", and how the color compares with others.

        The last is the "runner_up" map where the focus number reads that one, else the "contrast" map.
        """
        outputs = self.engine.run(pixels)
        compared = "contrast" if self._map == "class" else self._map
        return {
            "type": self._class_map("type", outputs["type"]),
            "color": self._class_map("color", outputs["color"]),
            compared: self._compared_map(compared, outputs["color"]),
        }

    def color_map(self, output: NetworkOutput) -> Array:
        """The color map that the focus number reads, as the bundle says, (B, 8, 8), at least 0."""
        return self._class_map("color", output) if self._map == "class" else self._compared_map(self._map, output)

    def _class_map(self, attribute: str, output: NetworkOutput) -> Array:
        classes = output.logits.argmax(axis=1)
        return relevance(evidence_map(output.features, self._heads[attribute], classes, self._cut))

    def _compared_map(self, name: str, output: NetworkOutput) -> Array:
        make = {"contrast": contrast_map, "runner_up": runner_up_map}[name]
        classes = output.logits.argmax(axis=1)
        return relevance(make(output.features, self._heads["color"], output.logits, classes, self._cut))


def map_agreement(first: Array, second: Array) -> Array:
    """Histogram intersection of two relevance maps (B, h, w), each divided by its sum: (B,) in [0, 1].

    NaN for a map of zeros.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = [maps / maps.sum(axis=(1, 2), keepdims=True) for maps in (first, second)]
    return np.asarray(np.minimum(*shares).sum(axis=(1, 2)), np.float64)


def _residual(output: NetworkOutput, head: FoldedHead) -> float:
    return float(np.abs(head.logits(output.features) - output.logits).max(initial=0))
