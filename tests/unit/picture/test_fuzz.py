"""The fuzzer in short: twenty seconds on drawn photos, and that its mutations and its state are what it says."""

import random
import sys
import time

import pytest

from tagger.picture.children import DecodeChildren
from tagger.picture.decode import DecodedPhoto, DecodeLimits, Reject, decode_photo
from tagger.picture.fit import Fit
from tests.fuzz.decode import Decoder, Fuzzer, Trial, failure, minimised
from tests.fuzz.drawn import drawn_photos
from tests.fuzz.mutations import MOST_BYTES, change_parts, mutated
from tests.unit.picture.photos import encoded, scene

SEEDS, LIMITS = drawn_photos(), DecodeLimits()

linux = pytest.mark.skipif(sys.platform != "linux", reason="the limits on children need Linux")


@pytest.fixture(scope="module")
def decoder():
    with DecodeChildren(1, Fit(), LIMITS) as children:
        yield Decoder(children, LIMITS, SEEDS[0])


def run(work, decoder, until, seed=1):
    fuzzer = Fuzzer(SEEDS, seed, work)
    fuzzer.run(decoder, until, lambda text: None)
    return fuzzer.tally


@linux
def test_twenty_seconds_of_damaged_photos_break_no_promise(tmp_path, decoder):
    tally = run(tmp_path, decoder, lambda tally: tally.seconds >= 20)
    assert not [kind for kind in tally.finds if kind.startswith("FAILURE")], tally
    assert tally.executions > len(SEEDS) and sum(tally.pictures.values()) >= len(SEEDS)


@linux
def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path, decoder):
    whole = run(tmp_path / "whole", decoder, lambda tally: tally.executions >= 120)
    for executions in (70, 120):
        parts = run(tmp_path / "parts", decoder, lambda tally, enough=executions: tally.executions >= enough)
    assert (parts.reasons, parts.pictures) == (whole.reasons, whole.pictures)
    assert [path.name for path in sorted((tmp_path / "parts" / "kept").iterdir())] == [
        path.name for path in sorted((tmp_path / "whole" / "kept").iterdir())
    ]
    with pytest.raises(SystemExit, match="another seed or corpus"):
        Fuzzer(SEEDS, 2, tmp_path / "parts")


def test_the_drawn_photos_are_pictures():
    answers = [decode_photo(photo, Fit(), LIMITS) for photo in SEEDS]
    assert all(isinstance(answer, DecodedPhoto) for answer in answers)


def test_the_drawn_photos_are_the_same_a_second_later():
    time.sleep(1.1)
    assert drawn_photos() == SEEDS


def test_mutants_follow_from_the_seed_and_stay_short():
    mutants = [
        [mutated(photo, SEEDS[0], random.Random(number)) for number, photo in enumerate(SEEDS * 5)] for _ in range(2)
    ]
    assert mutants[0] == mutants[1] and max(map(len, mutants[0])) <= MOST_BYTES
    assert sum(mutant in SEEDS for mutant in mutants[0]) < len(SEEDS) // 4


def test_parts_of_a_png_keep_true_checksums():
    photo = encoded(scene(), "PNG")
    for number in range(50):
        answer = decode_photo(change_parts(photo, photo, random.Random(number)), Fit(), LIMITS)
        assert isinstance(answer, DecodedPhoto) or "checksum" not in answer.detail


def trial(answer, **facts):
    usual = {"photo": encoded(scene(), "PNG"), "seconds": 0.1, "peak_bytes": 0, "is_neighbour_fine": True}
    return Trial(answer=answer, neighbour=answer, **(usual | facts))


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({}, ""),
        ({"is_neighbour_fine": False}, "the next photo got another answer"),
        ({"seconds": 46}, "beyond the wall limit"),
        ({"peak_bytes": 2 * 2**30}, "beyond the memory limit"),
        ({"photo": encoded(scene(65, 48), "PNG")}, "a size that the file does not state"),
    ],
)
def test_a_broken_promise_is_told(facts, told):
    picture = decode_photo(encoded(scene(), "PNG"), Fit(), LIMITS)
    assert failure(trial(picture, **facts), LIMITS, idle_bytes=0) == told


@pytest.mark.parametrize("reject", [Reject("bad", "words"), Reject("corrupt", ""), Reject("corrupt", "two\nlines")])
def test_a_reject_must_be_documented_and_one_line(reject):
    assert failure(trial(reject), LIMITS, idle_bytes=0) == "a reject that is not documented"


@linux
def test_a_find_is_cut_down_to_what_it_needs(decoder):
    photo = encoded(scene(15, 400), "PNG") + bytes(5000)
    small = minimised(decoder.try_photo(photo), decoder)
    assert len(small) < 200 and decode_photo(small, Fit(), LIMITS).reason == "too_small"
