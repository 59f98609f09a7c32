"""A bundle: both networks, their label spaces, preprocessing, temperatures and thresholds in one folder.

`bundle.json` names everything and holds the SHA-256 of the other files, which is checked before a network is loaded;
networks are loaded in Keras's safe mode, so that a bundle cannot run code.
"""

import hashlib
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagger.errors import BadInput, BundleError
from tagger.storage import Root, open_root

if TYPE_CHECKING:
    import keras

FORMAT_VERSION = 1
NETWORK_FILES = {"type": "type.keras", "color": "color.keras"}
_REFERENCE = "reference.json"
_FILE_NAME = re.compile(r"\w[\w.-]*")
SHIPPED = Path(__file__).resolve().parents[2] / "models"
"""Bundles that come with the product."""


@dataclass(frozen=True)
class BundleInfo:
    """What bundle.json says.

    classes: attribute -> ordered class names. temperatures: attribute -> softmax temperature. fit: how a photo fills
    the input square. focus_map, focus_cut: which map the focus number reads. thresholds, color_reference,
    scope_reference, risk_model (None: confidence alone does as well): see `tagger.flags`. metrics: figures on the
    `report` role. provenance: how the bundle came to be.
    """

    name: str
    version: str
    classes: Mapping[str, tuple[str, ...]]
    temperatures: Mapping[str, float]
    width: float
    fit: str
    focus_map: str
    focus_cut: str
    thresholds: Mapping[str, Any]
    color_reference: Mapping[str, Any]
    scope_reference: Mapping[str, Any]
    metrics: Mapping[str, Any]
    provenance: Mapping[str, Any]
    digests: Mapping[str, str] = field(default_factory=dict)
    risk_model: Mapping[str, Any] | None = None
    size_px: int = 128
    format_version: int = FORMAT_VERSION


def save_bundle(root: Root, info: BundleInfo, networks: Mapping[str, "keras.Model"], files: Mapping[str, str]) -> None:
    """Write a bundle's folder: networks without optimizer state, other text files, and bundle.json last."""
    named = {NETWORK_FILES[attribute]: network_bytes(network) for attribute, network in networks.items()}
    _write(root, info, {name: text.encode() for name, text in files.items()} | named)


def copy_bundle(source: Root, target: Root, info: BundleInfo, files: Mapping[str, str]) -> None:
    """Write a bundle of the networks at `source`, digests checked, with other words: `info` and the text `files`.

    Text files of the source that `files` does not name are copied too. BadInput where `target` holds a bundle: a bundle
    never changes.
    """
    if target.exists("bundle.json"):
        raise BadInput(
            f"There is a bundle at {target.uri} already, and a bundle never changes. Give train.version=NAME."
        )
    old = read_info(source)
    copied = {name: _checked_bytes(source, old, name) for name in old.digests if name not in files}
    _write(target, info, copied | {name: text.encode() for name, text in files.items()})


def _write(root: Root, info: BundleInfo, content: Mapping[str, bytes]) -> None:
    for name, data in content.items():
        root.write_bytes(name, data)
    digests = {name: hashlib.sha256(content[name]).hexdigest() for name in sorted(content)}
    document = asdict(info) | {"digests": digests}
    root.write_bytes("bundle.json", (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def read_info(root: Root) -> BundleInfo:
    """bundle.json of a bundle's folder. BundleError where it is damaged or of another format."""
    document = _json(root, "bundle.json")
    found = document.get("format_version")
    if found != FORMAT_VERSION:
        raise BundleError(
            f"{root.uri} has bundle format {found!r}; this release reads {FORMAT_VERSION}. Train it again."
        )
    try:
        classes = {attribute: tuple(names) for attribute, names in document.pop("classes").items()}
        info = BundleInfo(classes=classes, **document)
        outside = [name for name in info.digests if not _FILE_NAME.fullmatch(name)]
    except (TypeError, KeyError, AttributeError) as error:
        raise BundleError(f"{root.uri}/bundle.json is damaged: {error}. Train or copy the bundle again.") from error
    if outside:
        raise BundleError(
            f"{root.uri}/bundle.json names {outside[0]!r}, which is no file of its folder. Do not trust this bundle; "
            "train or copy it again."
        )
    return info


def load_network(root: Root, info: BundleInfo, attribute: str) -> "keras.Model":
    """The network of "type" or "color", its digest checked first."""
    return network_from_bytes(_checked_bytes(root, info, NETWORK_FILES[attribute]))


def read_text(root: Root, info: BundleInfo, name: str) -> str:
    """A text file of a bundle, its digest checked first."""
    return _checked_bytes(root, info, name).decode()


def read_reference(root: Root, info: BundleInfo) -> dict[str, Any] | None:
    """reference.json, the distributions that nights are compared with; None for a bundle without it."""
    if _REFERENCE not in info.digests:
        return None
    reference: dict[str, Any] = json.loads(read_text(root, info, _REFERENCE))
    return reference


def _checked_bytes(root: Root, info: BundleInfo, name: str) -> bytes:
    data = _read(root, name)
    if hashlib.sha256(data).hexdigest() != info.digests.get(name):
        raise BundleError(f"{root.uri}/{name} is not the file that bundle.json describes. Copy the whole bundle again.")
    return data


def network_bytes(network: "keras.Model") -> bytes:
    """A network as a .keras file, without the optimizer that a compiled one would bring along."""
    import keras

    bare = keras.Model(network.input, network.output, name=network.name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.keras")
        bare.save(path)
        return path.read_bytes()


def network_from_bytes(data: bytes) -> "keras.Model":
    """The inverse of `network_bytes`, in safe mode."""
    import keras  # takes seconds: readers of bundle.json alone must not pay for it

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.keras")
        path.write_bytes(data)
        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except (ValueError, OSError, TypeError, KeyError, AttributeError, ImportError, zipfile.BadZipFile) as error:
            raise BundleError(f"A network of the bundle cannot be loaded: {error}") from error


def find_bundle(model: str, root_uri: str) -> Root:
    """The bundle that `model` names: a folder with bundle.json, a folder with production.json, a name under
    `<root>/models/`, a shipped name; in this order. BadInput tells what was tried."""
    if not model:
        raise BadInput("No model is named. Give model=NAME or model=FOLDER (a trained bundle).")
    places = [open_root(model)]
    if "/" not in model and root_uri:
        places.append(open_root(root_uri).child("models", model))
    if "/" not in model:
        places.append(open_root(str(SHIPPED / model)))
    for place in places:
        if place.exists("bundle.json"):
            return place
        if place.exists("production.json"):
            return place.child(_serving_version(place))
    tried = ", ".join(place.uri for place in places)
    raise BadInput(f"There is no trained bundle '{model}' (tried {tried}). Train one with jobs/train.py.")


def promote(models: Root, version: str) -> None:
    """Make `version` the one that serves, atomically."""
    models.write_bytes("production.json", json.dumps({"version": version}).encode())


def _serving_version(models: Root) -> str:
    version = _json(models, "production.json").get("version")
    if not isinstance(version, str):
        raise BundleError(f'{models.uri}/production.json names no version. Write {{"version": "..."}} into it.')
    return version


def _json(root: Root, name: str) -> dict[str, Any]:
    try:
        document = json.loads(_read(root, name))
    except ValueError as error:
        raise BundleError(f"{root.uri}/{name} is not readable JSON: {error}. Copy the bundle again.") from error
    if not isinstance(document, dict):
        raise BundleError(f"{root.uri}/{name} holds no JSON object. Copy the bundle again.")
    return document


def _read(root: Root, name: str) -> bytes:
    try:
        return root.read_bytes(name)
    except FileNotFoundError as error:
        raise BundleError(f"{root.uri}/{name} is missing. Copy the whole bundle again, or train it.") from error
