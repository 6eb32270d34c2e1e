"""What the runtime itself costs: the bare `InferenceSession.run` below it, and `Model.decode` above it."""

from ..runtime.engine import Engine
from ..runtime.errors import BackendError
from ..runtime.model import Model
from ..runtime.ort import open_session


class BareEngine(Engine):
    """ONNX Runtime's session called directly: no check, no staging, new arrays each time."""

    backend = "bare"

    def __init__(self, graph, session):
        super().__init__(graph)
        self.session = session

    @classmethod
    def open(cls, bundle, graph, threads=None):
        return cls(graph, open_session(bundle.read(graph.file), graph.name, threads))

    def run(self, out=None, **inputs):
        return dict(zip(self._outputs, self.session.run(self._outputs, inputs)))


class ModelEngine(Engine):
    """`Model.decode`, as an application calls it: labels checked once by `Model.weights`."""

    backend = "model"

    def __init__(self, graph, model):
        super().__init__(graph)
        self.model = model

    @classmethod
    def open(cls, bundle, graph, threads=None):
        if graph.name != "decode":
            raise BackendError("system 'model' times Model.decode, not graph '{}'".format(graph.name))
        return cls(graph, Model(bundle, "ort", threads))

    def run(self, out=None, z=None, labels=None):
        return {"images": self.model.decode(z, labels)}

    def close(self):
        super().close()
        self.model.close()
