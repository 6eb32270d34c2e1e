"""Eager PyTorch as an Engine: the baseline. With masked.py the only benchmark file that imports torch."""

import torch

from ..runtime.engine import Engine
from ..runtime.errors import BackendError, BundleError
from ..train.models import build


class EagerEngine(Engine):
    """A method of the trained model, as a user of PyTorch runs it: inference mode, float32, nothing folded."""

    backend = "eager"

    def __init__(self, graph, model):
        super().__init__(graph)
        self.model, self.method = model, getattr(model, graph.name)

    @classmethod
    def open(cls, bundle, graph, threads=None):
        described = bundle.manifest["model"]
        if "weights.npz" not in bundle.manifest["files"]:
            raise BackendError(
                "{} holds no weights, only graphs ('{}'): its eager baseline is your own module".format(
                    bundle.path, described.get("class")
                )
            )
        if threads:
            torch.set_num_threads(threads)
        arrays = bundle.arrays("weights.npz")
        try:
            model = build(described["class"], described["arguments"])
            model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            told = " ".join(str(error).split())  # torch lists every name on lines of its own
            raise BundleError("{}: its weights make no model: {:.200}: export it again".format(bundle.path, told))
        return cls(graph, model.eval())

    def _tie(self, arrays, batch):
        return [torch.from_numpy(array) for _, array in arrays]

    def _run(self, slot):
        with torch.inference_mode():
            outputs = self.method(*slot.extra)
        if not isinstance(outputs, tuple):
            outputs = (outputs,)
        return [output.numpy() for output in outputs]
