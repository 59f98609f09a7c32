"""The bundle in models/fashion-24x20: it loads, its maps are exact on trained weights, and it is small."""

import datetime
import json
from pathlib import Path

import numpy as np
import pytest

from tagger.catalog.synth.writer import Recipe, encode_picture, make_item
from tagger.cli import app
from tagger.drift.reference import reference_profiles
from tagger.entry import run
from tagger.flags.reasons import Thresholds
from tagger.model.bundle import find_bundle, load_network, read_info, read_reference
from tagger.model.classmap import contrast_map, evidence_map, fold_head, logit_map, relevance
from tagger.picture.decode import DecodedPhoto, DecodeLimits, decode_photo
from tagger.picture.fit import Fit
from tagger.storage import StoredObject, open_root
from tagger.tables.promises import Expected, broken_promises
from tagger.tables.schema import TAGS
from tagger.tables.units import read_unit
from tagger.tag.fetch import Decoded
from tagger.tag.infer import Batch, infer
from tagger.tag.predict import Tagger
from tagger.tag.stage import RunStamp, answered_rows, photo_rows, refusal_rows, stage_unit

SHIPPED = Path(__file__).parents[2] / "models" / "fashion-24x20"
LARGEST_MB = 12


@pytest.fixture(scope="module")
def bundle():
    return find_bundle("fashion-24x20", "")


def drawn_photos(count):
    items = (make_item(Recipe(7), number) for number in range(count))
    return [encode_picture(item, rng) for item, _, rng in items]


@pytest.fixture(scope="module")
def pixels():
    photos = (photo for _, photo in drawn_photos(12))
    return np.stack([decode_photo(photo, Fit("stretch"), DecodeLimits()).pixels for photo in photos])


@pytest.mark.parametrize("attribute", ["type", "color"])
@pytest.mark.parametrize("cut", ["post_bn", "post_relu"])
def test_on_trained_weights_the_mean_of_the_logit_map_is_the_logit(bundle, pixels, attribute, cut):
    network = load_network(bundle, read_info(bundle), attribute)
    outputs = network.predict(pixels, verbose=0)
    head, classes = fold_head(network), outputs["logits"].argmax(axis=1)
    expected = outputs["logits"].max(axis=1)
    np.testing.assert_allclose(logit_map(outputs["features"], head, classes).mean((1, 2)), expected, atol=1e-4)
    moved = head.constant + (head.shift @ head.weights if cut == "post_relu" else 0)
    evidence = evidence_map(outputs["features"], head, classes, cut)
    np.testing.assert_allclose(evidence.mean((1, 2)) + moved[classes], expected, atol=1e-4)
    assert np.isfinite(contrast_map(outputs["features"], head, outputs["logits"], classes, cut)).all()


def test_on_trained_weights_the_relevance_is_gradcams_map_up_to_a_factor(bundle, pixels):
    import keras
    import tensorflow as tf

    network = load_network(bundle, read_info(bundle), "color")
    head, position = fold_head(network), [layer.name for layer in network.layers].index("pool")
    features = network.predict(pixels, verbose=0)["features"]
    rest = keras.Sequential([keras.Input(features.shape[1:]), *network.layers[position:]])
    with tf.GradientTape() as tape:
        tape.watch(inputs := tf.constant(features))
        logits = rest(inputs, training=False)
        top = tf.reduce_max(logits, axis=1)
    weights = tape.gradient(top, inputs).numpy().mean((1, 2))  # Selvaraju et al. 2017, equation 1
    gradcam = np.maximum(np.einsum("bhwk,bk->bhw", features, weights), 0)
    ours = relevance(evidence_map(features, head, logits.numpy().argmax(axis=1), "post_bn"))
    cells = features.shape[1] * features.shape[2]
    np.testing.assert_allclose(gradcam * cells, ours, rtol=1e-3, atol=1e-3 * ours.max())


def test_its_rows_fill_the_tags_table(bundle, pixels):
    rows = Tagger.load(bundle.uri).tag(pixels, [f"{n}.jpg" for n in range(len(pixels))], datetime.date(2026, 11, 22))
    assert rows.pop("logit_residual") < 1e-4
    assert set(rows) <= set(TAGS.names) and {len(column) for column in rows.values()} == {len(pixels)}
    for answer, first in zip(rows["type"], rows["type_top3"], strict=True):
        assert first[0]["label"] == answer
    assert all(0 <= p <= 1 for name in ("type_confidence", "color_confidence", "risk") for p in rows[name])


def test_photos_are_tagged_with_it_by_its_name_alone(tmp_path, capfd, bundle):
    paths = [tmp_path / f"{number}.{kind}" for number, (kind, _) in enumerate(drawn_photos(3))]
    for path, (_, photo) in zip(paths, drawn_photos(3), strict=True):
        path.write_bytes(photo)
    words = ["tag", *map(str, paths), "--model", "fashion-24x20", "--format", "json"]
    assert run(lambda: app(args=words, standalone_mode=False)) == 0
    rows, classes = json.loads(capfd.readouterr().out), read_info(bundle).classes
    assert [row["image_key"] for row in rows] == [str(path) for path in paths]
    for row in rows:
        assert row["type"] in classes["type"] and row["color"] in classes["color"]
        assert all(0 < row[name] <= 1 for name in ("type_confidence", "color_confidence"))
        assert row["focus"] <= 1 and 0 <= row["cam_on_product"] <= 1


def test_its_rows_keep_the_promises_of_their_columns(bundle, pixels, tmp_path):
    day, root, tagger = datetime.date(2026, 11, 22), open_root(str(tmp_path)), Tagger.load(bundle.uri)
    empty = np.full_like(pixels[:1], 255)  # a photo of nothing: no product, no focus
    pixels = np.concatenate([pixels, empty])
    noon = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
    photos = photo_rows(
        Decoded(StoredObject(f"{n}.jpg", "e", 1, noon), DecodedPhoto(picture, 128, 128, "JPEG", n, False))
        for n, picture in enumerate(pixels)
    )
    answers = infer(tagger, Batch(pixels, photos["image_key"].to_pylist(), day), 64)
    stage_unit(root, "0", RunStamp("r1", day, "c"), answered_rows(photos, answers), refusal_rows([]))
    rows = read_unit(root, "r1", "0")
    assert len(rows.tags) == 13
    assert broken_promises(rows, Expected("r1", day, tagger.info.classes)) == []


def test_it_is_whole_and_small():
    version = json.loads((SHIPPED / "production.json").read_text())["version"]
    info = read_info(open_root(str(SHIPPED / version)))
    assert (len(info.classes["type"]), len(info.classes["color"])) == (24, 20)
    assert Thresholds.from_dict(info.thresholds).audit_share > 0
    assert sum(path.stat().st_size for path in SHIPPED.rglob("*")) < LARGEST_MB * 1e6


def test_it_says_what_nights_are_compared_with(bundle):
    info = read_info(bundle)
    profiles = reference_profiles(read_reference(bundle, info), info.classes)
    assert profiles["all"].items == 771
    assert all(counts.sum() == 771 for counts in profiles["all"].counts.values())
