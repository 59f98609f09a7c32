"""Small photos inside a page: fetched once, shrunk, as data URIs, so that the page needs nothing else."""

import base64
import io
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from tagger.picture.decode import Reject
from tagger.picture.fit import Policy
from tagger.report.photos import show_photo
from tagger.storage import Root

_DOWNLOADS = 8
_QUALITY = 72


def data_uri(data: bytes, kind: str) -> str:
    """An encoded picture, of "png" or "jpeg", as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def thumbnails(keys: Iterable[str], images: Root, policy: Policy, side_px: int) -> Mapping[str, str]:
    """Key -> data URI of the photo below `images` as a JPEG in its own shape, the longer side `side_px`.

    A photo that is gone or cannot be read is left out. About 2 kB each at 96 px.
    """
    wanted = list(dict.fromkeys(keys))
    with ThreadPoolExecutor(_DOWNLOADS) as pool:
        photos = list(pool.map(lambda key: _bytes(images, key), wanted))
    found = {key: _thumbnail(photo, policy, side_px) for key, photo in zip(wanted, photos, strict=True)}
    return {key: uri for key, uri in found.items() if uri}


def _bytes(images: Root, key: str) -> bytes:
    try:
        return images.read_bytes(key)
    except OSError:
        return b""


def _thumbnail(photo: bytes, policy: Policy, side_px: int) -> str:
    shown = show_photo(photo, policy, side_px)
    if isinstance(shown, Reject):
        return ""
    stream = io.BytesIO()
    Image.fromarray(shown.picture).save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return data_uri(stream.getvalue(), "jpeg")
