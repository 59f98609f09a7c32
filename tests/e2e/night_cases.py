"""What happens to the nights: each case is a place, a fault, and the words that tell it."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tagger.storage import open_root
from tests.e2e.faulty_s3 import (
    Delay,
    Garble,
    Instead,
    Outage,
    Refuse,
    RepeatBorder,
    Reset,
    Rule,
    Then,
    Truncate,
    Unanswered,
)
from tests.e2e.faulty_s3 import Fault as RequestFault
from tests.e2e.night_run import HUNG_S
from tests.e2e.night_scene import (
    Fault,
    Place,
    Scene,
    beside,
    kill_nodes,
    kill_processes,
    on_disk,
    on_nodes,
    on_s3,
    on_small_disk,
)
from tests.e2e.night_shop import REJECTED
from tests.e2e.small_disk import kept_full

OUTAGE_S = 60.0
LISTING = r"^GET /photos/?\?"
PHOTO = "^GET /photos/[^?]"
ACTOR, FETCH, CHILD = "TagRow", "fetch_row", "tagger.picture.child"
"""What the command lines of the command's processes hold."""


@dataclass(frozen=True)
class Case:
    """words: what is done, for the table. strikes: trials go on until the fault has struck so often in all."""

    name: str
    place: Place
    fault: Fault
    words: str
    trials: int = 3
    strikes: int = 0


@dataclass(frozen=True)
class Moment:
    """A point of the night, told by a request; `file` tells it on a disk, where there are no requests."""

    name: str
    request: str
    words: str
    skip: int = 0
    is_done: bool = True
    file: str = ""


FIRST_COMMIT = r"_delta_log/0{19}1\.json"
MOMENTS = (
    Moment("state", r"PUT \S*/run\.json", "when the run has its state file", file="work/*/run.json"),
    Moment("plan", r"PUT \S*/manifest/", "when the first manifest file is there", file="work/*/manifest/*"),
    Moment("units", r"PUT \S*/units/", "when three units are staged", skip=2, file="work/*/units/*.parquet"),
    Moment("ledger", r"PUT /shop/[^/]*/tables/\w+/date", "between the ledger and the first table file", is_done=False),
    Moment("finalise", r"PUT \S*/tables/\w+/date", "after the first table file", file="tables/tags/date=*/*.parquet"),
    Moment("commit-plan", r"PUT \S*/commit\.json", "when commit.json is there", file="work/*/commit.json"),
    Moment("table", r"PUT \S*/tables/tags/_delta_log/0{20}\.json", "when the table of tags is made and empty"),
    Moment("rejects", rf"PUT \S*/tables/rejects/{FIRST_COMMIT}", "between the commits of rejects and tags",
           file="tables/rejects/_delta_log/00000000000000000001.json"),
    Moment("tags", rf"PUT \S*/tables/tags/{FIRST_COMMIT}", "between the commits of tags and runs",
           file="tables/tags/_delta_log/00000000000000000001.json"),
    Moment("runs", rf"PUT \S*/tables/runs/{FIRST_COMMIT}", "when all is committed and nothing cleaned up",
           file="tables/runs/_delta_log/00000000000000000001.json"),
    Moment("clean-up", r"(POST /shop/?\?delete|DELETE \S*/work/2)", "in the clean-up of the work folder"),
)  # fmt: skip


def requests(*rules: Rule) -> Fault:
    """Requests of the command meet the rules."""
    return given_requests(lambda scene: rules)


def given_requests(rules: Callable[[Scene], tuple[Rule, ...]]) -> Fault:
    """The same, with rules that need the scene."""

    @contextlib.contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        assert scene.proxy is not None
        before = scene.proxy.struck
        scene.proxy.follow(rules(scene))
        yield
        scene.strikes += scene.proxy.struck - before
        scene.proxy.follow(())

    return fault


def killed_at(moment: Moment) -> Fault:
    """SIGKILL to the command at the very request."""

    def rules(scene: Scene) -> tuple[Rule, ...]:
        act: RequestFault = (Then if moment.is_done else Instead)(scene.night.kill)
        return (Rule(moment.request, act, skip=moment.skip, times=1),)

    return given_requests(rules)


def killed_at_file(moment: Moment) -> Fault:
    """SIGKILL to the command some milliseconds after the file is there."""

    @contextlib.contextmanager
    def fault(scene: Scene) -> Iterator[None]:
        def act() -> None:
            if scene.night.await_file(moment.file, moment.skip + 1):
                scene.night.kill()
                scene.count()

        with beside(act):
            yield

    return fault


@contextlib.contextmanager
def nothing(scene: Scene) -> Iterator[None]:
    """An undisturbed night."""
    yield
    scene.count()


@contextlib.contextmanager
def started_twice(scene: Scene) -> Iterator[None]:
    """The same command is started a second time at the same moment; both must end well."""
    other = scene.night.started()
    scene.count()
    yield
    scene.night.codes.insert(0, other.wait(HUNG_S))


@contextlib.contextmanager
def disk_full(scene: Scene) -> Iterator[None]:
    """From the third unit until the command ends, the root's disk has no space."""

    def act() -> None:
        if scene.night.await_file("work/*/units/*.parquet", 3):
            running = scene.night.process
            with kept_full(Path(scene.night.root.uri).parent):
                scene.count()
                running.wait()

    with beside(act):
        yield


class TwoPhotos:
    """One that belongs on the first page of the listing, and one that belongs on its last."""

    def __init__(self) -> None:
        self._root = open_root("s3://photos")
        keys = [found.key for found in self._root.list_objects()]
        self._data = {key: self._root.read_bytes(key) for key in (keys[len(REJECTED)], keys[-1])}

    def remove(self) -> None:
        """Both are gone."""
        for key in self._data:
            self._root.delete(key)

    def restore(self) -> None:
        """Both are there, as before."""
        for key, data in self._data.items():
            self._root.write_bytes(key, data)


def when_a_page_is_sent(act: Callable[[], object]) -> Fault:
    """Something happens between the first page of the listing and the next; before it, the command looks once."""
    return requests(Rule(LISTING, Then(act), skip=1, times=1))


@contextlib.contextmanager
def listing_grows(scene: Scene) -> Iterator[None]:
    """Two photos appear between two pages."""
    photos = TwoPhotos()
    photos.remove()
    try:
        with when_a_page_is_sent(photos.restore)(scene):
            yield
    finally:
        photos.restore()


@contextlib.contextmanager
def listing_shrinks(scene: Scene) -> Iterator[None]:
    """Two photos vanish between two pages, and are back when the night is over."""
    photos = TwoPhotos()
    try:
        with when_a_page_is_sent(photos.remove)(scene):
            yield
    finally:
        photos.restore()


@contextlib.contextmanager
def border_repeated(scene: Scene) -> Iterator[None]:
    """Pages of the listing overlap by one key."""
    border = RepeatBorder()
    with requests(Rule(LISTING, border))(scene):
        yield
    scene.strikes = border.repeats


STORE = {
    "network-lost": (
        f"no network for {OUTAGE_S:.0f} s, from the middle of a unit's upload",
        Rule(r"PUT \S*/units/", Outage(OUTAGE_S), skip=2, times=1),
    ),
    "network-lost-in-plan": (
        f"no network for {OUTAGE_S:.0f} s, from the middle of the manifest's upload",
        Rule(r"PUT \S*/manifest/", Outage(OUTAGE_S), times=1),
    ),
    "network-lost-in-commit": (
        f"no network for {OUTAGE_S:.0f} s, from the middle of the commit of tags",
        Rule(rf"PUT \S*/tables/tags/{FIRST_COMMIT}", Outage(OUTAGE_S), times=1),
    ),
    "slow": ("every tenth request a second late", Rule("", Delay(1.0), share=0.1)),
    "errors-500": ("every tenth request 500 InternalError", Rule("", Refuse(500, "InternalError"), share=0.1)),
    "slow-down": ("all photos 503 SlowDown for 20 s", Rule(PHOTO, Refuse(503, "SlowDown"), seconds=20)),
    "resets": ("every tenth connection reset, the request unseen", Rule("", Reset(), share=0.1)),
    "answers-lost": ("every fifth write done and not answered", Rule("^(PUT|POST|DEL)", Unanswered(), share=0.2)),
    "answers-cut": ("every tenth body cut in the middle", Rule("^GET", Truncate(), share=0.1)),
    "bytes-flipped": ("every tenth photo with a wrong byte; checksums told", Rule(PHOTO, Garble(), share=0.1)),
    "bytes-flipped-unseen": (
        "every tenth photo with a wrong byte; no checksums told",
        Rule(PHOTO, Garble("x-amz-checksum"), share=0.1),
    ),
    "denied": (
        "403 AccessDenied for two photos in a hundred",
        Rule(rf"{PHOTO}\S*[27]3\.jpg", Refuse(403, "AccessDenied")),
    ),
}
"""Faults of the store by rules alone: words and rule."""

CASES = {
    case.name: case
    for case in (
        Case("undisturbed-disk", on_disk, nothing, "nothing; root on a disk"),
        Case("undisturbed-s3", on_s3, nothing, "nothing; root on S3"),
        Case("undisturbed-nodes", on_nodes, nothing, "nothing; three nodes"),
        *(Case(f"killed-{m.name}-s3", on_s3, killed_at(m), f"SIGKILL to the command {m.words}; S3") for m in MOMENTS),
        *(
            Case(f"killed-{m.name}-disk", on_disk, killed_at_file(m), f"SIGKILL to the command {m.words}; disk")
            for m in MOMENTS
            if m.file
        ),
        Case("started-twice-s3", on_s3, started_twice, "the same command is started twice at once; S3"),
        Case("started-twice-disk", on_disk, started_twice, "the same command is started twice at once; disk"),
        Case("actor-killed", on_disk, kill_processes(ACTOR, 2, (1, 6)), "SIGKILL to the actor that tags, twice"),
        Case("fetch-killed", on_disk, kill_processes(FETCH, 4, (1, 4)), "SIGKILL to a worker that fetches, four times"),
        Case("child-killed", on_disk, kill_processes(CHILD, 4, (2, 8)), "SIGKILL to a decode child, four times"),
        Case(
            "nodes-killed", on_nodes, kill_nodes(5, (5, 20), (0, 6)), "SIGKILL to a random node; another joins", 8, 50
        ),
        Case("disk-full", on_small_disk, disk_full, "no space on the root's disk until the command stops"),
        *(Case(name, on_s3, requests(rule), words) for name, (words, rule) in STORE.items()),
        Case("listing-grows", on_s3, listing_grows, "photos appear between two pages of the listing"),
        Case("listing-shrinks", on_s3, listing_shrinks, "photos vanish between two pages; later they are back"),
        Case("border-repeated", on_s3, border_repeated, "a page begins with the last key of the page before"),
    )
}
