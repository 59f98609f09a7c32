import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.catalog.split import ROLES, UNUSED, assign_roles, check_roles, hashed_share
from tagger.errors import LabelsError

# Keys with a group and a split of the group's own, so that no group is torn.
GROUP_SPLITS = {"a": "train", "b": "val", "c": "test", "d": "train", "é\n": "val"}
KEYS = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=30, unique=True)


def table(keys: list[str], columns: tuple[str, ...] = ("split", "group")) -> pd.DataFrame:
    names = list(GROUP_SPLITS)
    groups = [names[sum(key.encode(errors="replace")) % len(names)] for key in keys]
    full = pd.DataFrame({"image_key": keys, "split": [GROUP_SPLITS[group] for group in groups], "group": groups})
    return full[["image_key", *columns]]


@settings(deadline=None)
@given(KEYS, st.integers(0, 29), st.sampled_from([(), ("group",), ("split",), ("split", "group")]))
def test_an_item_never_moves_when_others_arrive(keys, count, columns):
    early = assign_roles(table(keys[: count + 1], columns))
    late = assign_roles(table(keys[::-1], columns))
    assert early.tolist() == late[::-1].tolist()[: count + 1]


@settings(deadline=None)
@given(KEYS, st.sampled_from([("group",), ("split", "group")]))
def test_a_group_never_spans_roles(keys, columns):
    items = table(keys, columns)
    assert assign_roles(items).groupby(items["group"]).nunique().max() == 1


def test_the_labels_own_split_is_respected():
    items = pd.DataFrame({"image_key": [str(i) for i in range(3000)], "split": ["train", "val", "test"] * 1000})
    counts = assign_roles(items).groupby(items["split"]).value_counts(normalize=True)
    assert counts["train"].to_dict() == pytest.approx({"fit": 0.85, "select": 0.15}, abs=0.03)
    assert counts["val"].to_dict() == pytest.approx({"calibrate": 0.5, "report": 0.5}, abs=0.05)
    assert counts["test"].to_dict() == {UNUSED: 1.0}


def test_extra_items_are_for_fitting_alone_and_never_resemble_a_select_item():
    groups = [str(i) for i in range(2000)]
    items = pd.DataFrame({"group": groups * 2, "split": ["train"] * 2000 + ["extra"] * 2000}).assign(
        image_key=range(4000)
    )
    roles = assign_roles(items)
    assert set(roles[2000:]) == {"fit", UNUSED}
    ordinary, extra = roles[:2000].reset_index(drop=True), roles[2000:].reset_index(drop=True)
    assert (ordinary[extra == "fit"] == "fit").all() and (extra[ordinary == "fit"] == "fit").all()


def test_without_a_split_the_hash_decides():
    shares = assign_roles(pd.DataFrame({"image_key": [str(i) for i in range(5000)]})).value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({"fit": 0.70, "select": 0.12, "calibrate": 0.09, "report": 0.09}, abs=0.02)


def test_a_torn_group_is_refused():
    torn = pd.DataFrame({"image_key": ["1", "2"], "split": ["train", "val"], "group": ["g", "g"]})
    with pytest.raises(LabelsError, match="first: group 'g' in train, val"):
        assign_roles(torn)


def test_an_empty_role_is_refused():
    roles = pd.Series(["fit", "fit", "select"])
    check_roles(roles, ["fit", "select"])
    with pytest.raises(LabelsError, match=r"role calibrate or report \(3 items: \{'fit': 2, 'select': 1\}\)"):
        check_roles(roles, ROLES)


def test_the_hash_is_the_same_in_every_release():
    # Changing these moves items between roles: published figures would be of items that were trained on.
    assert hashed_share("1563") == 0.19499142085083543
    assert hashed_share("") == 0.9925953189152829
