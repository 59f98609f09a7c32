"""Photos made in code, one line to call: good ones, odd ones and bad ones."""

import io
import re
import struct
import zlib

import numpy as np
from PIL import Image

# What brings an upright picture into the stored form of each EXIF orientation.
STORED_BY = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def scene(width=64, height=48):
    """A smooth picture without any symmetry."""
    across, down = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    bands = [255 * across, 255 * down, 255 * np.sin(2 * across + 3 * down * down) ** 2]
    return Image.fromarray(np.stack(bands, axis=-1).astype(np.uint8))


def plain(color, mode="RGB", size=(32, 32)):
    return Image.new(mode, size, color)


def encoded(image, image_format, **options):
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def oriented(image, orientation, image_format, **options):
    """The picture stored turned, with the orientation that brings it back."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = image.transpose(STORED_BY[orientation]) if orientation in STORED_BY else image
    return encoded(stored, image_format, exif=exif, **options)


def png(width, height, depth, color_type, rows=b""):
    """A PNG file from its header fields and its rows, each behind its filter byte."""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return chunked_png((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))


def chunked_png(*chunks):
    """A PNG file from the names and contents of its chunks; lengths and checksums are true."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def many_scans(count, image=None):
    """A valid progressive JPEG whose last scan is repeated until there are `count` of them."""
    photo = encoded((image or scene()).convert("L"), "JPEG", progressive=True)
    starts = [match.start() for match in re.finditer(rb"\xff\xda", photo)]
    last_scan = photo[starts[-1] : -2]
    return photo[:-2] + last_scan * (count - len(starts)) + photo[-2:]


def slow():
    """Two seconds of decoding in 65 kB: 16 million pixels in as many scans as are allowed."""
    return many_scans(100, Image.new("L", (4000, 4000)))


def large():
    """49 million pixels in 50 kB, some hundred MB when decoded."""
    return encoded(Image.new("L", (7000, 7000)), "PNG", compress_level=1)


def _chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
