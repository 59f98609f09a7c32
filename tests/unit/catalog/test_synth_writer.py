"""The synthetic catalogue on disk."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from tagger.catalog.synth.palette import COLORS, rgb_to_lab
from tagger.catalog.synth.shapes import TYPES
from tagger.catalog.synth.writer import Recipe, encode_picture, make_item, write_catalogue
from tagger.errors import BadInput
from tagger.storage import Root, open_root

COUNT = 24


def labels(root: Root) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(root.read_bytes("labels/labels.csv").decode())))


def keys(root: Root, folder: str) -> list[str]:
    return [found.key for found in root.child(folder).list_objects()]


def picture(root: Root, key: str) -> Image.Image:
    return Image.open(io.BytesIO(root.read_bytes(key)))


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> Root:
    root = open_root(str(tmp_path_factory.mktemp("shop")))
    assert write_catalogue(root, COUNT, 3, workers=1) == COUNT
    return root


def test_labels_name_every_picture_once(catalogue):
    rows = labels(catalogue)
    assert list(rows[0]) == ["image_key", "type", "color", "split", "group", "background", "pose"]
    assert [row["image_key"] for row in rows] == keys(catalogue, "images")
    assert all(row["type"] in TYPES and row["color"] in COLORS and row["split"] in ("train", "val") for row in rows)


def test_masks_have_the_size_of_their_pictures_and_three_levels(catalogue):
    for row in labels(catalogue):
        key = row["image_key"]
        mask = picture(catalogue, f"masks/{key.split('.')[0]}.png")
        assert mask.mode == "L" and mask.size == picture(catalogue, f"images/{key}").size
        levels = set(np.unique(np.asarray(mask)))
        assert 255 in levels and levels <= {0, 128, 255}


def test_a_group_stays_in_one_split_and_shows_one_product(catalogue):
    recipe = Recipe(seed=3)
    items = [make_item(recipe, number) for number in range(80)]
    groups: dict[int, set[tuple[str, str]]] = {}
    for item, group, _ in items:
        groups.setdefault(group, set()).add((item.type, item.color))
    assert len(groups) < 80, "some products are photographed twice"
    assert all(len(labels_of) == 1 for labels_of in groups.values())
    splits: dict[str, set[str]] = {}
    for row in labels(catalogue):
        splits.setdefault(row["group"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())


def test_the_same_seed_writes_the_same_bytes_whatever_the_count_or_the_workers(catalogue, tmp_path):
    other = open_root(str(tmp_path))
    write_catalogue(other, 18, 3, workers=2)
    for folder in ("images", "masks"):
        for key in keys(other, folder):
            assert other.read_bytes(f"{folder}/{key}") == catalogue.read_bytes(f"{folder}/{key}")


def test_a_catalogue_is_extended_from_a_start(catalogue, tmp_path):
    other = open_root(str(tmp_path))
    write_catalogue(other, 4, 3, workers=1)
    write_catalogue(other, 3, 3, workers=1, start=4)
    assert labels(other) == labels(catalogue)[:7]


def test_another_seed_writes_other_pictures(catalogue, tmp_path):
    other = open_root(str(tmp_path))
    write_catalogue(other, 2, 4, workers=1)
    assert labels(other) != labels(catalogue)[:2]


def test_only_the_chosen_types_and_colors_are_drawn(tmp_path):
    root, told = open_root(str(tmp_path)), []
    write_catalogue(
        root,
        8,
        0,
        types=["Belt", "Wallet"],
        colors=["Red"],
        workers=1,
        progress=lambda done, total: told.append((done, total)),
    )
    assert {row["type"] for row in labels(root)} == {"Belt", "Wallet"}
    assert {row["color"] for row in labels(root)} == {"Red"}
    assert told == [(8, 8)]


def test_all_pairs_come_up():
    recipe = Recipe(1, ("Belt", "Wallet", "Socks"), ("Red", "Blue"))
    found = {(item.type, item.color) for item, _, _ in (make_item(recipe, number) for number in range(40))}
    assert len(found) == 6


def test_the_shortcut_ties_the_background_to_the_label():
    for color in ("Red", "Navy Blue", "Yellow", "White"):
        item, _, _ = make_item(Recipe(2, ("Handbag",), (color,), shortcut=True), 0)
        background = rgb_to_lab(item.picture[item.foreground_mask == 0]).mean(axis=0)
        product = rgb_to_lab(np.median(item.picture[item.product_mask > 0], axis=0))
        assert item.background == "studio"
        assert np.abs(background - product).max() < 40
    assert Recipe(2).shortcut is False


def test_formats_are_mostly_jpeg_with_alpha_where_the_background_is_transparent(catalogue):
    kinds = {"jpg": 0, "png": 0, "webp": 0}
    for number in range(60):
        item, _, rng = make_item(Recipe(9, ("Belt",)), number)
        extension, data = encode_picture(item, rng)
        kinds[extension] += 1
        opened = Image.open(io.BytesIO(data))
        assert opened.size == item.picture.shape[1::-1]
        assert (opened.mode == "RGBA") == (item.alpha is not None)
    assert kinds["jpg"] > 45
    assert kinds["png"] + kinds["webp"] > 0


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"count": 0}, "count 0"),
        ({"types": ["Hat"]}, "Hat"),
        ({"colors": ["Mauve"]}, "Mauve"),
        ({"seed": -1}, "seed -1"),
        ({"start": -1}, "start -1"),
    ],
)
def test_impossible_wishes_are_refused_in_words(tmp_path, wishes, message):
    with pytest.raises(BadInput, match=message):
        write_catalogue(open_root(str(tmp_path)), **{"count": 1, "seed": 0, "workers": 1, **wishes})
