"""The page of an invented run, drawn once for all tests, since drawing takes seconds. It needs jinja2 and matplotlib."""

import functools

from . import runs


@functools.lru_cache()
def whole():
    """HTML of the page of a full run, with a prediction."""
    from latentjet.benchmarks.report import page

    return page.page([runs.full()], [runs.estimate()])
