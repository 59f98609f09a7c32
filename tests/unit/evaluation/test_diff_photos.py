from dataclasses import replace

import pytest

from tagger.config_file import load_config
from tagger.errors import BadInput, FetchFailed, StorageUnavailable
from tagger.evaluation.diff_photos import run_diff
from tagger.storage import LocalRoot
from tests.decoding import decode_nothing_here
from tests.unit.evaluation.small_shop import INFO, make_shop, save_shop_bundle


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Version 2 has other weights and pads where version 1 stretches."""
    folder = make_shop(tmp_path_factory.mktemp("shop"))
    save_shop_bundle(folder, replace(INFO, version="2", fit="pad"), seeds=(5, 6))
    return folder


@pytest.fixture(scope="module")
def models(shop):
    return [str(shop / "models/shop" / version) for version in ("1", "2")]


def test_a_folder_of_photos_without_root_or_labels_is_enough(shop, models):
    diff = run_diff(load_config(None, [f"images={shop}/images"]), *models)
    assert (diff.before, diff.after, diff.item_count, diff.unreadable) == ("shop 1", "shop 2", 40, 0)
    assert diff.low_focus == 0.2 and diff.attributes[0].better_count is None
    assert sum(each.item_count for each in diff.attributes[1].transitions) == diff.attributes[1].changed_count > 0


def test_a_model_does_not_differ_from_itself(shop, models):
    diff = run_diff(load_config(None, [f"root={shop}"]), models[0], models[0])
    assert [each.changed_count for each in diff.attributes] == [0, 0]


def test_labels_choose_the_photos_of_a_role_and_judge_the_changes(shop, models):
    settings = [f"labels={shop}/labels/labels.csv", f"images={shop}/images"]
    report, every = (
        run_diff(load_config(None, [*settings, f"evaluate.split={s}"]), *models) for s in ("report", "all")
    )
    assert every.item_count == 40 > report.item_count
    types = every.attributes[0]
    assert types.better_count + types.worse_count == types.changed_count  # of two classes


def test_what_is_no_photo_is_counted(shop, models, tmp_path, monkeypatch):
    decode_nothing_here(monkeypatch)
    (tmp_path / "0.png").write_bytes((shop / "images/0.png").read_bytes())
    (tmp_path / "notes.txt").write_text("no photo")
    (tmp_path / "\udcff.png").write_bytes(b"")  # no UTF-8: never tagged
    diff = run_diff(load_config(None, [f"images={tmp_path}"]), *models)
    assert (diff.item_count, diff.unreadable) == (1, 1)


def test_an_outage_is_no_diff_of_the_photos_that_came_before_it(shop, models, monkeypatch):
    came, fetch = iter(range(12)), LocalRoot.fetch

    def going_away(self, key, *facts):
        if next(came, None) is None:
            raise FetchFailed("download_failed", "no answer")
        return fetch(self, key, *facts)

    monkeypatch.setattr(LocalRoot, "fetch", going_away)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(StorageUnavailable, match="could not be fetched in 4 tries: no answer"):
        run_diff(load_config(None, [f"images={shop}/images"]), *models)


@pytest.mark.parametrize(("file", "words"), [(None, "holds no photo"), ("notes.txt", "None of the 1 photos could be")])
def test_a_folder_without_a_photo_is_told(models, tmp_path, file, words):
    if file:
        (tmp_path / file).write_text("no photo")
    with pytest.raises(BadInput, match=words):
        run_diff(load_config(None, [f"images={tmp_path}"]), *models)
