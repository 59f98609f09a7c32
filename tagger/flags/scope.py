"""How unlike the trained types a picture is: the type network's energy and its features' distance, in one number."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tagger.errors import BadInput, BundleError

# Directions of the features' spread that are kept, and the reference items that each of them needs: more would describe
# the reference items rather than their kind. 32 also keep a reference of full width (256 features) small.
MOST_DIRECTIONS = 32
ITEMS_A_DIRECTION = 16
# Stands for no spread at all, which only a network without a signal has.
_LEAST = 1e-6


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of a quantity over the reference items."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Scale":
        """Of (N,) values; the deviation is never 0."""
        return cls(float(values.mean()), float(max(values.std(), _LEAST)))

    def standardised(self, values: np.ndarray) -> np.ndarray:
        """(N,) float64 in standard deviations above the mean."""
        return np.asarray((np.asarray(values, np.float64) - self.mean) / self.deviation)


@dataclass(frozen=True, eq=False)
class Cloud:
    """A normal distribution in the space of the type network's pooled features.

    center: (K,) float32. variance: in a direction that is not listed. axes: (K, r) float32, r <= MOST_DIRECTIONS, the
    directions in which the reference items differ most, each as long as sqrt(1 / variance - 1 / its own variance): the
    precision matrix is I / variance - axes axes^T.
    """

    center: np.ndarray
    axes: np.ndarray
    variance: float

    def distance(self, features: np.ndarray) -> np.ndarray:
        """(N, K) -> (N,) float64, at least 0: Mahalanobis distance from the center."""
        gap = np.asarray(features, np.float64) - self.center
        squares = (gap**2).sum(axis=1) / self.variance - ((gap @ self.axes) ** 2).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(squares, 0.0)))


@dataclass(frozen=True)
class ScopeReference:
    """What `scope_score` compares with; kept in the bundle.

    energy: of the negative energy. distance: of the distance from the cloud. both: of the sum of the two, each in its
    own standard deviations. Without a cloud the energy alone is judged; an energy scale of NaN gives NaN.
    """

    energy: Scale
    distance: Scale | None = None
    both: Scale | None = None
    cloud: Cloud | None = None

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, under 60 KB for 256 features; the inverse of `from_dict`."""
        if np.isnan(self.energy.mean):
            return {}
        if self.distance is None or self.both is None or self.cloud is None:
            return {"mean": -self.energy.mean, "deviation": self.energy.deviation}
        scales = {name: asdict(scale) for name, scale in (("energy", self.energy), ("distance", self.distance))}
        arrays = {"center": _packed(self.cloud.center), "axes": _packed(self.cloud.axes)}
        return {**scales, "both": asdict(self.both), **arrays, "variance": self.cloud.variance}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ScopeReference":
        """Also reads `{mean, deviation}` of the energy, as earlier bundles have it, and `{}`, which scores NaN.

        BundleError where the data is damaged.
        """
        if not data:
            return cls(Scale(np.nan, np.nan))
        try:
            if set(data) == {"mean", "deviation"}:
                return cls(_checked(Scale(-float(data["mean"]), float(data["deviation"]))))
            energy, distance, both = (_checked(Scale(**data[name])) for name in ("energy", "distance", "both"))
            cloud = Cloud(_unpacked(data["center"]), _unpacked(data["axes"]), float(data["variance"]))
            if not cloud.variance > 0 or cloud.axes.ndim != 2 or cloud.center.shape != cloud.axes.shape[:1]:
                raise ValueError(f"center {cloud.center.shape}, axes {cloud.axes.shape}, variance {cloud.variance}")
            return cls(energy, distance, both, cloud)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise BundleError(f"The bundle's scope reference is damaged: {error!r}. Train the bundle again.") from error


def fit_scope_reference(type_logits: np.ndarray, type_features: np.ndarray) -> ScopeReference:
    """The reference of items that all show a trained type, best a thousand or more; their labels are not needed.

    type_logits: (N, C). type_features: (N, K), the type network's trunk output averaged over positions. The items must
    be others than those on which a threshold is then chosen: a reference finds its own items nearer than it would find
    them as strangers. BadInput where there is no item.
    """
    if len(type_logits) == 0:
        raise BadInput("There is no item to fit the scope reference on. Label more items for the role select.")
    cloud = _fit_cloud(np.asarray(type_features, np.float64))
    strangeness, distances = -energy(type_logits), cloud.distance(type_features)
    scales = Scale.of(strangeness), Scale.of(distances)
    both = Scale.of(scales[0].standardised(strangeness) + scales[1].standardised(distances))
    return ScopeReference(*scales, both, cloud)


def scope_score(reference: ScopeReference, type_logits: np.ndarray, type_features: np.ndarray) -> np.ndarray:
    """How unlike the trained types pictures are, (N,) float64, higher is less like them.

    type_logits, type_features: as in `fit_scope_reference`. The unit is the standard deviation of the reference items,
    whose mean is at 0. The score adds what the network concludes, its negative energy (Liu et al. 2020, arXiv
    2010.03759), and what it sees, the Mahalanobis distance of its features (Lee et al. 2018, arXiv 1807.03888; one
    cloud for all types serves as well as one each) under a covariance of 32 directions and a remainder that is alike in
    all others (Tipping and Bishop 1999). Each misses pictures that the other finds. It says "unlike the reference
    items", which a studio new to the network also is, and a type that looks like a trained one is not. NaN where the
    reference is not fitted or a value is NaN.
    """
    strangeness = reference.energy.standardised(-energy(type_logits))
    if reference.distance is None or reference.both is None or reference.cloud is None:
        return strangeness
    farness = reference.distance.standardised(reference.cloud.distance(type_features))
    return reference.both.standardised(strangeness + farness)


def energy(logits: np.ndarray) -> np.ndarray:
    """Log-sum-exp over classes, (N, C) -> (N,) float64; the negative of Liu et al.'s energy, low for the never seen."""
    exact = np.asarray(logits, np.float64)
    peak = exact.max(axis=1)
    return np.asarray(peak + np.log(np.exp(exact - peak[:, None]).sum(axis=1)))


def _fit_cloud(features: np.ndarray) -> Cloud:
    center = features.mean(axis=0).astype(np.float32)
    gap = features - center
    variances, directions = np.linalg.eigh(gap.T @ gap / len(features))
    rest = len(variances) - min(MOST_DIRECTIONS, len(variances) // 2, len(features) // ITEMS_A_DIRECTION)
    variance = max(float(variances[:rest].mean()), _LEAST)
    lengths = np.sqrt(np.maximum(1 / variance - 1 / np.maximum(variances[rest:], _LEAST), 0.0))
    return Cloud(center, (directions[:, rest:] * lengths).astype(np.float32), variance)


def _checked(scale: Scale) -> Scale:
    if not (np.isfinite(scale.mean) and scale.deviation > 0):
        raise ValueError(f"{scale}")
    return scale


def _packed(array: np.ndarray) -> dict[str, Any]:
    """Little-endian float32 as base64: as decimals, one a line, the arrays would take six times the room."""
    return {"shape": list(array.shape), "float32": base64.b64encode(array.astype("<f4").tobytes()).decode()}


def _unpacked(data: Mapping[str, Any]) -> np.ndarray:
    flat = np.frombuffer(base64.b64decode(data["float32"], validate=True), "<f4")
    array = flat.reshape(data["shape"]).astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError("not all numbers are finite")
    return array
