"""The nightly run: claim -> finish what earlier runs left -> plan and work -> ledger -> finalise -> commit.

Killed at any point, the same command goes on where it stopped: shards of the manifest and staged units are kept, a
commit that began is finished from its own plan, and readers see all of a run or nothing.
"""

import contextlib
import datetime
import itertools
import logging
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tagger.cluster import cluster_capacity
from tagger.config import Config, TagConfig
from tagger.errors import DateLocked, GateRefused, PhotosLost, PhotosRefused
from tagger.picture.decode import DecodeLimits
from tagger.release import code_version
from tagger.stop import resumable, uninterrupted
from tagger.storage import Root, open_root
from tagger.tables.record import RunRecord
from tagger.tables.store import Tables
from tagger.tables.units import staged_units
from tagger.tag.bottleneck import bottleneck, busy_s
from tagger.tag.claim import GO_ON, Claim, claimed
from tagger.tag.estimate import Estimate, estimate
from tagger.tag.fetch import FetchSettings
from tagger.tag.gates import check_rejects
from tagger.tag.inspection import Inspection
from tagger.tag.ledger import Ledger, check_ledger, staged_rows
from tagger.tag.manifest import Counts, Manifest, WorkUnit, complete, load_manifest
from tagger.tag.pipeline import TagJob
from tagger.tag.plan import PlanJob
from tagger.tag.planning import Planning
from tagger.tag.preflight import Layout, lay_out, planning_at_once
from tagger.tag.progress import Progress, Worked
from tagger.tag.runs import (
    DRY_RUN,
    RunIdentity,
    RunState,
    canonical_digest,
    give_up,
    next_run_id,
    remove_work,
    save_state,
    unfinished_states,
)
from tagger.tag.selection import asked, cut, is_full, listing, ranges_of, tell
from tagger.tag.serving import Serving, answer_settings, find_serving
from tagger.tag.stage import RunStamp
from tagger.tag.summary import RunSummary, told_by
from tagger.tag.watch import Findings
from tagger.tag.waves import stage_wave

_LOG = logging.getLogger(__name__)

WAVE_UNITS = 2048
"""Units of a wave at most, per actor: Ray Data's driver keeps something of every unit until the wave is done."""


def run(config: Config, serving: Serving | None = None) -> RunSummary:
    """Tag what is new under the images root and commit it. Ray must be connected before.

    serving: null finds the bundle that `config.model` names. Without a date it is today's (UTC), after the run of an
    earlier date that was left unfinished. Where a gate refuses that one, or its photos are out of reach by now, today's
    lists them anew.
    GateRefused (rows that break promises, too many rejects or flagged items), DateLocked, StorageUnavailable,
    ClusterUnavailable and BadInput commit nothing of the run that they are about; the same command resumes it.
    """
    root, images = open_root(config.root), open_root(config.images_uri)
    night = Night(config, root, images, Tables(root), serving or find_serving(config))
    today = datetime.datetime.now(datetime.UTC).date()
    if config.date is not None:
        return night.run(config.date)
    earlier = night.date_to_resume()
    if earlier is None or earlier == today:
        return night.run(today)
    try:
        first = night.resume(earlier)
    except (GateRefused, PhotosLost, PhotosRefused) as refused:
        if _asks_for_one_run(config.tag):
            raise
        _LOG.error("%s Tonight's run takes up its photos.", refused)
        return night.run(today)
    if _asks_for_one_run(config.tag):
        return first
    summary = night.run(today)
    return replace(summary, finished_earlier=(*first.all_finished, *summary.finished_earlier))


def dry_run(config: Config, serving: Serving | None = None) -> Estimate:
    """What `run` would work on now, and what that would take. Nothing is written. Ray must be connected before."""
    root, images = open_root(config.root), open_root(config.images_uri)
    night = Night(config, root, images, Tables(root), serving or find_serving(config))
    return night.estimate(config.date or datetime.datetime.now(datetime.UTC).date())


@dataclass(frozen=True)
class Night:
    """The steps of one nightly run, in the order in which they are called."""

    config: Config
    root: Root
    images: Root
    tables: Tables
    serving: Serving

    def run(self, date: datetime.date) -> RunSummary:
        """The run of a date: an unfinished one is gone on with, else another begun."""
        with claimed(self.root, date, self.config.tag.lock_wait_s) as lock:
            finished, identity = self.finish_earlier(), self.identity(date)
            state = self.begun(identity)
            summary = self.worked_through(state or self.opened(identity), lock)
            return replace(summary, resumed=state is not None, finished_earlier=finished)

    def resume(self, date: datetime.date) -> RunSummary:
        """The unfinished run of a date, gone on with; nothing new where only its commit was left, or another command
        has finished it meanwhile."""
        with claimed(self.root, date, self.config.tag.lock_wait_s) as lock:
            finished, state = self.finish_earlier(), self.begun(self.identity(date))
            if state is None:
                return self._nothing_new(self.identity(date), Counts(vanished=None), finished)
            summary = replace(self.worked_through(state, lock), resumed=True, finished_earlier=finished)
        _LOG.info("Run %s is finished: %d tagged, %d rejected", summary.run_id, summary.tagged, summary.rejected)
        return summary

    def worked_through(self, state: RunState, lock: Claim) -> RunSummary:
        """All steps of a run, from planning to its commit."""
        started = time.monotonic()
        worked, state = self.work(state, lock)
        lock.check()
        manifest = self.manifest(state)
        if not manifest.new:
            remove_work(self.root, state.run_id)
            return replace(self._nothing_new(state.identity, manifest.counts), wall_s=time.monotonic() - started)
        inspection = Inspection(state.run_id, state.identity, self.serving.known, self.config.tag)
        ledger = check_ledger(self.root, state.run_id, manifest, inspection)
        check_rejects(state.run_id, ledger, self.config.tag.max_reject_share)
        findings = inspection.findings(self.root, ledger)
        record = self.commit(state, lock, manifest, ledger, findings)
        remove_work(self.root, state.run_id)
        wall_s = time.monotonic() - started
        return RunSummary(
            status="committed",
            older_answers=manifest.counts.older_answers,
            wall_s=wall_s,
            photos_per_s=(worked.tagged + worked.rejected) / wall_s,
            **told_by(record),
        )

    def identity(self, date: datetime.date) -> RunIdentity:
        """Which run this date's is."""
        digest = canonical_digest(answer_settings(self.config, self.serving.fit))
        return RunIdentity(date, self.serving.name, self.serving.version, digest)

    def date_to_resume(self) -> datetime.date | None:
        """The date of the newest unfinished run that tonight's model and settings can finish."""
        committed = self.tables.committed_run_ids()
        for state in unfinished_states(self.root, committed):
            if state.identity == self.identity(state.identity.date) and state.basis == self.basis(committed):
                return state.identity.date
            if state.is_overtaken(committed):
                continue  # given up when the night begins
            _LOG.warning(
                "Run %s is unfinished and stays so: it was begun with model %s %s, or with other settings or tables",
                state.run_id, state.identity.model_name, state.identity.model_version,
            )  # fmt: skip
        return None

    def finish_earlier(self) -> tuple[str, ...]:
        """Complete commits that died half-way. Safe beside a run that is just committing: nothing is added twice."""
        finished = []
        for run_id in self.tables.unfinished_runs():
            with contextlib.suppress(FileNotFoundError):  # its plan is: it was just committing, and has cleaned up
                finished += [run_id] if self.tables.finish_run(run_id) else []
        for run_id in finished:
            _LOG.info("Run %s was committed in part by an earlier command; it is complete now", run_id)
            remove_work(self.root, run_id)
        return tuple(finished)

    def begun(self, identity: RunIdentity) -> RunState | None:
        """The unfinished run of this identity to go on with. Those that cannot be gone on with are given up, and those
        of other identities that nobody can commit any more."""
        committed = self.tables.committed_run_ids()
        basis = self.basis(committed)
        for state in unfinished_states(self.root, committed):
            if state.identity != identity:
                # Half a commit is finished, never undone. No other night is at work: this one holds them all.
                if state.is_overtaken(committed) and not self.tables.has_plan(state.run_id):
                    give_up(self.root, state, "another was committed since it was planned. Its photos are new again.")
                continue
            manifest = load_manifest(self.root, state.run_id)
            if state.basis == basis and (manifest is None or manifest.new):
                _LOG.info("Resuming run %s, begun at %s", state.run_id, state.started_at.isoformat(" ", "seconds"))
                return state
            changed = "tables or settings changed since it was planned"
            give_up(self.root, state, changed if state.basis != basis else "nothing was new")
        return None

    def opened(self, identity: RunIdentity) -> RunState:
        """A new run."""
        committed = self.tables.committed_run_ids()
        run_id, now = next_run_id(self.root, identity, committed), datetime.datetime.now(datetime.UTC)
        state = RunState(run_id, identity, now, self.basis(committed), committed=canonical_digest(sorted(committed)))
        save_state(self.root, state)
        return state

    @cached_property
    def asked(self) -> dict[str, Any]:
        """Which photos are asked for, as it was when this command first looked: a file of keys may change later."""
        return asked(self.config.tag)

    def basis(self, committed: Iterable[str]) -> str:
        """Digest of what a manifest is made from: the committed runs and what is asked for."""
        told = {"committed": sorted(committed), "images": self.images.uri, "asked": self.asked}
        return canonical_digest(told)

    def work(self, state: RunState, lock: Claim) -> tuple[Worked, RunState]:
        """Plan, and stage the units that are not staged yet, wave by wave; what it took is kept even if it fails."""
        done = staged_units(self.root, state.run_id)
        if done:
            _LOG.info("%d units are staged already", len(done))
        worked, layout = Worked(may_go_on=lock.stop_if_taken), self.layout()

        def kept() -> RunState:
            now = state.worked(worked.seconds, busy_s(worked.seconds, layout), worked.max_logit_residual)
            if lock.is_held:  # another command may have given the run up meanwhile
                save_state(self.root, now)
            return now

        try:
            with resumable(GO_ON, kept), Progress(state.run_id, worked).told():
                for wave in self.waves(state, worked, layout):
                    units = [unit for unit in wave if unit.name not in done]
                    worked.staged_before += sum(unit.count for unit in wave if unit.name in done)
                    if units:
                        stage_wave(units, self.job(state), self.layout, self.serving.load, worked)
        finally:
            after = kept()
        return worked, after

    def layout(self) -> Layout:
        """For the cluster as it is now: nodes come and go."""
        return lay_out(self.config.tag, cluster_capacity())

    def waves(self, state: RunState, worked: Worked, layout: Layout) -> Iterator[list[WorkUnit]]:
        """The run's units: those of its manifest, or, where that is not complete, as they are found."""
        most = WAVE_UNITS * self.config.tag.actors
        manifest = load_manifest(self.root, state.run_id)
        if manifest is not None:
            worked.planned, worked.is_planned, units = manifest.new, True, manifest.units()
            while wave := list(itertools.islice(units, most)):
                yield wave
            return
        job = self.plan_job(state.run_id, state.identity)
        with Planning(job, ranges_of(job), layout.planning_tasks, worked) as planning:
            yield from planning.waves(most)

    def plan_job(self, run_id: str, identity: RunIdentity) -> PlanJob:
        """What planning needs to know."""
        tag = self.config.tag
        return PlanJob(self.root, run_id, listing(tag, self.images, self.listed(run_id)), identity, tag)

    def listed(self, run_id: str) -> Root:
        """Where the run keeps what it sorted of a file of keys or an inventory."""
        return self.root.child("work", run_id, "listing")

    def estimate(self, date: datetime.date) -> Estimate:
        """What a run of this date would bring."""
        for run_id in self.tables.unfinished_runs():
            _LOG.warning("Run %s is committed in part; a run first completes it, and tags less than told here", run_id)
        job = self.plan_job(f"{DRY_RUN}{secrets.token_hex(4)}", self.identity(date))
        parallel = planning_at_once(job.tag, cluster_capacity().memory_bytes)
        try:
            return estimate(job, cut(job), parallel, job.tag.price_per_hour, is_full(job.tag))
        finally:
            remove_work(self.root, job.run_id)

    def manifest(self, state: RunState) -> Manifest:
        """The run's manifest, which is complete now."""
        tag, manifest = self.config.tag, load_manifest(self.root, state.run_id)
        if manifest is None:
            manifest = complete(self.root, state.run_id, tag.unit_size, is_full(tag))
            tell(manifest, self.images, tag, self.listed(state.run_id))
        return manifest

    def job(self, state: RunState) -> TagJob:
        """What the operators need to know."""
        tag = self.config.tag
        limits = DecodeLimits(
            max_bytes=tag.max_file_mb * 2**20, wall_s=tag.decode_wall_s, memory_bytes=tag.decode_memory_mb * 2**20
        )
        fetch = FetchSettings(
            self.images, tag.download_threads, tag.decode_children, self.serving.fit, limits, tag.download_wall_s,
            outage_wait_s=tag.outage_wait_s,
        )  # fmt: skip
        stamp = RunStamp(state.run_id, state.identity.date, state.identity.config_digest)
        return TagJob(
            self.root, stamp, self.serving.uri, fetch, tag.batch_size, tag.cpus_per_actor, gpus=int(tag.use_gpu)
        )

    def commit(self, state: RunState, lock: Claim, manifest: Manifest, ledger: Ledger, findings: Findings) -> RunRecord:
        """Write the table files and commit them: rejects, tags, runs."""
        date = state.identity.date
        files = self.tables.finalise(state.run_id, date, staged_rows(self.root, state.run_id, manifest))
        record = RunRecord(
            run_id=state.run_id,
            date=date,
            started_at=state.started_at,
            finished_at=datetime.datetime.now(datetime.UTC),
            model_name=state.identity.model_name,
            model_version=state.identity.model_version,
            config_digest=state.identity.config_digest,
            code_version=code_version(),
            listed=manifest.counts.listed,
            new=manifest.new,
            tagged=ledger.tagged,
            rejected=ledger.rejected,
            rejected_by_reason=dict(ledger.rejected_by_reason.most_common()),
            flagged_by_reason=dict(ledger.flagged_by_reason.most_common()),
            flagged=ledger.flagged,
            vanished=manifest.counts.vanished,
            seconds_per_stage=state.seconds,
            bottleneck=bottleneck(state.busy_s),
            max_logit_residual=state.max_logit_residual,
            **findings.columns(),
        )
        lock.check()
        self.check_basis(state)
        with uninterrupted():
            self.tables.commit_run(record, files.tags, files.rejects)
        return record

    def check_basis(self, state: RunState) -> None:
        """DateLocked where another run was committed since this one was planned: it may hold the same photos."""
        if self.basis(self.tables.committed_run_ids()) != state.basis:
            raise DateLocked(
                f"Another run was committed since {state.run_id} was planned, and may have tagged the same photos: "
                "nothing of this run is committed. Start the command again; it begins a run for what is still new."
            )

    def _nothing_new(self, identity: RunIdentity, counts: Counts, finished: tuple[str, ...] = ()) -> RunSummary:
        _LOG.info("Nothing new under %s: no run was added", self.images.uri)
        return RunSummary(
            status="nothing new",
            date=identity.date,
            model_name=identity.model_name,
            model_version=identity.model_version,
            config_digest=identity.config_digest,
            listed=counts.listed,
            new=0,
            vanished=counts.vanished,
            older_answers=counts.older_answers,
            finished_earlier=finished,
        )


def _asks_for_one_run(tag: TagConfig) -> bool:
    """Whether the settings would have the same photos, or as many once more, answered by a second run."""
    return tag.retag == "all" or tag.retry_rejects is not None or tag.limit is not None
