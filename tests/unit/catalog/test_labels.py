import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest

from tagger.catalog.labels import LabelSpace, check_images, only_classes, read_labels
from tagger.catalog.split import assign_roles
from tagger.errors import ConfigError, LabelsError
from tagger.storage import Root, open_root

SPACE = LabelSpace(("Shirt", "Belt"), ("Red", "Blue"), {"Polo": "Shirt"}, {"Burgundy": "Red"})


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return open_root(str(tmp_path))


def put(root: Root, *rows: str, name: str = "labels/a.csv", header: str = "image_key,type,color") -> None:
    root.write_bytes(name, "\n".join([header, *rows, ""]).encode())


def test_reads_every_matching_table_as_text(root):
    put(root, "007,Shirt,Red")
    put(root, "images/1.jpg,Belt,Blue", name="labels/b.csv")
    put(root, "x,Coat,Teal", name="labels/old/c.csv")
    labels = read_labels(root, space=SPACE)
    assert labels.table["image_key"].tolist() == ["007", "images/1.jpg"]
    assert labels.indices("type").tolist() == [0, 1]
    assert labels.indices("color").tolist() == [0, 1]


def test_a_pattern_without_wildcard_names_one_file(root):
    put(root, "1,Shirt,Red", name="mine.csv")
    assert len(read_labels(root, "mine.csv")) == 1


def test_tolerates_byte_order_mark_crlf_blank_lines_and_line_breaks_in_keys(root):
    text = '\ufeffimage_key,type,color\r\n\r\n"a\nb, c",Shirt,Red\r\n\r\n'
    root.write_bytes("labels/a.csv", text.encode())
    assert read_labels(root).table["image_key"].tolist() == ["a\nb, c"]


def test_shop_names_merge_into_classes(root):
    put(root, "1,Polo,Burgundy", "2,Belt,Blue")
    table = read_labels(root, space=SPACE).table
    assert table[["type", "color"]].iloc[0].tolist() == ["Shirt", "Red"]


def test_a_derived_space_starts_with_the_most_frequent_class(root):
    put(root, "1,Belt,Red", "2,Shirt,Blue", "3,Shirt,Aqua")
    space = read_labels(root).space
    assert space.types == ("Shirt", "Belt")
    assert space.colors == ("Aqua", "Blue", "Red")


def test_named_columns_are_ignored_and_optional_ones_kept(root):
    put(root, "1,Shirt,Red,train,old,9", header="image_key,type,color,split,raw,group")
    table = read_labels(root, ignore_columns=["raw", "absent"]).table
    assert list(table.columns) == ["image_key", "type", "color", "split", "group"]


CASES = [
    ("", r"labels/a\.csv has no rows"),
    ("image_key,type,color\n", r"labels/a\.csv has no rows"),
    ("image_key,type\n1,Shirt\n", r"labels/a\.csv lacks the columns 'color'; it has 'image_key', 'type'"),
    ("image_key;type;color\n1;Shirt;Red\n", r"lacks the columns .*it has 'image_key;type;color'.*commas"),
    ("image_key,type,color,raw\n1,Shirt,Red,x\n", r"unknown columns: 'raw'.*catalog\.ignore_columns"),
    ("image_key,type,color,color\n1,Shirt,Red,Red\n", r"names a column twice"),
    ("image_key,type,color\n1,Shirt,Red\n2,Belt\n", r"labels/a\.csv, row 3 has 2 cells, the header 3"),
    ("image_key,type,color\n1,Shirt,Red\n2,Belt, \n", r"column color: 1 cells are empty \(first: row 3\)"),
    ('image_key,type,color\n"1,Shirt,Red\n', r"no well-formed CSV.*double quote"),
    ("image_key,type,color\n1,Shirt,Red\n1,Belt,Red\n", r"a\.csv, row 3 contradicts labels/a\.csv, row 2 about '1'"),
    (
        "image_key,type,color\n1,Shirt,Red\n2,Shirt,teal\n3,Belt,sand\n4,Belt,teal\n",
        r"column color: 2 values are not in the color label space: 'sand', 'teal' \(first: row 3\).*merge\.colors",
    ),
]


@pytest.mark.parametrize(("text", "message"), CASES)
def test_a_faulty_table_is_refused_with_file_row_and_remedy(root, text, message):
    root.write_bytes("labels/a.csv", text.encode())
    with pytest.raises(LabelsError, match=message):
        read_labels(root, space=SPACE)


def test_a_table_of_another_encoding_is_refused(root):
    root.write_bytes("labels/a.csv", "image_key,type,color\n1,Shirt,Béige\n".encode("latin-1"))
    with pytest.raises(LabelsError, match=r"labels/a\.csv is not UTF-8 \(byte 30\)"):
        read_labels(root)


def test_no_table_at_all_says_where_it_looked(root):
    with pytest.raises(LabelsError, match=rf"labels/\*\.csv under {root.uri}"):
        read_labels(root)


def test_tables_with_different_columns_are_refused(root):
    put(root, "1,Shirt,Red")
    put(root, "2,Shirt,Red,train", name="labels/b.csv", header="image_key,type,color,split")
    with pytest.raises(LabelsError, match=r"b\.csv and labels/a\.csv differ in the columns 'split'"):
        read_labels(root)


def test_a_repeated_row_counts_once_even_under_its_shop_name(root):
    put(root, "1,Shirt,Red", "2,Belt,Blue")
    put(root, "1,Polo,Burgundy", name="labels/b.csv")
    labels = read_labels(root, space=SPACE)
    assert (len(labels), labels.repeated_count) == (2, 1)


def test_rare_classes_are_listed_with_their_counts(root):
    put(root, "1,Shirt,Red", "2,Shirt,Red")
    with pytest.raises(LabelsError, match=r"column type: 1 classes have fewer than 2 items: 'Belt \(0\)'.*drop_rare"):
        read_labels(root, space=SPACE, min_per_class=2)


def test_dropping_rare_classes_goes_on_until_none_is_rare(root):
    put(root, "1,Shirt,Red", "2,Shirt,Red", "3,Belt,Red", "4,Belt,Aqua")
    labels = read_labels(root, min_per_class=2, drop_rare=True)
    assert (labels.space.types, labels.space.colors) == (("Shirt",), ("Red",))
    assert labels.dropped_count == 2


def test_dropping_every_class_is_refused(root):
    put(root, "1,Shirt,Red", "2,Belt,Blue")
    with pytest.raises(LabelsError, match="2 classes have fewer than 5"):
        read_labels(root, min_per_class=5, drop_rare=True)


def test_labels_are_cut_to_the_classes_that_a_bundle_has(root, caplog):
    put(root, "1,Shirt,Red", "2,Belt,Red", "3,Teapot,Red", "4,Shirt,Aqua", "5,Teapot,Aqua")
    labels = only_classes(read_labels(root), ["Belt", "Shirt", "Hat"], ["Red"])
    assert labels.table["image_key"].tolist() == ["1", "2"] and labels.dropped_count == 3
    assert labels.indices("type").tolist() == [1, 0]
    assert "1 types that the bundle lacks are left out: 'Teapot (2)'" in caplog.text
    with pytest.raises(LabelsError, match="No label has a type and a color of the bundle"):
        only_classes(labels, ["Hat"], ["Red"])


def test_labels_without_image_are_refused_above_the_share_and_left_out_below(root):
    put(root, "1,Shirt,Red", "2,Belt,Blue", "3,Belt,Red")
    labels = read_labels(root)
    assert len(check_images(labels, iter("4321"))) == 3
    with pytest.raises(LabelsError, match=r"1 of 3 labels have no image, first '2'"):
        check_images(labels, iter("13"), max_missing_share=0.3)
    kept = check_images(labels, iter("13"), max_missing_share=0.4)
    assert (kept.table["image_key"].tolist(), kept.dropped_count) == (["1", "3"], 1)


def test_no_image_at_all_is_refused_whatever_the_share(root):
    put(root, "1,Shirt,Red")
    with pytest.raises(LabelsError, match="letter for letter"):
        check_images(read_labels(root), [], max_missing_share=1.0)


def test_a_space_survives_dict_and_pickle():
    assert LabelSpace.from_dict(SPACE.to_dict()) == SPACE
    assert pickle.loads(pickle.dumps(SPACE)) == SPACE
    assert LabelSpace.from_dict({"types": ["A"], "colors": ["B"]}).merge_types == {}


@pytest.mark.parametrize(
    ("types", "merge", "message"),
    [
        (("Shirt", "Shirt"), {}, "names a class twice"),
        ((), {}, "empty"),
        (("Shirt", False), {}, "False is not a name"),  # YAML reads an unquoted No as false
        (("Shirt",), {"Polo": "Top"}, "'Polo -> Top' leads to no class"),
        (("Shirt", "Top"), {"Top": "Shirt"}, "renames a class"),
    ],
)
def test_a_contradictory_space_is_refused(types, merge, message):
    with pytest.raises(ConfigError, match=message):
        LabelSpace(types, ("Red",), merge)


@pytest.mark.parametrize(
    "data",
    [
        None,
        ["types", "colors"],
        {"types": ["A"]},
        {"types": "Shirt", "colors": ["B"]},
        {"types": ["A"], "colors": ["B"], "shades": []},
        {"types": ["A"], "colors": ["B"], "merge": {"shades": {}}},
        {"types": ["A"], "colors": ["B"], "merge": {"types": ["Polo"]}},
    ],
)
def test_a_space_of_another_shape_is_refused(data):
    with pytest.raises(ConfigError, match="must hold the lists types and colors"):
        LabelSpace.from_dict(data)


def test_the_real_catalogue_reads_and_splits(root):
    data = Path(os.environ.get("TAGGER_DATA", Path(__file__).parents[3].parent / "shared" / "data"))
    archive = data / "catalog-medium.zip"
    if not archive.exists():
        pytest.skip(f"{archive} is not there; set TAGGER_DATA")
    with zipfile.ZipFile(io.BytesIO(archive.read_bytes())) as files:
        root.write_bytes("labels/medium.csv", files.read("labels.csv"))
    labels = read_labels(root, ignore_columns=["raw_type", "raw_color", "geometry"], min_per_class=20)
    assert (len(labels), len(labels.space.types), len(labels.space.colors)) == (8690, 24, 20)
    shares = assign_roles(labels.table).value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({"fit": 0.70, "select": 0.12, "calibrate": 0.09, "report": 0.09}, abs=0.02)
