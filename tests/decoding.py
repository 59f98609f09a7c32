"""Where photos are decoded."""

from PIL import Image, ImageFile


def decode_nothing_here(monkeypatch) -> None:
    """From now on this process can open and read no photo; decode children still can."""

    def refuse(*_: object) -> None:
        raise AssertionError("a photo was decoded in this process")

    monkeypatch.setattr(Image, "open", refuse)
    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
