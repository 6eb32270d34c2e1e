"""Everything that the runtime, the exporter and the benchmarks raise on purpose.

    LatentjetError
    |-- InputError      an argument of the caller: label, shape, dtype, range
    |-- BundleError     a bundle that is missing, damaged, newer than this code, or hostile
    |-- OutputError     a place that cannot be written, or that already holds something
    |-- BackendError    a backend that is unknown, not installed, or cannot run this
    |-- PlanError       a TensorRT plan that cannot be built, or was built for something else
    |-- CheckError      an engine that does not reproduce the reference vectors
    `-- ExportError     a module that the target cannot run

Each message says what is wrong (seen, expected) and what to do. The command line prints it as one line.
"""


class LatentjetError(Exception):
    """Base of every error that is raised on purpose."""


class InputError(LatentjetError, ValueError):
    """A caller's argument is wrong."""


class BundleError(LatentjetError):
    """A bundle on disk is missing, damaged, newer than this code, or hostile."""


class OutputError(LatentjetError, OSError):
    """An output exists already or cannot be written."""


class BackendError(LatentjetError):
    """A backend is unknown, not installed, or cannot run this graph."""


class PlanError(LatentjetError):
    """A TensorRT plan cannot be built, or was built for another device, TensorRT or bundle."""


class CheckError(LatentjetError):
    """An engine does not reproduce the reference vectors."""


class ExportError(LatentjetError):
    """A module cannot be exported for the target."""
