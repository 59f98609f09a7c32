"""Fuzzing the decoder as it is used, in a decode child: `python -m tests.fuzz.decode --minutes 60 --seed 1 --work DIR`.

Photos drawn in code, and those of `--corpus` (a folder, or a zip archive that is read in place), are damaged without
end. Whatever gets an answer not seen before is damaged further. A *failure* breaks a promise of `docs/bad-input.md`;
a *death* is a photo that needed the child's limits, which is promised too, and still worth a look. Both are kept under
DIR/finds. Everything follows from the seed and the corpus, and a stopped run goes on where it was.
"""

import argparse
import hashlib
import json
import random
import re
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tagger.picture.child import STARVED_WAITS
from tagger.picture.children import DecodeChildren
from tagger.picture.decode import REJECT_REASONS, DecodedPhoto, DecodeLimits, Reject
from tagger.picture.fit import Fit
from tagger.picture.header import ACCEPTED_FORMATS, picture_format
from tests.fuzz.drawn import drawn_photos
from tests.fuzz.mutations import mutated

DEATHS = ("decode_timeout", "decode_memory", "decode_crashed")
LONGEST_SEED_BYTES = 100_000
"""Larger files of a corpus are left out: what is wrong with them is rarely a matter of their length."""
WALL_MARGIN_S = 5.0
MEMORY_MARGIN_BYTES = 64 * 2**20
TELL_EVERY_S = 60.0
KEPT_A_SIGNATURE = 5
MINIMISING_TRIES = 60
LEARNED_SHARE = 0.2
"""Mutants that start from a mutant with an answer of its own: few, as most of these answers are rejects."""

_STATED_SIZES = {
    "PNG": re.compile(rb"IHDR(?P<width>.{4})(?P<height>.{4})", re.DOTALL),
    "JPEG": re.compile(rb"\xff[\xc0-\xcf]..\x08(?P<height>..)(?P<width>..)", re.DOTALL),
}


@dataclass
class Tally:
    """What has been done so far; kept as JSON, so that a run can go on."""

    seed: int
    corpus: str
    executions: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    peak_bytes: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    pictures: Counter[str] = field(default_factory=Counter)
    finds: Counter[str] = field(default_factory=Counter)

    def lines(self) -> Iterator[str]:
        """For people: speed, counts by reason, finds by signature."""
        speed = self.executions / max(self.seconds, 1e-9)
        yield f"{self.executions} executions in {self.seconds / 60:.1f} min, {speed:.1f} a second"
        yield f"slowest {self.slowest_s:.2f} s; child at most {self.peak_bytes / 2**20:.0f} MiB"
        for name, counts in (("pictures", self.pictures), ("rejects", self.reasons), ("finds", self.finds)):
            told = ", ".join(f"{key} {count}" for key, count in counts.most_common())
            yield f"{name} {sum(counts.values())}: {told or 'none'}"


@dataclass(frozen=True)
class Trial:
    """One photo through the child. seconds: wall time. peak_bytes: of the child. neighbour: what the next photo got."""

    photo: bytes
    answer: DecodedPhoto | Reject
    seconds: float
    peak_bytes: int
    neighbour: DecodedPhoto | Reject
    is_neighbour_fine: bool


class Decoder:
    """One decode child, asked for one photo and then for a good neighbour whose answer is known."""

    def __init__(self, children: DecodeChildren, limits: DecodeLimits, neighbour: bytes) -> None:
        self._children, self.limits, self._neighbour = children, limits, neighbour
        (self._expected,) = children.decode([neighbour])
        self.idle_bytes = self._peak_bytes()

    def try_photo(self, photo: bytes) -> Trial:
        """Never raises for a photo; ClusterUnavailable where the child cannot be started again."""
        started = time.monotonic()
        (answer,) = self._children.decode([photo])
        seconds, peak_bytes = time.monotonic() - started, self._peak_bytes()
        (after,) = self._children.decode([self._neighbour])
        return Trial(photo, answer, seconds, peak_bytes, after, _is_same(after, self._expected))

    def _peak_bytes(self) -> int:
        status = Path(f"/proc/{self._children.pids()[0]}/status")
        kilobytes = re.search(r"VmHWM:\s*(\d+) kB", status.read_text())
        return int(kilobytes[1]) * 1024 if kilobytes else 0


def failure(trial: Trial, limits: DecodeLimits, idle_bytes: int) -> str:
    """Which promise the answer breaks; empty where it breaks none."""
    if not trial.is_neighbour_fine:
        return "the next photo got another answer"
    if trial.seconds > STARVED_WAITS * limits.wall_s + WALL_MARGIN_S:
        return "beyond the wall limit"
    if trial.peak_bytes > idle_bytes + limits.memory_bytes + MEMORY_MARGIN_BYTES:
        return "beyond the memory limit"
    if isinstance(trial.answer, Reject):
        detail = trial.answer.detail
        is_told = trial.answer.reason in REJECT_REASONS and 0 < len(detail) <= 200 and detail.isprintable()
        return "" if is_told else "a reject that is not documented"
    return _wrong_picture(trial.photo, trial.answer, limits)


def _wrong_picture(photo: bytes, answer: DecodedPhoto, limits: DecodeLimits) -> str:
    if answer.pixels.shape != (128, 128, 3) or answer.format not in ACCEPTED_FORMATS:
        return "not a picture"
    if answer.width * answer.height > limits.max_pixels or min(answer.width, answer.height) < limits.min_side_px:
        return "a size beyond the limits"
    stated = _STATED_SIZES.get(answer.format)
    if stated is None:
        return ""
    sizes = {
        tuple(int.from_bytes(match[side], "big") for side in ("width", "height")) for match in stated.finditer(photo)
    }
    return "" if (answer.width, answer.height) in sizes else "a size that the file does not state"


def signature(answer: DecodedPhoto | Reject) -> str:
    """Answers of the same kind have the same one: format and reason, or the words of the error without its numbers."""
    if isinstance(answer, DecodedPhoto):
        return f"picture {answer.format}"
    if answer.reason == "not_an_image":
        return answer.reason
    return f"{answer.reason}: " + re.sub(r"\d+|0x[0-9a-f]+|b'.*'", "#", answer.detail)[:80]


def told(answer: DecodedPhoto | Reject) -> str:
    """For people, without pixels."""
    if isinstance(answer, Reject):
        return f"{answer.reason}: {answer.detail}"
    return f"{answer.format} picture of {answer.width} x {answer.height}, hash {answer.phash}"


def _is_same(one: DecodedPhoto | Reject, other: DecodedPhoto | Reject) -> bool:
    if isinstance(one, Reject) or isinstance(other, Reject):
        return False
    return bool((one.pixels == other.pixels).all()) and one.phash == other.phash


def corpus_photos(place: Path) -> list[bytes]:
    """Files under a folder, and entries of zip archives, of accepted formats and moderate length; in a fixed order."""
    files = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    photos: list[bytes] = []
    for file in files:
        if zipfile.is_zipfile(file) and file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive:
                photos += [archive.read(name) for name in sorted(archive.namelist())]
        else:
            photos.append(file.read_bytes())
    return [photo for photo in photos if len(photo) <= LONGEST_SEED_BYTES and picture_format(photo) in ACCEPTED_FORMATS]


class Fuzzer:
    """A run: seeds, what was learned from them, and the tally. kept: mutants that got a new kind of answer."""

    def __init__(self, seeds: list[bytes], seed: int, work: Path) -> None:
        self._work = work
        for name in ("kept", "finds"):
            (work / name).mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(b"".join(hashlib.sha256(photo).digest() for photo in seeds)).hexdigest()[:16]
        self.tally = _read_tally(work / "tally.json", seed, digest)
        self._seeds = seeds
        self._kept = [path.read_bytes() for path in sorted((work / "kept").iterdir())]
        seen = work / "seen.json"
        self._seen: set[str] = set(json.loads(seen.read_text())) if seen.exists() else set()

    def mutant(self, number: int) -> bytes:
        """The photo of an execution: the seeds as they are first, mutants after that."""
        if number < len(self._seeds):
            return self._seeds[number]
        rng = random.Random(f"{self.tally.seed}-{number}")
        learned = self._kept if self._kept and rng.random() < LEARNED_SHARE else self._seeds
        return mutated(rng.choice(learned), rng.choice(self._seeds), rng)

    def run(self, decoder: Decoder, until: Callable[["Tally"], bool], tell: Callable[[str], None]) -> None:
        """Execution after execution until the tally says enough; the state is saved once a minute and at the end."""
        before, started, told = self.tally.seconds, time.monotonic(), time.monotonic()
        while not until(self.tally):
            self._note(decoder.try_photo(self.mutant(self.tally.executions)), decoder)
            now = time.monotonic()
            self.tally.seconds = before + now - started
            if now - told > TELL_EVERY_S:
                told = now
                self._save()
                tell("\n".join(self.tally.lines()))
        self._save()
        tell("\n".join(self.tally.lines()))

    def _note(self, trial: Trial, decoder: Decoder) -> None:
        tally, answer = self.tally, trial.answer
        tally.slowest_s, tally.peak_bytes = max(tally.slowest_s, trial.seconds), max(tally.peak_bytes, trial.peak_bytes)
        if isinstance(answer, Reject):
            tally.reasons[answer.reason] += 1
        else:
            tally.pictures[answer.format] += 1
        broken = failure(trial, decoder.limits, decoder.idle_bytes)
        if broken or isinstance(answer, Reject) and answer.reason in DEATHS:
            self._keep_find(f"FAILURE {broken}" if broken else signature(answer), trial, decoder)
        elif (kind := signature(answer)) not in self._seen:
            self._seen.add(kind)
            self._kept.append(trial.photo)
            (self._work / "kept" / f"{tally.executions:09d}").write_bytes(trial.photo)
        tally.executions += 1

    def _keep_find(self, kind: str, trial: Trial, decoder: Decoder) -> None:
        self.tally.finds[kind] += 1
        if self.tally.finds[kind] > KEPT_A_SIGNATURE:
            return
        name = f"{self.tally.executions:09d}"
        facts = {
            "kind": kind,
            "execution": self.tally.executions,
            "seconds": trial.seconds,
            "answer": told(trial.answer),
            "neighbour": told(trial.neighbour),
        }
        (self._work / "finds" / f"{name}.json").write_text(json.dumps(facts, indent=1))
        (self._work / "finds" / f"{name}.photo").write_bytes(trial.photo)
        (self._work / "finds" / f"{name}.small").write_bytes(minimised(trial, decoder))

    def _save(self) -> None:
        (self._work / "seen.json").write_text(json.dumps(sorted(self._seen)))
        (self._work / "tally.json").write_text(json.dumps(vars(self.tally), indent=1))


def minimised(trial: Trial, decoder: Decoder) -> bytes:
    """The photo without pieces that its find does not need, after a bounded number of tries. A slow one stays whole."""
    photo = trial.photo
    if trial.seconds > decoder.limits.wall_s / 4:
        return photo
    wanted = failure(trial, decoder.limits, decoder.idle_bytes) or signature(trial.answer)
    piece, place, tries = len(photo) // 2, 0, 0
    while piece >= 1 and tries < MINIMISING_TRIES:
        shorter = photo[:place] + photo[place + piece :]
        again = decoder.try_photo(shorter)
        tries += 1
        if (failure(again, decoder.limits, decoder.idle_bytes) or signature(again.answer)) == wanted:
            photo = shorter
        else:
            place += piece
        if place >= len(photo):
            piece, place = piece // 2, 0
    return photo


def _read_tally(file: Path, seed: int, corpus: str) -> Tally:
    if not file.exists():
        return Tally(seed, corpus)
    stored = json.loads(file.read_text())
    if (stored["seed"], stored["corpus"]) != (seed, corpus):
        raise SystemExit(f"{file} is of another seed or corpus. Take another --work, or the same two again.")
    counters = {name: Counter(stored.pop(name)) for name in ("reasons", "pictures", "finds")}
    return Tally(**stored, **counters)


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the decoder in a decode child.")
    parser.add_argument("--minutes", type=float, default=1.0, help="wall time of the whole run, earlier parts included")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, help="folder of photos, or a zip archive; drawn photos come in any case")
    parser.add_argument("--work", type=Path, required=True, help="folder for finds and the run's state")
    asked = parser.parse_args()
    seeds = drawn_photos() + (corpus_photos(asked.corpus) if asked.corpus else [])
    print(f"{len(seeds)} seeds", flush=True)
    fuzzer, limits = Fuzzer(seeds, asked.seed, asked.work), DecodeLimits()
    with DecodeChildren(1, Fit(), limits) as children:
        decoder = Decoder(children, limits, seeds[0])
        fuzzer.run(decoder, lambda tally: tally.seconds >= asked.minutes * 60, lambda text: print(text, flush=True))
    return int(any(kind.startswith("FAILURE") for kind in fuzzer.tally.finds))


if __name__ == "__main__":
    sys.exit(main())
