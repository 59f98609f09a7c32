"""The bundle that answers tonight, and which settings change its answers."""

from dataclasses import dataclass
from typing import Any

from tagger.config import Config
from tagger.picture.fit import Fit
from tagger.storage import open_root
from tagger.tag.infer import TaggerLike
from tagger.tag.pipeline import LoadTagger
from tagger.tag.watch import Known


@dataclass(frozen=True)
class Serving:
    """The bundle that answers tonight. load: makes its Tagger in a worker process, from `uri`. known: what its answers
    are checked against and compared with."""

    uri: str
    name: str
    version: str
    fit: Fit
    load: LoadTagger
    known: Known = Known()


def find_serving(config: Config) -> Serving:
    """The bundle that the configuration names. BadInput where the photos cannot be listed, or tells what was tried."""
    from tagger.model.bundle import find_bundle, read_info, read_reference  # Keras takes seconds to import

    open_root(config.images_uri).check()
    place = find_bundle(config.model, config.root)
    info = read_info(place)
    fit, known = Fit(info.fit, info.size_px), Known(info.classes, read_reference(place, info))  # type: ignore[arg-type]
    return Serving(place.uri, info.name, info.version, fit, load_tagger, known)


def load_tagger(uri: str) -> TaggerLike:
    """The bundle's Tagger, in the process that will use it."""
    from tagger.tag.predict import Tagger  # TensorFlow belongs into the actors alone

    return Tagger.load(uri)


def answer_settings(config: Config, fit: Fit) -> dict[str, Any]:
    """The settings that change answers, and no others: `config_digest` is their digest. The bundle's own settings
    (thresholds, focus map) come with its version."""
    tag = config.tag
    decode = {"wall_s": tag.decode_wall_s, "memory_mb": tag.decode_memory_mb, "max_file_mb": tag.max_file_mb}
    fitted = {"policy": fit.policy, "size_px": fit.size_px}
    return {"fit": fitted, "engine": tag.engine, "decode": decode}
