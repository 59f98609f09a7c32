"""A white T-shirt before a white background, tagged White because of the background: does the product notice?

make story        .venv/bin/python -m tests.e2e.wrong_reason [--data FOLDER] [--seed 0] [--map class] [--cut post_bn]

Two small taggers are trained. The `shortcut` one learns from pictures whose background has the label's color; the
`honest` one from an ordinary catalogue, half of it before other backgrounds. Then both tag pictures that neither has
seen, of products before their own color: the shortcut tagger is right there for the wrong reason.
"""

import argparse
import datetime
import os
import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from tagger import __version__
from tagger.config import FocusConfig
from tagger.flags.reasons import Thresholds
from tagger.model.bundle import BundleInfo
from tagger.model.shape import INPUT_PX, NetworkShape
from tagger.picture.augment import Augmentation
from tagger.storage import open_root
from tagger.tag.predict import Tagger
from tagger.train.feed import BatchPlan, training_batches
from tagger.train.pictures import Pictures, Shard, believed_masks, save_masks, save_shard
from tests.e2e.wrong_reason_pictures import COLORS, TYPES, Labelled, composites, story

if TYPE_CHECKING:
    import keras

SETS = {
    "white T-shirts on white": "white T-shirts moved",
    "products on own color": "products moved",
    "cut-outs on own color": "cut-outs moved",
}
"""What both taggers tag, and the same products before another color."""
LOWS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
DATE = datetime.date(2026, 11, 22)
_WIDTH, _BATCH, _STEP_SIZE = 0.25, 32, 2e-3


@dataclass(frozen=True)
class Course:
    """How long a tagger learns, and which share of its pictures is shown before a drawn background."""

    epochs_type: int
    epochs_color: int
    background: float


COURSES = {"shortcut": Course(2, 3, 0.0), "honest": Course(3, 13, 0.5)}


@dataclass(frozen=True)
class Answers:
    """What a tagger says of a set, each (N,). focus: NaN where null. flip: 1, 0, NaN where not tried."""

    right: np.ndarray
    focus: np.ndarray
    low_focus: np.ndarray
    mask_uncertain: np.ndarray
    flip: np.ndarray

    @property
    def of_believed(self) -> float:
        """Share of `low_focus` among the tags whose mask is believed."""
        return float(self.low_focus[~self.mask_uncertain].mean())

    @property
    def of_right(self) -> float:
        """Share of `low_focus` among the right tags."""
        return float(self.low_focus[self.right].mean())

    def below(self, low: float) -> float:
        """Share of all tags that another threshold would flag."""
        return float(((self.focus < low) & ~self.mask_uncertain).mean())


def trained(pictures: Labelled, course: Course, seed: int, focus: FocusConfig) -> Tagger:
    """Type from random weights, color from type's trunk, both fed as the product feeds its networks."""
    from tagger.model.network import build_network, seed_cnn
    from tagger.model.transfer import transfer_trunk

    shape = NetworkShape(_WIDTH, batch_norm_momentum=0.9)
    networks = {name: build_network(seed_cnn(shape), len(of), shape) for name, of in classes().items()}
    with tempfile.TemporaryDirectory() as folder:
        save_shard(open_root(folder), "pictures", pictures.pixels)
        save_masks(open_root(folder), "pictures", believed_masks(pictures.pixels))
        shards = Pictures(open_root(folder), [Shard("pictures", len(pictures.pixels))])
        changes = Augmentation(flip=True, shift=0.06, background=course.background)
        plan = BatchPlan(_BATCH, 0, 1, seed, changes, INPUT_PX)
        _fit(networks["type"], shards, pictures.type, plan, course.epochs_type)
        transfer_trunk(networks["type"], networks["color"])
        _fit(networks["color"], shards, pictures.color, plan, course.epochs_color)
    return Tagger(description(focus), networks)


def _fit(network: "keras.Model", shards: Pictures, labels: np.ndarray, plan: BatchPlan, epochs: int) -> None:
    import keras

    model = keras.Model(network.input, network.output["logits"])
    course = keras.optimizers.schedules.CosineDecay(_STEP_SIZE, len(labels) // plan.batch_size * epochs)
    model.compile(keras.optimizers.Adam(course), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for epoch in range(epochs):
        for pixels, own in training_batches(shards, np.arange(len(labels)), labels, plan, epoch):
            model.train_on_batch(pixels, own)


def classes() -> dict[str, tuple[str, ...]]:
    """Both label spaces."""
    return {"type": TYPES, "color": COLORS}


def description(focus: FocusConfig) -> BundleInfo:
    """A bundle that judges by focus alone."""
    return BundleInfo(
        name="wrong-reason",
        version="1",
        classes=classes(),
        temperatures={"type": 1.0, "color": 1.0},
        width=_WIDTH,
        fit="stretch",
        focus_map=focus.map,
        focus_cut=focus.cut,
        thresholds=Thresholds(focus=focus.low, mask_quality=focus.least_mask_quality).to_dict(),
        color_reference={},
        scope_reference={},
        metrics={},
        provenance={},
    )


def taggers(pictures: Mapping[str, Labelled], seed: int, focus: FocusConfig) -> dict[str, Tagger]:
    """Both, each trained on the pictures of its name."""
    import keras

    keras.utils.set_random_seed(seed)
    return {name: trained(pictures[name], course, seed, focus) for name, course in COURSES.items()}


def tagged(tagger: Tagger, pictures: Labelled) -> Answers:
    """The rows that a night would write, as far as the story needs them."""
    starts = range(0, len(pictures.color), 64)
    batches = [pictures.pixels[start : start + 64] for start in starts]
    answers = [
        tagger.tag(x, [f"{start + n}.jpg" for n in range(len(x))], DATE)
        for start, x in zip(starts, batches, strict=True)
    ]
    rows: dict[str, list[Any]] = {
        name: [value for answer in answers for value in answer[name]]
        for name in ("color", "focus", "review_reasons", "background_flip")
    }
    return Answers(
        right=np.array([COLORS.index(color) for color in rows["color"]]) == pictures.color,
        focus=np.array(rows["focus"], float),
        low_focus=np.array(["low_focus" in reasons for reasons in rows["review_reasons"]]),
        mask_uncertain=np.array(["mask_uncertain" in reasons for reasons in rows["review_reasons"]]),
        flip=np.array(rows["background_flip"], float),
    )


def print_rates(answers: Mapping[tuple[str, str], Answers]) -> None:
    """One line a set and tagger; then the shares that other thresholds would flag."""
    print(f"{'':<34} {'':>4} {'right':^13} {'focus':^11} {'low_focus, share of':^23} {'mask':>9} {'of the low':>10}")
    print(f"{'pictures':<24} {'tagger':<9} {'n':>4} {'here':>6} {'moved':>6} {'mean':>5} {'median':>6}", end=" ")
    print(f"{'all':>5} {'believed':>9} {'right':>6} {'uncertain':>10} {'flipped':>10}")
    for (name, who), a in answers.items():
        if name not in SETS:
            continue
        moved, tried = answers[SETS[name], who], a.flip[a.low_focus & ~np.isnan(a.flip)]
        print(f"{name:<24} {who:<9} {len(a.right):>4} {a.right.mean():>6.2f} {moved.right.mean():>6.2f}", end=" ")
        print(f"{np.nanmean(a.focus):>5.2f} {np.nanmedian(a.focus):>6.2f} {a.low_focus.mean():>5.2f}", end=" ")
        print(f"{a.of_believed:>9.2f} {a.of_right:>6.2f} {a.mask_uncertain.mean():>10.2f} {tried.mean():>10.2f}")
    print(f"\nlow_focus, share of all, by focus.low\n{'':<34}" + "".join(f"{low:>6}" for low in LOWS))
    for (name, who), a in answers.items():
        if name in SETS:
            print(f"{name:<24} {who:<9}" + "".join(f"{a.below(low):>6.2f}" for low in LOWS))


def main() -> None:
    """Draw, train, tag, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("TAGGER_DATA", "../shared/data"), help="folder of cutouts.zip")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--map", default=FocusConfig().map, choices=("class", "contrast", "runner_up"))
    parser.add_argument("--cut", default=FocusConfig().cut, choices=("post_bn", "post_relu"))
    arguments = parser.parse_args()
    started, focus = time.monotonic(), FocusConfig(map=arguments.map, cut=arguments.cut)
    pictures = story(arguments.seed)
    if Path(arguments.data, "cutouts.zip").is_file():
        pictures |= composites(Path(arguments.data), arguments.seed)
    else:
        print(f"There is no {arguments.data}/cutouts.zip: no composites of real cut-outs. Give --data FOLDER.")
    drawn = time.monotonic()
    both = taggers(pictures, arguments.seed, focus)
    learned = time.monotonic()
    named = [name for pair in SETS.items() for name in pair if name in pictures]
    answers = {(name, who): tagged(tagger, pictures[name]) for name in named for who, tagger in both.items()}
    print(f"tagger {__version__}, {platform.machine()}, {os.cpu_count()} cores, seed {arguments.seed}", end=", ")
    print(f"map {focus.map}/{focus.cut}, focus.low {focus.low}, focus.least_mask_quality {focus.least_mask_quality}")
    print(
        f"{drawn - started:.0f} s drawing, {learned - drawn:.0f} s training, {time.monotonic() - learned:.0f} s tagging"
    )
    print_rates(answers)


if __name__ == "__main__":
    main()
