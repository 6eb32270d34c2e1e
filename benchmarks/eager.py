"""PyTorch as an Engine, in the forms its users run it. With masked.py the only benchmark file that imports torch.

The baseline is "eager": inference mode, float32, nothing folded. Where there is a GPU it runs there, unless told
otherwise: arrays go to the device and come back in every call, as for every other engine, and `.cpu()` waits for them.
"""

import warnings

import torch

from ..runtime.engine import Engine
from ..runtime.errors import BackendError, BundleError
from ..train.models import build

FORMS = ("eager", "channels-last", "torchscript", "compile")


class Method(torch.nn.Module):
    """One method of a model as a module, for what wants one."""

    def __init__(self, model, name):
        super().__init__()
        self.model, self.name = model, name

    def forward(self, *inputs):
        return getattr(self.model, self.name)(*inputs)


class EagerEngine(Engine):
    """A method of the trained model: `call`(tensors) on a device, in a precision ("fp32" or, on GPUs, "fp16").

    each_batch: every batch size is compiled by itself, which takes its time, so none is run that is not timed.
    """

    backend = "eager"
    each_batch = False

    def __init__(self, graph, call, device=torch.device("cpu"), precision="fp32"):  # noqa: B008
        super().__init__(graph)
        self.call, self.device, self.precision = call, device, precision
        self.type = torch.float16 if precision == "fp16" else torch.float32
        self._events, self._seconds, self._pinned = None, 0.0, []

    @classmethod
    def open(cls, bundle, graph, threads=None, device="auto", precision="fp32", form="eager"):
        place = chosen(device)
        if precision == "fp16" and place.type != "cuda":
            raise BackendError("half precision is for GPUs: a processor computes it in float32, and more slowly")
        if threads:
            torch.set_num_threads(threads)
        model = loaded(bundle).to(place)
        model = model.half() if precision == "fp16" else model
        engine = cls(graph, None, place, precision)
        engine.each_batch = form == "compile"
        engine.call = formed(form, model, graph, engine)
        return engine

    def _allocate(self, count):
        if self.device.type != "cuda":
            return super()._allocate(count)
        self._pinned.append(torch.zeros(count, dtype=torch.float32, pin_memory=True))
        return self._pinned[-1].numpy()

    def _tie(self, arrays, batch):
        return [torch.from_numpy(array) for _, array in arrays]

    def _run(self, slot):
        with torch.inference_mode():
            if self._events:
                return self._watched(slot.extra)
            return [output.numpy() for output in self._on_host(slot.extra)]

    def _on_host(self, tensors):
        inputs = [tensor.to(self.device, self.type, non_blocking=True) for tensor in tensors]
        outputs = self.call(*inputs)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return [output.float().cpu() for output in outputs]

    def _watched(self, tensors):
        began, ended = self._events
        began.record()
        outputs = self._on_host(tensors)
        ended.record()
        ended.synchronize()
        self._seconds += began.elapsed_time(ended) / 1e3
        return [output.numpy() for output in outputs]

    def watch(self, on=True):
        """Time runs by the device's own clock as well, from before their copies until after them -> can it be done?"""
        if self.device.type != "cuda":
            return False
        self._events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if on else None
        return True

    def device_seconds(self):
        """The device's seconds of the runs since this was asked last."""
        seconds, self._seconds = self._seconds, 0.0
        return seconds

    def close(self):
        super().close()
        self.call, self._pinned = None, []


def chosen(device):
    """ "auto", "cpu" or "cuda" -> torch.device. Raises BackendError: CUDA was asked for and is not there."""
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise BackendError("torch {} finds no CUDA device: give --device cpu".format(torch.__version__))
    if device == "cpu" or not there:
        return torch.device("cpu")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False  # float32 is what is stated
    return torch.device("cuda")


def loaded(bundle):
    """Bundle -> the trained model, to be evaluated. Raises BackendError without weights, BundleError for wrong ones."""
    described = bundle.manifest["model"]
    if "weights.npz" not in bundle.manifest["files"]:
        raise BackendError(
            "{} holds no weights, only graphs ('{}'): its eager baseline is your own module".format(
                bundle.path, described.get("class")
            )
        )
    arrays = bundle.arrays("weights.npz")
    try:
        model = build(described["class"], described["arguments"])
        model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        told = " ".join(str(error).split())  # torch lists every name on lines of its own
        raise BundleError("{}: its weights make no model: {:.200}: export it again".format(bundle.path, told))
    return model.eval()


def formed(form, model, graph, engine):
    """The method of a graph in one of FORMS -> callable. Raises BackendError where PyTorch cannot do it here."""
    if form == "eager":
        return getattr(model, graph.name)
    if form == "channels-last":
        if not any(parameter.dim() == 4 for parameter in model.parameters()):
            raise BackendError("this model has no convolutions: channels_last changes nothing")
        return getattr(model.to(memory_format=torch.channels_last), graph.name)
    try:
        return traced(model, graph, engine) if form == "torchscript" else compiled(model, graph, engine)
    except BackendError:
        raise
    except Exception as error:  # what its tracers and compilers raise shares no base
        told = " ".join(str(error).split())
        raise BackendError("torch {} makes no {} of this: {:.200}".format(torch.__version__, form, told))


def example(graph, engine, rows):
    """So many rows of zeros for each input, in the engine's type and place."""
    shapes = [(rows,) + tuple(tensor.shape[1:]) for tensor in graph.inputs]
    return [torch.zeros(shape, dtype=engine.type, device=engine.device) for shape in shapes]


def traced(model, graph, engine):
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # newer releases deprecate it
        return torch.jit.freeze(torch.jit.trace(Method(model, graph.name).eval(), example(graph, engine, 2)))


def compiled(model, graph, engine):
    if not hasattr(torch, "compile"):
        raise BackendError("torch {} has no torch.compile: it came with 2.0".format(torch.__version__))
    mode = "reduce-overhead" if engine.device.type == "cuda" else None
    call = torch.compile(Method(model, graph.name).eval(), mode=mode, dynamic=False)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        call(*example(graph, engine, 1))
    return call
