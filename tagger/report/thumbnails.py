"""Small photos inside a page: fetched once, shrunk, as data URIs, so that the page needs nothing else."""

import base64
import io
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from tagger.errors import BadInput
from tagger.picture.fit import Policy
from tagger.report.photos import Shown, show_photos
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
    answers = zip(wanted, show_photos(photos, policy, side_px), strict=True)
    return {key: _thumbnail(shown) for key, shown in answers if isinstance(shown, Shown)}


def _bytes(images: Root, key: str) -> bytes:
    try:
        return images.read_bytes(key)
    except (FileNotFoundError, BadInput):
        return b""


def _thumbnail(shown: Shown) -> str:
    stream = io.BytesIO()
    Image.fromarray(shown.picture).save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return data_uri(stream.getvalue(), "jpeg")
