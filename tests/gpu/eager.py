"""What measure.py runs in the Python that has PyTorch: the eager baseline on the GPU, in float32 and float16.

Two systems: "eager" is numpy in, numpy out, as an engine's run is; "eager alone" keeps its tensors on the device and waits
for it after each call, as TensorRT alone is timed. Inference mode, cuDNN may choose by trying, no TF32.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])

import numpy as np  # noqa: E402
import torch  # noqa: E402
from latentjet.benchmarks.measure import interleave  # noqa: E402
from latentjet.runtime.bundle import Bundle  # noqa: E402
from latentjet.runtime.inputs import random_inputs  # noqa: E402
from latentjet.train.models import build  # noqa: E402

TYPES = {"fp32": torch.float32, "fp16": torch.float16}


def look(device):
    if device == "cpu":
        return {"torch": torch.__version__, "cuda": None, "gpu": "none: on the processor"}
    if not torch.cuda.is_available():
        raise RuntimeError("torch {} finds no CUDA device".format(torch.__version__))
    return {"torch": torch.__version__, "cuda": torch.version.cuda, "gpu": torch.cuda.get_device_name(0)}


def loaded(bundle, precision, device):
    described, arrays = bundle.manifest["model"], bundle.arrays("weights.npz")
    model = build(described["class"], described["arguments"])
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return model.eval().to(device=device, dtype=TYPES[precision])


def wait(device):
    if device != "cpu":
        torch.cuda.synchronize()


def call(method, tensors):
    with torch.inference_mode():
        found = method(*tensors)
        return found if isinstance(found, tuple) else (found,)


def with_copies(method, inputs, dtype, device):
    def run():
        tensors = [torch.from_numpy(array).to(device=device, dtype=dtype) for array in inputs.values()]
        return [found.float().cpu().numpy() for found in call(method, tensors)]  # .cpu() waits for the device

    return run


def alone(method, inputs, dtype, device):
    tensors = [torch.from_numpy(array).to(device=device, dtype=dtype) for array in inputs.values()]

    def run():
        call(method, tensors)
        wait(device)

    return run


def time(path, graph, batches, rounds, burst_s, device):
    """The cases of one turn; a precision that this device cannot run is left out."""
    bundle, found = Bundle.open(path), []
    methods = {precision: getattr(loaded(bundle, precision, device), graph) for precision in TYPES}
    for batch in map(int, batches.split(",")):
        inputs, calls, notes = random_inputs(bundle.graph(graph), batch, np.random.RandomState(0)), {}, {}
        for precision, method in methods.items():
            whole = with_copies(method, inputs, TYPES[precision], device)
            try:
                outputs = whole()
            except RuntimeError as error:
                print("{} left out: {}".format(precision, error), file=sys.stderr)
                continue
            bad = sum(int((~np.isfinite(array)).sum()) for array in outputs)
            notes[precision] = "{} values not finite".format(bad) if bad else ""
            calls["eager", precision] = whole
            calls["eager alone", precision] = alone(method, inputs, TYPES[precision], device)
        for (system, precision), parts in interleave(calls, int(rounds), float(burst_s)).items():
            medians = [float(np.median(part)) for part in parts]
            found.append({
                "system": system, "precision": precision, "memory": device, "batch": batch, "medians_s": medians,
                "note": notes[precision],
            })  # fmt: skip
    return found


def main(argv):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    try:
        print(json.dumps({"look": look, "time": time}[argv[0]](*argv[1:])))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[2:]))
