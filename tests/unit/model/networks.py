"""Tiny networks with random weights and random BatchNorm statistics, as training leaves them."""

import numpy as np

from tagger.model.network import build_network, shaped_trunk
from tagger.model.shape import NetworkShape

WIDTH = 0.05


def tiny_network(classes=5, head=(), seed=0, size_px=128, trunk="seed_cnn"):
    """A network at width 0.05 whose every weight, moving mean and variance is random."""
    shape = NetworkShape(WIDTH, head, size_px=size_px, trunk=trunk)
    network = build_network(shaped_trunk(shape), classes, shape)
    rng = np.random.default_rng(seed)
    for variable in network.weights:
        noise = rng.normal(size=variable.shape) * 0.3
        is_scale = variable.path.endswith(("variance", "gamma"))
        variable.assign(np.exp(noise) if is_scale else noise)
    return network


def random_pixels(count=3, size_px=128, seed=1):
    """Pictures of noise, (count, size_px, size_px, 3) uint8."""
    return np.random.default_rng(seed).integers(0, 256, (count, size_px, size_px, 3)).astype(np.uint8)


def answers(network, pixels):
    """Features and logits as arrays."""
    outputs = network(pixels, training=False)
    return np.asarray(outputs["features"]), np.asarray(outputs["logits"])
