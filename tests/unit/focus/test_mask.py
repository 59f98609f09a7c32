"""Masks of pictures made in code, where the truth is known to the pixel."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from tagger.focus.mask import foreground_masks
from tagger.picture.decode import DecodeLimits, decode_photo
from tagger.picture.fit import Fit

SIDE = 128
WHITE, RED, BLUE, GREY = (255, 255, 255), (200, 30, 40), (30, 60, 180), (128, 128, 128)


def plain(color=WHITE):
    return np.full((SIDE, SIDE, 3), color, np.uint8)


def box(top, bottom, left, right):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top:bottom, left:right] = True
    return mask


def painted(picture, mask, color):
    picture = picture.copy()
    picture[mask] = color
    return picture


def floor():
    """A studio: white above, running to light grey below."""
    rows = np.linspace(250, 205, SIDE)[:, None, None]
    return np.broadcast_to(rows, (SIDE, SIDE, 3)).round().astype(np.uint8)


def overlap(mask, truth):
    """Intersection over union."""
    found = mask >= 0.5
    return (found & truth).sum() / (found | truth).sum()


def foreground(picture):
    found = foreground_masks(picture[None])
    return found.masks[0], float(found.quality[0])


MIDDLE = box(30, 100, 40, 90)
TWO = box(20, 60, 20, 60) | box(70, 110, 70, 110)
CUT = box(40, SIDE, 0, 70)  # by two borders
RING = box(30, 100, 30, 100) & ~box(50, 80, 50, 80)


@pytest.mark.parametrize(
    "background", [plain(), plain(GREY), plain((40, 90, 60)), floor()], ids=["white", "grey", "studio", "floor"]
)
@pytest.mark.parametrize("truth", [MIDDLE, TWO, CUT], ids=["one", "two parts", "cut by the border"])
def test_a_product_on_a_plain_background(background, truth):
    mask, quality = foreground(painted(background, truth, RED))
    assert overlap(mask, truth) > 0.97 and quality > 0.6


def test_a_gap_in_the_product_is_background_where_it_has_the_backgrounds_very_color():
    mask, _ = foreground(painted(plain(), RING, RED))
    assert overlap(mask, RING) > 0.97


def test_what_the_product_encloses_is_foreground_where_it_is_a_little_different():
    mask, _ = foreground(painted(plain((248, 248, 246)), RING, RED) - box(50, 80, 50, 80)[..., None] * np.uint8(9))
    assert overlap(mask, box(30, 100, 30, 100)) > 0.97


@pytest.mark.parametrize("color", [RED, BLUE, (20, 20, 20)])
def test_jpeg_noise_of_an_ordinary_photo_does_not_move_the_edge(color):
    # Twice the network's size, as catalogue photos are at least; at 128 px itself the blurred color takes 0.1 of IoU.
    photo = cv2.resize(painted(plain(), MIDDLE, color), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    coded = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    small = cv2.resize(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    assert overlap(foreground(small)[0], MIDDLE) > 0.97


def test_a_soft_shadow_on_the_floor_is_background():
    shadow = np.zeros((SIDE, SIDE), np.float32)
    cv2.ellipse(shadow, (65, 102), (38, 7), 0, 0, 360, 1, -1)
    shade = 1 - 0.08 * cv2.GaussianBlur(shadow, (0, 0), 4)
    picture = painted((plain() * shade[..., None]).round().astype(np.uint8), MIDDLE, RED)
    assert overlap(foreground(picture)[0], MIDDLE) > 0.95


def test_a_white_product_on_white_is_seen_by_its_shaded_edge():
    edge = MIDDLE & ~box(33, 97, 43, 87)
    picture = painted(painted(plain(), MIDDLE, (250, 250, 250)), edge, (205, 205, 208))
    assert overlap(foreground(picture)[0], MIDDLE) > 0.9


@pytest.mark.parametrize("picture", [plain(), plain(GREY), floor()], ids=["white", "grey", "floor"])
def test_a_picture_without_a_product_has_an_empty_mask_of_no_quality(picture):
    mask, quality = foreground(picture)
    assert not mask.any() and quality == 0


def test_specks_are_no_product():
    picture = painted(painted(plain(), MIDDLE, RED), box(5, 7, 5, 7), (0, 0, 0))
    assert foreground(picture)[0][5, 5] == 0


def test_a_restless_background_lowers_the_quality():
    rng = np.random.default_rng(0)
    restless = rng.integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
    assert foreground(painted(restless, MIDDLE, RED))[1] + 0.2 < foreground(painted(plain(), MIDDLE, RED))[1]


def test_pictures_of_a_batch_do_not_touch_each_other():
    found = foreground_masks(np.stack([plain(), painted(plain(), MIDDLE, RED)]))
    assert found.masks.shape == (2, SIDE, SIDE) and found.masks.dtype == np.float32
    assert not found.masks[0].any() and overlap(found.masks[1], MIDDLE) > 0.97


def test_an_empty_batch_has_no_masks():
    found = foreground_masks(np.zeros((0, SIDE, SIDE, 3), np.uint8))
    assert found.masks.shape == (0, SIDE, SIDE) and found.quality.shape == (0,)


def test_a_pack_of_three_is_three_parts():
    three = box(15, 115, 12, 40) | box(15, 115, 50, 78) | box(15, 115, 88, 116)
    picture = painted(painted(plain(), box(15, 115, 12, 40), RED), box(15, 115, 50, 78), BLUE)
    mask, quality = foreground(painted(picture, box(15, 115, 88, 116), (230, 200, 60)))
    assert overlap(mask, three) > 0.97 and quality > 0.6


def test_a_transparent_png_shows_its_product_alone():
    pixels = np.dstack([np.broadcast_to(np.array(RED, np.uint8), (256, 256, 3)), np.zeros((256, 256), np.uint8)])
    pixels[60:200, 80:180, 3] = 255
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    decoded = decode_photo(data.getvalue(), Fit("stretch"), DecodeLimits())
    assert overlap(foreground(decoded.pixels)[0], MIDDLE) > 0.95


def test_a_vignette_is_one_background():
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    lit = np.clip(225 - 40 * (x * x + y * y), 0, 255)[..., None].repeat(3, axis=2).astype(np.uint8)
    mask, quality = foreground(painted(lit, MIDDLE, BLUE))
    assert overlap(mask, MIDDLE) > 0.95 and quality > 0.6


def test_a_garment_that_covers_most_of_the_border_is_not_the_background():
    rng = np.random.default_rng(4)
    garment = box(0, SIDE, 14, 114)
    cloth = np.clip(np.array(RED) + rng.normal(0, 9, (SIDE, SIDE, 1)), 0, 255).astype(np.uint8)
    mask, _ = foreground(np.where(garment[..., None], cloth, plain()))
    assert overlap(mask, garment) > 0.95


def test_where_no_plain_background_exists_the_product_in_the_middle_is_found_and_doubted():
    rng = np.random.default_rng(5)
    wall = cv2.resize(rng.integers(60, 200, (9, 9, 3)).astype(np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    room = painted(painted(wall, box(90, SIDE, 0, SIDE), (90, 70, 50)), box(10, 50, 5, 30), (60, 140, 80))
    mask, quality = foreground(painted(room, box(35, 95, 40, 90), (235, 30, 160)))
    assert overlap(mask, box(35, 95, 40, 90)) > 0.7
    assert quality < foreground(painted(plain(), MIDDLE, RED))[1] - 0.1
