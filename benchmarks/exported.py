"""Untrained modules as bundles, for benchmarks of what no bundle that ships has. The only benchmark file that imports
export, and only when it is called: a board has no export, and times the bundles that it was given.

The half-precision gate is left out: it runs 10,000 samples, and these graphs are timed in float32.
"""

from ..runtime.errors import BackendError


def perturbed(module, seed=1, scale=0.01):
    """Move every trained number a little -> the module, in evaluation mode.

    Flows start as the identity: that would hide a wrong inverse, and equal zeros would be stored and read only once.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def decode_bundle(module, latent, path):
    """Module with decode(z), or decode(z, y) if its `classes` are not 0, -> images (N, C, H, W); size of z; path of a
    new folder -> the opened Bundle of that graph.

    Verified against eager PyTorch as every bundle is. Raises ExportError, CheckError, OutputError; BackendError without
    export's packages.
    """
    try:
        import torch

        from ..export.fold import fold
        from ..export.graphs import DECODE, Method
        from ..export.pack import pack, write
        from ..export.target import find_target
    except ImportError as error:
        raise BackendError("exporting needs more than the runtime ({}): pip install '.[export]'".format(error))
    classes = getattr(module, "classes", 0)
    inputs = {"z": torch.randn(16, latent, generator=torch.Generator().manual_seed(20))}
    if classes:
        inputs["labels"] = torch.eye(classes)[torch.arange(16) % classes]
    spec, target = DECODE._replace(inputs=tuple(inputs), tolerance=1e-3), find_target("tx2")
    item = pack(Method(module, "decode"), Method(fold(module), "decode"), inputs, spec, target)
    manifest = {
        "family": "module",
        "model": {"class": type(module).__name__, "arguments": None},
        "image": item.entry["outputs"][0]["shape"][1:],
        "pixels": "rounded",
        "latent": latent,
        "classes": ["class {}".format(index) for index in range(classes)],
        "data": None,
        "trained": "not at all: the weights are as they were drawn",
        "settings": None,
        "target": "{}: ONNX opset {}, TensorRT {}".format(target.name, target.opset, target.tensorrt),
    }
    return write(path, manifest, {"decode": item}, None, False, progress=lambda line: None)
