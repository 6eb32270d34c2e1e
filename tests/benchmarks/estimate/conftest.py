"""Small ONNX graphs for the tests of the estimator."""

import pytest

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402


class Maker(object):
    """Puts a graph together, node by node; every method returns the name of the tensor it makes."""

    def __init__(self):
        self.nodes, self.weights, self.count = [], [], 0

    def weight(self, *shape):
        self.count += 1
        name = "w{}".format(self.count)
        numbers = 1
        for size in shape:
            numbers *= size
        self.weights.append(helper.make_tensor(name, TensorProto.FLOAT, shape, [0.5] * numbers))
        return name

    def ints(self, *values):
        self.count += 1
        name = "i{}".format(self.count)
        self.weights.append(helper.make_tensor(name, TensorProto.INT64, [len(values)], values))
        return name

    def node(self, operator, *inputs, **attributes):
        made = attributes.pop("made", 1)
        self.count += 1
        name = "{}_{}".format(operator.lower(), self.count)
        outputs = [name] if made == 1 else ["{}_{}".format(name, index) for index in range(made)]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, name=name, **attributes))
        return name if made == 1 else outputs

    def conv(self, given, channels_in, channels_out, size=3, **attributes):
        weight = self.weight(channels_out, channels_in // attributes.get("group", 1), size, size)
        return self.node("Conv", given, weight, self.weight(channels_out), pads=[size // 2] * 4, **attributes)

    def content(self, outputs, opset=13, **inputs):
        """Names of outputs, shapes of inputs -> the file's bytes."""
        given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
        made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "test", given, made, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
        return model.SerializeToString()


@pytest.fixture
def make():
    return Maker()
