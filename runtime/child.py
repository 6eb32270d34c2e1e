"""TensorRT's builder runs in a child process, one for each graph.

Three properties of TensorRT 8 make that necessary. Its parser and network keep each other alive, so a process that
parsed never frees them. Its C++ code calls our logger for every message and cannot pass a Python exception on, so a
KeyboardInterrupt in there ends the process with abort(). And a builder that takes too much memory is killed by the
kernel. A child gives its memory back when it ends, dies of Ctrl-C without a core dump, and leaves a parent that says
what happened.

The parent must not have used CUDA: a forked process cannot use it again. So all that touches CUDA is the child's.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time
import traceback
import warnings

from . import errors
from .errors import LatentjetError, PlanError
from .machine import signal_name

PR_SET_PDEATHSIG = 1
KILLED = (
    "its process was killed by SIGKILL, which is what Linux does when memory runs out: close other programs, add swap, "
    "stop the desktop (sudo systemctl isolate multi-user.target), build with --batch 1 or a smaller --workspace"
)


def run(work, what, progress=None, every_s=0.5):
    """Call a function in a child process and wait for it.

    Args:
        work: function without arguments; what it returns must be plain values that JSON holds.
        what: subject of the error messages, "graph 'decode'".
        progress: called with the seconds that have passed, every `every_s` seconds.
    Returns: what `work` returned.
    Raises: the LatentjetError that `work` raised; PlanError where the child ended without an answer;
        KeyboardInterrupt, once the child has ended too.
    """
    reader, writer = os.pipe()
    try:
        pid = fork(work, reader, writer)
        os.close(writer)
        try:
            answer = read(reader, progress, every_s)
            status = os.waitpid(pid, 0)[1]
        except KeyboardInterrupt:
            end(pid)
            raise
    finally:
        os.close(reader)
    return outcome(answer, status, what)


def fork(work, reader, writer):
    """Start the child. Ctrl-C is held back until each side is ready for it."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()  # else both processes would write what waits there
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 warns of the threads that numpy's BLAS keeps
            pid = os.fork()
        if pid == 0:
            live(work, reader, writer)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def live(work, reader, writer):
    """All that the child does; it never returns."""
    answer = {"error": [PlanError.__name__, "its process ended too early"]}
    try:
        if callable(signal.getsignal(signal.SIGINT)):  # else it is ignored, as in a shell's background job
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        die_with_the_parent()
        os.close(reader)
        answer = answer_of(work)
    finally:
        try:
            write(writer, json.dumps(answer).encode("utf-8"))
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        finally:
            os._exit(0)  # whatever went wrong: nothing of the parent's may run twice


def die_with_the_parent():
    """Have the kernel end this process when its parent is killed: nobody would wait for the plan any more."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):  # not a Linux
        pass


def answer_of(work):
    try:
        return {"value": work()}
    except LatentjetError as error:
        return {"error": [type(error).__name__, str(error)]}
    except BaseException as error:
        place = traceback.extract_tb(sys.exc_info()[2])[-1]
        text = "unexpected {}: {} ({}, line {})".format(
            type(error).__name__, error, os.path.basename(place[0]), place[1]
        )
        return {"error": [PlanError.__name__, " ".join(text.split())]}


def write(writer, content):
    with contextlib.suppress(OSError):  # the parent is gone
        while content:
            content = content[os.write(writer, content) :]


def keep_from_interrupts():
    """In a child, before it writes what belongs together: Ctrl-C no longer ends it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def read(reader, progress, every_s):
    """All that the child writes until it ends, with progress(seconds) meanwhile."""
    parts, began = [], time.time()
    while True:
        ready = select.select([reader], [], [], every_s)[0]
        if not ready and progress:
            progress(time.time() - began)
        part = os.read(reader, 1 << 16) if ready else None
        if part == b"":
            return b"".join(parts)
        parts += [part] if part else []


def end(pid):
    """End the child and wait for it. One that is writing a plan finishes that first; a second Ctrl-C kills it."""
    with contextlib.suppress(OSError):  # it has ended already
        try:
            os.kill(pid, signal.SIGINT)
            os.waitpid(pid, 0)
        except KeyboardInterrupt:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def outcome(answer, status, what):
    """Bytes of the child's answer, its status -> its value, or the error that it means."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == signal.SIGKILL:
            raise PlanError("{}: {}".format(what, KILLED))
        raise PlanError(
            "{}: its process was ended by {} in the libraries that it uses; what they said stands above. Ask "
            "`latentjet doctor`".format(what, signal_name(number))
        )
    try:
        found = json.loads(answer.decode("utf-8"))
    except ValueError:
        status = os.WEXITSTATUS(status)
        raise PlanError("{}: its process ended with status {} and without an answer".format(what, status))
    if "error" in found:
        kind, text = found["error"]
        raise getattr(errors, kind, PlanError)(text)
    return found["value"]
