"""The shop's labels: CSV tables under a root -> one checked table and its label space.

Everything is read as text, so the key "007" stays "007". A row number counts as a spreadsheet does: the header is row
1, and a quoted cell that holds a line break does not start a new row.
"""

import csv
import io
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from tagger.errors import ConfigError, LabelsError
from tagger.storage import Root, open_file, open_root

REQUIRED_COLUMNS = ("image_key", "type", "color")
OPTIONAL_COLUMNS = ("split", "group")
ATTRIBUTES = ("type", "color")
_KNOWN_COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
_LISTED_COUNT = 10
_SPACE_SHAPE = "A label space must hold the lists types and colors, and may hold the tables merge.types, merge.colors."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelSpace:
    """The ordered class names of both attributes, and the shop's own names that mean one of them.

    A class's position is the network's output of that number. `merge_colors` maps a shop's shade to a color of the
    space ("Burgundy" -> "Maroon"), `merge_types` likewise. ConfigError where the parts contradict each other.
    """

    types: tuple[str, ...]
    colors: tuple[str, ...]
    merge_types: Mapping[str, str] = field(default_factory=dict)
    merge_colors: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for attribute in ATTRIBUTES:
            _check_classes(attribute, self.classes(attribute), self.merge(attribute))

    @classmethod
    def from_dict(cls, data: Any) -> "LabelSpace":
        """From `{types: [...], colors: [...], merge: {types: {shop name: class}, colors: {...}}}`, merge optional.
        ConfigError where the data has another shape."""
        lists = {key: data[key] for key in data if key != "merge"} if isinstance(data, dict) else {}
        merge = (data.get("merge") or {}) if lists else {}
        is_shaped = set(lists) == {"types", "colors"} and isinstance(merge, dict) and set(merge) <= set(lists)
        is_shaped = is_shaped and all(isinstance(part, list) for part in lists.values())
        if not is_shaped or not all(isinstance(table, dict) for table in merge.values()):
            raise ConfigError(f"{_SPACE_SHAPE} Received: {str(data)[:200]}")
        return cls(tuple(data["types"]), tuple(data["colors"]), merge.get("types", {}), merge.get("colors", {}))

    def to_dict(self) -> dict[str, Any]:
        """The inverse of `from_dict`, ready for JSON."""
        merge = {"types": dict(self.merge_types), "colors": dict(self.merge_colors)}
        return {"types": list(self.types), "colors": list(self.colors), "merge": merge}

    def classes(self, attribute: str) -> tuple[str, ...]:
        """The classes of "type" or "color"."""
        return {"type": self.types, "color": self.colors}[attribute]

    def merge(self, attribute: str) -> Mapping[str, str]:
        """The merge table of "type" or "color"."""
        return {"type": self.merge_types, "color": self.merge_colors}[attribute]

    def without(self, attribute: str, dropped: Iterable[str]) -> "LabelSpace":
        """The space without some classes of an attribute, nor the merges that lead to them."""
        gone = set(dropped)
        kept = tuple(name for name in self.classes(attribute) if name not in gone)
        merge = {raw: name for raw, name in self.merge(attribute).items() if name not in gone}
        changes: dict[str, Any] = {f"{attribute}s": kept, f"merge_{attribute}s": merge}
        return replace(self, **changes)


def read_label_space(file: str) -> LabelSpace:
    """A label space from a YAML file on this machine. ConfigError where it is missing or malformed."""
    try:
        data = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"catalog.label_space: {file} cannot be read: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigError(f"catalog.label_space: {file} must hold types, colors and merge.")
    return LabelSpace.from_dict(data)


@dataclass(frozen=True, eq=False)
class Labels:
    """Checked labels.

    table: one row per image_key, text columns image_key, type, color (classes of `space`), and split, group where the
    files have them. `repeated_count` rows said the same thing twice and are in the table once; `dropped_count` rows
    were left out because their class is too rare or their image is absent.
    """

    table: pd.DataFrame
    space: LabelSpace
    repeated_count: int = 0
    dropped_count: int = 0

    def __len__(self) -> int:
        return len(self.table)

    def indices(self, attribute: str) -> np.ndarray:
        """(N,) int64: the class of each row as its position in the label space."""
        return pd.Index(self.space.classes(attribute)).get_indexer(pd.Index(self.table[attribute])).astype(np.int64)


def read_labels(
    root: Root,
    pattern: str = "labels/*.csv",
    space: LabelSpace | None = None,
    *,
    ignore_columns: Iterable[str] = (),
    min_per_class: int = 0,
    drop_rare: bool = False,
) -> Labels:
    """Read every table under `root` whose key matches `pattern`; `*` does not cross a slash.

    Without a `space` it is derived from the tables, the most frequent class first. A class of the space with fewer than
    `min_per_class` items is an error, or with `drop_rare` is taken out of table and space.
    LabelsError names the file, the row, the values and what to do.
    """
    ignored = frozenset(ignore_columns)
    table = _stacked({name: _read_table(root, name, ignored) for name in _matching(root, pattern)})
    if space is not None:
        table = _merged(table, space)
    labels = _without_repeats(table, space or _derived_space(table))
    return _without_rare(labels, min_per_class, drop_rare)


def labels_place(labels_uri: str, root_uri: str, pattern: str) -> tuple[Root, str]:
    """Where labels are read from, and what is read there: the named file, else all that match under the root."""
    if not labels_uri:
        return open_root(root_uri), pattern
    return open_file(labels_uri)


def check_images(labels: Labels, keys: Iterable[str], max_missing_share: float = 0.0) -> Labels:
    """The labels whose image is among `keys` (streamed, in any order).

    LabelsError when more than `max_missing_share` of the labels, or all of them, have no image.
    """
    present = labels.table["image_key"].isin(set(labels.table["image_key"]).intersection(keys))
    missing = labels.table["image_key"][~present]
    if len(missing) > max_missing_share * len(labels) or len(missing) == len(labels):
        raise LabelsError(
            f"{len(missing)} of {len(labels)} labels have no image, first {_quoted(missing.iloc[:3])}; at most "
            f"{max_missing_share:.1%} may lack one. image_key must be the object's key below images, letter for letter."
        )
    if len(missing):
        _log.warning("%d of %d labels have no image and are left out", len(missing), len(labels))
    table = labels.table[present].reset_index(drop=True)
    return replace(labels, table=table, dropped_count=labels.dropped_count + len(missing))


def only_classes(labels: Labels, types: Sequence[str], colors: Sequence[str]) -> Labels:
    """The labels whose type and color are among these, which become the label space; others are left out and told.

    LabelsError where no label is left.
    """
    space, kept = LabelSpace(tuple(types), tuple(colors)), labels.table
    for attribute in ATTRIBUTES:
        counts = kept[attribute].value_counts()
        others = counts[~counts.index.isin(space.classes(attribute))]
        if len(others):
            listed = _quoted([f"{name} ({count})" for name, count in others.items()])
            _log.warning("labels: %d %ss that the bundle lacks are left out: %s", len(others), attribute, listed)
        kept = kept[~kept[attribute].isin(others.index)]
    if kept.empty:
        raise LabelsError("No label has a type and a color of the bundle. Name a bundle trained on this shop's labels.")
    dropped = labels.dropped_count + len(labels) - len(kept)
    return replace(labels, table=kept.reset_index(drop=True), space=space, dropped_count=dropped)


def _check_classes(attribute: str, classes: tuple[str, ...], merge: Mapping[str, str]) -> None:
    odd = [name for name in (*classes, *merge, *merge.values()) if not isinstance(name, str) or not name.strip()]
    lost = [f"{raw} -> {name}" for raw, name in merge.items() if name not in classes]
    moved = [f"{raw} -> {name}" for raw, name in merge.items() if raw in classes and raw != name]
    where = f"Label space, {attribute}s"
    if odd:
        raise ConfigError(f"{where}: {odd[0]!r} is not a name. Put it in quotes or remove it.")
    if not classes or len(set(classes)) < len(classes):
        raise ConfigError(f"{where}: {list(classes)} is empty or names a class twice. Name each class once.")
    if lost:
        raise ConfigError(f"{where}: the merge {_quoted(lost)} leads to no class. Add the class, or correct the merge.")
    if moved:
        raise ConfigError(f"{where}: the merge {_quoted(moved)} renames a class of the space. Remove one of the two.")


def _matching(root: Root, pattern: str) -> list[str]:
    """Keys that match, in the listing's order. Only the folder before the first wildcard is listed."""
    fixed = pattern[: min((pattern.index(mark) for mark in "*?[" if mark in pattern), default=len(pattern))]
    folder, slash, start = fixed.rpartition("/")
    listed = (root.child(folder) if folder else root).list_objects(prefix=start)
    keys = (folder + slash + found.key for found in listed)
    names = [key for key in keys if fnmatchcase(key, pattern) and key.count("/") == pattern.count("/")]
    if not names:
        columns = ", ".join(REQUIRED_COLUMNS)
        raise LabelsError(f"No labels table matches {pattern} under {root.uri}. Put a CSV file with {columns} there.")
    return names


def _records(root: Root, name: str) -> list[tuple[int, list[str]]]:
    """(row number, cells) of a CSV file (RFC 4180, UTF-8 with or without a byte order mark); blank lines left out."""
    try:
        text = root.read_bytes(name).decode("utf-8-sig")
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError as error:
        raise LabelsError(f"{name} is not UTF-8 (byte {error.start}). Save the table as CSV UTF-8.") from error
    except csv.Error as error:
        raise LabelsError(f"{name} is no well-formed CSV: {error}. Look for a double quote left open.") from error
    return [(row, cells) for row, cells in enumerate(records, start=1) if cells]


def _read_table(root: Root, name: str, ignored: frozenset[str]) -> pd.DataFrame:
    """One file's known columns, indexed by (file, row)."""
    records = _records(root, name)
    if len(records) < 2:
        raise LabelsError(f"{name} has no rows. Export the labels again, or remove the file.")
    header = records[0][1]
    _check_header(name, header, ignored)
    ragged = [(row, len(cells)) for row, cells in records if len(cells) != len(header)]
    if ragged:
        counts = f"row {ragged[0][0]} has {ragged[0][1]} cells, the header {len(header)}"
        raise LabelsError(f"{name}, {counts}. Put cells that hold a comma in double quotes.")
    index = pd.MultiIndex.from_product([[name], [row for row, _ in records[1:]]], names=["file", "row"])
    every = pd.DataFrame([cells for _, cells in records[1:]], columns=header, index=index, dtype="str")
    table = every[[column for column in _KNOWN_COLUMNS if column in header and column not in ignored]]
    _check_cells(name, table)
    return table


def _check_header(name: str, header: list[str], ignored: frozenset[str]) -> None:
    missing = [column for column in REQUIRED_COLUMNS if column not in header or column in ignored]
    unknown = [column for column in header if column not in {*_KNOWN_COLUMNS, *ignored}]
    if missing:
        has = _quoted(header)
        raise LabelsError(f"{name} lacks the columns {_quoted(missing)}; it has {has}. Name them so, split by commas.")
    if unknown:
        raise LabelsError(
            f"{name} has unknown columns: {_quoted(unknown)}. Known are {', '.join(_KNOWN_COLUMNS)}. "
            "Name the others under catalog.ignore_columns, or remove them."
        )
    if len(set(header)) < len(header):
        raise LabelsError(f"{name} names a column twice: {_quoted(header)}. Remove one of the two.")


def _check_cells(name: str, table: pd.DataFrame) -> None:
    for column in table.columns:
        empty = table.index[table[column].str.strip() == ""]
        if len(empty):
            found = f"column {column}: {len(empty)} cells are empty (first: row {empty[0][1]})"
            raise LabelsError(f"{name}, {found}. Fill them, or remove the rows.")


def _stacked(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    first_name, first = next(iter(tables.items()))
    for name, table in tables.items():
        differing = _quoted(sorted(set(table.columns) ^ set(first.columns)))
        if differing:
            raise LabelsError(f"{name} and {first_name} differ in the columns {differing}. Give all tables the same.")
    return pd.concat(list(tables.values()))


def _merged(table: pd.DataFrame, space: LabelSpace) -> pd.DataFrame:
    """Shop names replaced by classes of the space; LabelsError for a name that is neither."""
    merged = table.copy()
    for attribute in ATTRIBUTES:
        lookup = {name: name for name in space.classes(attribute)} | dict(space.merge(attribute))
        merged[attribute] = table[attribute].map(lookup)
        unknown = table[attribute][merged[attribute].isna()]
        if len(unknown):
            file, row = unknown.index[0]
            raise LabelsError(
                f"{file}, column {attribute}: {unknown.nunique()} values are not in the {attribute} label space: "
                f"{_quoted(sorted(unknown.unique()))} (first: row {row}). "
                f"Add them under merge.{attribute}s of the label space, or correct the labels table."
            )
    return merged


def _derived_space(table: pd.DataFrame) -> LabelSpace:
    counts = {attribute: Counter(table[attribute]) for attribute in ATTRIBUTES}
    types, colors = (tuple(sorted(found, key=lambda name: (-found[name], name))) for found in counts.values())
    return LabelSpace(types, colors)


def _without_repeats(table: pd.DataFrame, space: LabelSpace) -> Labels:
    """Rows that repeat another in every column are kept once; rows that contradict another are an error."""
    distinct = table.drop_duplicates()
    again = distinct["image_key"][distinct["image_key"].duplicated()]
    if len(again):
        key = again.iloc[0]
        first, second = (f"{file}, row {row}" for file, row in distinct.index[distinct["image_key"] == key][:2])
        others = f"{again.nunique()} such image_keys in all"
        raise LabelsError(f"{second} contradicts {first} about {key!r} ({others}). Keep one row per image_key.")
    if repeated := len(table) - len(distinct):
        _log.warning("%d labels rows repeat another row word for word and count once", repeated)
    return Labels(distinct.reset_index(drop=True), space, repeated_count=repeated)


def _without_rare(labels: Labels, minimum: int, drop_rare: bool) -> Labels:
    """Dropping a rare color can make a type rare, so this goes on until nothing is rare."""
    for attribute in ATTRIBUTES:
        counts = labels.table[attribute].value_counts().reindex(labels.space.classes(attribute), fill_value=0)
        rare = counts[counts < minimum]
        if not len(rare):
            continue
        listed = _quoted([f"{name} ({count})" for name, count in rare.items()])
        if not drop_rare or len(rare) == len(counts):
            raise LabelsError(
                f"Labels, column {attribute}: {len(rare)} classes have fewer than {minimum} items: {listed}. Label "
                f"more, merge them under merge.{attribute}s of the label space, lower catalog.min_per_class, or set "
                "catalog.drop_rare=true."
            )
        _log.warning("labels: %d %ss with fewer than %d items are left out: %s", len(rare), attribute, minimum, listed)
        kept = labels.table[~labels.table[attribute].isin(rare.index)].reset_index(drop=True)
        dropped = labels.dropped_count + len(labels) - len(kept)
        fewer = replace(labels, table=kept, space=labels.space.without(attribute, rare.index), dropped_count=dropped)
        return _without_rare(fewer, minimum, drop_rare)
    return labels


def _quoted(values: Iterable[object]) -> str:
    """The first values in quotes, and how many more there are."""
    shown = [repr(str(value)) for value in values]
    more = f" and {len(shown) - _LISTED_COUNT} more" if len(shown) > _LISTED_COUNT else ""
    return ", ".join(shown[:_LISTED_COUNT]) + more
