"""Photos that few programs write and many must survive, by name: each with its answer, a format's name or a reason.

Made from single bytes where Pillow writes no such file. What stands in a picture is not the point here, but that there
is one, of which size, or why not.
"""

import base64
import gzip
import struct
import zlib

from photos import chunked_png, encoded, many_scans, plain, png, scene
from PIL import Image

Odd = dict[str, tuple[bytes, str]]

_JPEG, _GIF_PALETTE = encoded(scene(), "JPEG"), b"\0\0\0\xff\0\0"
_SOF = _JPEG.index(b"\xff\xc0")
_BOMB = zlib.compress(bytes(20_000_000), 9)
_BMP_PALETTE = b"\0\0\0\0\0\0\xff\0" + bytes(4 * 254)


def odd_photos() -> Odd:
    """All of them, the largest of some MB."""
    return _others() | _jpegs() | _pngs() | _gifs() | _bmps() | _tiffs() | _webps_and_avifs()


def put(photo: bytes, place: int, new: bytes) -> bytes:
    """The photo with other bytes in one place."""
    return photo[:place] + new + photo[place + len(new) :]


def with_segment(photo: bytes, code: int, content: bytes, count: int = 1) -> bytes:
    """A JPEG with application segments right after its start."""
    segment = bytes([0xFF, code]) + struct.pack(">H", len(content) + 2) + content
    return photo[:2] + segment * count + photo[2:]


def tiff(entries: list[tuple[int, int, int, int]], data: bytes = b"", following: int = 8) -> bytes:
    """A little-endian TIFF of one directory of (tag, type, count, value). following: where the next directory lies."""
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<4sIH", b"II*\0", 8, len(entries)) + directory + struct.pack("<I", following) + data


def _others() -> Odd:
    pictures = {name: encoded(scene(), name) for name in ("JPEG2000", "ICO", "PPM", "PCX", "EPS", "PDF", "DDS", "TGA")}
    return {name: (photo, "unsupported_format") for name, photo in pictures.items()} | {
        "nothing": (b"", "empty"),
        "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "unsupported_format"),
        "JPEG XL": (b"\xff\x0a\xfa\x1f" + bytes(100), "unsupported_format"),
        "SVG": (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
        "web page in place of a photo": (b"<!DOCTYPE html><html><body>Not Found</body></html>", "not_an_image"),
        "error message in place of a photo": (b'{"error": "not found"}', "not_an_image"),
        "Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", "not_an_image"),
        "film": (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41" + bytes(100), "not_an_image"),
        "gzip": (gzip.compress(_JPEG, mtime=0), "not_an_image"),
        "base64": (base64.b64encode(_JPEG), "not_an_image"),
        "zeros alone": (bytes(1000), "not_an_image"),
        "line break before the photo": (b"\r\n" + _JPEG, "not_an_image"),
        "page with a photo behind it": (b"<html>" + _JPEG, "not_an_image"),
        "PDF with a photo behind it": (b"%PDF-1.4\n" + _JPEG, "unsupported_format"),
    }


def _jpegs() -> Odd:
    exif_in_a_circle = b"Exif\0\0" + tiff([(0x0112, 3, 1, 6), (0x8769, 4, 1, 8)])
    sizes = {"13 gigapixels": (65535, 65535), "more than stated": (6000, 8000), "no height": (0, 64)}
    claims = {name: put(_JPEG, _SOF + 5, struct.pack(">HH", *size)) for name, size in sizes.items()}
    cmyk = encoded(plain((0, 255, 255, 0), "CMYK"), "JPEG")
    return {
        "JPEG of 12 bits": (put(_JPEG, _SOF + 4, b"\x0c"), "unsupported_format"),
        "JPEG without loss": (_lossless_jpeg(), "JPEG"),
        "JPEG said to be hierarchical": (put(_JPEG, _SOF + 1, b"\xc5"), "corrupt"),
        "JPEG of 20,000 scans": (many_scans(20_000), "unsupported_format"),
        "YCCK": (put(cmyk, cmyk.index(b"Adobe") + 11, b"\2"), "JPEG"),
        "JPEG claims 13 gigapixels": (claims["13 gigapixels"], "too_many_pixels"),
        "JPEG claims more than it has": (claims["more than stated"], "JPEG"),  # the rest is grey
        "JPEG without a height": (claims["no height"], "corrupt"),
        "JPEG with 5 MB of profile": (with_segment(_JPEG, 0xE2, b"ICC_PROFILE\0\1\1" + bytes(65_000), 80), "JPEG"),
        "JPEG with 5 MB of EXIF": (with_segment(_JPEG, 0xE1, b"Exif\0\0" + bytes(65_000), 80), "JPEG"),
        "JPEG with 5 MB of XMP": (
            with_segment(_JPEG, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<" * 65_000, 80),
            "JPEG",
        ),
        "JPEG with EXIF in a circle": (with_segment(_JPEG, 0xE1, exif_in_a_circle), "JPEG"),
        "JPEG with a broken index of pictures": (with_segment(_JPEG, 0xE2, b"MPF\0MM\0*" + b"\xff" * 18), "JPEG"),
        "JPEG full of FF": (_JPEG[:2] + b"\xff" * 1_000_000 + b"\0" + _JPEG[2:], "JPEG"),
        "JPEG and an archive": (_JPEG + b"PK\3\4" + bytes(50), "JPEG"),
        "JPEG with zeros behind it": (_JPEG + bytes(10_000), "JPEG"),
        "JPEG with zeros for its end": (_JPEG[: len(_JPEG) // 2] + bytes(len(_JPEG) // 2), "corrupt"),
        "JPEG of several pictures": (encoded(scene(), "MPO", save_all=True, append_images=[scene()]), "JPEG"),
    }


def _lossless_jpeg() -> bytes:
    """16 x 16 greys of 128, which is also what is predicted for the first: each difference is the code 0 of one bit."""
    frame = b"\xff\xc3" + struct.pack(">HBHHB3B", 11, 8, 16, 16, 1, 1, 0x11, 0)
    codes = b"\xff\xc4" + struct.pack(">HB16sB", 20, 0, bytes([1] + [0] * 15), 0)
    scan = b"\xff\xda" + struct.pack(">HB2B3B", 8, 1, 1, 0, 1, 0, 0)
    return b"\xff\xd8" + frame + codes + scan + bytes(32) + b"\xff\xd9"


def _pngs() -> Odd:
    header, end = (b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0)), (b"IEND", b"")
    rows = b"IDAT", zlib.compress((b"\0" + bytes(16)) * 16)
    whole = chunked_png(header, rows, end)

    def with_chunk(name: bytes, content: bytes) -> bytes:
        return chunked_png(header, (name, content), rows, end)

    texts = [(b"zTXt", b"%d\0\0" % n + zlib.compress(bytes(900_000), 9)) for n in range(80)]
    return {
        "PNG with its text before all else": (chunked_png((b"tEXt", b"a\0b"), header, rows, end), "PNG"),
        "PNG of more rows than it states": (chunked_png(header, (b"IDAT", _BOMB), end), "PNG"),
        "PNG with a text of 20 MB": (with_chunk(b"zTXt", b"a\0\0" + _BOMB), "corrupt"),
        "PNG with an international text of 20 MB": (with_chunk(b"iTXt", b"a\0\1\0\0\0" + _BOMB), "corrupt"),
        "PNG with a profile of 20 MB": (with_chunk(b"iCCP", b"a\0\0" + _BOMB), "corrupt"),
        "PNG with 72 MB in 80 texts": (chunked_png(header, *texts, rows, end), "corrupt"),
        "PNG with a short gAMA": (with_chunk(b"gAMA", b"\0"), "truncated"),
        "PNG without pixels": (chunked_png(header, end), "corrupt"),
        "PNG without an end": (chunked_png(header, rows), "PNG"),
        "PNG with a wrong checksum of its header": (put(whole, 29, b"none"), "corrupt"),
        "PNG with a wrong checksum behind all pixels": (put(whole, -16, b"none"), "PNG"),
        "PNG claims 13 gigapixels": (png(130_000, 100_000, 8, 2), "too_many_pixels"),
        "PNG one pixel wide": (png(1, 3000, 8, 0, b"\0\0" * 3000), "too_small"),
        "PNG of 16 x 100,000": (png(16, 100_000, 8, 0, bytes(17) * 100_000), "PNG"),
    } | _odd_pngs(header, rows, end)


def _odd_pngs(header: tuple[bytes, bytes], rows: tuple[bytes, bytes], end: tuple[bytes, bytes]) -> Odd:
    passes = b"".join((b"\0" + bytes(w)) * h for w, h in ((2, 2), (2, 2), (4, 2), (4, 4), (8, 4), (8, 8), (16, 8)))
    interlaced = b"IHDR", put(header[1], 12, b"\1")
    palette = (b"IHDR", put(header[1], 9, b"\3")), (b"PLTE", b"\xff\0\0")
    ninth_color = b"IDAT", zlib.compress((b"\0" + b"\x08" * 16) * 16)
    frame = b"fcTL", struct.pack(">IIIIIHHBB", 0, 16, 16, 0, 0, 1, 1, 0, 0)
    second_frame = b"fdAT", b"\0\0\0\1" + rows[1]
    two_frames, no_frames = (b"acTL", struct.pack(">II", 2, 0)), (b"acTL", struct.pack(">II", 0, 0))
    return {
        "interlaced PNG": (chunked_png(interlaced, (b"IDAT", zlib.compress(passes)), end), "PNG"),
        "PNG with a color that its palette lacks": (chunked_png(*palette, ninth_color, end), "PNG"),
        "PNG in motion, its first picture no part of it": (
            chunked_png(header, two_frames, rows, frame, second_frame, end),
            "PNG",
        ),
        "PNG in motion, of no frames": (chunked_png(header, no_frames, rows, end), "PNG"),
    }


def _gif(width: int, height: int, *frames: bytes, before: bytes = b"") -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0)
    return screen + _GIF_PALETTE + before + b"".join(frames) + b";"


def _gif_frame(left: int, top: int, width: int, height: int) -> bytes:
    file = encoded(Image.new("P", (width, height), 1), "GIF")
    return b"," + struct.pack("<HHHH", left, top, width, height) + file[file.index(b",") + 9 : -1]


def _gifs() -> Odd:
    frame = _gif_frame(0, 0, 32, 32)
    return {
        "GIF without frames": (_gif(16, 16), "truncated"),
        "GIF on a screen of nothing": (_gif(0, 0, frame), "GIF"),
        "GIF larger than its screen": (_gif(1, 1, frame), "GIF"),
        "GIF on a screen of 4 gigapixels": (_gif(65535, 65535, frame), "too_many_pixels"),
        "GIF far off its screen": (_gif(16, 16, _gif_frame(60000, 60000, 16, 16)), "too_many_pixels"),
        "GIF of 5,000 frames": (_gif(32, 32, *[frame] * 5000), "GIF"),
        "GIF of 50,000 comments": (_gif(32, 32, frame, before=b"!\xfe\x05hello\0" * 50_000), "GIF"),
        "GIF that is a script too": (b"GIF89a/*" + _gif(32, 32, frame)[8:], "GIF"),
    }


def _bmp(width: int, height: int, bits: int, compression: int, data: bytes, palette: bytes = b"") -> bytes:
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(data), 0, 0, len(palette) // 4, 0)
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + palette + data


def _bmps() -> Odd:
    os2 = struct.pack("<IHHIIHHHH", 26 + 3072, 0, 0, 26, 12, 32, 32, 1, 24)
    return {
        "BMP of runs of 8 bits": (_bmp(32, 32, 8, 1, b"\x20\1\0\0" * 32 + b"\0\1", _BMP_PALETTE), "BMP"),
        "BMP of runs of 4 bits": (_bmp(32, 32, 4, 2, b"\x20\x11\0\0" * 32 + b"\0\1", _BMP_PALETTE[:64]), "BMP"),
        "BMP of runs, cut": (_bmp(32, 32, 8, 1, b"\x20\1\0\0" * 5, _BMP_PALETTE), "truncated"),
        "BMP of runs, 49 million pixels of none": (_bmp(7000, 7000, 8, 1, b"\0\1", _BMP_PALETTE), "truncated"),
        "BMP from the top down": (_bmp(32, -32, 24, 0, bytes(3072)), "BMP"),
        "BMP of the least height": (_bmp(32, -(2**31), 24, 0, bytes(3072)), "too_many_pixels"),
        "BMP of nothing": (_bmp(0, 0, 24, 0, b""), "corrupt"),
        "BMP with a JPEG inside": (_bmp(32, 32, 0, 4, _JPEG), "unsupported_format"),
        "BMP with a color that its palette lacks": (_bmp(32, 32, 8, 0, b"\xc8" * 1024, _BMP_PALETTE[:8]), "BMP"),
        "BMP of OS/2": (b"BM" + os2 + bytes(3072), "BMP"),
        "BMP claims 13 gigapixels": (_bmp(130_000, 100_000, 24, 0, b""), "too_many_pixels"),
    }


def _tiff_entries(**other: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
    """A grey picture of 16 x 16 in one strip behind the directory; other entries take the place of those of the tag."""
    usual = [(256, 4, 1, 16), (257, 4, 1, 16), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 122)]
    entries = {entry[0]: entry for entry in (*usual, (277, 3, 1, 1), (278, 4, 1, 16), (279, 4, 1, 256))}
    return sorted((entries | {entry[0]: entry for entry in other.values()}).values())


def _tiffs() -> Odd:
    pixels = b"\x80" * 256

    def grey(**other: tuple[int, int, int, int]) -> bytes:
        return tiff(_tiff_entries(**other), pixels)

    side = 2**31 - 16
    tiled = grey(width=(322, 4, 1, side), height=(323, 4, 1, side), at=(324, 4, 1, 8), count=(325, 4, 1, 100))
    return {
        "TIFF whose directory follows itself": (grey(), "TIFF"),
        "TIFF with a strip of 4 GB": (grey(count=(279, 4, 1, 2**32 - 1)), "TIFF"),
        "TIFF with a strip of 4 billion rows": (grey(rows=(278, 4, 1, 2**32 - 1)), "TIFF"),
        "TIFF with a strip beyond the file": (grey(offset=(273, 4, 1, 2**31)), "truncated"),
        "TIFF with a width of text": (grey(width=(256, 2, 4, 0x00363131)), "corrupt"),
        "TIFF with a negative width": (grey(width=(256, 9, 1, 2**32 - 16)), "corrupt"),
        "TIFF with 2 billion widths": (grey(width=(256, 4, 2**31, 0)), "corrupt"),
        "TIFF of nothing": (grey(width=(256, 4, 1, 0), height=(257, 4, 1, 0)), "corrupt"),
        "TIFF claims 13 gigapixels": (grey(width=(256, 4, 1, 130_000), height=(257, 4, 1, 100_000)), "too_many_pixels"),
        "TIFF with tiles of 4 billion gigapixels": (tiled, "TIFF"),  # its strips are read
        "TIFF of directories in a circle": (grey(sub=(330, 4, 1, 8)), "TIFF"),
        "TIFF of 65,535 entries that are not there": (b"II*\0\x08\0\0\0\xff\xff" + bytes(100), "corrupt"),
        "TIFF without a directory": (b"II*\0\0\0\0\0" + bytes(100), "truncated"),
        "BigTIFF": (encoded(scene(), "TIFF", big_tiff=True), "TIFF"),
    }


def _webps_and_avifs() -> Odd:
    moving = encoded(scene(), "WebP", save_all=True, append_images=[scene().transpose(Image.Transpose.ROTATE_180)])
    still, avif = encoded(scene(), "WebP"), encoded(scene(), "AVIF")
    canvas, size = moving.index(b"VP8X") + 12, avif.index(b"ispe") + 8
    wide = struct.pack("<HBHB", 11_999, 0, 11_999, 0)
    return {
        "WebP in motion": (moving, "WebP"),
        "WebP on a canvas of 144 megapixels": (put(moving, canvas, wide), "too_many_pixels"),
        "WebP on a canvas of 281 terapixels": (put(moving, canvas, b"\xff" * 6), "too_many_pixels"),
        "WebP that states no length": (put(still, 4, bytes(4)), "corrupt"),
        "WebP that states 4 GB": (put(still, 4, b"\xff" * 4), "truncated"),
        "WebP with 5 MB of profile": (encoded(scene(), "WebP", icc_profile=bytes(5_000_000)), "WebP"),
        "WebP with zeros behind it": (still + bytes(1000), "WebP"),
        "AVIF in motion": (encoded(scene(), "AVIF", save_all=True, append_images=[scene()] * 2), "AVIF"),
        "AVIF claims 13 gigapixels": (put(avif, size, struct.pack(">II", 130_000, 100_000)), "too_many_pixels"),
        "AVIF of its first box alone": (avif[:32], "truncated"),
    }  # fmt: skip
