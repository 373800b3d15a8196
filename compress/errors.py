"""The error tree. Each error owns the exit code that the command line ends with.

CompressError (1)
├── UsageError (2)         a flag, key or section that does not exist or cannot be combined
├── DataError (1)          images, labels or splits that cannot be used
├── ModelError (1)         a network, its weights, or its fit to the data
├── ArtifactError (1)      a checkpoint, bundle or report that is missing, damaged or of another run
├── TrainingError (1)      training that diverged
├── ExportError (1)        a conversion that failed or does not match
├── BenchError (1)         a measurement that could not be made
│   ├── RunnerLostError     the measuring process died, or its link dropped
│   └── EmulatorMissingError  no qemu here that plays the processor asked for
├── MissingExtraError (1)  a package that another `pip install` brings
├── GoalMissedError (3)    measured, and a goal is not met
├── InconclusiveError (4)  measured, and the machine cannot tell
└── StoppedError (130)      Ctrl-C or SIGTERM

A message says: subject, expected, found, what to do. It is shown to the user as it is.
"""


class CompressError(Exception):
    """What the user can mend; shown as one sentence, without a traceback."""

    exit_code = 1


class UsageError(CompressError):
    """The command, a flag, or a recipe is not of the documented form."""

    exit_code = 2


class DataError(CompressError):
    """Images, labels or splits cannot be used."""


class ModelError(CompressError):
    """A network cannot be built, loaded, or does not fit the data."""


class ArtifactError(CompressError):
    """A file of ours is missing, damaged, or belongs to another run."""


class TrainingError(CompressError):
    """Training diverged."""


class ExportError(CompressError):
    """A network could not be converted, or the result differs from it."""


class BenchError(CompressError):
    """A measurement could not be made."""


class RunnerLostError(BenchError):
    """The process that measures ended without a last word; what it had told is kept."""


class EmulatorMissingError(BenchError):
    """This machine cannot play that processor; a check of many core types goes on without it."""


class MissingExtraError(CompressError):
    """An optional package is needed."""

    def __init__(self, package: str, extra: str) -> None:
        """Name the missing `package` and the `extra` that brings it."""
        super().__init__(
            f"{package} is not installed; install it with: pip install 'edge-compress[{extra}]'"
        )


class GoalMissedError(CompressError):
    """A stated goal is not met."""

    exit_code = 3


class InconclusiveError(CompressError):
    """The measurement cannot decide a stated goal."""

    exit_code = 4


class StoppedError(CompressError):
    """The user or the system stopped the run; what was finished is kept."""

    exit_code = 130
