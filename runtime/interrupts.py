"""Ctrl-C while TensorRT's C++ code runs.

TensorRT calls our logger and our profiler from functions that must not throw. A KeyboardInterrupt that Python raises in
there ends the process with abort() and a core dump. So around calls that log or profile, Ctrl-C waits.
"""

import contextlib
import signal
import threading


@contextlib.contextmanager
def held_back():
    """Context: what Ctrl-C does is done when the block ends. Python handles signals in its main thread alone, so
    elsewhere there is nothing to do."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    seen = []
    signal.signal(signal.SIGINT, lambda *given: seen.append(given))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if seen:
            handler(*seen[0])
