"""How an error names a node, and what to do about an operator that the target does not have."""

import ast

from onnx import helper

REMEDIES = {
    "RandomNormal": "draw the noise outside and make it an input of the graph",
    "RandomNormalLike": "draw the noise outside and make it an input of the graph",
    "RandomUniformLike": "draw the noise outside and make it an input of the graph",
    "NonZero": "replace the boolean mask by a multiplication",
    "OneHot": "pass labels as one-hot rows, shape (N, classes), float32",
    "Mod": "use x - floor(x / n) * n",
    "GridSample": "use interpolation with a fixed scale",
    "Trilu": "make the triangular mask a constant (register_buffer)",
    "Xor": "use != on numbers",
    "IsInf": "bound the values where they are computed",
    "Shape": "write sizes as numbers and the batch as -1; nothing new (torch.ones) can be made for a free batch",
    "Expand": "let it broadcast, or make the batch part of an input: nothing can be copied to a free batch",
}


def remedy(operator):
    """Operator -> what to do instead of it."""
    return REMEDIES.get(operator, "write the module with simpler operations, or do this step outside of the graph")


def attributes(node):
    """Node -> {attribute name: value}."""
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def described(node):
    """Node -> how an error names it: its name, its operator, and which operation of which module it came from."""
    name = f"node '{node.name or node.output[0]}' ({node.op_type}"
    about = {item.key: item.value for item in node.metadata_props}
    try:
        operation = ast.literal_eval(about["pkg.torch.onnx.class_hierarchy"])[-1]
        scopes = ast.literal_eval(about["pkg.torch.onnx.name_scopes"])[:-1]
    except (KeyError, ValueError, SyntaxError, IndexError):
        return name + ")"
    where = scopes[-1].removeprefix("module").removeprefix(".") if scopes and scopes[-1][:1] != "_" else ""
    return f"{name}, from {operation}{f' in module {where!r}' if where else ''})"
