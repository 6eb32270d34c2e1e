"""What TensorRT 8 does with arithmetic: activations, elementwise operators, Where, Clip, Cast, Constant."""

import numpy as np

from .facts import FLOATS, constant_of, type_name
from .finding import changed, depends, layer_refuses, refused, rule

SAME_TYPE = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Equal", "Greater", "Less", "GreaterOrEqual",
             "LessOrEqual", "Pow", "PRelu", "Concat")  # fmt: skip
TWO_OPERANDS = ("Pow", "PRelu", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Add", "Sub", "Mul", "Div",
                "Max", "Min", "Sum", "And", "Or")  # fmt: skip
MIXED = "its inputs are {}; the layer wants one type on both sides, and the parser inserts no casts"
IN_LAYERS = "use torch.minimum and torch.maximum"
INT32_MOST, INT32_LEAST = 2**31 - 1, -(2**31)


@rule(*SAME_TYPE)
def one_type(node):
    """Operands of a layer have one type."""
    kinds = sorted({value.type for value in node.inputs if value is not None and value.type})
    if len(kinds) > 1:
        yield layer_refuses(MIXED.format(" and ".join(kinds)), "cast them to one type")


@rule(*TWO_OPERANDS)
def second_operand(node):
    """The type of the first operand is looked at for every operator; here that of the others is."""
    taken = {"And": ("BOOL",), "Or": ("BOOL",), "Pow": FLOATS, "PRelu": FLOATS}.get(
        node.operator, (*FLOATS, "INT32", "INT8")
    )
    for value in node.inputs[1:]:
        if value is not None and value.type and value.type not in taken:
            yield refused(
                "its input '{}' is {}, it takes {}".format(value.name, value.stated, " ".join(taken)),
                "write the exponent as a float" if node.operator == "Pow" else "cast it with .float()",
            )


@rule("Abs")
def abs_of_integers(node):
    if node.inputs[0].type == "INT32":
        yield depends("integers go through float32: those beyond 2**24 are rounded")


@rule("Selu")
def selu(node):
    if "alpha" not in node.attributes or "gamma" not in node.attributes:
        yield changed(
            "its default constants are cut after four digits (1.6732 and 1.0507)",
            "write alpha 1.6732632423543772 and gamma 1.0507009873554805 out",
        )


@rule("Celu")
def celu(node):
    yield changed(
        "it computes alpha ** (exp(x / alpha) - 1) where alpha * (exp(x / alpha) - 1) is meant: ReLU for alpha > 0",
        "use max(x, 0) + alpha * elu(min(x, 0) / alpha)",
    )


@rule("ScaledTanh", "ParametricSoftplus")
def required_alpha_and_beta(node):
    for name in ("alpha", "beta"):
        if name not in node.attributes:
            yield refused(f"attribute {name} is required")


@rule("ImageScaler")
def required_bias(node):
    if "bias" not in node.attributes:
        yield refused("attribute bias is required")


@rule("Where")
def where(node):
    condition, first, second = (node.input(index) for index in range(3))
    kinds = {value.type for value in (first, second) if value is not None and value.type}
    if len(kinds) > 1:
        yield refused("its branches are {}, both need one type".format(" and ".join(sorted(kinds))))
    if "BOOL" in kinds:
        yield refused("branches may not be BOOL", "write it with logic: (condition & a) | (~condition & b)")
    if condition is not None and condition.type and condition.type != "BOOL":
        yield refused(f"its condition is {condition.stated}, expected BOOL")


@rule("Clip")
def clip(node):
    kind, bounds = node.inputs[0].type, node.inputs[1:]
    if len(bounds) == 1 and bounds[0] is None:
        yield refused("a lower bound with an empty name crashes the parser", "leave it out")
    by_layers = any(value is None or not value.is_weights for value in bounds)
    if node.version == "8.0":
        if kind == "INT32":
            yield refused("TensorRT 8.0 clips FLOAT only", "cast it with .float()")
        elif any(value is not None and not value.is_weights for value in bounds):
            yield refused("TensorRT 8.0 wants constant bounds", "write the bounds as numbers")
    if kind != "FLOAT16" or not bounds:
        return
    if by_layers and node.version != "8.0":
        yield refused("with a bound that is no initializer it becomes Max and Min, for FLOAT and INT32 only", IN_LAYERS)
    else:
        yield changed("HALF bounds are read as if they were FLOAT", IN_LAYERS)


KNOWN_TARGETS = (1, 3, 6, 7, 9, 10, 11)  # FLOAT, INT8, INT32, INT64, BOOL, FLOAT16, DOUBLE


@rule("Cast")
def cast(node):
    target, source = node.get("to"), node.inputs[0].type
    if target not in KNOWN_TARGETS:
        yield refused("it has no type {}".format(type_name(target) or target), "cast to float32 or int32")
    elif target == 9 and source in FLOATS:
        yield layer_refuses("no conversion of FLOAT to BOOL is documented", "compare instead: x != 0")
    elif (target == 3 and source != "INT8") or (target not in (3, 9) and source == "INT8"):
        yield layer_refuses("no conversion to or from INT8 is documented", "cast to float32 or int32")
    elif target == 11:
        yield changed("there is no DOUBLE: the result is FLOAT", "cast to float32")


@rule("Constant")
def constant(node):
    if "value_int" in node.attributes or "value_ints" in node.attributes:
        name = "value_int" if "value_int" in node.attributes else "value_ints"
        read = "the constant is 0" if name == "value_int" else "the constant is empty"
        yield changed(f"{name} is looked for among the floats: {read}", "write attribute 'value'")
    for name in ("value_string", "value_strings", "sparse_value"):
        if name in node.attributes:
            yield refused(f"attribute {name} is not taken")
    array = constant_of(node) if "value" in node.attributes else None
    if array is not None and not array.size and not node.readers:
        yield layer_refuses("a constant without a value cannot be an output", "leave it out")
    if array is not None and array.dtype == np.int64 and array.size and not read_as_bounds(node):
        if array.max() > INT32_MOST or array.min() < INT32_LEAST:
            yield changed("INT64 becomes INT32: values beyond 2**31 are cut", "keep integers below 2**31")


def read_as_bounds(node):
    """Do only Slices read it? The largest integer means the end there, cut or not."""
    return bool(node.readers) and all(reader.op_type == "Slice" for reader in node.readers)
