"""The whole error family. It splits by what the caller does next, and each class carries the exit code of the command.

TaggerError                exit 1   never raised itself
├── BadInput               exit 2   a person must change something: a path, a value, a file
│   ├── AccessDenied       exit 2   credentials, or permissions on one place
│   ├── ConfigError        exit 2   the configuration
│   ├── LabelsError        exit 2   the labels table
│   ├── BundleError        exit 2   the trained bundle
│   ├── PhotosRefused      exit 2   a policy: storage refuses most of a run's photos
│   └── TrainingDiverged   exit 2   the step size: a training whose loss is no number any more
├── GateRefused            exit 3   a quality gate said no: nothing was promoted or committed
├── DateLocked             exit 4   another command holds the date, or the training
└── Retryable              exit 5   a dependency did not answer: the same command may work later
    ├── StorageUnavailable exit 5   object storage
    │   └── PhotosLost     exit 5   most of a run's photos are no longer where they were listed
    └── ClusterUnavailable exit 5   Ray, or too few resources in it

`FetchFailed` is no error of a command: it carries the reject reason of one photo, which becomes a row.
A bug stays a plain Python exception (exit 1). A bad photo is data, not an exception: see `tagger/picture/decode.py`.
"""


class TaggerError(Exception):
    """Base of every error that the product raises on purpose; its text is one sentence for people.

    Subclasses take only the message, so that they survive the pickling that carries them between Ray workers.
    """

    exit_code = 1


class BadInput(TaggerError):
    """A person must act: nothing changes by trying again."""

    exit_code = 2


class AccessDenied(BadInput):
    """Storage refuses one request: the credentials are wrong, or do not reach this one place."""


class ConfigError(BadInput):
    """A configuration file or an override on the command line."""


class LabelsError(BadInput):
    """A labels table."""


class BundleError(BadInput):
    """A trained bundle that is missing, damaged or of another version."""


class PhotosRefused(BadInput):
    """Storage refuses most of the photos that a run had listed."""


class TrainingDiverged(BadInput):
    """A training whose loss is not finite: from the same settings it would end there again."""


class GateRefused(TaggerError):
    """A quality gate said no; nothing was promoted or committed."""

    exit_code = 3


class DateLocked(TaggerError):
    """Another command holds the date, or the training."""

    exit_code = 4


class Retryable(TaggerError):
    """A dependency did not answer."""

    exit_code = 5


class StorageUnavailable(Retryable):
    """Object storage did not answer, or refused for a passing reason."""


class PhotosLost(StorageUnavailable):
    """Most of the photos that a run had listed are not found: a mount is missing, or they were moved."""


class ClusterUnavailable(Retryable):
    """No Ray cluster, or one too small for the plan."""


class FetchFailed(Exception):
    """One photo could not be fetched. `reason` is one of the transient reject reasons; `detail` says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
