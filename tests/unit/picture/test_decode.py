"""Decoding in this process: every reason that needs no child, orientation, color modes, and the one route for JPEGs."""

import io

import imagehash
import numpy as np
import pytest
from photos import STORED_BY, encoded, many_scans, oriented, plain, png, scene
from PIL import Image, ImageFile, PngImagePlugin

from tagger.picture.decode import REJECT_REASONS, DecodedPhoto, DecodeLimits, Reject, decode_photo
from tagger.picture.fit import Fit, fit_picture
from tagger.picture.header import ACCEPTED_FORMATS

STRETCH, LIMITS = Fit(), DecodeLimits()


def no_bytes(value):
    """Names of cases without the photo in them."""
    return "photo" if isinstance(value, bytes) else None


def decode(photo, fit=STRETCH):
    return decode_photo(photo, fit, LIMITS)


def center(photo):
    answer = decode(photo)
    assert isinstance(answer, DecodedPhoto), answer
    return tuple(int(value) for value in answer.pixels[64, 64])


def reason(photo):
    answer = decode(photo)
    assert isinstance(answer, Reject) and answer.reason in REJECT_REASONS
    assert 0 < len(answer.detail) <= 200 and answer.detail.isprintable()
    return answer.reason


@pytest.mark.parametrize("name", ACCEPTED_FORMATS)
def test_every_accepted_format_gives_the_picture(name):
    answer = decode(encoded(scene(), name))
    assert (answer.format, answer.width, answer.height) == (name, 64, 48)
    assert answer.pixels.shape == (128, 128, 3) and answer.pixels.dtype == np.uint8
    difference = answer.pixels.astype(int) - fit_picture(np.asarray(scene()), Fit())
    assert abs(difference).mean() < 5  # GIF has 256 colors


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        (b"", "empty"),
        (b"hello, I am a photo", "not_an_image"),
        (b"<svg/>", "unsupported_format"),
        (encoded(scene(), "PPM"), "unsupported_format"),
        (many_scans(101), "unsupported_format"),
        (encoded(scene(15, 400), "PNG"), "too_small"),
        (png(1 << 30, 1 << 30, 8, 2), "too_many_pixels"),
        (png(7072, 7072, 8, 2), "too_many_pixels"),
        (encoded(scene(), "PNG")[:-40], "truncated"),
        (png(64, 64, 8, 2, b"\7" * 64 * 193), "corrupt"),  # no filter has the number 7
    ],
    ids=no_bytes,
)
def test_each_reason_is_given(photo, expected):
    assert reason(photo) == expected


def test_a_file_over_the_limit_is_refused_before_it_is_looked_at():
    assert decode_photo(b"\0" * 11, Fit(), DecodeLimits(max_bytes=10)).reason == "file_too_large"


def test_the_shorter_side_may_have_just_enough_pixels():
    assert isinstance(decode(encoded(scene(16, 400), "PNG")), DecodedPhoto)


@pytest.mark.parametrize("name", ACCEPTED_FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_file_is_truncated(name, share):
    photo = encoded(scene(200, 150), name)
    assert reason(photo[: int(len(photo) * share)]) == "truncated"


def test_one_hundred_scans_are_decoded():
    assert isinstance(decode(many_scans(100)), DecodedPhoto)


@pytest.mark.parametrize("name", ACCEPTED_FORMATS)
def test_random_damage_gives_a_picture_or_a_reason(name):
    rng = np.random.default_rng(1)
    photo = np.frombuffer(encoded(scene(), name), np.uint8)
    for _ in range(150):
        damaged = photo.copy()
        damaged[rng.integers(0, len(photo), 8)] = rng.integers(0, 256, 8)
        assert isinstance(decode(damaged.tobytes()), DecodedPhoto | Reject)


def test_text_that_inflates_without_end_is_refused():
    text = PngImagePlugin.PngInfo()
    text.add_text("note", "x" * 2_000_000, zip=True)
    assert reason(encoded(scene(), "PNG", pnginfo=text)) == "corrupt"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_and_the_stored_size_reported(orientation):
    answer = decode(oriented(scene(), orientation, "PNG"))
    assert (answer.pixels == decode(encoded(scene(), "PNG")).pixels).all()
    assert (answer.width, answer.height) == ((48, 64) if orientation >= 5 else (64, 48))
    assert answer.is_turned == (orientation >= 5)


@pytest.mark.parametrize("name", ["JPEG", "WebP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", STORED_BY)
def test_every_format_that_keeps_an_orientation_is_turned_once(name, orientation):
    answer = decode(oriented(scene(), orientation, name))
    difference = answer.pixels.astype(int) - decode(encoded(scene(), "PNG")).pixels
    assert abs(difference).mean() < 4
    assert (answer.width, answer.height) == ((48, 64) if orientation >= 5 else (64, 48))
    assert answer.is_turned == (orientation >= 5)


@pytest.mark.parametrize("content", [b"", b"garbage", b"MM\0*\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"])
def test_broken_exif_leaves_the_picture_as_it_is_stored(content):
    photo, exif = encoded(scene(), "JPEG"), b"Exif\0\0" + content
    marked = photo[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + photo[2:]
    assert (decode(marked).pixels == decode(photo).pixels).all()


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        (encoded(plain((0, 255, 255, 0), "CMYK"), "JPEG", quality=95), (254, 0, 0)),
        (encoded(plain((0, 255, 255, 0), "CMYK"), "TIFF"), (255, 0, 0)),
        (encoded(plain(90, "L"), "PNG"), (90, 90, 90)),
        (encoded(plain(1, "1"), "PNG"), (255, 255, 255)),
        (encoded(plain(0x80FF, "I;16"), "PNG"), (128, 128, 128)),
        (encoded(plain(0x80FF, "I;16"), "TIFF"), (128, 128, 128)),
        (encoded(plain(0x80FF, "I;16"), "PNG", transparency=0x80FF), (255, 255, 255)),
        (png(16, 16, 16, 2, (b"\0" + b"\x80\xff\x40\xff\0\0" * 16) * 16), (128, 64, 0)),
        (encoded(plain(0.5, "F"), "TIFF"), (255, 255, 255)),  # no stated range: the brightest is white
        (encoded(plain(-3.0, "F"), "TIFF"), (0, 0, 0)),
        (encoded(plain((0, 0, 0, 0), "RGBA"), "PNG"), (255, 255, 255)),
        (encoded(plain((255, 0, 0, 128), "RGBA"), "PNG"), (255, 127, 127)),
        (encoded(plain((0, 0, 255, 0), "RGBA"), "WebP", lossless=True, exact=True), (255, 255, 255)),
        (encoded(plain((0, 128), "LA"), "PNG"), (127, 127, 127)),
        (encoded(plain((200, 10, 10)).quantize(4), "PNG"), (200, 10, 10)),
        (encoded(plain((200, 10, 10)).quantize(4), "PNG", transparency=0), (255, 255, 255)),
        (encoded(plain((200, 10, 10)).quantize(4), "GIF", transparency=0), (255, 255, 255)),
        (encoded(plain((9, 8, 7)), "PNG", transparency=(9, 8, 7)), (255, 255, 255)),
        (encoded(plain((200, 10, 10)).convert("YCbCr"), "TIFF"), (200, 10, 10)),
    ],
    ids=no_bytes,
)
def test_every_color_mode_becomes_rgb_over_white(photo, expected):
    assert center(photo) == pytest.approx(expected, abs=3)


@pytest.mark.parametrize(("name", "options"), [("GIF", {}), ("PNG", {}), ("WebP", {"lossless": True}), ("TIFF", {})])
def test_the_first_frame_counts(name, options):
    frames = [plain(color) for color in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    assert center(encoded(frames[0], name, save_all=True, append_images=frames[1:], **options)) == (255, 0, 0)


def test_a_large_jpeg_decoded_at_a_fraction_looks_like_the_whole():
    large = scene(2000, 1500)
    answer = decode(encoded(large, "JPEG", quality=95))
    assert (answer.width, answer.height) == (2000, 1500)
    assert abs(answer.pixels.astype(int) - fit_picture(np.asarray(large), Fit())).max() <= 6


def test_a_jpeg_under_512_pixels_is_decoded_whole():
    photo = encoded(scene(511, 600), "JPEG")
    with Image.open(io.BytesIO(photo)) as whole:
        assert (decode(photo).pixels == fit_picture(np.asarray(whole), Fit())).all()


def test_the_fit_is_obeyed():
    fitted = decode(encoded(plain((5, 6, 7), size=(400, 100)), "PNG"), Fit("pad", 64)).pixels
    assert fitted.shape == (64, 64, 3) and (fitted == (5, 6, 7)).all()


def test_phash_is_imagehash_in_a_signed_integer_whatever_the_fit():
    photo = encoded(scene(300, 200), "PNG")
    expected = int(str(imagehash.phash(scene(300, 200).resize((128, 128), Image.Resampling.BILINEAR))), 16)
    answers = [decode(photo, fit).phash for fit in (Fit(), Fit("pad"), Fit("stretch", 32))]
    assert [answer % 2**64 for answer in answers] == [expected] * 3
    assert -(2**63) <= answers[0] < 2**63


def test_memory_that_runs_out_is_a_reason(monkeypatch):
    def exhausted(image):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", exhausted)
    assert reason(encoded(scene(), "PNG")) == "decode_memory"


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(ValueError, match="wall_s must be positive. Received: 0"):
        DecodeLimits(wall_s=0)


def test_the_decoder_is_not_told_to_forgive_cut_files():
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False
