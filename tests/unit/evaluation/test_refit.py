import json
from pathlib import Path

import pandas as pd
import pytest

from tagger.config_file import load_config
from tagger.errors import BadInput, LabelsError
from tagger.evaluation.items import labelled_table, of_role
from tagger.evaluation.refit import refit, write
from tagger.model.bundle import find_bundle, read_info
from tagger.tag.predict import Tagger
from tests.unit.evaluation.small_shop import INFO, THRESHOLDS, make_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return make_shop(tmp_path_factory.mktemp("shop"))


def config(shop, *overrides):
    return load_config(None, [f"root={shop}", f"model={shop}/models/shop/1", *overrides])


REVIEW = ("review.budget=0.3", "review.target_precision.type=0.6", "focus.low=0.05")


@pytest.fixture(scope="module")
def result(shop):
    return refit(config(shop, *REVIEW))


def test_thresholds_are_fitted_on_the_calibrate_items_alone(result, shop, tmp_path):
    labels = pd.read_csv(shop / "labels/labels.csv")
    reported = labels["image_key"].isin(of_role(labelled_table(config(shop), INFO), "report")["image_key"])
    labels.loc[reported, ["type", "color"]] = ["Belt", "White"]
    labels.to_csv(tmp_path / "other.csv", index=False)
    other = refit(config(shop, *REVIEW, f"labels={tmp_path}/other.csv"))
    assert other.counts == result.counts and other.fit.measured != result.fit.measured
    assert (other.fit.thresholds, other.fit.promises) == (result.fit.thresholds, result.fit.promises)


def test_what_was_fitted_says_what_it_was_before_and_on_how_many_items(result):
    assert result.counts["calibrate"] + result.counts["report"] == 40
    assert result.before == THRESHOLDS and result.fit.thresholds.focus == 0.05
    assert result.fit.promises["type"].group_count <= result.counts["calibrate"] / 2


def test_everything_but_the_review_stays_as_it_was_trained(result):
    changed = {name for name, value in vars(result.info).items() if value != vars(INFO)[name]}
    assert changed == {"version", "thresholds", "metrics", "provenance", "digests"}
    assert result.info.metrics["type"] == {"accuracy": 0.8}
    assert result.info.provenance["run_id"] == "r"
    assert result.info.provenance["thresholds"]["config"]["review"]["budget"] == 0.3


def test_a_new_version_stands_beside_the_old_one_which_is_untouched(result, shop, tmp_path):
    old = {file.name: file.read_bytes() for file in (shop / "models/shop/1").iterdir()}
    place = write(result, None, is_promoted=False)
    assert Path(place.uri).parent == shop / "models/shop" and place.uri.startswith(f"{shop}/models/shop/1-t20")
    assert {file.name: file.read_bytes() for file in (shop / "models/shop/1").iterdir()} == old
    assert not (shop / "models/shop/production.json").exists()
    assert place.read_bytes("color.keras") == old["color.keras"]
    assert Tagger.load(place.uri).thresholds == result.fit.thresholds
    with pytest.raises(BadInput, match=r"There is a bundle at .* already.*train\.version=NAME"):
        write(result, None, is_promoted=False)


def test_it_can_go_elsewhere_and_serve_at_once(result, tmp_path):
    place = write(result, str(tmp_path / "fashion"), is_promoted=True)
    assert find_bundle(str(tmp_path / "fashion"), "").uri == place.uri
    assert read_info(place).version == result.info.version


def test_the_card_has_the_new_review_and_keeps_the_rest(result, tmp_path):
    card = write(result, str(tmp_path), is_promoted=False).read_bytes("MODEL_CARD.md").decode()
    assert card.startswith(f"# shop, version {result.info.version}\n")
    assert "of version 1, whose networks these are" in card and "Old." not in card
    assert card.endswith("## Data\n\nMany.\n\n## Limits\n\nSome.\n") and "low_focus" in card


def test_without_report_items_no_figure_of_the_old_thresholds_is_stated(shop, tmp_path):
    labels = pd.read_csv(shop / "labels/labels.csv")
    fitted_on = of_role(labelled_table(config(shop), INFO), "calibrate")["image_key"]
    labels[labels["image_key"].isin(fitted_on)].to_csv(tmp_path / "calibrate.csv", index=False)
    result = refit(config(shop, f"labels={tmp_path}/calibrate.csv"))
    assert result.counts["report"] == 0
    assert set(INFO.metrics) - set(result.info.metrics) == {
        "flagged_share", "passing_type_precision", "passing_color_precision"
    }  # fmt: skip
    card = write(result, str(tmp_path), is_promoted=False).read_bytes("MODEL_CARD.md").decode()
    assert "was not measured" in card and "12.3%" not in card


def test_with_report_items_their_figures_are_the_new_ones(result):
    assert result.info.metrics["flagged_share"] == result.fit.measured["flagged_share"] != 0.123


def test_the_facts_are_strict_json(result):
    facts = json.loads(json.dumps(result.facts(), allow_nan=False))
    assert facts["thresholds_before"]["focus"] == 0.2 and facts["promises"]["type"]["target"] == 0.6


@pytest.mark.parametrize(("wished", "version"), [("tight", "tight"), ("1", "1-t")])
def test_the_version_is_the_named_one_unless_that_is_the_old_one(shop, wished, version):
    assert refit(config(shop, f"train.version='{wished}'")).info.version.startswith(version)


def test_labels_without_calibrate_items_are_told(shop, tmp_path):
    labels = pd.read_csv(shop / "labels/labels.csv").assign(split="train")
    labels.to_csv(tmp_path / "train.csv", index=False)
    with pytest.raises(LabelsError, match="No labelled item has the role calibrate"):
        refit(config(shop, f"labels={tmp_path}/train.csv"))


def test_labels_of_another_shop_are_told(shop, tmp_path):
    labels = pd.read_csv(shop / "labels/labels.csv").assign(type="Teapot")
    labels.to_csv(tmp_path / "pots.csv", index=False)
    with pytest.raises(LabelsError, match="Teapot"):
        refit(config(shop, f"labels={tmp_path}/pots.csv"))
