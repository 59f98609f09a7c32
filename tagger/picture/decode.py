"""Photo bytes to an RGB picture of the network's size, or the reason why not.

One route for training and tagging alike, since another decoder or another scale changes pixels: Pillow for all formats,
each opened by its own reader so that no other one (ghostscript among them) is ever reached; JPEGs decoded at the
smallest of 1/1, 1/2, 1/4, 1/8 scale that leaves both sides at 256 pixels or more (whole where a side is under 512), and
then fitted.
"""

import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

import imagehash
import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from tagger.picture.fit import Fit, fit_image
from tagger.picture.header import ACCEPTED_FORMATS, ends_early, jpeg_scan_count, picture_format, stated_size

# Final: the photo is not tried again until its etag changes.
REJECT_REASONS = (
    "empty",
    "file_too_large",
    "not_an_image",
    "unsupported_format",
    "truncated",
    "corrupt",
    "too_many_pixels",
    "too_small",
    "decode_timeout",
    "decode_memory",
    "decode_crashed",
)

# All that Pillow's readers raise on broken and hostile files, the classes of their own bugs included: for a photo from
# anywhere, an IndexError in a reader says that the photo is broken.
DECODER_ERRORS = (
    OSError,
    ValueError,
    SyntaxError,
    RuntimeError,
    EOFError,
    MemoryError,
    TypeError,
    AttributeError,
    AssertionError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_END_OF_DATA = (EOFError, IndexError, struct.error)
_SAYS_TRUNCATED = re.compile(
    r"truncat|not enough|end of file|unexpected end|premature|buffer is not large enough", re.IGNORECASE
)
_SAYS_UNSUPPORTED = re.compile(
    r"unsupported|not supported|cannot handle|unknown (?:compression|raw mode|pixel)", re.IGNORECASE
)
# But "Too much memory used in text chunks" tells of one of Pillow's own limits.
_SAYS_NO_MEMORY = re.compile(r"^(?!too much).*memory", re.IGNORECASE)
_DETAIL_LENGTH = 200

# What the hungriest decoders take: progressive JPEG 6 for its coefficients and 4 for the picture, WebP 8 and 4.
_BYTES_A_PIXEL = 12

_READERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}

# Twice the network's side: decoding at a fraction cuts fine detail without a filter, the fit after it has one.
_LEAST_JPEG_SIDE_PX = 256

_UPRIGHT_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_SIDES_EXCHANGED = (5, 6, 7, 8)

_HASH_FIT = Fit("stretch", 128)


@dataclass(frozen=True)
class DecodeLimits:
    """What a photo may cost. The last two hold only in decode children: nothing inside a process stops a decoder.

    max_bytes: longest file. max_pixels: width x height. min_side_px: shortest side. max_jpeg_scans: scans of a JPEG.
    wall_s: seconds for one photo; up to four times as many where the machine is too busy to let the child work.
    memory_bytes: address space that decoding may take above the idle child's 0.2 GiB; the hungriest picture of 50
    million pixels that was tried, a lossless WebP with alpha, needs 0.85 GiB of the 1 GiB.
    """

    max_bytes: int = 64_000_000
    max_pixels: int = 50_000_000
    min_side_px: int = 16
    max_jpeg_scans: int = 100
    wall_s: float = 10.0
    memory_bytes: int = 2**30

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not value > 0:
                raise ValueError(f"decode limit {name} must be positive. Received: {value}")


@dataclass(frozen=True, eq=False)
class DecodedPhoto:
    """pixels: (size_px, size_px, 3) uint8, upright, fitted. width, height: as stored, before orientation is applied.

    format: one of ACCEPTED_FORMATS. phash: 64-bit perceptual hash (`imagehash.phash`: DCT of 32 x 32 greys) as a signed
    integer, of the upright picture stretched to 128 x 128 whatever the fit, so that bundles can be compared.
    is_turned: the upright picture is `height` wide and `width` high.
    """

    pixels: np.ndarray
    width: int
    height: int
    format: str
    phash: int
    is_turned: bool


@dataclass(frozen=True)
class Reject:
    """reason: one of REJECT_REASONS. detail: one line for people, at most 200 characters."""

    reason: str
    detail: str


class _Refused(ValueError):
    """A limit said no; carries the reject out of the steps below."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reject = Reject(reason, detail)


def decode_photo(data: bytes, fit: Fit, limits: DecodeLimits) -> DecodedPhoto | Reject:
    """The first frame of a photo as an upright RGB picture of the network's size, or why there is none.

    Runs in this process with no limit on time or memory (`children.py` has them), and in one thread at a time, since
    silencing warnings is process-wide. Transparent parts become white; 16-bit greys keep their upper 8 bits; 32-bit
    greys are scaled so that the brightest is white; CMYK goes through Pillow's plain formula, always taken as Adobe's
    inverted kind in JPEGs; color profiles are ignored. Damage that the decoder does not report gives a picture.
    A JPEG of too many scans is `unsupported_format`: nothing is wrong with it but the time that it would take.
    """
    try:
        image_format = _accepted_format(data, limits)
        image, width, height, is_turned = _rgb_image(data, image_format, limits)
        pixels = fit_image(image, fit)
        phash = _signed_phash(pixels if fit == _HASH_FIT else fit_image(image, _HASH_FIT))
    except _Refused as refused:
        return refused.reject
    except MemoryError:
        return Reject("decode_memory", "memory ran out while the picture was decoded")
    return DecodedPhoto(pixels, width, height, image_format, phash, is_turned)


def _accepted_format(data: bytes, limits: DecodeLimits) -> str:
    if not data:
        raise _Refused("empty", "the file has no bytes")
    if len(data) > limits.max_bytes:
        raise _Refused("file_too_large", f"{len(data)} bytes, at most {limits.max_bytes} are read")
    image_format = picture_format(data)
    if image_format is None:
        raise _Refused("not_an_image", f"the first bytes fit no picture format: {data[:8].hex(' ')}")
    if image_format not in ACCEPTED_FORMATS:
        raise _Refused("unsupported_format", f"{image_format}; read are {', '.join(ACCEPTED_FORMATS)}")
    if image_format == "JPEG" and (scans := jpeg_scan_count(data)) > limits.max_jpeg_scans:
        raise _Refused("unsupported_format", f"JPEG of {scans} scans, at most {limits.max_jpeg_scans} are read")
    return image_format


class _Upright(NamedTuple):
    """image: of mode RGB. width, height: as stored. is_turned: upright the two are exchanged."""

    image: Image.Image
    width: int
    height: int
    is_turned: bool


def _rgb_image(data: bytes, image_format: str, limits: DecodeLimits) -> _Upright:
    """Raises _Refused, or MemoryError."""
    width, height = stated_size(data, image_format) or (0, 0)
    if width and height:
        _check_size(width, height, limits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = _READERS[image_format](io.BytesIO(data))
            width, height = _stored_size(image)
            _check_size(width, height, limits)
            if isinstance(image, JpegImagePlugin.JpegImageFile):
                image.draft(None, (_LEAST_JPEG_SIDE_PX, _LEAST_JPEG_SIDE_PX))
            image.load()
            orientation = _orientation(image)
            is_turned = orientation in _SIDES_EXCHANGED or _is_turned_by_reader(image, width)
            return _Upright(_upright(_rgb(image), orientation), width, height, is_turned)
        except (_Refused, MemoryError):
            raise
        except DECODER_ERRORS as error:
            raise _refused(error, data, image_format, width * height) from error


def _stored_size(image: ImageFile.ImageFile) -> tuple[int, int]:
    # Pillow's TIFF reader alone swaps the sides for its orientation, and turns the picture itself when it loads.
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return image.tag_v2[ExifTags.Base.ImageWidth], image.tag_v2[ExifTags.Base.ImageLength]
    return image.size


def _is_turned_by_reader(image: Image.Image, stored_width: int) -> bool:
    return isinstance(image, TiffImagePlugin.TiffImageFile) and image.width != stored_width


def _check_size(width: int, height: int, limits: DecodeLimits) -> None:
    if width * height > limits.max_pixels:
        raise _Refused("too_many_pixels", f"{width} x {height}, at most {limits.max_pixels} pixels are read")
    if min(width, height) < limits.min_side_px:
        raise _Refused("too_small", f"{width} x {height}, the shorter side needs {limits.min_side_px} pixels")


def _refused(error: Exception, data: bytes, image_format: str, pixel_count: int) -> _Refused:
    reason = _reason(error, data, image_format)
    if reason in ("truncated", "corrupt") and not _is_memory_left(pixel_count):
        reason = "decode_memory"
    text = " ".join(f"{image_format}: {type(error).__name__}: {error}".split())
    return _Refused(reason, text.encode("utf-8", "replace").decode("utf-8")[:_DETAIL_LENGTH])


def _is_memory_left(pixel_count: int) -> bool:
    """Whether a picture of the size could be decoded. The decoders of JPEG and WebP call a lack of memory damage."""
    try:
        np.empty(pixel_count * _BYTES_A_PIXEL, np.uint8)
    except MemoryError:
        return False
    return True


def _reason(error: Exception, data: bytes, image_format: str) -> str:
    text = str(error)
    if isinstance(error, Image.DecompressionBombError):
        return "too_many_pixels"
    if _SAYS_NO_MEMORY.search(text):
        return "decode_memory"
    if isinstance(error, NotImplementedError) or _SAYS_UNSUPPORTED.search(text):
        return "unsupported_format"
    ends = isinstance(error, _END_OF_DATA) or isinstance(error.__cause__, _END_OF_DATA) or _SAYS_TRUNCATED.search(text)
    return "truncated" if ends or ends_early(data, image_format) else "corrupt"


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_grey8(image)).convert("RGB")
    if not image.has_transparency_data:
        return _in_mode(image, "RGB")
    transparent = _in_mode(image, "RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(transparent, mask=transparent.getchannel("A"))
    return white


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """As `Image.convert`, without the copy that it makes of an image that is in the mode already."""
    return image if image.mode == mode else image.convert(mode)


def _grey8(image: Image.Image) -> np.ndarray:
    """(H, W) uint8 of an image with 16 or 32 bits a pixel; Pillow's own conversion cuts at 255."""
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        clear = image.info.get("transparency")
        return np.where(values == clear, 255, values >> 8).astype(np.uint8)
    known = values.astype(np.float32)
    np.nan_to_num(known, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    np.clip(known, 0, None, out=known)
    known /= float(known.max()) or 1.0
    known *= 255
    return known.astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    """Orientation of the EXIF data; 1 where none can be read, for the picture is good all the same."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except DECODER_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    method = _UPRIGHT_BY.get(orientation)
    return image if method is None else image.transpose(method)


def _signed_phash(pixels: np.ndarray) -> int:
    bits = imagehash.phash(Image.fromarray(pixels)).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big", signed=True)
