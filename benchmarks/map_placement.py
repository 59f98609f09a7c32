"""Do a bundle's maps lie where the network looked? A picture's map against the map of its mirror image, mirrored back.

Where maps are drawn d px too far to one side, the two lie 2 d apart. d is found as the displacement that makes them
most alike, over `calibrate` photos of the catalogue; 0 is right, negative too far left. One row a bundle and attribute.

python -m benchmarks.map_placement --model fashion-24x20 [MORE ...] [--data FOLDER] [--photos 192]
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from scipy.ndimage import shift

from benchmarks import scenes as sets
from benchmarks.focus_flags import loaded
from tagger.focus.measures import upsample

MOST_PX = 12


def mismatch(maps: np.ndarray, mirrored: np.ndarray, moved_px: int) -> float:
    """Mean absolute difference of two sets of maps (N, side, side) of mean 1, once both are moved to the right."""
    both = [shift(each, (0, 0, moved_px), order=1, mode="nearest") for each in (maps, mirrored)]
    left, right = both[0], both[1][:, :, ::-1]
    inside = slice(MOST_PX, -MOST_PX)
    return float(np.abs(left - right)[:, :, inside].mean())


def main() -> None:
    """Print the table."""
    options = sets.parser(__doc__)
    options.add_argument("--model", nargs="+", default=["fashion-24x20"], help="bundles: folders or names")
    options.add_argument("--photos", type=int, default=192)
    given = options.parse_args()
    pixels = sets.catalogue(given.data, "calibrate").pixels[: given.photos]
    print(f"{len(pixels)} photos; difference of maps of mean 1\n")
    print(
        "| bundle | attribute | displaced, px | difference as drawn | difference where moved back |\n"
        + "|---" * 5
        + "|"
    )
    for model in given.model:
        tagger = loaded(model)
        straight, mirrored = (tagger.maps(each) for each in (pixels, pixels[:, :, ::-1]))
        for attribute in ("type", "color"):
            maps = [upsample(each[attribute], pixels.shape[1]) for each in (straight, mirrored)]
            maps = [each / np.maximum(each.mean(axis=(1, 2), keepdims=True), 1e-9) for each in maps]
            found = {px: mismatch(*maps, px) for px in range(-MOST_PX, MOST_PX + 1)}
            best = min(found, key=found.__getitem__)
            name = f"{tagger.info.name} {tagger.info.version}"
            print(f"| {name} | {attribute} | {-best} | {found[0]:.3f} | {found[best]:.3f} |")


if __name__ == "__main__":
    main()
