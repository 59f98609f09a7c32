"""The error family: exit codes, and the way from a Ray worker to the driver."""

import pickle
import re

import pytest

from tagger import errors
from tagger.errors import BadInput, FetchFailed, GateRefused, Retryable, TaggerError

EXIT_CODES = {
    "TaggerError": 1,
    "BadInput": 2,
    "AccessDenied": 2,
    "ConfigError": 2,
    "LabelsError": 2,
    "BundleError": 2,
    "PhotosRefused": 2,
    "TrainingDiverged": 2,
    "GateRefused": 3,
    "DateLocked": 4,
    "Retryable": 5,
    "StorageUnavailable": 5,
    "PhotosLost": 5,
    "ClusterUnavailable": 5,
}
FAMILY = {
    name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, TaggerError)
}


def test_every_class_has_its_exit_code():
    assert {name: kind.exit_code for name, kind in FAMILY.items()} == EXIT_CODES


def test_the_family_splits_by_what_the_caller_does_next():
    kinds = {kind: {n for n, c in FAMILY.items() if issubclass(c, kind)} for kind in (BadInput, Retryable)}
    people = {"AccessDenied", "ConfigError", "LabelsError", "BundleError", "PhotosRefused", "TrainingDiverged"}
    assert kinds[BadInput] == {"BadInput", *people}
    assert kinds[Retryable] == {"Retryable", "StorageUnavailable", "PhotosLost", "ClusterUnavailable"}
    assert issubclass(GateRefused, TaggerError)


def test_the_tree_in_the_docstring_is_the_family():
    drawn = {name: int(code) for name, code in re.findall(r"(\w+) +exit (\d)", errors.__doc__)}
    assert drawn == EXIT_CODES


@pytest.mark.parametrize("name", FAMILY)
def test_errors_survive_the_way_between_processes(name):
    error = FAMILY[name]("labels.csv, row 812: 'rust' is no color")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error) and str(copy) == str(error)


def test_a_failed_fetch_keeps_its_reason_and_detail():
    copy = pickle.loads(pickle.dumps(FetchFailed("not_found", "the file vanished")))
    assert (copy.reason, copy.detail) == ("not_found", "the file vanished")
