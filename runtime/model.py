"""Model: what an application holds. Labels, seeds and temperature in; images out."""

import math
import numbers
import threading

import numpy as np

from .bundle import Bundle
from .engine import choose_backend, open_engine
from .errors import BundleError, InputError

ROLES = {
    "decode": (["z"], ["images"]),
    "encode": (["images"], ["z"]),
    "log_prob": (["images"], ["log_prob"]),
    "dequantise": (["levels", "uniform"], ["noise", "log_det"]),
}
BELOW_ONE = 1 - 2.0**-16  # the largest noise that float32 can add to level 255 without reaching 256


_own = threading.local()


class Weights(np.ndarray):
    """Mixing weights (N, classes), float32, that `Model.weights` has checked; read-only, so they stay checked."""


def _checked(weights):
    weights.flags.writeable = False
    return weights.view(Weights)


class Model:
    """A bundle opened for use; graphs are loaded when first needed. A context manager.

    classes: class names, empty for an unconditional model; image: (C, H, W); latent: size of z;
    backend: the one that was taken. Images are float32 (N, C, H, W) in [0, 1] unless uint8 is asked for.
    Threads may share it; they take turns. For two at once load one each.
    """

    def __init__(self, bundle, backend="auto", threads=None):
        self.bundle = bundle
        self.backend = choose_backend(backend, bundle)
        self.threads = threads
        self.classes, self.image, self.latent = bundle.classes, bundle.image, bundle.latent
        self._engines = {}
        self._closed = False
        columns = {t.shape[1:] for graph in bundle.graphs.values() for t in graph.inputs if t.name == "labels"}
        self._conditional = bool(columns)
        if columns - {(len(self.classes),)}:
            raise BundleError("{}: {} class names do not fit its graphs: export it again".format(
                bundle.path, len(self.classes)))  # fmt: skip
        self._ones = np.ones(len(self.classes), np.float32)

    @classmethod
    def load(cls, path, backend="auto", threads=None):
        """Path of a bundle -> Model. Raises BundleError, BackendError."""
        return cls(Bundle.open(path), backend, threads)

    def engine(self, graph):
        """The Engine of a graph, loaded once. Raises BundleError if the bundle has no such graph."""
        if self._closed:
            raise InputError("this model is closed: load it again")
        if graph not in self._engines:
            described = self.bundle.graph(graph)
            names = [tensor.name for tensor in described.inputs + described.outputs]
            given, made = ROLES.get(graph, ([], []))
            if not set(given + made) <= set(names):
                listed = [", ".join(map(repr, some)) for some in (names, given, made)]
                raise BundleError(
                    "{}: graph '{}' has {}, a Model needs {} -> {}: use its Engine, or export it with these".format(
                        self.bundle.path, graph, *listed
                    )
                )
            self._engines[graph] = open_engine(self.bundle, graph, self.backend, self.threads)
        return self._engines[graph]

    def decode(self, z, labels=None):
        """z float32 (N, latent), labels (see weights) -> images float32 (N, C, H, W), as the graph gives them.

        A flow's images may leave [0, 1] by about 1e-5; `sample` clips. Raises InputError.
        """
        engine = self._engines.get("decode") or self.engine("decode")
        if self._conditional:
            weights = labels if labels.__class__ is Weights else self.weights(labels)
            return engine.run(z=z, labels=weights)["images"]
        self._refuse_labels(labels)
        return engine.run(z=z)["images"]

    def sample(self, labels=None, seed=0, temperature=1.0, count=None, uint8=False):
        """One image for each label -> images (N, C, H, W), float32 in [0, 1], or uint8.

        labels: see weights; an unconditional model takes count instead. The same seed gives the same noise on
        every platform and numpy, and the first k images do not depend on how many follow.
        temperature: standard deviation of z, at least 0. Raises InputError.
        """
        self.engine("decode")
        weights = self._weights_or_count(labels, count)
        z = noise(seed, len(weights) if weights is not None else count, self.latent, temperature)
        images = np.clip(self.decode(z, weights), 0, 1)
        return to_uint8(images, self.bundle.pixels) if uint8 else images

    def encode(self, images, labels=None, seed=0):
        """Flows: images (uint8, or float32 in [0, 1] as they are) -> z float32 (N, latent).

        uint8 pixels get noise from the seed first: uniform, or what `dequantise` makes of it.
        Raises InputError, BundleError.
        """
        return self._run_on_images("encode", images, labels, seed)[0]["z"]

    def log_prob(self, images, labels=None, seed=0):
        """Flows: like encode -> log density in nats (N,) of images in [0, 1]; of uint8 its bound (see dequantise)."""
        outputs, change = self._run_on_images("log_prob", images, labels, seed)
        return outputs["log_prob"] + change

    def bits_per_dim(self, images, labels=None, seed=0):
        """Flows: like encode -> bits per dimension (N,): 8 - log2 p(x) / D, for 8-bit pixels."""
        return 8 - self.log_prob(images, labels, seed) / (np.prod(self.image) * math.log(2))

    def weights(self, labels):
        """Labels -> Weights: float32 (N, classes), one-hot for plain labels. Give them back for labels, to check once.

        labels: a list of class names or numbers (mixed as you like), or an array of weights (N, classes), each
        row summing to 1. Raises InputError that names the label and lists the classes.
        """
        if not self._conditional:
            raise InputError("this model is unconditional: leave labels out, give count")
        if isinstance(labels, np.ndarray) and labels.ndim == 2:
            return self._mixed(labels)
        if labels is None:
            raise InputError("this model is conditional: give labels, from {}".format(self._known()))
        if isinstance(labels, (str, numbers.Number)):
            raise InputError("labels is {!r}, expected a list of labels like [{!r}]".format(labels, labels))
        if getattr(labels, "ndim", 1) not in (1, 2):
            raise InputError("labels has {} dimensions, expected a list of labels like [0]".format(labels.ndim))
        if getattr(labels, "ndim", 1) == 2:
            return self._mixed(np.asarray(labels))
        rows = [self._index(label) for label in labels]
        if not rows:
            raise InputError("labels is empty, expected at least one of {}".format(self._known()))
        return _checked(np.eye(len(self.classes), dtype=np.float32)[rows])

    def _mixed(self, weights):
        if weights.shape[1] != len(self.classes) or weights.dtype.kind not in "fiub":
            raise InputError(
                "labels is {} {}, expected numbers (N, {})".format(weights.dtype, weights.shape, len(self.classes))
            )
        weights = weights.astype(np.float32)
        gaps = weights.dot(self._ones) - 1
        if not np.vdot(gaps, gaps) < 1e-6:  # no gap is above 1e-3; else each is looked at
            wrong = np.flatnonzero(~(np.abs(gaps) < 1e-3))
            if len(wrong):
                raise InputError("labels: row {} sums to {:.4g}, expected 1".format(wrong[0], gaps[wrong[0]] + 1))
        return _checked(weights)

    def _index(self, label):
        if isinstance(label, str):
            if label in self.classes:
                return self.classes.index(label)
        elif isinstance(label, numbers.Integral) and 0 <= label < len(self.classes):
            return int(label)
        raise InputError("label is {!r}, expected one of {}".format(label, self._known()))

    def _known(self):
        return ", ".join("{} '{}'".format(number, name) for number, name in enumerate(self.classes))

    def _refuse_labels(self, labels):
        if labels is not None:
            raise InputError("this model is unconditional: leave labels out, give count")

    def _weights_or_count(self, labels, count):
        if self._conditional:
            if count is not None:
                raise InputError("this model is conditional: give one label an image, leave count out")
            return self.weights(labels)
        self._refuse_labels(labels)
        if not isinstance(count, numbers.Integral) or count < 1:
            raise InputError("count is {!r}, expected at least 1: this model is unconditional".format(count))
        return None

    def _run_on_images(self, graph, images, labels, seed):
        self._require(graph)
        engine = self.engine(graph)
        shape = _image_shape(engine.graph)
        known = self._labels(labels)
        images, change = self._continuous(images, known, seed, shape)
        return engine.run(images=images, **known), change

    def dequantise(self, levels, uniform, labels=None):
        """Flows: levels 0 to 255 and uniform noise, float32 like images -> noise u in [0, 1] for them, -log q(u) (N,).

        (levels + u) / 256 are images whose log_prob, plus -log q(u), bounds the log density of the levels
        (variational dequantisation; Ho et al., 2019). Without a graph `dequantise` u is the uniform noise, -log q zero.
        Raises InputError, BundleError.
        """
        self._require("log_prob")
        shape = _image_shape(self.bundle.graph("log_prob"))
        for name, values, high in (("levels", levels, 255), ("uniform", uniform, 1)):
            _refuse_shape(name, values, shape)
            if values.dtype != np.float32:
                raise InputError("{} is {}, expected float32".format(name, values.dtype))
            _refuse_range("values of {}".format(name), values, high)
        if (levels != np.rint(levels)).any():
            raise InputError("levels are not whole numbers, expected 0, 1 to 255: give the pixels of uint8 images")
        if len(levels) != len(uniform):
            raise InputError("levels has {} rows and uniform {}, expected as many".format(len(levels), len(uniform)))
        return self._noise(levels, uniform, self._labels(labels))

    def _require(self, graph):
        if graph not in self.bundle.graphs:
            raise BundleError(
                "{} has no graph '{}': only flows have one, this is '{}'".format(
                    self.bundle.path, graph, self.bundle.family
                )
            )

    def _labels(self, labels):
        """What a graph gets beside its images: {"labels": Weights}, or nothing for an unconditional model."""
        if self._conditional:
            return {"labels": self.weights(labels)}
        self._refuse_labels(labels)
        return {}

    def _noise(self, levels, uniform, known):
        if "dequantise" not in self.bundle.graphs:
            return uniform, np.zeros(len(levels), np.float32)
        outputs = self.engine("dequantise").run(levels=levels, uniform=uniform, **known)
        return outputs["noise"], outputs["log_det"]

    def _continuous(self, images, known, seed, shape):
        """uint8 or float32 images, what _labels made -> float32 images in [0, 1], -log q of the noise in them."""
        _refuse_shape("images", images, shape)
        if images.dtype == np.uint8:
            uniform = stream(seed).random_sample(images.shape).astype(np.float32)
            noise, change = self._noise(images.astype(np.float32), uniform, known)
            return (images + np.minimum(noise, np.float32(BELOW_ONE))) / np.float32(256), change
        if images.dtype != np.float32:
            raise InputError("images is {}, expected uint8 or float32".format(images.dtype))
        _refuse_range("images", images, 1)
        return images, 0

    def close(self):
        """Close every engine; closing twice is allowed."""
        for engine in self._engines.values():
            engine.close()
        self._engines, self._closed = {}, True

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.close()


def _image_shape(graph):
    return next(tensor.shape[1:] for tensor in graph.inputs if tensor.name == "images")


def _refuse_shape(name, values, shape):
    if not isinstance(values, np.ndarray) or values.shape[1:] != shape:
        seen = getattr(values, "shape", type(values).__name__)
        raise InputError("{} is {}, expected (N, {})".format(name, seen, ", ".join(map(str, shape))))


def _refuse_range(name, values, high):
    if values.size and not (values.min() >= 0 and values.max() <= high):
        raise InputError("{} range from {} to {}, expected 0 to {}".format(name, values.min(), values.max(), high))


def valid_seed(seed):
    """A seed for numpy's RandomState, as an int. Raises InputError."""
    if not isinstance(seed, numbers.Integral) or not 0 <= seed < 2**32:
        raise InputError("seed is {!r}, expected an integer from 0 to 4294967295".format(seed))
    return int(seed)


def stream(seed):
    """This thread's RandomState, seeded: the same numbers as a new one, which costs 130 us to make, for 2 us."""
    if not hasattr(_own, "stream"):
        _own.stream = np.random.RandomState(0)
    _own.stream.seed(valid_seed(seed))
    return _own.stream


def noise(seed, count, size, temperature=1.0):
    """float32 (count, size), normal with standard deviation `temperature`, from numpy's frozen legacy stream."""
    if not isinstance(temperature, numbers.Real) or not 0 <= temperature < math.inf:
        raise InputError("temperature is {!r}, expected a number of at least 0".format(temperature))
    drawn = stream(seed).standard_normal((count, size)) * temperature
    with np.errstate(over="ignore"):  # what overflows is refused by the engine, by name
        return drawn.astype(np.float32)


def to_uint8(images, pixels):
    """Images in [0, 1] -> uint8, by the rule that training made them with (bundle.PIXELS)."""
    if pixels == "dequantised":
        return np.clip(images * 256, 0, 255).astype(np.uint8)
    return (np.clip(images, 0, 1) * 255 + 0.5).astype(np.uint8)
