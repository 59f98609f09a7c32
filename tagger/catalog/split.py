"""Who may look at which item: four disjoint roles, cut by near-duplicate group.

fit       the networks' weights
select    the epoch, the recipe
calibrate temperatures, thresholds
report    published figures only
unused    none of these: the labels' own split column keeps the item for something else

An item's role depends on its own split and group alone, so it never moves when others arrive.
"""

from collections.abc import Iterable
from hashlib import blake2b

import pandas as pd

from tagger.errors import LabelsError

ROLES = ("fit", "select", "calibrate", "report")
UNUSED = "unused"

# Each role takes the shares up to its bound; a group's share is a hash in [0, 1).
_BOUNDS_BY_SPLIT = {
    "train": (("fit", 0.85), ("select", 1.0)),
    "val": (("calibrate", 0.5), ("report", 1.0)),
    # Near duplicates of train items, maybe: what lies beyond fit's bound stays out, for it may resemble a select item.
    "extra": (("fit", 0.85), (UNUSED, 1.0)),
}
# The proportions that a labels table with 82 % train and 18 % val ends up with.
_BOUNDS_WITHOUT_SPLIT = (("fit", 0.70), ("select", 0.82), ("calibrate", 0.91), ("report", 1.0))
_SALT = "tagger role 1"


def assign_roles(table: pd.DataFrame) -> pd.Series:
    """The role of each row of a labels table, as text on the table's index.

    With a column `split`: train -> 85 % fit, 15 % select; val -> half calibrate, half report; extra (pictures of
    another source, to learn from alone) -> 85 % fit, the rest unused; others -> unused. Without: 70 % fit, 12 % select,
    9 % calibrate, 9 % report. Shares are of groups; without a column `group` each image_key is its own.
    LabelsError where a group lies in two splits, for then near duplicates would be on both sides; train and extra may
    share one.
    """
    groups = table["group"] if "group" in table else table["image_key"]
    shares = groups.map({group: hashed_share(group) for group in groups.unique()})
    if "split" not in table:
        roles = [_role_at(share, _BOUNDS_WITHOUT_SPLIT) for share in shares]
    else:
        _check_groups_whole(table["split"], groups)
        bounds = [_BOUNDS_BY_SPLIT.get(split) for split in table["split"]]
        roles = [_role_at(share, bound) if bound else UNUSED for share, bound in zip(shares, bounds, strict=True)]
    return pd.Series(roles, index=table.index, name="role", dtype="str")


def check_roles(roles: pd.Series, needed: Iterable[str] = ROLES) -> None:
    """LabelsError where a needed role has no item at all."""
    counts = roles.value_counts()
    empty = [role for role in needed if role not in counts.index]
    if empty:
        raise LabelsError(
            f"No labelled item has the role {' or '.join(empty)} ({len(roles)} items: {counts.to_dict()}). "
            "Label more groups of items; where the labels have a column split, give some of them train and some val."
        )


def hashed_share(group: str) -> float:
    """A group's place in [0, 1): a hash of its name, the same on every machine and in every release."""
    digest = blake2b(f"{_SALT}\0{group}".encode(errors="surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def _role_at(share: float, bounds: tuple[tuple[str, float], ...]) -> str:
    return next(role for role, bound in bounds if share < bound)


def _check_groups_whole(splits: pd.Series, groups: pd.Series) -> None:
    counts = splits.replace("extra", "train").groupby(groups, sort=False).nunique()
    torn = counts.index[counts > 1]
    if len(torn):
        found = ", ".join(sorted(splits[groups == torn[0]].unique()))
        raise LabelsError(
            f"Labels: {len(torn)} groups lie in more than one split (first: group {torn[0]!r} in {found}). "
            "Near duplicates on both sides make every figure too good: give each group one split."
        )
