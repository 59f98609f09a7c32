import json

import pytest

from tagger.config_file import load_config
from tagger.errors import BadInput, GateRefused
from tagger.evaluate import Request, answer
from tests.unit.evaluation.small_shop import make_shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return make_shop(tmp_path_factory.mktemp("shop"))


def config(shop, *overrides):
    return load_config(None, [f"root={shop}", f"model={shop}/models/shop/1", *overrides])


def test_files_and_tables_are_there_even_where_the_gate_refuses(shop, tmp_path, capsys):
    files = [str(tmp_path / "new" / name) for name in ("e.json", "e.html", "s.html")]
    with pytest.raises(GateRefused):
        answer(config(shop, "evaluate.min_type_accuracy=1"), Request(*files))
    told = capsys.readouterr().out
    assert told.startswith("type: ") and "color: " in told
    facts = json.loads((tmp_path / "new/e.json").read_text())
    assert f"accuracy {facts['type']['accuracy']:.1%}" in told
    assert "data:image/jpeg" in (tmp_path / "new/e.html").read_text()
    assert "Suspicious labels" in (tmp_path / "new/s.html").read_text()


def test_json_on_standard_output_is_one_array(shop, capsys):
    answer(config(shop), Request(style="json"))
    [facts] = json.loads(capsys.readouterr().out)
    assert facts["model_name"] == "shop"
    model = f"{shop}/models/shop/1"
    answer(config(shop), Request(style="json", diff=(model, model)))
    [diff] = json.loads(capsys.readouterr().out)
    assert diff["item_count"] == 40 and diff["photos"] == []


def test_a_place_that_takes_no_file_is_told(shop, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="Could not write .*file/e.json"):
        answer(config(shop), Request(json_file=str(tmp_path / "file" / "e.json")))
