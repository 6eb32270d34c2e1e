"""Who makes and who reads each tensor, once views, constants and paddings of convolutions are seen through."""

from .operators import PRODUCTS, VIEWS


class Flow(object):
    """nodes: those that do something, in order; root(tensor): the tensor whose numbers it shows; maker {root: index of
    its node}; readers {root: indices of nodes, once each}; outputs: roots that leave the graph."""

    def __init__(self, graph):
        self.graph, self._seen_through = graph, {}
        live = [node for node in graph.nodes if not all(item in graph.constants for item in node.outputs if item)]
        readers = _readers(live, lambda tensor: tensor)
        self.nodes = []
        for node in live:
            if is_view(graph, node) or is_padding_of_convolutions(live, node, readers):
                self._seen_through[node.outputs[0]] = self.root(node.inputs[0])
            else:
                self.nodes.append(node)
        self.maker = {item: index for index, node in enumerate(self.nodes) for item in node.outputs}
        self.readers = _readers(self.nodes, self.root)
        self.outputs = {self.root(item) for item in graph.outputs}

    def root(self, tensor):
        return self._seen_through.get(tensor, tensor)

    def inputs(self, node):
        """The roots of what a node reads that depends on the graph's inputs, once each, in order."""
        found = []
        for item in node.inputs:
            root = self.root(item)
            if item and root not in self.graph.constants and root not in found:
                found.append(root)
        return found

    def only_reader(self, tensor):
        """The index of the one node that reads a tensor, if there is one and the tensor does not leave the graph."""
        indices = self.readers.get(tensor, ())
        return indices[0] if len(indices) == 1 and tensor not in self.outputs else None


def _readers(nodes, root):
    found = {}
    for index, node in enumerate(nodes):
        for tensor in {root(item) for item in node.inputs if item}:
            found.setdefault(tensor, []).append(index)
    return found


def is_view(graph, node):
    """Does a node leave its numbers where they are? A transposition does if it moves axes of size 1 only."""
    if node.operator in VIEWS:
        return True
    given, made = node.inputs[0] if node.inputs else "", node.outputs[0]
    if node.operator == "Cast":
        return given in graph.floating and made in graph.floating
    if node.operator == "Transpose":
        shape = graph.shapes[given]
        order = node.attributes.get("perm", list(reversed(range(len(shape)))))
        moved = [axis for axis in order if shape[axis] != 1]
        return moved == sorted(moved)
    return node.operator in ("Concat", "Sum", "Max", "Min", "Mean") and len(node.inputs) == 1


def is_padding_of_convolutions(nodes, node, readers):
    """A constant padding that only convolutions read becomes theirs."""
    indices = readers.get(node.outputs[0], ())
    constant = node.attributes.get("mode", b"constant") == b"constant"
    return (
        node.operator == "Pad" and constant and bool(indices)
        and all(nodes[index].operator in PRODUCTS and nodes[index].inputs[0] == node.outputs[0] for index in indices)
    )  # fmt: skip
