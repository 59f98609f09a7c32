import json
from dataclasses import replace

import pytest

from tagger.catalog.split import assign_roles
from tagger.config_file import load_config
from tagger.errors import BadInput, GateRefused
from tagger.evaluation.items import labelled_table
from tagger.evaluation.run import check_gates, run
from tests.unit.evaluation.small_shop import INFO, make_shop, save_shop_bundle


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Beside the bundle 1: version 2, of other weights and a little better, and version 3, of other colors."""
    folder = make_shop(tmp_path_factory.mktemp("shop"))
    save_shop_bundle(folder, replace(INFO, version="2"), seeds=(3, 4))
    other = {**INFO.classes, "color": ("Black", "White", "Teal")}
    save_shop_bundle(folder, replace(INFO, version="3", classes=other))
    return folder


def config(shop, *overrides):
    return load_config(None, [f"root={shop}", f"model={shop}/models/shop/1", *overrides])


@pytest.fixture(scope="module")
def report(shop):
    return run(config(shop))


def test_the_report_items_are_measured(report, shop):
    roles = assign_roles(labelled_table(config(shop), INFO))
    assert report.split == "report"
    assert report.evaluations["type"].item_count == (roles == "report").sum() > 0
    assert (report.unreadable, report.rivalry) == (0, None)


def test_the_json_is_strict_and_holds_all_of_an_attribute(report):
    facts = json.loads(report.to_json())
    assert facts["color"]["accuracy"] == report.evaluations["color"].accuracy
    assert {"calibration_error_before", "reliability", "risk_coverage", "confused_pairs", "examples"} <= set(
        facts["type"]
    )
    assert "shade_tolerant_accuracy" in facts["color"] and "shade_tolerant_accuracy" not in facts["type"]
    assert facts["type"]["label_noise"]["item_count"] == facts["type"]["item_count"]
    assert facts["against"] is None and facts["fit"] == "stretch"


def test_the_temperature_is_what_stands_between_the_calibration_errors(report, shop):
    save_shop_bundle(shop, replace(INFO, version="plain", temperatures={"type": 1.0, "color": 1.0}))
    plain = run(config(shop, f"model={shop}/models/shop/plain"))
    for name in ("type", "color"):
        assert plain.evaluations[name].calibration_error == report.details[name].calibration_error_before
        assert report.evaluations[name].calibration_error != report.details[name].calibration_error_before


def test_examples_are_keys_of_the_labels(report):
    shown = [each for part in report.details["color"].examples.values() for each in (*part.errors, *part.right)]
    assert shown and all(example.image_key.endswith(".png") for example in shown)


def test_labels_that_were_fitted_on_are_not_suspected(tmp_path_factory):
    folder = make_shop(tmp_path_factory.mktemp("train"), split="train")
    everything = config(folder, "evaluate.split=all")
    fitted = (assign_roles(labelled_table(everything, INFO)) == "fit").sum()
    report = run(everything)
    assert report.evaluations["type"].item_count == 40 and 0 < fitted < 40
    assert report.noise["type"].item_count == 40 - fitted


def test_a_role_without_items_is_told(shop):
    with pytest.raises(BadInput, match="No labelled item has the role evaluate.split=select"):
        run(config(shop, "evaluate.split=select"))


def test_a_bundle_is_not_worse_than_itself(shop):
    rivalry = run(config(shop), against=f"{shop}/models/shop/1").rivalry
    assert not rivalry.is_refused and [each.difference for each in rivalry.comparisons] == [0, 0]


def test_how_much_may_be_lost_is_configured(shop):
    strict, lax = (
        run(config(shop, "evaluate.split=all", f"evaluate.max_loss={loss}"), against=f"{shop}/models/shop/2")
        for loss in (0, 0.3)
    )
    lost = -min(each.difference for each in strict.rivalry.comparisons)
    assert 0 < lost < 0.3 and all(each.high >= 0 for each in strict.rivalry.comparisons), "it may be chance"
    assert strict.rivalry.is_refused and not lax.rivalry.is_refused
    check_gates(lax, config(shop).evaluate)
    with pytest.raises(GateRefused, match=r"worse than shop 2 on the same items.*evaluate\.max_loss = 0\.0"):
        check_gates(strict, config(shop).evaluate)


def test_other_classes_are_not_compared(shop):
    with pytest.raises(BadInput, match="--against .*models/shop/3 has other color classes than .*models/shop/1"):
        run(config(shop), against=f"{shop}/models/shop/3")


def test_too_low_a_type_accuracy_is_refused(report, shop):
    check_gates(report, config(shop).evaluate)
    with pytest.raises(GateRefused, match=r"below evaluate\.min_type_accuracy = 1\.0"):
        check_gates(report, config(shop, "evaluate.min_type_accuracy=1").evaluate)


def test_the_text_tells_what_the_tables_do_not(report):
    text = report.as_text()
    for words in (
        "type: ",
        "before and",
        "after the temperature",
        "area under risk",
        "suspicious labels",
        "mean focus",
    ):
        assert words in text
