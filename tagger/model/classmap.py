"""Exact class maps: the head folded into one matrix, and what each place adds to a class. Plain array arithmetic.

Source: class activation maps, Zhou et al. 2016 (arXiv 1512.04150), with the head's BatchNorm folded in, which the
paper's head does not have. With the fold, the mean over positions of `A V + c` *is* the logit, exactly.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

Array: TypeAlias = npt.NDArray[np.floating]
Cut = Literal["post_bn", "post_relu"]
Map = Literal["class", "contrast", "runner_up"]


@dataclass(frozen=True)
class FoldedHead:
    """A head as one linear map on the trunk's output A (B, h, w, K).

    weights:  (K, C) float32, V.
    constant: (C,) float32, c.
    shift:    (K,) float32, what the trunk's last BatchNorm adds at every position; 0 where the trunk has none.
    """

    weights: Array
    constant: Array
    shift: Array

    def logits(self, features: Array) -> Array:
        """(B, h, w, K) -> (B, C): the mean over positions of the logit map `A V + c`."""
        pooled = features.mean(axis=(1, 2), dtype=np.float64)
        return np.asarray(pooled @ self.weights + self.constant)


def fold_head(network: "keras.Model") -> FoldedHead:
    """V = diag(gamma / sqrt(var + eps)) W1 ... Wn and c = ((beta - gamma mu / sqrt(var + eps)) W1 + b1) ... + bn."""
    from tagger.model.network import head_layers  # Keras takes seconds to import: not for the arithmetic below

    norm, dense = head_layers(network)
    scale, offset = _affine(norm)
    weights, constant = np.diag(scale), offset
    for layer in dense:
        kernel, bias = (np.asarray(w, np.float64) for w in layer.get_weights())
        weights, constant = weights @ kernel, constant @ kernel + bias
    return FoldedHead(weights.astype(np.float32), constant.astype(np.float32), _trunk_shift(network))


def _affine(norm: "keras.layers.BatchNormalization") -> tuple[Array, Array]:
    gamma, beta, mean, variance = (np.asarray(w, np.float64) for w in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale, beta - scale * mean


def _trunk_shift(network: "keras.Model") -> Array:
    import keras

    from tagger.model.network import TRUNK

    last = network.get_layer(TRUNK).layers[-1]
    if isinstance(last, keras.layers.BatchNormalization):
        return np.asarray(_affine(last)[1], np.float32)
    return np.zeros(last.output.shape[-1], np.float32)


def logit_map(features: Array, head: FoldedHead, classes: npt.NDArray[np.integer]) -> Array:
    """M = A V + c of one class an item: (B, h, w, K), (B,) -> (B, h, w). Its mean over positions is the logit."""
    picked = head.constant[classes][:, None, None]
    return np.asarray(np.einsum("bhwk,kb->bhw", features, head.weights[:, classes]) + picked)


def evidence_map(features: Array, head: FoldedHead, classes: npt.NDArray[np.integer], cut: Cut) -> Array:
    """E = A V of one class an item: what each place adds to the logit, (B, h, w, K), (B,) -> (B, h, w), signed.

    Where the trunk ends in a BatchNorm, which adds a constant everywhere, E depends on where A is cut: `post_bn` takes
    A as the trunk returns it, `post_relu` before that BatchNorm (a dead position adds nothing). Both keep the identity,
    and are the same for a trunk that ends otherwise.
    """
    return _project(features, head, head.weights[:, classes], cut)


def contrast_map(features: Array, head: FoldedHead, logits: Array, classes: npt.NDArray[np.integer], cut: Cut) -> Array:
    """D = E_class - sum_j p_j E_j over the other classes: what decides between the class and the others, (B, h, w).

    p is the softmax over the other classes' uncalibrated logits (B, C), the class itself left out before it.
    """
    others = np.array(logits, np.float64)
    others[np.arange(len(others)), classes] = -np.inf
    p = np.exp(others - others.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    directions = head.weights[:, classes] - head.weights @ p.T.astype(np.float32)
    return _project(features, head, directions, cut)


def runner_up_map(
    features: Array, head: FoldedHead, logits: Array, classes: npt.NDArray[np.integer], cut: Cut
) -> Array:
    """D = E_class - E_second: what decides between the class and the most probable other one, (B, h, w)."""
    others = np.array(logits, np.float64)
    others[np.arange(len(others)), classes] = -np.inf
    return _project(features, head, head.weights[:, classes] - head.weights[:, others.argmax(axis=1)], cut)


def _project(features: Array, head: FoldedHead, directions: Array, cut: Cut) -> Array:
    """(B, h, w, K) on one direction an item, (K, B) -> (B, h, w)."""
    projected = np.einsum("bhwk,kb->bhw", features, directions)
    if cut == "post_relu":
        projected = projected - (head.shift @ directions)[:, None, None]
    return np.asarray(projected, np.float32)


def relevance(evidence: Array) -> Array:
    """R = max(E, 0) on the grid, before any up-sampling; GradCAM's map at the same layer up to a positive factor."""
    return np.maximum(evidence, 0)
