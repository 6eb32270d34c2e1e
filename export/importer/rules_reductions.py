"""What TensorRT 8 does with reductions, sums along an axis and the largest values."""

from .facts import is_size
from .finding import changed, depends, layer_refuses, refused, rule, undefined

LAST_FOUR = "only the last four axes can be searched"
REDUCTIONS = ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin",
              "ReduceProd", "ReduceSumSquare")  # fmt: skip


@rule(*REDUCTIONS)
def reduction(node):
    kind = node.inputs[0].type
    if node.input(1) is not None:
        yield changed("the axes of opset 18 are ignored: everything is reduced", "export to opset 13")
    if kind == "INT32" and node.operator in ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp"):
        yield refused("its square root or logarithm takes no INT32", "cast it with .float()")
    if kind == "INT32" and node.operator == "ReduceMean":
        yield layer_refuses("an average over INT32 is not documented", "cast it with .float()")
    if node.operator == "ReduceLogSumExp":
        yield depends(
            "log(sum(exp(x))) without subtracting the maximum: infinite above 88 in FP32, above 11 in FP16",
            "subtract the maximum before and add it after",
        )


@rule("ReduceSum")
def reduce_sum(node):
    axes = node.array(1)
    if axes is not None and not axes.size:
        yield undefined("an empty list of axes asks for a reduction over none", "leave the node out")
    elif axes is None and node.input(1) is None and node.get("noop_with_empty_axes", 0):
        yield changed("noop_with_empty_axes is ignored: everything is summed", "leave the node out")


@rule("ArgMax", "ArgMin")
def arg(node):
    data, axis = node.input(0), node.axis()
    if node.get("select_last_index", 0) and data.shape is not None and not data.is_fixed:
        yield refused("select_last_index wants a fixed shape", "leave it out: the first one is chosen")
    if data.rank == 1:
        yield layer_refuses("of one axis it was not seen to build", "add an axis: x[None]")
    elif data.rank is not None and axis < data.rank - 4:
        yield layer_refuses(LAST_FOUR, "move the axis to the end")


@rule("TopK")
def top_k(node):
    data, count, axis = node.input(0), node.array(1), node.axis(-1)
    if not node.get("largest", 1):
        yield changed("largest is ignored: always the largest values", "negate before and after")
    if not node.get("sorted", 1):
        yield depends("sorted is ignored: always sorted, which ONNX allows")
    if count is not None and count.size != 1:
        yield refused("K must hold one number", "write it as an initializer")
    elif count is not None and not 1 <= int(count.reshape(-1)[0]) <= 1024:
        yield layer_refuses("K may be 1 to 1024", "take fewer")
    if data.rank is not None and axis < data.rank - 4:
        yield layer_refuses(LAST_FOUR, "move the axis to the end")


@rule("CumSum")
def cumulative(node):
    if node.get("exclusive", 0):
        yield depends("its zero row is data * 0: NaN where the first row is not finite")
    if node.version == "8.0" and node.inputs[0].type == "FLOAT16":
        yield layer_refuses("TensorRT 8.0 puts a FLOAT constant beside HALF data", "keep this node in float32")


@rule("ReverseSequence")
def reverse_sequence(node):
    data, lengths = node.input(0), node.input(1)
    batch = node.get("batch_axis", 1)
    free = data.rank is not None and batch < data.rank and not is_size(data.shape[batch])
    if free and not (lengths is not None and lengths.is_fixed):
        yield refused("the batch must be fixed: the node is unrolled", "reverse with a slice of step -1")
