"""Exporting: a checkpoint, or a module of your own, in; a bundle that a Jetson can build out.

    from latentjet.export import export_module

    export_module(decoder, {"z": torch.randn(2, 20)}, "decoder.bundle")

Contents
    source.py   what is exported: a checkpoint, or a bundle to export again
    graphs.py   which methods of each model become graphs: names, axes, tolerances
    fold.py     exact rewrites of a model before it is traced
    to_onnx.py  module -> ONNX at the target's opset
    lower.py    exact rewrites of an ONNX graph from the exporter's opset to the target's
    constants.py  what depends on constants alone is computed once
    forms/      exact rewrites of nodes that the target's parser refuses or misreads
    importer/   what the parser of TensorRT 8.2 and 8.0 says of a graph
    target.py   what a target can run: the parser's word, and where this project is stricter
    couplings.py  a flow's graph in the form of which TensorRT 8 makes the fewest kernels
    figures.py  what a graph costs; fused.py  how many nodes fusion leaves
    half.py     a float32 graph -> the same graph typed in half precision
    precision.py  which nodes may run in half, decided by measurement
    pack.py     reference vectors, manifest, writing, verifying
    module.py   the same for a module of your own
"""


def export_module(module, example_inputs, path, **options):
    """Export a module of your own to a bundle; see :func:`latentjet.export.module.export_module`."""
    from .module import export_module as run

    return run(module, example_inputs, path, **options)
