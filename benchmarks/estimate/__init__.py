"""Predictions: a graph in; its latency on a Jetson out, by kernel, with an honest error (CPython 3.6, numpy, onnx).

    from latentjet.benchmarks.estimate import estimate

    found = estimate("fashion-realnvp", target="tx2", mode="MAXN", precision="fp16", batch=1)
    found.seconds, found.interval, found.layers

Contents
    graph.py      an ONNX file as plain data; flow.py  who makes and reads each tensor
    fusion.py     a graph -> the kernels that TensorRT makes of it; operators.py, work.py  what a node is and does
    cost.py       kernels -> seconds; targets.json  the boards
    calibrate.py  fits cost.py to published.json, and how well that predicts
    predict.py    Estimate; advice.py  what to change
"""


def estimate(source, target="tx2", mode=None, precision="fp16", batch=None, graph="decode"):
    """Predict one run of a graph; see :func:`latentjet.benchmarks.estimate.predict.estimate`."""
    from .predict import estimate as run

    return run(source, target, mode, precision, batch, graph)
