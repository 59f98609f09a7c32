"""What a file says about itself before anything is decoded: its format, sizes, and the number of scans of a JPEG.

Names and extensions are never asked, since they lie. All functions look at bytes in memory, never raise, and take time
linear in the file's length at worst.
"""

import re

# What `decode.py` reads; the names are the values of the column `format`.
ACCEPTED_FORMATS = ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF")

# Formats that can be told by how they begin: accepted ones first, then those that are named when they are refused.
_PREFIXES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0\x10\0\0\0CR", "Canon raw"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"IIRO", "Olympus raw"),
    (b"IIRS", "Olympus raw"),
    (b"IIU\0", "Panasonic raw"),
    (b"FUJIFILMCCD-RAW", "Fujifilm raw"),
    (b"FOVb", "Sigma raw"),
    (b"\x8aMNG\r\n\x1a\n", "MNG"),
    (b"\x8bJNG\r\n\x1a\n", "JNG"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS\0", "Photoshop"),
    (b"%PDF-", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"icns", "ICNS"),
    (b"DDS ", "DDS"),
    (b"BLP1", "BLP"),
    (b"BLP2", "BLP"),
    (b"qoif", "QOI"),
    (b"farbfeld", "farbfeld"),
    (b"gimp xcf", "XCF"),
    (b"BPG\xfb", "BPG"),
    (b"FLIF", "FLIF"),
    (b"AT&TFORM", "DjVu"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"#?RGBE", "Radiance HDR"),
    (b"v/1\x01", "OpenEXR"),
    (b"\x59\xa6\x6a\x95", "Sun raster"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"SIMPLE  =", "FITS"),
    (b"/* XPM */", "XPM"),
    (b"#define ", "XBM"),
)

# Formats whose mark stands elsewhere, or whose first bytes alone would also fit plain text.
_PATTERNS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "WebP"),
    # The length of the second header keeps out text that happens to begin with "BM".
    (re.compile(rb"BM.{12}[\x0c-\xff]\0\0\0", re.DOTALL), "BMP"),
    (re.compile(rb".{4}ftyp(?:avif|avis)", re.DOTALL), "AVIF"),
    (re.compile(rb".{4}ftyp(?:mif1|msf1|miaf).{4}(?:.{4}){0,8}?(?:avif|avis)", re.DOTALL), "AVIF"),
    (re.compile(rb".{4}ftyp(?:hei[cmsx]|hev[cmsx]|mif[12]|msf1|miaf)", re.DOTALL), "HEIC"),
    (re.compile(rb".{4}ftypcrx ", re.DOTALL), "Canon raw"),
    (re.compile(rb"\0\0\x01\0[^\0]"), "ICO"),
    (re.compile(rb"\0\0\x02\0[^\0]"), "CUR"),
    (re.compile(rb"P[1-7FfH][\s#]"), "netpbm"),
    (re.compile(rb"\x01\xda[\x00\x01][\x01\x02]"), "SGI"),
    (re.compile(rb"\x0a[\x00\x02-\x05]\x01[\x01\x02\x04\x08]"), "PCX"),
    (re.compile(rb".{4}[\x11\x12]\xaf", re.DOTALL), "FLI"),
    (re.compile(rb"\x01\0\0\0.{36} EMF", re.DOTALL), "EMF"),
    (re.compile(rb"FORM.{4}(?:ILBM|PBM )", re.DOTALL), "ILBM"),
    (re.compile(rb".{128}DICM", re.DOTALL), "DICOM"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:svg|(?:\?xml|!--|!DOCTYPE svg).*?<svg)", re.DOTALL | re.IGNORECASE), "SVG"),
)

# TGA: the newer kind has its mark at the end; the older kind is told, at the very last, by fields that have few values:
# color map there or not, kind of pixels, size of a color map entry, bits a pixel.
_TGA_ENDING = b"TRUEVISION-XFILE.\0"
_TGA_FIELDS = re.compile(
    rb".(?:\0[\x02\x03\x0a\x0b]\0{5}|\x01[\x01\x09].{4}[\x0f\x10\x18\x20]).{8}[\x08\x0f\x10\x18\x20]", re.DOTALL
)

_FIRST_BYTES = 4096
_WEBP_HEADER_BYTES = 30

# Box of a picture's width and height (ISO/IEC 23008-12): version and flags come between.
_ISPE = re.compile(rb"ispe.{4}(.{4})(.{4})", re.DOTALL)

# A marker is FF and a code; FF00 is a data byte FF, and D0 to D7 (restart) and 01 carry nothing. More FF may stand
# before it; a pattern that took them along would take a square of the time for a file full of them.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd7])")
_START_OF_SCAN, _START_OF_IMAGE, _END_OF_IMAGE = b"\xda", b"\xd8", b"\xd9"


def picture_format(data: bytes) -> str | None:
    """Name of the picture format that the bytes are in, accepted or not; None where they are in none that is known."""
    first = data[:_FIRST_BYTES]
    for prefix, name in _PREFIXES:
        if first.startswith(prefix):
            return name
    for pattern, name in _PATTERNS:
        if pattern.match(first):
            return name
    return "TGA" if data.endswith(_TGA_ENDING) or _TGA_FIELDS.match(first) else None


def ends_early(data: bytes, name: str) -> bool:
    """Whether a WebP or AVIF file is shorter than it says; False for the other formats.

    The decoders of these two only say that they failed; those of the others tell what was cut from what is damaged.
    """
    if name == "WebP":
        return 8 + int.from_bytes(data[4:8], "little") > len(data)
    return name == "AVIF" and _boxes_end(data) > len(data)


def stated_size(data: bytes, name: str) -> tuple[int, int] | None:
    """Width and height that a WebP or AVIF file states; None where it states none, and for the other formats.

    Before the readers of these two tell a size, one takes memory for it and the other calls a large one damage.
    """
    if name == "WebP" and len(data) >= _WEBP_HEADER_BYTES:
        return _webp_size(data[12:16], data[20:_WEBP_HEADER_BYTES])
    return _avif_size(data.partition(b"mdat")[0]) if name == "AVIF" else None


def jpeg_scan_count(data: bytes) -> int:
    """Number of scans of the first picture in a JPEG file, counted by walking its markers.

    A progressive picture refines all its pixels once a scan, so the time to decode grows with scans times pixels and
    not with the file: 0.6 MB with 20,000 scans takes a minute. Segments are skipped by their length, so that a
    thumbnail inside the metadata is not counted; the walk ends at the end-of-image marker or where the file does.
    """
    scans, position = 0, 0
    while marker := _JPEG_MARKER.search(data, position):
        code, position = marker[1], marker.end()
        if code == _END_OF_IMAGE:
            break
        if code != _START_OF_IMAGE:
            scans += code == _START_OF_SCAN
            position += int.from_bytes(data[position : position + 2], "big")
    return scans


def _webp_size(kind: bytes, payload: bytes) -> tuple[int, int] | None:
    """From the first chunk's name and first ten bytes (RFC 9649)."""
    if kind == b"VP8X":
        return 1 + int.from_bytes(payload[4:7], "little"), 1 + int.from_bytes(payload[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(payload[1:5], "little")
        return 1 + bits % 2**14, 1 + (bits >> 14) % 2**14
    if kind == b"VP8 ":
        return int.from_bytes(payload[6:8], "little") % 2**14, int.from_bytes(payload[8:10], "little") % 2**14
    return None


def _avif_size(boxes: bytes) -> tuple[int, int] | None:
    """The largest of all stated sizes: a picture in tiles states theirs too."""
    sizes = [(int.from_bytes(match[1], "big"), int.from_bytes(match[2], "big")) for match in _ISPE.finditer(boxes)]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _boxes_end(data: bytes) -> int:
    """Where the last top-level box (ISO 14496-12) says that it ends, in bytes; length 0 means the file's end."""
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        if length == 1:
            length = int.from_bytes(data[position + 8 : position + 16], "big")
        position += length or len(data) - position
    return position
