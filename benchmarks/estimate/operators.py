"""What each ONNX operator is to a builder: free, pointwise, a matrix product, or a kernel of some kind of its own."""

# only another view of the same numbers
VIEWS = frozenset(["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"])

# one number out for one in, or for one from each input; chains of them become one PointWise layer ("PWN" in logs)
ACTIVATIONS = frozenset(
    "Relu Clip LeakyRelu Sigmoid Tanh Elu Selu Celu HardSigmoid HardSwish Softplus Softsign ThresholdedRelu Mish Gelu "
    "PRelu".split()
)
UNARY = frozenset(
    "Exp Log Neg Abs Sqrt Reciprocal Erf Floor Ceil Round Sign Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh "
    "Not IsNaN IsInf Cast BitwiseNot".split()
)
BINARY = frozenset(
    "Add Sub Mul Div Pow Min Max Sum Mean Mod And Or Xor Equal Less LessOrEqual Greater GreaterOrEqual Where "
    "BatchNormalization".split()
)
POINTWISE = ACTIVATIONS | UNARY | BINARY

PRODUCTS = frozenset(["Conv", "ConvTranspose", "Gemm", "MatMul"])

# parts of an array, put elsewhere: one kernel an output
COPIES = frozenset(
    "Transpose Slice Split Pad Gather GatherElements GatherND ScatterND ScatterElements Tile Expand DepthToSpace "
    "SpaceToDepth Resize Upsample".split()
)
POOLS = frozenset("MaxPool AveragePool GlobalAveragePool GlobalMaxPool LRN LpPool GlobalLpPool".split())
REDUCTIONS = frozenset(
    "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp "
    "ReduceSumSquare Softmax LogSoftmax ArgMax ArgMin TopK InstanceNormalization LayerNormalization "
    "GroupNormalization CumSum".split()
)


def kind_of(operator):
    """The kind of kernel of an operator that is no product and is not fused away."""
    if operator in POINTWISE:
        return "pointwise"
    if operator in POOLS:
        return "pool"
    if operator in REDUCTIONS:
        return "reduce"
    return "copy" if operator in COPIES or operator == "Concat" else "other"
