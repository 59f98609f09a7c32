"""Which labelled photos a bundle is measured on."""

import tempfile
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from tagger.config_file import load_config
from tagger.errors import BadInput, FetchFailed, LabelsError, StorageUnavailable
from tagger.evaluation.items import labelled_table, read_pictures
from tagger.storage import LocalRoot
from tests.decoding import decode_nothing_here
from tests.unit.evaluation.small_shop import INFO, make_shop

SPACE = """
types: [Belt, Teapot, Shirt]
colors: [Black, White, Red]
merge:
  types: {Kettle: Teapot, Polo: Shirt}
"""


@pytest.fixture
def shop(tmp_path):
    """40 items, of which the first three are a kettle, a teapot and a polo; the bundle knows shirts and belts."""
    folder = make_shop(tmp_path)
    labels = pd.read_csv(folder / "labels/labels.csv")
    labels.loc[:2, "type"] = ["Kettle", "Teapot", "Polo"]
    labels.to_csv(folder / "labels/labels.csv", index=False)
    (folder / "space.yaml").write_text(SPACE)
    return folder


def config(shop, *overrides):
    return load_config(None, [f"root={shop}", "catalog.drop_rare=true", *overrides])


def read(shop, *overrides):
    return labelled_table(config(shop, *overrides), INFO)


def test_classes_that_training_dropped_as_rare_are_left_out_with_their_merges(shop, caplog):
    table = read(shop, f"catalog.label_space={shop}/space.yaml")
    assert table["image_key"].tolist() == [f"{number}.png" for number in range(2, 40)]
    assert table["type_number"].tolist() == [INFO.classes["type"].index(name) for name in ["Shirt", "Belt"] * 19]
    assert "1 types that the bundle lacks are left out: 'Teapot (2)'" in caplog.text


def test_the_same_without_a_label_space(shop):
    assert len(read(shop)) == 37


def test_a_name_that_the_shop_does_not_know_is_an_error_all_the_same(shop):
    (shop / "space.yaml").write_text(SPACE.replace("Kettle: Teapot, ", ""))
    with pytest.raises(LabelsError, match="'Kettle'"):
        read(shop, f"catalog.label_space={shop}/space.yaml")


def test_classes_that_the_bundle_lacks_are_an_error_where_none_may_be_dropped(shop):
    with pytest.raises(LabelsError, match="'Kettle', 'Polo', 'Teapot'"):
        read(shop, "catalog.drop_rare=false")


def test_photos_are_decoded_in_children_and_those_that_are_none_are_left_out(shop, monkeypatch):
    (shop / "images/5.png").write_bytes(b"no photo")
    table = read(shop)
    decode_nothing_here(monkeypatch)
    pictures = read_pictures(config(shop), INFO, table)
    assert pictures.unreadable == 1 and pictures.pixels.shape == (36, 128, 128, 3)
    assert pictures.keys == tuple(key for key in table["image_key"] if key != "5.png")
    types = table.set_index("image_key")["type_number"]
    assert pictures.items.labels["type"].tolist() == types.drop("5.png").tolist()


@pytest.fixture
def refuses(monkeypatch):
    """Lets storage refuse the photo 5.png so many times, for this reason."""

    def refuse(reason, times):
        left, fetch = iter(range(times)), LocalRoot.fetch

        def refusing(self, key, *facts):
            if key == "5.png" and next(left, None) is not None:
                raise FetchFailed(reason, "told by storage")
            return fetch(self, key, *facts)

        monkeypatch.setattr(LocalRoot, "fetch", refusing)

    monkeypatch.setattr("time.sleep", lambda _: None)
    return refuse


def test_a_passing_failure_of_storage_costs_no_photo(shop, refuses):
    refuses("download_failed", 3)
    assert read_pictures(config(shop), INFO, read(shop)).unreadable == 0


@pytest.mark.parametrize(("reason", "error"), [("download_failed", StorageUnavailable), ("access_denied", BadInput)])
def test_what_storage_does_not_give_is_no_unreadable_photo(shop, refuses, reason, error):
    refuses(reason, 9)
    with pytest.raises(error, match="The photo '5.png' under .* told by storage"):
        read_pictures(config(shop), INFO, read(shop))


def test_a_photo_that_changed_since_it_was_listed_is_not_measured(shop):
    table = read(shop)
    (shop / "images/5.png").write_bytes((shop / "images/6.png").read_bytes())
    with pytest.raises(StorageUnavailable, match="no longer the one that was listed"):
        read_pictures(config(shop), INFO, table)


def test_more_photos_than_memory_should_hold_are_kept_elsewhere_in_their_order(shop):
    table = read(shop)
    tracemalloc.start()
    try:
        many = read_pictures(config(shop), INFO, pd.concat([table] * 20, ignore_index=True))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(many.keys) == 20 * len(table) and peak < many.pixels.nbytes
    decoded = read_pictures(config(shop), INFO, table).pixels
    assert (many.take(many.items.rows) == np.tile(decoded, (20, 1, 1, 1))).all()


def test_a_full_temporary_folder_is_told(shop, monkeypatch):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: open("/dev/full", "r+b"))
    with pytest.raises(StorageUnavailable, match="has no room for the decoded photos. Make space, or set TMPDIR"):
        read_pictures(config(shop), INFO, read(shop))
