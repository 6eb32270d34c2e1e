"""What tests of the report share."""

import pytest
from doubles import runs


@pytest.fixture(scope="session")
def whole():
    """The page of a full run, with a prediction: drawn once, since drawing takes seconds."""
    from latentjet.benchmarks.report import page

    return page.page([runs.full()], [runs.estimate()])
