"""The runtime: all that an application on the Jetson needs (CPython 3.6, numpy).

    from latentjet.runtime import load

    with load("cvae.bundle") as model:
        images = model.sample(labels=[3, 3, 7], seed=0)

Contents
    model.py    Model, what an application holds: labels, seeds, temperature, images
    engine.py   Engine, one loaded graph on one backend; the table of backends
    bundle.py   the format on disk, read and written in one place
    shipped.py  the pretrained bundles, by name
    check.py    does an engine reproduce the reference vectors?
    errors.py   everything that is raised on purpose
"""


def load(path, backend="auto"):
    """Open a bundle and return its :class:`latentjet.runtime.model.Model` (a context manager).

    path: a bundle's directory or .zip, or a name that ships (``latentjet models``); backend: a name from
    ``latentjet.runtime.engine.BACKENDS``, or "auto".
    Raises BundleError for a missing, damaged or newer bundle, BackendError for a backend that is not there.
    """
    from .model import Model

    return Model.load(path, backend)
