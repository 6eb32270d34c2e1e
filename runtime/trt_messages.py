"""What TensorRT says: its log, kept, and what its messages mean."""

import collections
import threading
import weakref

LOGGERS = weakref.WeakKeyDictionary()  # one for each module, for good


class Log:
    """Keeps the last errors and warnings of TensorRT; `make` gives the logger object that its constructors want."""

    def __init__(self):
        self.lines = collections.deque(maxlen=1000)

    def make(self, trt):
        """The logger of a module, which tells this Log as well from now on.

        There is one for all Logs: TensorRT keeps the first logger that it is given while anything made with it lives,
        and calls that one whatever came with later objects. So every Log hears everything.
        """
        if trt not in LOGGERS:
            LOGGERS[trt] = one_logger(trt)
        LOGGERS[trt].add(self)
        return LOGGERS[trt]

    def errors(self):
        """The error messages, oldest first, without the repetitions that follow a missing driver."""
        return list(dict.fromkeys(text for severity, text in self.lines if severity != "WARNING"))

    def warnings(self):
        """The warnings, as `errors`."""
        return list(dict.fromkeys(text for severity, text in self.lines if severity == "WARNING"))


def one_logger(trt):
    """A logger of this module that passes errors and warnings on to Logs, as long as these live."""
    severities = {}
    for name in ("INTERNAL_ERROR", "ERROR", "WARNING"):
        severities[getattr(trt.ILogger.Severity if hasattr(trt.ILogger, "Severity") else trt.Logger, name)] = name

    class Logger(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)
            self.logs, self.lock = weakref.WeakSet(), threading.RLock()

        def add(self, log):
            with self.lock:
                self.logs.add(log)

        def log(self, severity, message):
            if severity in severities:
                with self.lock:
                    for log in self.logs:
                        log.lines.append((severities[severity], message))

    return Logger()


DISGUISES = (
    (
        ("error: 35", "cudaerror 35", "no cuda-capable device", "cuda initialization failure"),
        "no NVIDIA driver answers: see `latentjet doctor`",
    ),
    (
        ("out of memory", "outofmemory", "cudamalloc", "cuda failure: 2"),
        "memory ran out: close other programs, add swap, build with --batch 1 or a smaller --workspace",
    ),
    (
        ("workspace", "insufficient memory"),
        "the workspace is too small for every tactic, or memory is short: give a larger --workspace, or --batch 1",
    ),
    (
        ("could not find any implementation",),
        "that is memory, in disguise: close other programs, add swap, build with --batch 1 or a smaller --workspace",
    ),
    (
        ("plugin registry",),
        "the plan has a layer of TensorRT's plugin library, which this process could not register: on a Jetson, sudo "
        "apt-get install --reinstall libnvinfer-plugin8; ask `latentjet doctor`",
    ),
    (
        ("plugin", "no importer registered"),
        "the graph has an operator this TensorRT lacks: export it again for this target",
    ),
    (("incompatible device",), "the plan was built on another GPU: build it again on this device"),
    (("version", "serializ"), "the plan was built by another TensorRT: build it again on this device"),
)


def explained(log, what):
    """What failed, TensorRT's own first messages, and the cause behind the known disguises. Where it logged no error,
    its last warnings are quoted: that no driver answers is a warning to TensorRT 8."""
    said = log.errors() or log.warnings()[-3:]
    quoted = " | ".join(text.strip() for text in said[:3]) or "it gave no reason"
    lowered = " ".join(said).lower()
    for marks, advice in DISGUISES:
        if any(mark in lowered for mark in marks):
            return "{}: {} ({})".format(what, quoted, advice)
    return "{}: {}".format(what, quoted)
