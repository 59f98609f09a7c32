"""The torch side of benchmarks.training: `seed_cnn` in PyTorch, Adam, channels last. Runs under any Python with torch.

Layers as in tagger/model/network.py: five blocks Conv 3x3, ReLU, BatchNorm, pooling after the first four; mean over the
places, Dropout 0.25, BatchNorm, one linear layer. BatchNorm's momentum counts the other way round in PyTorch.
"""

import json
import sys

import torch
from torch import nn

from benchmarks.training_turns import repeated, serve

FILTERS = (64, 128, 128, 256, 256)
CLASSES, DROPOUT, MOMENTUM, STEP_SIZE = 24, 0.25, 0.01, 5e-4


def network(width: float) -> nn.Sequential:
    """(B, 3, H, W) in [0, 1] -> (B, CLASSES)."""
    layers, before = [], 3
    for block, wide in enumerate(FILTERS):
        filters = max(1, round(wide * width))
        layers += [nn.Conv2d(before, filters, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(filters, 1e-3, MOMENTUM)]
        layers += [nn.MaxPool2d(2)] if block < len(FILTERS) - 1 else []
        before = filters
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(DROPOUT), nn.BatchNorm1d(before, 1e-3, MOMENTUM)]
    return nn.Sequential(*layers, *head, nn.Linear(before, CLASSES))


def main() -> None:
    """address, then {"width", "batch", "threads", "side"} as JSON."""
    address, options = sys.argv[1], json.loads(sys.argv[2])
    torch.set_num_threads(options["threads"])
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = network(options["width"]).to(device).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), STEP_SIZE)
    shape = (options["batch"], options["side"], options["side"], 3)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8)
    labels = torch.randint(0, CLASSES, shape[:1]).to(device)

    def step() -> torch.Tensor:
        # A view of the (B, H, W, 3) bytes is channels last already.
        inputs = pixels.to(device).permute(0, 3, 1, 2).float() / 255
        loss = nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    weights = sum(each.numel() for each in model.parameters())
    serve(address, {"train": repeated(step, options["batch"], parameters=weights, version=torch.__version__)})


if __name__ == "__main__":
    main()
