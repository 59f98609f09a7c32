"""The labelled photos of `--data` as a root that a training takes: photos, and one labels table for each catalogue.

labels/medium.csv   the catalogue as it is, splits train and val
labels/small.csv    60x80 px photos of other products of its train split, as `extra`: to learn from alone

A training on both reads every table (the default); one on the first alone says catalog.labels_glob=labels/medium.csv.

python -m benchmarks.catalogue --data FOLDER --out ROOT
"""

import argparse
import zipfile
from pathlib import Path

import pandas as pd

COLUMNS = ["image_key", "type", "color", "split", "group"]


def write_catalogue(data: Path, out: Path, size: str) -> int:
    """Unpack one catalogue's photos under images/<size>/ and write its labels; returns the items."""
    with zipfile.ZipFile(data / f"catalog-{size}.zip") as archive:
        table = pd.read_csv(archive.open("labels.csv"), dtype=str)
        if size == "small":
            table = table[(table["split"] == "train") & (table["in_medium"] == "0")].assign(split="extra")
        for key in table["image_key"]:
            place = out / "images" / size / key.removeprefix("images/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(archive.read(key))
    table["image_key"] = size + "/" + table["image_key"].str.removeprefix("images/")
    labels = out / "labels" / f"{size}.csv"
    labels.parent.mkdir(parents=True, exist_ok=True)
    table[COLUMNS].to_csv(labels, index=False)
    return len(table)


def main() -> None:
    """Both catalogues into one root."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    arguments = options.parse_args()
    for size in ("medium", "small"):
        print(f"{size}: {write_catalogue(arguments.data, arguments.out, size)} items under {arguments.out}")


if __name__ == "__main__":
    main()
