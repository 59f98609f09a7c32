"""`Tagger`: a bundle and pictures -> rows. No Ray, so that a test and a notebook can call it."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tagger.flags.color_distance import ColorReference, color_distance
from tagger.flags.reasons import Signals, Thresholds, audit_draws, excesses, review_reasons
from tagger.flags.risk import RiskModel, color_doubts, risk
from tagger.flags.scope import ScopeReference, scope_score
from tagger.model.bundle import NETWORK_FILES, BundleInfo, load_network, read_info
from tagger.model.calibrate import calibrated_probabilities
from tagger.storage import open_root
from tagger.tag.columns import answer_columns, focus_columns, map_columns, nullable
from tagger.tag.counterfactual import Repainting, drawn_for_check, repaint
from tagger.tag.observe import Evidence, Observation, Observer

Array: TypeAlias = npt.NDArray[np.floating]
Pixels: TypeAlias = npt.NDArray[np.uint8]


class Tagger:
    """Both networks of a bundle with everything needed to turn pictures into rows of the `tags` table."""

    def __init__(self, info: BundleInfo, networks: Mapping[str, Any]) -> None:
        self.info = info
        self.thresholds = Thresholds.from_dict(info.thresholds) if info.thresholds else Thresholds()
        self._observer = Observer(networks, info.focus_map, info.focus_cut)
        self._reference = ColorReference.from_dict(info.color_reference)
        self._scope = ScopeReference.from_dict(info.scope_reference)
        self.risk_model = RiskModel.from_dict(info.risk_model) if info.risk_model else None

    @classmethod
    def load(cls, bundle_uri: str) -> "Tagger":
        """The tagger of a bundle's folder, digests checked. BundleError or BadInput where it cannot serve."""
        root = open_root(bundle_uri)
        info = read_info(root)
        return cls(info, {attribute: load_network(root, info, attribute) for attribute in NETWORK_FILES})

    def observe(self, pixels: Pixels) -> Observation:
        """Networks, maps, masks and focus of pictures (B, 128, 128, 3) uint8."""
        return self._observer.observe(pixels)

    def maps(self, pixels: Pixels) -> dict[str, Array]:
        """Relevance (B, 8, 8) by name, to be shown: see `Observer.maps`."""
        return self._observer.maps(pixels)

    def probabilities(self, evidence: Evidence) -> dict[str, Array]:
        """Calibrated (B, C) of both attributes."""
        logits = {"type": evidence.type_logits, "color": evidence.color_logits}
        return {name: calibrated_probabilities(values, self.info.temperatures[name]) for name, values in logits.items()}

    def signals(self, evidence: Evidence, draws: Array) -> Signals:
        """What the review reasons are judged on; `draws` as from `audit_draws`."""
        probabilities = self.probabilities(evidence)
        colors = [self.info.classes["color"][c] for c in evidence.color_logits.argmax(axis=1)]
        return Signals(
            type_confidence=probabilities["type"].max(axis=1),
            color_confidence=probabilities["color"].max(axis=1),
            focus=evidence.focus,
            mask_quality=evidence.mask_quality,
            color_distance=color_distance(self._reference, evidence.dominant_rgb, colors),
            scope_score=scope_score(self._scope, evidence.type_logits, evidence.type_features),
            audit_draw=draws,
            cam_lift=evidence.cam_lift,
            map_agreement=evidence.map_agreement,
            **color_doubts(probabilities["color"], evidence.color_logits),
        )

    def tag(self, pixels: Pixels, image_keys: Sequence[str], run_date: datetime.date) -> dict[str, Any]:
        """The columns of `tags` that pictures determine, each of length B, and `logit_residual`, one number."""
        observation = self.observe(pixels)
        probabilities = self.probabilities(observation.evidence)
        signals = self.signals(observation.evidence, audit_draws(image_keys, run_date))
        chosen = self._suspect(signals) | drawn_for_check(image_keys, run_date)
        repainting = self.repaint(pixels, observation, probabilities["color"], chosen)
        signals = replace(signals, background_flip=repainting.flip)
        reasons = review_reasons(signals, self.thresholds)
        constant = {
            "audit_probability": self.thresholds.audit_share,
            "focus_map": f"{self.info.focus_map}/{self.info.focus_cut}",
            "model_name": self.info.name,
            "model_version": self.info.version,
            "engine": self._observer.engine.name,
        }
        return {
            **answer_columns(self.info.classes, probabilities),
            **focus_columns(observation),
            **map_columns(observation),
            "background_flip": [None if np.isnan(flip) else bool(flip) for flip in repainting.flip],
            "flip_probability_change": nullable(repainting.probability_change),
            "risk": risk(signals, self.thresholds, self.risk_model).tolist(),
            "review_reasons": reasons,
            "needs_review": [bool(each) for each in reasons],
            **{name: [value] * len(pixels) for name, value in constant.items()},
            "logit_residual": observation.logit_residual,
        }

    def repaint(
        self, pixels: Pixels, observation: Observation, probabilities: Array, chosen: npt.NDArray[np.bool_]
    ) -> Repainting:
        """Whether the color tag of the chosen pictures (B,) depends on the background.

        probabilities: of colors, (B, C). A picture whose mask is not believed is left out: half of its product might be
        repainted.
        """
        believed = observation.evidence.mask_quality >= (self.thresholds.mask_quality or 0.0)

        def ask(pictures: Pixels) -> Array:
            logits = self._observer.engine.color_logits(pictures)
            return calibrated_probabilities(logits, self.info.temperatures["color"])

        return repaint(pixels, observation.foreground, probabilities, chosen & believed, ask)

    def _suspect(self, signals: Signals) -> npt.NDArray[np.bool_]:
        return np.asarray(~np.isnan(excesses(signals, self.thresholds)["low_focus"]))
