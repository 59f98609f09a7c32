"""Runs: what makes two runs the same one, their ids, and `work/<run_id>/run.json`, which says how far one has come.

A run is (date, model, config digest). Its id sorts by date, names files and is never used twice:
`20261122-1f0c9a2b-001`, the middle being a digest of model and config digest.
"""

import contextlib
import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date as Date
from datetime import datetime
from typing import Any, Literal

from tagger.storage import Root

_LOG = logging.getLogger(__name__)

RUN_ID = re.compile(r"(\d{8}-[0-9a-f]{8})-(\d{3,})")
"""Prefix (date and digest) and number of a run id."""

DRY_RUN = "dry-run-"
"""How the work folders of dry runs begin: what was sorted for a look lies there until the look is over."""

Status = Literal["unfinished", "aborted"]


@dataclass(frozen=True)
class RunIdentity:
    """What a run answers for. `config_digest` covers the settings that change answers."""

    date: Date
    model_name: str
    model_version: str
    config_digest: str

    @property
    def prefix(self) -> str:
        """The run id without its number."""
        model = canonical_digest([self.model_name, self.model_version, self.config_digest])
        return f"{self.date:%Y%m%d}-{model[:8]}"


@dataclass(frozen=True)
class RunState:
    """One run as `run.json` tells it.

    basis: digest of what its manifest was made from: the committed runs, and which photos were asked for. Once another
    run is committed, the manifest may name photos that are tagged by now, so such a run is not resumed but aborted.
    seconds: time per stage, summed over processes and over the attempts so far; busy_s: of each process on average.
    committed: digest of the committed runs alone, when it began; null in runs that an older version began.
    """

    run_id: str
    identity: RunIdentity
    started_at: datetime
    basis: str
    status: Status = "unfinished"
    seconds: Mapping[str, float] = field(default_factory=dict)
    busy_s: Mapping[str, float] = field(default_factory=dict)
    max_logit_residual: float | None = None
    committed: str | None = None

    def is_overtaken(self, committed: Iterable[str]) -> bool:
        """Whether another run was committed since this one began: whatever the settings, its commit will be refused."""
        return self.committed not in (None, canonical_digest(sorted(committed)))

    def worked(
        self, seconds: Mapping[str, float], busy_s: Mapping[str, float], max_logit_residual: float | None
    ) -> "RunState":
        """The state after one more attempt."""
        residuals = [r for r in (self.max_logit_residual, max_logit_residual) if r is not None]
        return replace(
            self,
            seconds=_sums(self.seconds, seconds),
            busy_s=_sums(self.busy_s, busy_s),
            max_logit_residual=max(residuals, default=None),
        )


def _sums(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {stage: one.get(stage, 0.0) + other.get(stage, 0.0) for stage in {**one, **other}}


def canonical_digest(values: Any) -> str:
    """First 16 hex digits of the SHA-256 of plain values as canonical JSON."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save_state(root: Root, state: RunState) -> None:
    """Write `work/<run_id>/run.json`, whole or not at all."""
    root.write_bytes(_state_key(state.run_id), json.dumps(asdict(state), default=_iso, indent=1).encode())


def give_up(root: Root, state: RunState, why: str) -> None:
    """Abort a run, as people may: its photos are new again, a vacuum may remove what it staged, and the log says so."""
    _LOG.warning("Run %s is given up: %s", state.run_id, why)
    save_state(root, replace(state, status="aborted"))


def load_state(root: Root, run_id: str) -> RunState:
    """What `save_state` wrote. FileNotFoundError where there is none."""
    told = json.loads(root.read_bytes(_state_key(run_id)))
    identity = told.pop("identity")
    identity["date"] = Date.fromisoformat(identity["date"])
    started_at = datetime.fromisoformat(told.pop("started_at"))
    return RunState(identity=RunIdentity(**identity), started_at=started_at, **told)


def work_run_ids(root: Root) -> Iterator[str]:
    """Ids of the runs that have a work folder, sorted; one look-up a folder, whatever lies in it."""
    work, after = root.child("work"), ""
    while (found := next(iter(work.list_objects(after=after)), None)) is not None:
        folder = found.key.split("/")[0]
        if RUN_ID.fullmatch(folder):
            yield folder
        after = folder + "0"  # "0" follows "/": the next key after the whole folder


def unfinished_states(root: Root, committed: Iterable[str]) -> list[RunState]:
    """Runs that were started and neither committed nor aborted, newest first."""
    done, states = set(committed), []
    for run_id in work_run_ids(root):
        with contextlib.suppress(FileNotFoundError):  # without a state, or removed just now
            states += [load_state(root, run_id)] if run_id not in done else []
    unfinished = [state for state in states if state.status == "unfinished"]
    return sorted(unfinished, key=lambda state: state.started_at, reverse=True)


def next_run_id(root: Root, identity: RunIdentity, committed: Iterable[str]) -> str:
    """The first id of this identity that no run has had."""
    matches = (RUN_ID.fullmatch(run_id) for run_id in [*committed, *work_run_ids(root)])
    taken = [int(match[2]) for match in matches if match and match[1] == identity.prefix]
    return f"{identity.prefix}-{max(taken, default=0) + 1:03d}"


def remove_work(root: Root, run_id: str) -> None:
    """Delete a run's work folder. A failure costs only space, so it is told and passed over."""
    filesystem, base = root.child("work", run_id).arrow()
    try:
        filesystem.delete_dir(base)
    except FileNotFoundError:  # nothing was written
        pass
    except OSError as error:
        _LOG.warning("%s/work/%s could not be deleted (%s); it is not needed any more", root.uri, run_id, error)


def _state_key(run_id: str) -> str:
    return f"work/{run_id}/run.json"


def _iso(value: Any) -> str:
    return str(value.isoformat())
