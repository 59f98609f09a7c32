"""Seeds that are drawn in code: every accepted format in the variants that Pillow writes."""

import io

from PIL import Image, PngImagePlugin

from tests.unit.picture.photos import encoded, many_scans, oriented, png, scene


def drawn_photos() -> list[bytes]:
    """Some sixty photos below 30 kB each, the first of them a plain PNG; the same bytes each time.

    So without an AVIF in motion, which holds the time, and a TIFF in Lab, of which Pillow writes bytes by chance.
    """
    drawn, grey = scene(), scene().convert("L")
    return [encoded(drawn, "PNG"), *_jpegs(drawn, grey), *_pngs(drawn, grey), *_tiffs(drawn, grey), *_others(drawn)]


def _jpegs(drawn: Image.Image, grey: Image.Image) -> list[bytes]:
    return [
        encoded(drawn, "JPEG"),
        encoded(drawn, "JPEG", subsampling=0, quality=95),
        encoded(drawn, "JPEG", progressive=True),
        encoded(drawn, "JPEG", restart_marker_blocks=2),
        encoded(drawn, "JPEG", icc_profile=bytes(3000), comment=b"a comment"),
        encoded(drawn, "JPEG", xmp=b'<x:xmpmeta tiff:Orientation="6"/>'),
        encoded(grey, "JPEG"),
        encoded(drawn.convert("CMYK"), "JPEG"),
        encoded(scene(600, 530), "JPEG"),
        many_scans(30),
        oriented(drawn, 6, "JPEG"),
    ]


def _pngs(drawn: Image.Image, grey: Image.Image) -> list[bytes]:
    text = PngImagePlugin.PngInfo()
    text.add_text("note", "x" * 3000, zip=True)
    text.add_itxt("note", "ü" * 300, zip=True)
    return [
        *(encoded(drawn.convert(mode), "PNG") for mode in ("1", "L", "LA", "RGBA", "P")),
        encoded(grey.convert("I;16"), "PNG"),
        encoded(drawn, "PNG", pnginfo=text, icc_profile=bytes(3000)),
        encoded(drawn, "PNG", transparency=(0, 0, 0)),
        encoded(drawn.quantize(8), "PNG", transparency=0, bits=4),
        encoded(drawn, "PNG", save_all=True, append_images=[grey.convert("RGB")] * 3),
        png(16, 16, 16, 2, (b"\0" + bytes(range(96))) * 16),
        oriented(drawn, 5, "PNG"),
    ]


def _tiffs(drawn: Image.Image, grey: Image.Image) -> list[bytes]:
    kinds = ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd")
    return [
        encoded(drawn, "TIFF"),
        *(encoded(drawn, "TIFF", compression=kind) for kind in kinds),
        *(encoded(drawn.convert("1"), "TIFF", compression=kind) for kind in ("group3", "group4", "tiff_ccitt")),
        *(encoded(drawn.convert(mode), "TIFF") for mode in ("CMYK", "P", "YCbCr", "RGBA")),
        *(encoded(grey.convert(mode), "TIFF") for mode in ("I;16", "I", "F")),
        encoded(drawn, "TIFF", big_tiff=True),
        encoded(drawn, "TIFF", save_all=True, append_images=[drawn] * 2),
        oriented(drawn, 7, "TIFF"),
    ]


def _others(drawn: Image.Image) -> list[bytes]:
    more = {"save_all": True, "append_images": [drawn.transpose(Image.Transpose.ROTATE_180)] * 2}
    return [
        *(encoded(drawn.convert(mode), "BMP") for mode in ("1", "L", "P", "RGB", "RGBA")),
        encoded(drawn, "GIF"),
        encoded(drawn, "GIF", **more),
        encoded(drawn.quantize(16), "GIF", transparency=1, interlace=0),
        encoded(drawn, "WebP"),
        encoded(drawn, "WebP", lossless=True),
        encoded(drawn, "WebP", **more),
        encoded(drawn.convert("RGBA"), "WebP", exif=_exif(), icc_profile=bytes(500)),
        encoded(drawn, "AVIF"),
        encoded(drawn.convert("RGBA"), "AVIF", exif=_exif()),
    ]


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 8
    file = io.BytesIO()
    file.write(exif.tobytes())
    return file.getvalue()
