"""Nothing that is read from storage can run code: pickles travel inside Ray alone, and every reader is a safe one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "tagger").rglob("*.py"), *(ROOT / "jobs").glob("*.py")])

CARRIERS = {"tagger/tag/pipeline.py", "tagger/train/sequence.py"}
"""What may pickle: rows of Ray datasets, which live in the cluster's memory, carry errors and tasks that way."""
FIELDS = {"failure", "task"}
"""The fields of those rows that hold pickles."""

NEVER_IMPORTED = {"cloudpickle", "dill", "joblib", "marshal", "shelve", "jsonpickle", "runpy", "code"}
NEVER_CALLED = {
    "eval", "exec", "compile", "__import__",
    "read_pickle", "to_pickle", "unsafe_load", "full_load", "load_all", "FullLoader", "UnsafeLoader",
    "enable_unsafe_deserialization", "import_module", "os.system", "os.popen", "yaml.load",
}  # fmt: skip


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file, with the name that it is called by."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def imports(source: str) -> set[str]:
    """Top-level names of the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(str(node.module).split(".")[0])
    return found


def keyword(call: ast.Call, name: str) -> str | None:
    """The text of a keyword argument."""
    return next((ast.unparse(each.value) for each in call.keywords if each.arg == name), None)


def dangers(name: str, source: str) -> list[str]:
    """What a file does that could run what it has read."""
    found = [f"imports {module}" for module in imports(source) & NEVER_IMPORTED]
    if "pickle" in imports(source) and name not in CARRIERS:
        found.append("imports pickle")
    for called, call in calls(source):
        last = called.rpartition(".")[2]
        if called in NEVER_CALLED or last in NEVER_CALLED - {"compile"}:
            found.append(f"calls {called}")
        elif called.startswith("pickle.") and not _is_carried(called, call):
            found.append(f"unpickles {ast.unparse(call)}")
        elif called in ("np.load", "numpy.load", "np.save", "np.savez") and keyword(call, "allow_pickle") != "False":
            found.append(f"{called} without allow_pickle=False")
        elif last == "load_model" and keyword(call, "safe_mode") != "True":
            found.append(f"{called} without safe_mode=True")
        elif keyword(call, "shell") not in (None, "False"):
            found.append(f"{called} through a shell")
        elif called == "Environment" and keyword(call, "autoescape") != "True":
            found.append("a template without autoescape=True")
    return found


def _is_carried(called: str, call: ast.Call) -> bool:
    """Whether a pickle is made in memory, or taken from a field of a row of Ray's."""
    taken = call.args[0]
    is_field = isinstance(taken, ast.Subscript) and isinstance(taken.slice, ast.Constant)
    return called == "pickle.dumps" or (
        called == "pickle.loads"
        and is_field
        and ast.unparse(taken.value) == "row"  # type: ignore[union-attr]
        and taken.slice.value in FIELDS  # type: ignore[union-attr]
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_file_runs_what_it_reads(file):
    assert dangers(str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")) == []


def test_rows_that_hold_pickles_are_made_and_read_by_rays_operators_alone():
    """A row's pickle comes from a function of the same file, which Ray calls; none of these touches storage itself."""
    for name in CARRIERS:
        source = (ROOT / name).read_text(encoding="utf-8")
        made = sum(called == "pickle.dumps" for called, _ in calls(source))
        read = sum(called == "pickle.loads" for called, _ in calls(source))
        assert made >= read > 0
        functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
        for function in functions:
            text = ast.unparse(function)
            assert not ("pickle.loads" in text and "read_bytes" in text), (name, function.name)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle\npickle.loads(root.read_bytes('x'))",
        "def late():\n    import cloudpickle",
        "import numpy as np\nnp.load(file)",
        "np.load(file, allow_pickle=True)",
        "keras.saving.load_model(path)",
        "keras.saving.load_model(path, safe_mode=False)",
        "yaml.load(text)",
        "yaml.unsafe_load(text)",
        "eval(text)",
        "pd.read_pickle(file)",
        "subprocess.run(text, shell=True)",
        "Environment(loader=x)",
    ],
)
def test_the_check_would_find_a_danger(source):
    assert dangers("tagger/any.py", source)


def test_a_carrier_may_not_unpickle_what_is_stored():
    stored = "import pickle\npickle.loads(root.read_bytes('row'))"
    assert dangers("tagger/tag/pipeline.py", stored) and not dangers("tagger/tag/pipeline.py", "import pickle")
