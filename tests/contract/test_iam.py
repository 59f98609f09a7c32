"""The policies of deploy/iam: sound by a linter, and no wider than docs/security.md says."""

import json
import re
import subprocess
import sys
import warnings
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import pytest

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "deploy" / "iam"
FILES = sorted(FOLDER.glob("*.json"))

READS = {
    "train": {"images", "labels", "models", "work", "cache"},
    "tag": {"images", "models", "tables", "work"},
    "review": {"models", "tables", "review"},
    "evaluate": {"images", "labels", "models"},
    "query": {"models", "tables"},
    "upkeep": {"tables", "work"},
}
WRITES = {
    "train": {"models/*", "work/*", "cache/*"},
    "tag": {"tables/*", "work/*", "reports/*"},
    "review": {"review/*"},
    "evaluate": set(),
    "query": set(),
    "upkeep": {"tables/*", "work/*"},
}
DELETES = {
    "train": {"work/*"},
    "tag": {"work/*", "tables/*/_delta_log/*"},
    "review": set(),
    "evaluate": set(),
    "query": set(),
    "upkeep": {"tables/*", "work/*"},
}


@pytest.fixture(scope="module")
def lint():
    """parliament's findings for a policy's text."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # parliament finds its own files through a part of setuptools that is no more.
        resources = SimpleNamespace(resource_filename=lambda package, name: str(files(package) / name))
        patch.setitem(sys.modules, "pkg_resources", resources)
        warnings.simplefilter("ignore")  # it leaves files open, and its patterns are not raw strings
        from parliament import analyze_policy_string
    return lambda text: [(f.issue, f.detail) for f in analyze_policy_string(text).findings]


def statements(policy: str) -> list[dict]:
    return json.loads((FOLDER / f"{policy}.json").read_text())["Statement"]


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def places(policy: str, action: str) -> set[str]:
    """Where below the prefix a policy allows an action on objects."""
    arns = [arn for each in statements(policy) if action in listed(each["Action"]) for arn in listed(each["Resource"])]
    return {arn.removeprefix("arn:aws:s3:::BUCKET/PREFIX/") for arn in arns}


def test_there_is_one_policy_a_job():
    assert {file.stem for file in FILES} == READS.keys()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_linter_finds_nothing(lint, file):
    assert lint(file.read_text()) == []


def test_the_linter_would_find_a_mistake(lint):
    text = (FOLDER / "query.json").read_text()
    assert lint(text.replace("s3:ListBucket", "s3:ListBuckets"))
    assert lint(text.replace("s3:GetObject", "s3:CreateBucket"))
    assert lint(text.replace("s3:prefix", "s3:prefixes"))


@pytest.mark.parametrize("policy", READS)
def test_a_policy_names_only_its_own_prefixes(policy):
    assert places(policy, "s3:GetObject") == {f"{place}/*" for place in READS[policy]}
    assert places(policy, "s3:PutObject") == WRITES[policy]
    assert places(policy, "s3:DeleteObject") == DELETES[policy]
    assert places(policy, "s3:AbortMultipartUpload") <= WRITES[policy]


def listings(policy: str) -> list[dict]:
    """The statements that allow listings: one, and the one that looks for the bucket where there is one."""
    found = [each for each in statements(policy) if "s3:ListBucket" in listed(each["Action"])]
    assert len([each for each in found if each["Sid"] != "HeadBucket"]) == 1
    return found


@pytest.mark.parametrize("policy", READS)
def test_a_policy_lists_only_what_it_reads(policy):
    for each in listings(policy):
        if each["Sid"] != "HeadBucket":
            prefixes = set(each["Condition"]["StringLike"]["s3:prefix"])
            # "PREFIX/" itself, and nothing below it, is how a wrong root is told.
            assert prefixes - {"PREFIX/"} == {f"PREFIX/{place}/*" for place in READS[policy]}


@pytest.mark.parametrize("policy", READS)
def test_no_policy_is_wider_than_it_must_be(policy):
    known = {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}
    for each in statements(policy):
        assert each["Effect"] == "Allow" and set(listed(each["Action"])) <= known
        for arn in listed(each["Resource"]):
            assert re.fullmatch(r"arn:aws:s3:::BUCKET(/PREFIX/[a-z]+/[a-z_/*]+)?", arn)
    for each in listings(policy):
        assert each["Resource"] == "arn:aws:s3:::BUCKET" and each["Condition"]
    assert [each["Sid"] for each in statements(policy) if "Null" in each.get("Condition", {})] == (
        ["HeadBucket"] if policy == "train" else []
    )


def test_the_documented_command_fills_every_placeholder():
    [command] = re.findall(r"^ +(sed .*deploy/iam/tag\.json)", (REPOSITORY / "docs/security.md").read_text(), re.M)
    done = subprocess.run(command, shell=True, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert "BUCKET" not in done.stdout and "PREFIX" not in done.stdout
    assert "arn:aws:s3:::my-bucket/shop/images/*" in done.stdout and json.loads(done.stdout)


def test_every_permission_is_explained():
    page = (REPOSITORY / "docs/security.md").read_text()
    for file in FILES:
        assert f"{file.name}" in page
        for each in json.loads(file.read_text())["Statement"]:
            assert f"`{each['Sid']}`" in page and all(f"`{action}`" in page for action in listed(each["Action"]))
