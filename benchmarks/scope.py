"""Which number tells that a picture shows none of the trained types? Candidates side by side, on three type networks.

.venv/bin/python -m benchmarks.scope --data FOLDER --work FOLDER [--model fashion-24x20]

In scope are the catalogue's pictures: a score is fitted on the role `select`, its thresholds let 97 % and 98 % of
`calibrate` pass, and `report` says what they flag of the in-scope. Out of scope are, for the bundle, garments of no
trained type (originals.zip, type Other), things of no trained type on white (cutouts.zip, by name), and the pictures of
bad-images.zip that decode, but for those made from street photos of people (`generated`, `odd-names`) and near
duplicates (a perceptual hash within 6 of 64 bits); and, for two networks of a quarter of the width that are trained
here without four of the types, these types' pictures that are not in `fit`. A training takes five minutes on two idle
cores; pictures and weights are kept in --work. A cell says: AUROC against `report`, the share in % beyond the 97 %
threshold with its 95 % interval (bootstrap by near-duplicate group), the share beyond the 98 % threshold.
"""

import argparse
import csv
import io
import os
import platform
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd

from benchmarks.scope_scores import BEFORE, DEFAULT, Seen, fitted_scores, item_weights, product_score, ranked
from tagger import __version__
from tagger.catalog.split import assign_roles
from tagger.focus.mask import foreground_masks
from tagger.model.bundle import NETWORK_FILES, find_bundle, load_network, read_info
from tagger.model.classmap import evidence_map, fold_head, relevance
from tagger.model.network import build_network, seed_cnn
from tagger.model.shape import NetworkShape
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits
from tagger.picture.fit import Fit

LEFT_OUT = (("Watch", "Handbag", "Kurta", "Sandals"), ("Belt", "Jeans", "Sunglasses", "Backpack"))
SHAPE = NetworkShape(width=0.25, batch_norm_momentum=0.9)
EPOCHS, BATCH, RATE = 8, 64, 2e-3
NO_TYPE = "a-nau|danielgatis|seriksk1|Jahid|neelm|notebook|drink|beanie|cushion|digital|book|gift|mug|neck-warmer"
"""In the names of the cut-outs that show none of the 24 types: furniture, cars, boxes, drinks, a toy, headwear."""
FROM_PEOPLE = ("generated/", "odd-names/")
SECOND_STEP = 3  # of the second catalogue's 3,173 pictures every third
RIVALS = (BEFORE, "Mahalanobis, one cloud", "ViM (32 directions)", "energy + Mahalanobis, nearest type")


@dataclass(frozen=True)
class Labelled:
    """table: with the columns of labels.csv, and `role` for the catalogue. pixels: (N, 128, 128, 3) uint8."""

    table: pd.DataFrame
    pixels: np.ndarray


@dataclass(frozen=True)
class Study:
    """What a type network says of select, calibrate and report, and of sets that are out of scope.

    labels: class numbers of the items of select.
    """

    labels: np.ndarray
    roles: Mapping[str, Seen]
    outside: Mapping[str, Seen]


def decoded(archive: Path, names: Sequence[str]) -> list[DecodedPhoto]:
    """The pictures of an archive's files; what is rejected is left out."""
    with zipfile.ZipFile(archive) as file, DecodeChildren(2, Fit("stretch"), DecodeLimits()) as children:
        answers = children.decode([file.read(name) for name in names])
    return [answer for answer in answers if isinstance(answer, DecodedPhoto)]


def kept(path: Path, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array in a file, made first where there is none."""
    if not path.exists():
        np.save(path, make())
    return np.asarray(np.load(path))


def labelled(data: Path, work: Path, archive: str, labels: str = "labels.csv") -> Labelled:
    """A zip's table and pictures, all of which decode."""
    with zipfile.ZipFile(data / archive) as file:
        table = pd.read_csv(io.BytesIO(file.read(labels)))
    names = list(table["image_key" if "image_key" in table else "photo"])
    pixels = kept(work / f"{archive}.npy", lambda: np.stack([p.pixels for p in decoded(data / archive, names)]))
    assert len(pixels) == len(table)
    return Labelled(table, pixels)


def odd_pictures(data: Path) -> np.ndarray:
    """Pictures of no product among the bad images, near duplicates left out."""
    with (data / "bad-images.manifest.csv").open(encoding="utf-8", newline="") as manifest:
        names = [row["file"] for row in csv.DictReader(manifest)]
    names = [name for name in names if "/" in name and not name.startswith(FROM_PEOPLE)]
    hashes, pixels = np.empty(0, np.uint64), []
    for photo in decoded(data / "bad-images.zip", names):
        own = np.int64(photo.phash).astype(np.uint64)
        if not (np.bitwise_count(hashes ^ own) <= 6).any():
            hashes = np.append(hashes, own)
            pixels.append(photo.pixels)
    return np.stack(pixels)


def trained(weights: Path, pixels: np.ndarray, labels: np.ndarray) -> keras.Model:
    """A type network of SHAPE, half of the pictures mirrored; its weights are read where the file is there."""
    classes = int(labels.max()) + 1
    keras.utils.set_random_seed(0)
    network = build_network(seed_cnn(SHAPE), classes, SHAPE)
    if weights.exists():
        network.load_weights(weights)
        return network
    model, steps = keras.Model(network.input, network.output["logits"]), len(labels) // BATCH
    rate = keras.optimizers.schedules.CosineDecay(RATE, steps * EPOCHS)
    model.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for epoch in range(EPOCHS):
        rng = np.random.default_rng([0, epoch])
        for rows in np.split(rng.permutation(len(labels))[: steps * BATCH], steps):
            batch, mirrored = pixels[rows], rng.random(BATCH) < 0.5
            batch[mirrored] = batch[mirrored][:, :, ::-1]
            model.train_on_batch(batch, labels[rows])
    network.save_weights(weights)
    return network


def seen(networks: Mapping[str, keras.Model], pixels: np.ndarray, group: np.ndarray | None = None) -> Seen:
    """The networks' answers to pictures, each a group of its own where no groups are given."""
    heads, parts = {name: fold_head(network) for name, network in networks.items()}, []
    for start in range(0, len(pixels), BATCH):
        batch = pixels[start : start + BATCH]
        out = {
            n: {k: keras.ops.convert_to_numpy(v) for k, v in net(batch, training=False).items()}
            for n, net in networks.items()
        }
        part = [out["type"]["logits"], out["type"]["features"].mean(axis=(1, 2))]
        if "color" in out:
            part += [out["color"]["logits"], agreement(out, heads), foreground_masks(batch).masks.mean(axis=(1, 2))]
        parts.append(part)
    logits, features, *rest = (np.concatenate(column).astype(np.float64) for column in zip(*parts, strict=True))
    return Seen(logits, features, np.arange(len(pixels)) if group is None else group, *rest)


def agreement(out: Mapping[str, Mapping[str, np.ndarray]], heads: Mapping[str, object]) -> np.ndarray:
    """Histogram intersection of both networks' class maps, (B,) in [0, 1]."""
    shares = []
    for name, output in out.items():
        grid = relevance(evidence_map(output["features"], heads[name], output["logits"].argmax(axis=1), "post_bn"))
        shares.append(grid / np.maximum(grid.sum(axis=(1, 2), keepdims=True), 1e-9))
    return np.minimum(*shares).sum(axis=(1, 2))


def study(
    networks: Mapping[str, keras.Model], types: Sequence[str], catalogue: Labelled, outside: Mapping[str, np.ndarray]
) -> Study:
    """Run the networks over the roles and the sets."""
    table, roles = catalogue.table, {}
    numbers = table["type"].map({name: number for number, name in enumerate(types)})
    for role in ("select", "calibrate", "report"):
        rows = np.flatnonzero((table["role"] == role) & numbers.notna())
        roles[role] = seen(networks, catalogue.pixels[rows], table["group"].to_numpy()[rows])
    labels = numbers[(table["role"] == "select") & numbers.notna()].to_numpy(np.int64)
    return Study(labels, roles, {name: seen(networks, pixels) for name, pixels in outside.items()})


def without(types: Sequence[str], number: int, catalogue: Labelled, work: Path) -> Study:
    """The study of a network that never saw some types; each of them is a set."""
    table = catalogue.table
    others = sorted(set(table["type"]) - set(types))
    fit = np.flatnonzero((table["role"] == "fit") & table["type"].isin(others))
    labels = table["type"].map({name: k for k, name in enumerate(others)}).to_numpy()[fit].astype(np.int64)
    network = trained(work / f"without-{number}.weights.h5", catalogue.pixels[fit], labels)
    rows = {name: ((table["type"] == name) & (table["role"] != "fit")).to_numpy() for name in types}
    rows[f"types left out {number}"] = np.any(list(rows.values()), axis=0)
    found = study(
        {"type": network}, others, catalogue, {name: catalogue.pixels[chosen] for name, chosen in rows.items()}
    )
    groups = table["group"].to_numpy()
    return Study(
        found.labels,
        found.roles,
        {name: Seen(s.logits, s.features, groups[rows[name]]) for name, s in found.outside.items()},
    )


def columns_of(part: Study, rng: np.random.Generator) -> tuple[pd.DataFrame, list[str]]:
    """One row a score, one column a set; and what a cell cannot say: the default against its rivals, paired."""
    weights = {name: item_weights(s.group, rng) for name, s in {**part.roles, **part.outside}.items()}
    inside = [(part.roles[role], weights[role]) for role in ("calibrate", "report")]
    scores, notes = fitted_scores(part.roles["select"], part.labels), []
    ranks = {n: {k: ranked(f, [*inside, (s, weights[k])]) for k, s in part.outside.items()} for n, f in scores.items()}
    table = pd.DataFrame({n: {k: rank.cell() for k, rank in row.items()} for n, row in ranks.items()}).T
    usual = {n: ranked(f, [*inside, inside[1]]).caught for n, f in scores.items()}
    table.insert(0, "in scope", [" ".join(f"{100 * caught[0]:.1f}" for caught in usual[n]) for n in scores])
    for name in part.outside:
        gains = {rival: 100 * (ranks[DEFAULT][name].caught[0] - ranks[rival][name].caught[0]) for rival in RIVALS}
        said = [
            f"{r} {g[0]:+.0f} [{np.percentile(g, 2.5):+.0f}, {np.percentile(g, 97.5):+.0f}]" for r, g in gains.items()
        ]
        notes.append(f"default minus rival on {name} ({len(part.outside[name].group)}), points: " + "; ".join(said))
    itself = product_score(part.roles["calibrate"])
    too_many = 100 * ranked(itself, [*inside, inside[1]]).caught[0][0]
    counts = ", ".join(f"{len(s.group)} {role}" for role, s in part.roles.items())
    return table, [
        *notes,
        f"in scope: {counts}; fitted on calibrate itself, the default flags {too_many:.1f} % of report",
    ]


def elsewhere(part: Study, sets: Mapping[str, tuple[Seen, np.ndarray]]) -> list[str]:
    """How pictures of trained types from other studios fare. sets: with the numbers of their types, -1 unknown."""
    scores, notes = fitted_scores(part.roles["select"], part.labels), []
    for name, (other, labels) in sets.items():
        for which in (BEFORE, DEFAULT):
            flagged = scores[which](other) > np.quantile(scores[which](part.roles["calibrate"]), 0.97)
            right = (other.logits.argmax(axis=1) == labels)[labels >= 0]
            known = flagged[labels >= 0]
            note = f"trained types in {name} ({len(flagged)}): {which} flags {flagged.mean():.0%}"
            if len(right):
                note += f"; type right in {right[known].mean():.0%} of these, {right[~known].mean():.0%} of the others"
            notes.append(note)
    return notes


def of_bundle(data: Path, work: Path, model: str, catalogue: Labelled) -> tuple[Study, list[str]]:
    """The study of a bundle's networks."""
    bundle = find_bundle(model, "")
    info = read_info(bundle)
    networks = {name: load_network(bundle, info, name) for name in NETWORK_FILES}
    originals, cutouts = labelled(data, work, "originals.zip"), labelled(data, work, "cutouts.zip", "cutouts.csv")
    second = labelled(data, work, "second-catalog.zip")
    is_other = (originals.table["type"] == "Other").to_numpy()
    is_thing = cutouts.table["photo"].str.contains(NO_TYPE).to_numpy()
    outside = {
        "originals, Other": originals.pixels[is_other],
        "cut-outs, no type": cutouts.pixels[is_thing],
        "odd pictures": kept(work / "odd.npy", lambda: odd_pictures(data)),
    }
    part = study(networks, info.classes["type"], catalogue, outside)
    numbers = {name: number for number, name in enumerate(info.classes["type"])}
    sets = {
        "originals.zip": (originals.pixels[~is_other], originals.table["type"].map(numbers).to_numpy()[~is_other]),
        "cutouts.zip": (cutouts.pixels[~is_thing], np.full(int((~is_thing).sum()), -1)),
        "second-catalog.zip": (
            second.pixels[::SECOND_STEP],
            second.table["type"].map(numbers).to_numpy()[::SECOND_STEP],
        ),
    }
    return part, elsewhere(part, {name: (seen(networks, pixels), labels) for name, (pixels, labels) in sets.items()})


def main() -> None:
    """Make the sets, run the networks, print one table and the notes on it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("TAGGER_DATA"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="fashion-24x20")
    arguments = parser.parse_args()
    data, work = Path(arguments.data or "absent"), arguments.work
    if not data.is_dir():
        parser.exit(
            1, f"There is no folder of labelled photos (tried {data}). Give --data FOLDER or set TAGGER_DATA.\n"
        )
    work.mkdir(parents=True, exist_ok=True)
    catalogue = labelled(data, work, "catalog-medium.zip")
    catalogue.table["role"] = assign_roles(catalogue.table)
    first, notes = of_bundle(data, work, arguments.model, catalogue)
    tables = []
    for part in (first, *(without(types, number, catalogue, work) for number, types in enumerate(LEFT_OUT, 1))):
        table, more = columns_of(part, np.random.default_rng(0))
        tables.append(table)
        notes += more
    whole = pd.concat(tables, axis=1).loc[tables[0].index].fillna("")
    versions = f"keras {keras.__version__}, numpy {np.__version__}, {platform.machine()}, {os.cpu_count()} cores"
    print(f"tagger {__version__}, {versions}; {arguments.model} and two networks of width {SHAPE.width}")
    print(whole.to_string())
    print("\n".join(notes))


if __name__ == "__main__":
    main()
