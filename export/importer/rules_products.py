"""What TensorRT 8 does with matrix products, convolutions, pooling and normalisation."""

from .facts import is_size
from .finding import changed, depends, layer_refuses, refused, rule, undefined

NO_OUTPUTS = (
    "without C it asks for a fully connected layer of 0 outputs ('kernel weights has count X but 0 was expected'; "
    "NVIDIA/TensorRT#2096)"
)
EXPORT_AGAIN = "export it again: a C of zeros is exact"
FREE_SUM = "the size that is summed over must be fixed"


def is_fully_connected(node):
    """Gemm: A a tensor, B weights, alpha and beta 1, C left out or weights of rank 1."""
    a, b, c = (node.input(index) for index in range(3))
    plain = node.get("alpha", 1.0) == 1 and node.get("beta", 1.0) == 1
    fits = a is not None and not a.is_weights and b is not None and b.is_weights
    return plain and fits and (len(node.inputs) < 3 or (c is not None and c.is_weights and c.rank == 1))


@rule("Gemm")
def gemm(node):
    a, b = node.inputs[:2]
    if b.type == "INT32":
        yield refused("it takes no INT32", "cast it with .float()")
    if any(value.rank not in (None, 2) for value in (a, b)):
        yield refused("A and B must have two axes")
        return
    if node.has_empty(2):
        yield refused("a C with an empty name crashes the parser", EXPORT_AGAIN)
    elif is_fully_connected(node):
        yield from fully_connected(node, a, b)
    elif not a.is_weights or a.rank is not None:
        yield from matrix_product(node, a)


def fully_connected(node, a, b):
    outputs, summed = b.shape if node.get("transB", 0) else b.shape[::-1]
    if len(node.inputs) < 3:
        yield layer_refuses(NO_OUTPUTS, EXPORT_AGAIN)
        return
    given = node.inputs[2].shape[0]
    if given != outputs:
        reason = "its number of outputs is taken from C, which has {}, not {}".format(given, outputs)
        yield layer_refuses(reason, "write C with one value per output")
        return
    if a.shape is None:
        return
    if not is_size(a.shape[1]):
        yield layer_refuses(FREE_SUM, "only the batch may be free")
    elif node.get("transA", 0):
        ignored = "transA is ignored where B and C are constants"
        if a.shape[1] == summed:
            yield changed(ignored, "transpose A before the product")
        else:
            yield layer_refuses(ignored, "transpose A before the product")


def matrix_product(node, a):
    scaled = node.get("alpha", 1.0) != 1 or (len(node.inputs) > 2 and node.get("beta", 1.0) != 1)
    if scaled and a.type == "FLOAT16":
        yield layer_refuses("alpha and beta become FLOAT constants beside HALF data", "scale the weights instead")
    if a.shape is not None and a.shape[1] == 1:
        squeezed = "an A of shape (N, 1) is squeezed to a vector"
        if a.shape[0] == 1 or (node.get("transA", 0) and is_size(a.shape[0])):
            yield changed(squeezed + ": the result loses its first axis", "use MatMul")
        else:
            yield layer_refuses(squeezed + ": fails for any N other than 1", "use MatMul, or a C with one axis")


@rule("MatMul")
def matmul(node):
    a, b = node.inputs[:2]
    if b.type == "INT32":
        yield refused("it takes no INT32", "cast it with .float()")
    if a.type and b.type and a.type != b.type:
        yield layer_refuses(f"its inputs are {a.stated} and {b.stated}", "cast them to one type")
    if a.rank == 1 and b.rank is not None and b.rank >= 3:
        yield layer_refuses(
            f"a vector times a tensor of {b.rank} axes: the wrong axis is squeezed",
            "give the vector a second axis: v[None] @ B, then squeeze it away",
        )
    if b.is_weights and not a.is_weights and a.rank == 2 and b.rank == 2 and not is_size(a.shape[1]):
        yield layer_refuses(FREE_SUM, "only the batch may be free")


@rule("Einsum")
def einsum(node):
    text = node.get("equation", "").replace(" ", "")
    operands = text.split("->")[0].split(",")
    if any(letter.isupper() for letter in text):
        yield refused("only lower-case letters are taken", "write the equation in lower case")
    if "..." in text:
        yield layer_refuses("the Einsum layer has no ellipsis", "name each axis")
    if len(operands) > 2:
        yield layer_refuses("the Einsum layer takes at most two inputs", "multiply two at a time")
    if any(len(set(operand)) < len(operand.replace(".", "")) for operand in operands if "..." not in operand):
        yield layer_refuses("the Einsum layer has no diagonal", "multiply with an identity matrix and sum")
    if any(value is not None and value.type in ("INT32", "BOOL") for value in node.inputs):
        yield layer_refuses("the Einsum layer takes no integers", "cast it with .float()")
    if broadcasts(operands, node):
        yield layer_refuses("the Einsum layer does not broadcast", "give both inputs the full size, or multiply")


def broadcasts(operands, node):
    sizes = {}
    for operand, value in zip(operands, node.inputs):
        if value is not None and value.rank == len(operand):
            for letter, size in zip(operand, value.shape):
                sizes.setdefault(letter, set()).add(size)
    return any(1 in found and len(found) > 1 for found in sizes.values())


@rule("Conv", "ConvTranspose")
def convolution(node):
    data, weight, bias = (node.input(index) for index in range(3))
    if node.has_empty(2):
        yield refused("a bias with an empty name does not count as left out", "leave the bias out")
    elif bias is not None and bias.is_weights and bias.rank != 1:
        yield refused("its bias must have one axis")
    if data.shape is not None and data.rank > 1 and not is_size(data.shape[1]):
        yield layer_refuses("the number of channels must be fixed", "only the batch may be free")
    if weight is not None and data.type and weight.type and data.type != weight.type:
        yield layer_refuses(f"its data is {data.stated}, its weights are {weight.stated}", "use one type")


@rule("ConvTranspose")
def transposed(node):
    data, kernel = node.input(0), node.input(1)
    given_shape, auto = node.get("output_shape"), node.get("auto_pad", "NOTSET")
    if data.rank == 3 and ("output_padding" in node.attributes or given_shape):
        yield undefined(
            "in one dimension, output_padding and output_shape leave a second value unset",
            "use two dimensions of which the second is 1, or crop the output",
        )
        return
    if data.rank is None or kernel.shape is None:
        return
    count = data.rank - 2
    extra = tuple(node.get("output_padding", (0,) * count))
    start, end = split_pads(node, count)
    if given_shape and auto == "NOTSET":
        yield from output_shape(node, data.shape[2:], kernel.shape[2:], given_shape, extra)
    elif auto in ("SAME_UPPER", "SAME_LOWER") and any(extra):
        yield changed("output_padding is ignored with auto_pad SAME", "write pads out")
    elif node.version == "8.0" and count == 3 and extra[0] > end[0]:
        yield refused("TensorRT 8.0 has no output_padding on the first of three axes", "pad the output instead")
    elif count == 3 and tuple(start) != tuple(max(e - x, 0) for e, x in zip(end, extra)):
        yield refused(
            "in three dimensions, pads must be equal at both ends after output_padding is taken off the end",
            "leave output_padding out and crop, or pad the output",
        )


def split_pads(node, count):
    pads = tuple(node.get("pads", (0,) * 2 * count))
    return pads[:count], pads[count:]


def output_shape(node, sizes, kernel, wanted, extra):
    """The padding that TensorRT computes from output_shape, which it cannot for free sizes."""
    count = len(sizes)
    strides, dilations = node.get("strides", (1,) * count), node.get("dilations", (1,) * count)
    for axis, size in enumerate(sizes):
        if not is_size(size):
            yield refused("output_shape needs fixed spatial sizes", "write pads and output_padding instead")
            return
        full = (size - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1 + extra[axis]
        total = full - wanted[len(wanted) - count + axis]
        if total > 0 and total % 2:
            yield changed("an odd padding is split the other way round", "write pads and output_padding instead")
            return


@rule("AveragePool", "MaxPool", "LpPool")
def pooling(node):
    if "kernel_shape" not in node.attributes:
        yield refused("attribute kernel_shape is required")
        return
    if any(step != 1 for step in node.get("dilations", ())):
        yield refused("pooling with dilations is not there", "slice with a step before pooling")
    if node.operator == "AveragePool" and node.get("auto_pad", "NOTSET") == "NOTSET":
        start, end = split_pads(node, len(node.get("kernel_shape")))
        if any(last - first not in (0, 1) for first, last in list(zip(start, end))[:2]):
            yield refused(
                "the padding at the end may be that at the start or one more", "pad before pooling (nn.ZeroPad2d)"
            )


@rule("MaxPool")
def max_pool(node):
    if len(node.outputs) > 1:
        yield refused("indices of the maxima are not there", "leave return_indices out")
    if node.get("storage_order", 0):
        yield depends("storage_order is ignored; it matters for indices only")


@rule("LpPool", "LpNormalization")
def order_of_norm(node):
    if node.get("p", 2) not in (1, 2):
        yield refused("p must be 1 or 2", "write the norm out with abs and pow")


@rule("GlobalLpPool")
def global_norm(node):
    if node.get("p", 2) % 2:
        yield changed("no absolute value is taken: odd p is wrong for negative values", "take abs() before")


@rule("LRN")
def local_response(node):
    size = node.get("size", 1)
    if size % 2 == 0 or size > 15:
        yield layer_refuses("the window must be odd and at most 15", "choose another size")


@rule("BatchNormalization")
def batch_norm(node):
    if len(node.outputs) > 1:
        yield refused("more than one output ends the process", "export in evaluation mode")
    if any(value is not None and value.type == "FLOAT16" for value in node.inputs[1:]):
        yield layer_refuses("HALF statistics stand beside a FLOAT epsilon", "fold it into the convolution before")
    if node.get("training_mode", 0):
        yield changed("training_mode is ignored", "export in evaluation mode")


@rule("InstanceNormalization")
def instance_norm(node):
    if any(value is not None and value.type == "FLOAT16" for value in node.inputs[1:3]):
        yield changed("a HALF scale or bias is read as if it were FLOAT", "keep this node in float32")


@rule("LogSoftmax")
def log_softmax(node):
    yield depends(
        "it is log(softmax(x)): minus infinity about 17 below the largest logit in FP16, 104 in FP32",
        "write x - logsumexp(x) with the maximum subtracted",
    )
