"""The verdicts of the real parser on small nodes, and each node as an ONNX model again.

verdicts.json: 1,268 nodes, each put to the parser of onnx-tensorrt release/8.2-GA over a network that records what it
is asked for, and that holds the documented rules of TensorRT 8.2.1's layers (NvInfer.h). No builder ran. A record has
operator, case, attributes, inputs (shape, type, whether it is an initializer, value; or another node's output), outputs,
opset (13 where none stands), and

    verdict         accepted, refused or unknown; by: who refuses; reason
    silent          it is accepted, but means something else, or does for some values
    later           it is accepted by the importer, and a documented rule of the layer refuses it when it is built
    tensorrt_8.0    what release/8.0-GA says, where that differs
    numeric         how the layers' result compares with ONNX Runtime's
"""

import hashlib
import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

TABLE = Path(__file__).with_name("verdicts.json")
SHA256 = "b1eeaec83399fb5aa73a980f23821ff70ffa5bfbec5923e8af0f8288a0ed82df"
STRINGS = TensorProto.STRING


def records():
    """The table's records. Raises AssertionError where it is not the table that was published."""
    content = TABLE.read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256, f"{TABLE.name} was changed or damaged"
    return json.loads(content)


def named(record, number):
    return f"{number}: {record['operator']}, {record['case']}"


def number_of(name):
    return TensorProto.DataType.Value(name)


def array_of(entry, stream):
    kind = helper.tensor_dtype_to_np_dtype(number_of(entry["type"]))
    if "value" in entry:
        return np.array(entry["value"], kind).reshape(entry["shape"])
    return (stream.random(entry["shape"]) + 0.5).astype(kind)


def tensor_of(entry):
    kind = helper.tensor_dtype_to_np_dtype(number_of(entry["type"]))
    return numpy_helper.from_array(np.array(entry["tensor"], kind).reshape(entry["shape"]), "value")


def body_of(entry):
    """A small subgraph: its nodes' operators, one after the other."""
    nodes = [
        helper.make_node(operator, [f"b{place}"] * (2 if operator == "Add" else 1), [f"b{place + 1}"])
        for place, operator in enumerate(entry["nodes"])
    ]
    value = helper.make_tensor_value_info(f"b{len(nodes)}", TensorProto.FLOAT, None)
    return helper.make_graph(nodes, entry["graph"], [], [value])


def attribute(value):
    if isinstance(value, dict):
        return body_of(value) if "graph" in value else tensor_of(value)
    return value


class Model:
    """Collects the nodes, constants and inputs of one record's model."""

    def __init__(self, record):
        self.record, self.stream = record, np.random.default_rng(0)
        self.nodes, self.initializers, self.inputs, self.count = [], [], [], 0

    def value(self, entry):
        """An entry of the record's inputs -> its name in the model."""
        if entry is None:
            return ""
        self.count += 1
        name = f"v{self.count}"
        if "from" in entry:
            self.computed(entry, name)
        elif not entry["initializer"]:
            self.inputs.append(helper.make_tensor_value_info(name, number_of(entry["type"]), entry["shape"]))
        elif entry.get("by") == "Constant node":
            tensor = numpy_helper.from_array(array_of(entry, self.stream), name)
            self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        else:
            self.initializers.append(numpy_helper.from_array(array_of(entry, self.stream), name))
        return name

    def computed(self, entry, name):
        inputs = [self.value(item) for item in entry["inputs"]]
        outputs = [name if place == entry["output"] else f"{name}_{place}" for place in range(entry["output"] + 1)]
        options = {key: attribute(value) for key, value in entry["attributes"].items()}
        self.nodes.append(helper.make_node(entry["from"], inputs, outputs, **options))

    def unused(self):
        entry = self.record.get("unused_initializer")
        if entry and entry["type"] == "STRING":
            self.initializers.append(helper.make_tensor("unused", STRINGS, [1], [b"a"]))
        elif entry:
            self.initializers.append(
                numpy_helper.from_array(array_of({**entry, "value": np.ones(entry["shape"])}, self.stream), "unused")
            )

    def made(self):
        record = self.record
        inputs = [self.value(entry) for entry in record["inputs"]]
        outputs = [f"y{place}" if entry else "" for place, entry in enumerate(record["outputs"])]
        options = {key: attribute(value) for key, value in record.get("attributes", {}).items()}
        self.nodes.append(helper.make_node(record["operator"], inputs, outputs, name="the_node", **options))
        if "followed_by" in record:
            self.nodes.append(helper.make_node(record["followed_by"][0], [outputs[0]], ["z0"]))
            outputs[0] = "z0"
        self.unused()
        values = [
            helper.make_tensor_value_info(name, number_of(entry["type"]), None)
            for name, entry in zip(outputs, record["outputs"], strict=True)
            if entry
        ]
        graph = helper.make_graph(self.nodes, "test", self.inputs, values, self.initializers)
        opset = helper.make_opsetid("", record.get("opset", 13))
        return helper.make_model(graph, opset_imports=[opset], ir_version=7)


def model_of(record):
    """A record -> the ONNX model that it speaks of."""
    return Model(record).made()
