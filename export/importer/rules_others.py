"""What TensorRT 8 does with generators, shapes, recurrent networks, quantisation and control flow."""

import numpy as np

from .facts import FLOATS
from .finding import changed, depends, layer_refuses, refused, rule, undefined

ACTIVATIONS = ("relu", "tanh", "sigmoid", "leakyrelu", "thresholdedrelu", "scaledtanh", "hardsigmoid", "elu",
               "softsign", "softplus")  # fmt: skip


@rule("ConstantOfShape")
def constant_of_shape(node):
    if node.array(0) is not None and not node.array(0).size:
        yield undefined("an empty shape gives a constant without a value", "use a scalar")


@rule("EyeLike")
def eye_like(node):
    if node.inputs[0].shape is not None and not node.inputs[0].is_fixed:
        yield refused("its shape must be fixed", "make the identity a constant (register_buffer)")


@rule("Range")
def range_(node):
    start, limit, step = (node.input(index) for index in range(3))
    if start is None or start.type not in FLOATS:
        return
    if not all(value is not None and value.is_weights for value in (start, limit, step)):
        yield refused("a range of floats must be constant", "make it a constant (register_buffer), or of integers")
    elif (float(limit.array) - float(start.array)) / (float(step.array) or 1) <= 0:
        yield refused("an empty range of floats is not taken", "leave it out")


@rule("RandomUniform", "RandomUniformLike")
def random_uniform(node):
    if node.get("dtype", 1) not in (1, 10):
        yield refused("its type must be FLOAT or FLOAT16", "draw the noise outside and make it an input")
    if node.operator == "RandomUniformLike" and node.inputs[0].is_weights:
        yield refused("its input must not be a constant", "draw the noise outside and make it an input")
    if "seed" in node.attributes:
        yield depends("its seed is ignored", "draw the noise outside and make it an input")


@rule("Shape", "Size")
def part_of_shape(node):
    if node.get("start", 0) or "end" in node.attributes:
        yield changed("start and end of opset 15 are ignored", "slice the shape")


@rule("QuantizeLinear", "DequantizeLinear")
def quantise(node):
    data, scale, zero = (node.input(index) for index in range(3))
    if zero is None:
        yield refused("the zero point must be there", "write a zero point of INT8 zeros")
        return
    if zero.is_weights and np.any(zero.array):
        yield refused("the zero point must be 0", "quantise symmetrically")
    if scale is not None and scale.is_weights and not np.all(scale.array > 0):
        yield refused("scales must be positive", "quantise symmetrically")
    if scale is not None and scale.rank == 1 and scale.shape != (1,) and "axis" not in node.attributes:
        yield changed("axis left out with several scales: 0 instead of 1", "write the axis out")
    if node.operator == "DequantizeLinear" and data is not None and data.stated == "UINT8":
        yield changed("UINT8 becomes INT32, the layer takes INT8 only", "quantise to INT8")
    if node.operator == "QuantizeLinear" and zero.stated == "UINT8":
        yield refused("there is no UINT8", "quantise to INT8")


@rule("LSTM", "GRU", "RNN")
def recurrent(node):
    if node.get("layout", 0):
        yield changed("layout of opset 14 is ignored: data is taken as (sequence, batch, features)", "transpose before")
    names = [name.lower() for name in node.get("activations", ())]
    for name in names:
        if name not in ACTIVATIONS:
            yield refused(f"activation '{name}' is not there", "use tanh, sigmoid or relu")
    half = len(names) // 2
    if node.get("direction") == "bidirectional" and names[:half] != names[half:]:
        yield refused("both directions need the same activations", "run them as two nodes")
    if node.get("input_forget", 0):
        yield refused("input_forget is not taken", "leave it out")


@rule("If")
def conditional(node):
    if node.array(0) is not None:
        if np.any(node.array(0)):  # its other bytes were 0 where this was run, and the else branch was taken
            yield changed(
                "a constant condition is read beyond its end: which branch is taken is open", "drop the branch"
            )
    else:
        yield undefined("what the conditional layer does with this graph was not seen", "use torch.where")


@rule("Loop")
def loop(node):
    if node.input(1) is None:
        yield refused("a loop without a condition is not read", "unroll the loop")


@rule("Scan")
def scan(node):
    if node.get("num_scan_inputs", 0) >= len(node.inputs):
        yield refused("at least one state variable is needed", "unroll the loop")
    names = ("scan_input_axes", "scan_output_axes")
    if any(axis < 0 for name in names for axis in node.get(name, ())):
        yield layer_refuses("negative axes are counted from 8, not from the rank", "count axes from the front")


@rule("Dropout")
def mask(node):
    if len([name for name in node.outputs if name]) > 1:
        yield depends("the mask is x == x: false for NaN", "leave the mask out")


@rule("NonMaxSuppression")
def suppression(node):
    if any(node.has_empty(index) for index in (2, 3, 4)):
        yield refused("an empty name does not count as left out", "write all five inputs")
