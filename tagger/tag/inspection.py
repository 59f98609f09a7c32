"""Everything that is asked of a run's staged rows before they are committed, in one pass over them."""

from tagger.config import TagConfig
from tagger.storage import Root
from tagger.tables.promises import Expected
from tagger.tables.units import Unit
from tagger.tag.gates import RowGate, check_flagged
from tagger.tag.ledger import Ledger
from tagger.tag.reach import Reach
from tagger.tag.runs import RunIdentity
from tagger.tag.watch import Findings, Known, Watch


class Inspection:
    """The gates and the watch of one run."""

    def __init__(self, run_id: str, identity: RunIdentity, known: Known, tag: TagConfig) -> None:
        self._run_id = run_id
        self._identity = identity
        self._tag = tag
        self._gate = RowGate(Expected(run_id, identity.date, known.classes))
        self._reach = Reach(run_id, tag.max_unreachable_share)
        self._watch = Watch(known, tag.watch_depth)

    def add(self, unit: Unit) -> None:
        """Take the next unit."""
        self._gate.add(unit)
        self._reach.add(unit)
        if self._gate.is_open:
            self._watch.add(unit)

    def findings(self, root: Root, ledger: Ledger) -> Findings:
        """What was found, once all units are in.

        GateRefused where rows break promises or too many were flagged. BadInput or StorageUnavailable where storage did
        not hand out the photos.
        """
        self._gate.check()
        self._reach.check(root)
        check_flagged(self._run_id, ledger, self._tag.max_flagged_share)
        return self._watch.findings(root, self._identity, ledger)
