"""A bundle on disk: round trip, damage, where it is looked for, which version serves."""

import hashlib
import io
import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tagger.errors import BadInput, BundleError
from tagger.model import bundle
from tagger.model.bundle import (
    BundleInfo,
    copy_bundle,
    find_bundle,
    load_network,
    network_bytes,
    promote,
    read_info,
    read_text,
    save_bundle,
)
from tagger.storage import open_root
from tests.unit.model.networks import answers, random_pixels, tiny_network

INFO = BundleInfo(
    name="shop",
    version="1",
    classes={"type": ("Shirt", "Belt"), "color": ("Weiß", "Black", "Red")},
    temperatures={"type": 1.25, "color": 2.0},
    width=0.05,
    fit="stretch",
    focus_map="class",
    focus_cut="post_relu",
    thresholds={"low_focus": 0.2},
    color_reference={"Black": [20, 20, 20]},
    scope_reference={"mean": 3.5, "deviation": 1.0},
    metrics={"type_accuracy": 0.88},
    provenance={"tagger": "0.1.0"},
)


@pytest.fixture(scope="module")
def networks():
    return {"type": tiny_network(2, seed=1), "color": tiny_network(3, head=(4,), seed=2)}


@pytest.fixture
def saved(tmp_path, networks):
    root = open_root(str(tmp_path / "shop" / "1"))
    save_bundle(root, INFO, networks, {"MODEL_CARD.md": "# shop: Weiß"})
    return root


def edit(root, **changes):
    document = json.loads(root.read_bytes("bundle.json")) | changes
    root.write_bytes("bundle.json", json.dumps(document).encode())


def test_what_is_saved_is_read_again(saved, networks):
    info = read_info(saved)
    assert info.classes == INFO.classes and info.digests.keys() == {"type.keras", "color.keras", "MODEL_CARD.md"}
    assert {**vars(info), "digests": {}} == vars(INFO)
    for attribute, network in networks.items():
        copy = load_network(saved, info, attribute)
        pixels = random_pixels()
        np.testing.assert_array_equal(answers(copy, pixels)[1], answers(network, pixels)[1])
    assert saved.read_bytes("MODEL_CARD.md").decode() == "# shop: Weiß"


def test_the_optimizers_state_stays_behind():
    network = tiny_network(2)
    size = len(network_bytes(network))
    network.compile(keras.optimizers.Adam(), loss={"logits": keras.losses.SparseCategoricalCrossentropy(True)})
    network.train_on_batch(random_pixels(2), {"logits": np.array([0, 1])})
    assert len(network_bytes(network)) < size * 1.1


def test_a_bundle_without_a_risk_model_is_read_as_one_that_has_none(saved):
    document = json.loads(saved.read_bytes("bundle.json"))
    del document["risk_model"]
    saved.write_bytes("bundle.json", json.dumps(document).encode())
    assert read_info(saved).risk_model is None


def test_a_copy_has_the_networks_and_other_words(saved, tmp_path):
    target = open_root(str(tmp_path / "shop" / "2"))
    copy_bundle(saved, target, replace(INFO, version="2"), {"MODEL_CARD.md": "# shop 2"})
    copied = read_info(target)
    assert copied.version == "2" and read_text(target, copied, "MODEL_CARD.md") == "# shop 2"
    assert target.read_bytes("type.keras") == saved.read_bytes("type.keras")
    assert load_network(target, copied, "color") is not None


def test_a_copy_never_replaces_a_bundle(saved):
    before = saved.read_bytes("bundle.json")
    with pytest.raises(BadInput, match="a bundle never changes"):
        copy_bundle(saved, saved, INFO, {})
    assert saved.read_bytes("bundle.json") == before


def test_a_damaged_network_is_not_copied(saved, tmp_path):
    saved.write_bytes("type.keras", b"x")
    target = open_root(str(tmp_path / "shop" / "2"))
    with pytest.raises(BundleError, match=r"type\.keras is not the file"):
        copy_bundle(saved, target, INFO, {})
    assert not target.exists("bundle.json")


@pytest.mark.parametrize("attribute", ["type", "color"])
def test_another_file_than_the_described_one_is_refused(saved, attribute):
    name = f"{attribute}.keras"
    saved.write_bytes(name, saved.read_bytes(name) + b"x")
    with pytest.raises(BundleError, match=rf"{name} is not the file that bundle\.json describes\. Copy the whole"):
        load_network(saved, read_info(saved), attribute)


def test_a_file_without_a_digest_is_refused(saved):
    edit(saved, digests={})
    with pytest.raises(BundleError, match="is not the file"):
        load_network(saved, read_info(saved), "type")


def test_a_missing_network_is_told(saved):
    saved.delete("type.keras")
    with pytest.raises(BundleError, match=r"type\.keras is missing"):
        load_network(saved, read_info(saved), "type")


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_is_refused_with_both_versions(saved, version):
    edit(saved, format_version=version)
    with pytest.raises(BundleError, match=rf"bundle format {version!r}; this release reads 1\. Train it again"):
        read_info(saved)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[1, 2]", b"7", b"\xff\xfe", b'{"format_version": 1}', b'{"format_version": 1, "classes": 3}']
)
def test_a_damaged_description_is_told(saved, text):
    saved.write_bytes("bundle.json", text)
    with pytest.raises(BundleError, match=r"bundle"):
        read_info(saved)


def test_a_missing_description_is_told(saved):
    saved.delete("bundle.json")
    with pytest.raises(BundleError, match=r"bundle\.json is missing"):
        read_info(saved)


def test_a_key_that_this_release_does_not_know_is_told(saved):
    edit(saved, novelty=1)
    with pytest.raises(BundleError, match="is damaged: .*novelty"):
        read_info(saved)


def test_a_network_that_holds_code_is_not_run():
    inputs = keras.Input((2,))
    network = keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs))
    with pytest.raises(BundleError, match="cannot be loaded"):
        bundle.network_from_bytes(network_bytes(network))


def zipped(**files):
    """A .keras file of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_", "."), text)
    return buffer.getvalue()


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_whole_bundle_that_holds_code_is_not_run_though_its_digests_fit(saved):
    inputs = keras.Input((128, 128, 3), dtype="uint8")
    data = network_bytes(keras.Model(inputs, keras.layers.Lambda(lambda x: x)(inputs)))
    saved.write_bytes("type.keras", data)
    digests = read_info(saved).digests
    edit(saved, digests=dict(digests) | {"type.keras": hashlib.sha256(data).hexdigest()})
    with pytest.raises(BundleError, match="cannot be loaded"):
        load_network(saved, read_info(saved), "type")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        zipped(),
        zipped(metadata_json="{}"),
        zipped(metadata_json="{}", config_json="null"),
        zipped(metadata_json="{}", config_json="[1]"),
        zipped(
            metadata_json="{}",
            config_json='{"module": "os", "class_name": "system", "config": {"command": "true"}, '
            '"registered_name": null}',
        ),
    ],
)
def test_what_is_no_network_is_refused(data):
    with pytest.raises(BundleError, match="cannot be loaded"):
        bundle.network_from_bytes(data)


def test_a_pickle_in_the_place_of_a_network_is_not_unpickled(tmp_path):
    made = tmp_path / "made"
    with pytest.raises(BundleError, match="cannot be loaded"):
        bundle.network_from_bytes(pickle.dumps(Touch(made)))
    assert not made.exists()


@pytest.mark.parametrize("name", ["../../labels/labels.csv", "/etc/passwd", "a/b", "..", ".hidden", ""])
def test_a_bundle_that_names_files_of_other_folders_is_refused(saved, name):
    edit(saved, digests={name: "0" * 64})
    with pytest.raises(BundleError, match="no file of its folder"):
        read_info(saved)


@pytest.mark.parametrize("version", ["..", "../../other", "1/../.."])
def test_a_choice_of_version_outside_the_folder_is_refused(places, version):
    places[0].mkdir()
    (places[0] / "production.json").write_text(json.dumps({"version": version}))
    with pytest.raises(BadInput, match="leads outside"):
        find_bundle("shop", "")


def described(folder):
    """The least that is taken for a bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.json").write_text("{}")
    return folder


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The folders in which `shop` is looked for, the first one first."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(bundle, "SHIPPED", tmp_path / "shipped")
    return [tmp_path / "here" / "shop", tmp_path / "root" / "models" / "shop", tmp_path / "shipped" / "shop"]


def test_a_name_is_looked_for_here_then_under_the_root_then_among_the_shipped(places, tmp_path):
    for place in reversed(places):
        described(place)
        assert find_bundle("shop", str(tmp_path / "root")).uri == str(place)


def test_a_folder_of_versions_gives_the_one_that_serves(places, tmp_path):
    described(places[1] / "1")
    described(places[1] / "2")
    for version in ("1", "2"):
        promote(open_root(str(places[1])), version)
        assert find_bundle("shop", str(tmp_path / "root")).uri == str(places[1] / version)
    assert sorted(p.name for p in places[1].iterdir()) == ["1", "2", "production.json"]


def test_a_bundles_own_folder_goes_before_the_version_that_serves(places, tmp_path):
    described(places[0] / "1")
    promote(open_root(str(places[0])), "1")
    described(places[0])
    assert find_bundle("shop", "").uri == str(places[0])


def test_no_bundle_is_told_with_the_places_tried_in_order(places, tmp_path):
    with pytest.raises(BadInput) as refused:
        find_bundle("shop", str(tmp_path / "root"))
    tried = ", ".join(map(str, places))
    assert str(refused.value).startswith(f"There is no trained bundle 'shop' (tried {tried}).")


def test_a_path_is_looked_for_there_alone(places, tmp_path):
    described(places[2])
    with pytest.raises(BadInput, match=rf"\(tried {tmp_path}/here/x/shop\)"):
        find_bundle("x/shop", str(tmp_path / "root"))


def test_no_model_is_told():
    with pytest.raises(BadInput, match="No model is named"):
        find_bundle("", "root")


@pytest.mark.parametrize("text", ["{}", "[]", "{"])
def test_a_damaged_choice_of_version_is_told(places, text):
    places[0].mkdir()
    (places[0] / "production.json").write_text(text)
    with pytest.raises(BundleError, match=r"production\.json"):
        find_bundle("shop", "")


def test_every_shipped_bundle_can_be_read():
    folders = [f.parent for f in Path(bundle.SHIPPED).rglob("bundle.json")]
    assert folders
    for folder in folders:
        info = read_info(open_root(str(folder)))
        assert info.classes.keys() == info.temperatures.keys() == {"type", "color"}
