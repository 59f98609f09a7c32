"""tagger: product photos to type and color tags, with the share of the evidence that lies on the product."""

__version__ = "0.1.0"
