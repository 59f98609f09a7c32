"""What determines a network's layers, apart from its class count; plain values, no Keras."""

from dataclasses import dataclass, replace
from typing import Literal

INPUT_PX = 128
"""Side of the square network input."""

Trunk = Literal["seed_cnn", "residual_pool_cnn"]


@dataclass(frozen=True)
class NetworkShape:
    """trunk: which convolutional trunk. width: factor on its filter counts. head: sizes of linear layers before the
    logits. size_px: side of the square input; None for a network that takes any side (training on small pictures)."""

    width: float = 1.0
    head: tuple[int, ...] = ()
    dropout: float = 0.25
    batch_norm_momentum: float = 0.99
    size_px: int | None = INPUT_PX
    trunk: Trunk = "seed_cnn"

    def of_any_side(self) -> "NetworkShape":
        """The same network for pictures of any side."""
        return replace(self, size_px=None)
