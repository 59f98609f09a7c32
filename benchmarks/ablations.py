"""What each ingredient of a recipe is worth: one training a row, the same but for that ingredient.

The base is configs/best.yaml at half width, with the larger photos alone and eight epochs a stage, of which the first
six see smaller pictures; a row takes one ingredient out of it, or changes it, or adds one. All are judged on `select`
items (recipes are never chosen on `report`). A row is a bundle of the name `ablation` in the root: one that is there is
not trained again, one that was stopped goes on where it stopped, so the series can be ended and started at any time. A
row takes some ten minutes of one core; two commands with rows and roots of their own use two.

python -m benchmarks.catalogue --data FOLDER --out ROOT
python -m benchmarks.ablations --root ROOT --data FOLDER [--rows NAME ...] [--seeds 0 1] [--table]
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

NAME = "ablation"
BASE = (
    "--config", "configs/best.yaml", "catalog.label_space=configs/fashion-24x20.yaml",
    "catalog.labels_glob=labels/medium.csv", f"train.name={NAME}", "train.width=0.5", "train.epochs_type=8",
    "train.epochs_color=8",
)  # fmt: skip
ROWS: dict[str, tuple[str, ...]] = {
    "base": (),
    "no flips": ("train.flip=false",),
    "no moves": ("train.shift=0", "train.scale=0", "train.rotate=0"),
    "large zoom": ("train.scale=0.5", "train.shift=0.15"),
    "coarse copies": ("train.coarse=0.25",),
    "no backgrounds": ("train.replace_background=0",),
    "few backgrounds": ("train.replace_background=0.25",),
    "many backgrounds": ("train.replace_background=0.75",),
    "full size throughout": ("train.sizes={}",),
    "padded": ("catalog.fit=pad",),
    "with small photos": ("catalog.labels_glob=labels/*.csv",),
    "constant step size": ("train.schedule=constant",),
    "no warm-up": ("train.warmup_steps=0",),
    "smaller steps": ("train.learning_rate=0.001",),
    "larger batches": ("train.batch_size=64",),
    "slow statistics": ("train.batch_norm_momentum=0.99",),
    "no averaging": ("train.averaging=0",),
    "no weight decay": ("train.weight_decay=0",),
    "no dropout": ("train.dropout=0",),
    "no label smoothing": ("train.label_smoothing=0",),
    "more label smoothing": ("train.label_smoothing=0.1",),
    "class balance": ("train.class_balance=0.5",),
    "no transfer": ("train.transfer=false",),
    "original trunk": ("train.trunk=seed_cnn",),
}
"""Row -> what it changes of BASE."""


def version(row: str, seed: int) -> str:
    """The bundle's version of a row."""
    return f"{row.replace(' ', '-').replace(',', '')}-{seed}"


def bundle_of(root: Path, row: str, seed: int) -> bool:
    """Whether a row is trained."""
    return (root / "models" / NAME / version(row, seed) / "bundle.json").exists()


def trained(root: Path, row: str, seed: int) -> bool:
    """Train a row unless it is there; True where its bundle is there in the end."""
    if bundle_of(root, row, seed):
        return True
    started = root / "ablations" / f"{version(row, seed)}.run"
    settings = [*BASE, *ROWS[row], f"train.version={version(row, seed)}", f"train.seed={seed}", f"root={root}"]
    resume = [f"train.resume={started.read_text()}"] if started.exists() else []
    command = [sys.executable, "-c", "from tagger.cli import main; main()", "train", *settings, *resume]
    print(f"{version(row, seed)}: {'going on' if resume else 'starting'}", file=sys.stderr, flush=True)
    text = os.environ | {"TAGGER_LOG_FORMAT": "text"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=text) as process:
        line = ""
        for line in process.stderr or ():
            words = line.split()
            if "training run train-" in line:
                started.parent.mkdir(exist_ok=True)
                started.write_text(next(word for word in words if word.startswith("train-")))
            if " epoch " in line and "loss" in line:
                print(line, end="", file=sys.stderr, flush=True)
    there = bundle_of(root, row, seed)
    if not there:
        print(f"{version(row, seed)}: not trained: {line.strip()}", file=sys.stderr, flush=True)
    return there


def print_curves(root: Path, names: Sequence[str]) -> None:
    """Accuracy on the `select` items after every epoch: what transfer, or a better start, is worth."""
    print("\n| row | stage | select accuracy by epoch, % |\n|---|---|---|")
    for name in names:
        history = json.loads((root / "models" / NAME / name / "bundle.json").read_text())["provenance"]["history"]
        for stage in ("type", "color"):
            course = " ".join(f"{row['select_accuracy']:.1%}"[:-1] for row in history if row["stage"] == stage)
            print(f"| {name} | {stage} | {course} |")


def print_figures(root: Path, data: Path, names: Sequence[str]) -> None:
    """What `benchmarks.robustness` says of the rows' bundles on `select` items, a row each."""
    models = [str(root / "models" / NAME / name) for name in names]
    command = [sys.executable, "-m", "benchmarks.robustness", "--split", "select", "--data", str(data), "--model"]
    subprocess.run([*command, *models], check=True)


def main() -> None:
    """Train what is missing, then print one table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--root", type=Path, required=True)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    options.add_argument("--seeds", nargs="+", type=int, default=[0])
    options.add_argument("--table", action="store_true", help="Train nothing; the table of the rows that are there.")
    arguments = options.parse_args()
    root = arguments.root.resolve()
    wanted = [(row, seed) for seed in arguments.seeds for row in arguments.rows]
    there = [each for each in wanted if (bundle_of if arguments.table else trained)(root, *each)]
    if not there:
        sys.exit("No row is trained.")
    names = [version(*each) for each in there]
    print_figures(root, arguments.data, names)
    print_curves(root, names)
    if missing := [version(*each) for each in wanted if each not in there]:
        sys.exit(f"Not trained: {', '.join(missing)}")


if __name__ == "__main__":
    main()
