"""tagger: product photos to type and color tags, with the share of the color evidence that lies on the product."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tagger.tag.predict import Tagger

__version__ = "0.1.0"
__all__ = ["Tagger", "__version__"]


def __getattr__(name: str) -> Any:
    """`Tagger` is imported when it is asked for: it needs the engine, which takes seconds."""
    if name == "Tagger":
        from tagger.tag.predict import Tagger

        return Tagger
    raise AttributeError(f"module 'tagger' has no attribute '{name}'")
