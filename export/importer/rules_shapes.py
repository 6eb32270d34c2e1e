"""What TensorRT 8 does with operators that move, cut, pad, pick or resize data."""

import numpy as np

from .facts import LARGEST_RANK, is_size
from .finding import changed, layer_refuses, refused, rule

RENAMED = "the graph's input is passed on unchanged and its binding gets the name of this node's output"
RENAME_REMEDY = "leave this operation out: it does nothing"
COMPUTED_SIZES = "write sizes as numbers and the batch as -1"


@rule("Reshape")
def reshape(node):
    shape, data = node.array(1), node.input(0)
    if node.opset >= 14 and "allowzero" not in node.attributes:
        yield refused("from opset 14 on attribute allowzero must be written out", "export to opset 13")
    if shape is None:
        return
    if not shape.size and data.shape not in (None, (), (1,)):
        yield layer_refuses("an empty shape leads to rank 0, which fails when the engine is built", COMPUTED_SIZES)
    elif shape.size > LARGEST_RANK:
        yield layer_refuses(f"more than {LARGEST_RANK} axes overrun its array", "use fewer axes")
    elif shape.size and (shape > 0).all() and not data.is_fixed and data.shape is not None:
        yield layer_refuses("every size is fixed, so it works for one batch only", "write the batch as -1")


@rule("Flatten")
def flatten(node):
    data, axis = node.input(0), node.get("axis", 1)
    if data.rank is None:
        return
    if node.version == "8.0" and not axis < data.rank:
        yield refused("TensorRT 8.0 wants an axis below the rank", "use reshape")
    elif data.rank <= 2:
        if not (data.rank == 2 and axis in (1, -1)):
            yield changed("a tensor of two axes or fewer is passed on unchanged, whatever the axis", "use reshape")
        elif data.is_input:
            yield changed(RENAMED, RENAME_REMEDY)


@rule("Transpose")
def transpose(node):
    data = node.input(0)
    if data.is_weights and (data.rank > 4 or data.array.dtype.kind != "f"):
        yield refused(
            "a constant is transposed while the graph is read: only floats of four axes or fewer",
            "store the constant transposed",
        )
    perm = node.get("perm")
    if data.is_input and perm is not None and tuple(perm) == tuple(range(len(perm))):
        yield changed(RENAMED, RENAME_REMEDY)


@rule("Dropout")
def dropout(node):
    training = node.array(2)
    if node.has_empty(2):
        yield refused("a training mode with an empty name does not count as left out", "leave it out")
    if training is not None and np.any(training):
        yield refused("training mode is not taken", "export in evaluation mode")
    if len([name for name in node.outputs if name]) > 1:
        if node.inputs[0].is_weights:
            yield refused("the mask of a constant crashes the parser", "leave the mask out")
        elif node.inputs[0].is_input:
            yield changed(RENAMED, "leave the mask out")


@rule("Squeeze")
def squeeze(node):
    known = node.array(1) if node.array(1) is not None else node.get("axes")
    if ((known is None or not np.size(known)) and node.input(1) is None) or (known is not None and not np.size(known)):
        if node.inputs[0].shape is not None and not node.inputs[0].is_fixed:
            yield refused("without axes the whole shape must be fixed", "name the axes: x.squeeze(2)")


@rule("Unsqueeze")
def unsqueeze(node):
    axes = node.array(1) if node.array(1) is not None else node.get("axes")
    if node.array(1) is not None and not node.array(1).size and "axes" not in node.attributes:
        yield refused("no axes are found", "write them as an initializer")
    elif axes is not None and node.rank() is not None and node.rank() + np.size(axes) > LARGEST_RANK:
        yield refused(f"the result has more than {LARGEST_RANK} axes", "use fewer axes")


@rule("Split")
def split(node):
    sizes, axis, data = node.array(1), node.axis(), node.input(0)
    if node.input(1) is not None:
        if sizes is None and node.version == "8.0":
            yield refused("TensorRT 8.0 wants constant sizes", COMPUTED_SIZES)
        if sizes is not None and not sizes.size:
            yield refused("an empty list of sizes crashes the parser", COMPUTED_SIZES)
        return
    if node.has_empty(1):
        yield refused("an empty name for the sizes crashes the parser", COMPUTED_SIZES)
        return
    parts = len(node.outputs)
    if "split" in node.attributes or axis is None or not axis < data.rank or not is_size(data.shape[axis]):
        return
    if data.shape[axis] % parts:
        yield changed(
            f"equal parts are rounded down: {data.shape[axis]} into {parts} loses the rest",
            "split with integer sizes",
        )


@rule("Slice")
def slices(node):
    if node.has_empty(3) or node.has_empty(4):
        yield refused("an empty name for axes or steps crashes the parser", "write the axes out")
    starts = node.input(1)
    if len(node.inputs) == 3 and node.opset >= 10 and starts is not None and starts.shape and node.rank() is not None:
        if starts.shape[0] != node.rank():
            yield refused("without axes it wants a start for every axis of the data", "write the axes out")
    if any(node.array(index) is not None and not node.array(index).size for index in range(1, 4)):
        yield changed("an empty list of starts, ends or axes slices nothing", "write them as initializers")


@rule("Gather")
def gather(node):
    data, indices, axis = node.input(0), node.array(1), node.axis()
    if indices is not None and indices.size and indices.min() < 0 and axis is not None and axis < data.rank:
        if not is_size(data.shape[axis]):
            yield layer_refuses("a negative index on an axis of free size is undefined", "index from the front")


@rule("GatherElements")
def gather_elements(node):
    if node.version != "8.0":
        return
    if not all(value is None or value.shape is None or value.is_fixed for value in node.inputs):
        yield refused("TensorRT 8.0 wants fixed shapes", "gather with one-hot rows and a matrix product")
    elif node.array(1) is not None and node.array(1).size and node.array(1).min() < 0:
        yield changed("TensorRT 8.0 reads negative indices wrongly", "index from the front")


@rule("GatherND")
def gather_nd(node):
    indices = node.input(1)
    if indices is not None and indices.shape and not is_size(indices.shape[-1]):
        yield refused("the last axis of the indices must be fixed", COMPUTED_SIZES)


@rule("Scatter", "ScatterElements")
def scatter_elements(node):
    ranks = {value.rank for value in node.inputs if value is not None and value.rank is not None}
    if len(ranks) > 1:
        yield refused("data, indices and updates must have as many axes", "reshape them")


@rule("ScatterElements", "ScatterND")
def scatter(node):
    if node.get("reduction", "none") != "none":
        yield changed("reduction of opset 16 is ignored", "add a one-hot product instead")


@rule("Expand")
def expand(node):
    shape = node.input(1)
    if shape is not None and shape.rank not in (None, 1):
        yield refused("its shape must have one axis")


@rule("Pad")
def pad(node):
    mode = node.get("mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        yield refused(f"mode '{mode}' is not there", "pad by slicing and joining")
    yield from padding(node)
    if node.opset >= 11:
        yield from fill_value(node)
    if node.version == "8.0":
        yield from pad_of_8_0(node, mode)


def pads_of(node):
    """The pads where they are known, else None."""
    return node.array(1) if node.opset >= 11 else np.array(node.get("pads", ()))


def padding(node):
    pads = pads_of(node)
    if pads is None or node.rank() is None:
        return
    if pads.size != 2 * node.rank() and not (node.version == "8.0" and not pads.size):
        if len(node.inputs) < 4:
            yield refused("pads must hold twice as many numbers as there are axes", "write them as an initializer")
    elif not pads.size:
        yield changed("an empty list of pads pads nothing", "write them as an initializer")
    elif pads.min() < 0 and node.version != "8.0":
        yield refused("pads must not be negative", "crop with a slice")


def fill_value(node):
    value, pads = node.input(2), pads_of(node)
    if len(node.inputs) > 3:
        yield changed("the axes of opset 18 are ignored, and so is the value", "export to opset 13")
    if value is None or not value.is_weights or len(node.inputs) > 3:
        return
    if value.array.size != 1:
        yield refused("its value must be one number", "leave the value out for 0")
    elif pads is not None and not np.any(pads):
        return
    elif value.type == "BOOL" and np.any(value.array):
        yield layer_refuses("a value beside BOOL data is of another type", "pad integers and compare")
    elif value.type == "INT32" and np.any(value.array):
        yield changed("an integer value is read as the bits of a float and becomes 0", "pad a float and cast")
    elif value.type == "FLOAT16":
        yield changed("a HALF value is read as if it were FLOAT", "pad in float32")


def pad_of_8_0(node, mode):
    pads, value = pads_of(node), node.input(2)
    constant = node.get("value", 0.0) if node.opset < 11 else node.array(2) if len(node.inputs) == 3 else None
    if pads is None:
        yield refused("TensorRT 8.0 wants constant pads", "write the pads as numbers")
    elif node.has_empty(2) or (value is not None and not value.is_weights):
        yield refused("TensorRT 8.0 wants a constant value, and an empty name is none", "leave the value out for 0")
    elif pads.size and not np.any(pads):
        return
    elif mode != "constant" or (constant is not None and np.any(constant)):
        yield refused("TensorRT 8.0 pads with constant 0 only", "join with a constant, or use JetPack 4.6.1")
    elif pads.size and np.count_nonzero(np.reshape(pads, (2, -1)).any(0)) > 2:
        yield refused("TensorRT 8.0 pads two axes only", "pad two axes at a time")


TRANSFORMS = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn")


@rule("Resize", "Upsample")
def resize(node):
    data, mode = node.input(0), node.get("mode", "nearest")
    transform = node.get("coordinate_transformation_mode", "half_pixel")
    if mode == "cubic":
        yield refused("mode 'cubic' is not there", "use nearest or bilinear")
    if transform not in TRANSFORMS:
        yield refused(f"coordinates '{transform}' are not there", "use half_pixel or align_corners")
    elif transform == "tf_half_pixel_for_nn" and node.get("nearest_mode", "round_prefer_floor") != "round_prefer_floor":
        yield refused("tf_half_pixel_for_nn goes with round_prefer_floor only")
    if node.has_empty(3):
        yield refused("an empty name for the sizes crashes the parser", "leave it out")
    if node.input(3) is None:
        yield from scaled(node, data, mode)


def scaled(node, data, mode):
    place = 1 if node.operator == "Upsample" or node.opset < 11 else 2
    scales = node.array(place)
    if place == 1 and scales is None and node.input(1) is not None:
        yield refused("its scales are computed at run time and must be a constant", "write them as numbers")
    if scales is None or data.rank is None:
        return
    if scales.size != data.rank:
        yield refused(f"it wants one scale per axis, {scales.size} of {data.rank}")
        return
    if mode == "linear" and np.any(scales.reshape(-1)[:-3] != 1):
        yield refused("linear resizing changes the last three axes only", "resize in two steps")
    if not all(is_whole(size, float(scale)) for size, scale in zip(data.shape, scales.reshape(-1))):
        yield changed(
            "coordinates come from the ratio of the sizes, not from the scale: these differ where scale x size is not "
            "whole", "choose a size, not a scale",
        )  # fmt: skip
    if node.get("antialias", 0) and np.any(scales < 1):
        yield changed("antialias of opset 18 is ignored", "leave antialias out")


def is_whole(size, scale):
    """Is scale x size a whole number, whatever a free size may be?"""
    result = size * scale if is_size(size) else scale
    return abs(result - round(result)) < 1e-3 and round(result) > 0
