"""A graph -> the kernels that TensorRT makes of it.

The rules are those of TensorRT 8's builder, as its documents list them and its logs on Jetsons show them
(docs/estimate.md names the sources):

- constants are folded; reshapes vanish; a transposition is a kernel unless it moves axes of size 1 only;
- a convolution, deconvolution or matrix product takes the scale, bias or batch normalisation that follows it, then one
  sum with an array of the same shape, then ReLU or Clip (no other activation: sm_62 has no such kernels);
- convolutions of one array with the same geometry and activation become one ("a || b");
- chains of elementwise operators become one kernel, PWN in the logs;
- a concatenation vanishes where those who make its parts can write into it, else each part is a copy;
- a slice is a kernel, and a split as many as it has outputs.

`whole` gives TensorRT for RTX's rules instead: whatever lies between matrix products is one kernel, slices and
concatenations too. It is there to be compared with that builder's own counts, and to say what such fusion would save.
"""

from typing import NamedTuple

from . import work
from .flow import Flow
from .kernel import Kernel
from .operators import COPIES, POINTWISE, PRODUCTS, kind_of

FOLDED = ("Add", "Sub", "Mul", "Div", "BatchNormalization")
SUMS = ("Add", "Sum", "Min", "Max")
CLIPS = ("Relu", "Clip")


class Fused(NamedTuple):
    """kernels in order; ends: elements of each floating input and output; unknown: operators whose work is not known."""

    kernels: tuple
    ends: tuple
    unknown: tuple


class Group(object):
    """A kernel that is being put together: indices of its nodes; kind; its Size, and what tells apart convolutions
    that could be one (None: no other can)."""

    def __init__(self, indices, size, twin=None):
        self.indices, self.size, self.twin, self.merged = list(indices), size, twin, False


def fuse(graph, whole=False, float32=(), chains=True):
    """Graph, names of nodes that stay in single precision -> Fused.

    whole: fuse as TensorRT for RTX does; chains: fuse elementwise operators, as TensorRT does since its version 6.
    """
    flow = Flow(graph)
    groups, taken = products(flow), set()
    for group in groups:
        taken.update(group.indices)
    if whole:
        groups += between(flow, groups, taken)
    else:
        groups = merge_twins(flow, groups)
        groups += pointwise(flow, taken, chains)
        groups += movers(flow, groups, taken)
    groups.sort(key=lambda group: max(group.indices))
    kernels = [to_kernel(flow, group, set(float32)) for group in groups]
    ends = tuple(graph.elements(item) for item in graph.inputs + graph.outputs if item in graph.floating)
    unknown = sorted({node.operator for node in flow.nodes if kind_of_node(node) == "other"})
    return Fused(tuple(kernel for kernel in kernels if kernel.written), ends, tuple(unknown))


def kind_of_node(node):
    return "product" if node.operator in PRODUCTS else kind_of(node.operator)


def products(flow):
    """Matrix products, each with what follows it and fits into its kernel."""
    found = []
    for index, node in enumerate(flow.nodes):
        if node.operator in PRODUCTS:
            indices, residual, last = absorb(flow, index)
            twin = None
            if node.operator == "Conv" and not residual and node.attributes.get("group", 1) == 1:
                geometry = sorted((key, str(value)) for key, value in node.attributes.items())
                taps = flow.graph.shapes[node.inputs[1]][2:]
                twin = (flow.root(node.inputs[0]), taps, str(geometry), last)
            found.append(Group(indices, work.of_product(flow.graph, node), twin))
    return found


def absorb(flow, index):
    """Index of a product -> (indices of it and what it takes in, does it add another array, last activation)."""
    node, indices, residual, linear = flow.nodes[index], [index], False, True
    if not all(item in flow.graph.constants for item in node.inputs[1:] if item):
        return indices, False, ""
    tensor = node.outputs[0]
    while True:
        following = flow.only_reader(tensor)
        if following is None:
            return indices, residual, ""
        reader = flow.nodes[following]
        others = [item for item in flow.inputs(reader) if item != tensor]
        same = flow.graph.elements(reader.outputs[0]) == flow.graph.elements(tensor)
        if reader.operator in CLIPS:
            return indices + [following], residual, reader.operator
        if linear and reader.operator in FOLDED and not others and same and not reads_twice(flow, reader, tensor):
            pass
        elif not residual and reader.operator in SUMS and is_residual(flow, tensor, others, index):
            residual, linear = True, False
        else:
            return indices, residual, ""
        indices.append(following)
        tensor = reader.outputs[0]


def reads_twice(flow, node, tensor):
    return sum(flow.root(item) == tensor for item in node.inputs) > 1


def is_residual(flow, tensor, others, index):
    """Is there one other array, of the same shape, made before the product at index?"""
    if len(others) != 1 or flow.graph.elements(others[0]) != flow.graph.elements(tensor):
        return False
    return flow.maker.get(others[0], -1) < index


def merge_twins(flow, groups):
    """Convolutions of one array with the same geometry and activation become one."""
    kept, first = [], {}
    for group in groups:
        other = first.get(group.twin) if group.twin else None
        if other is None:
            kept.append(group)
            if group.twin:
                first[group.twin] = group
            continue
        other.indices += group.indices
        other.merged = True
        other.size.macs += group.size.macs
        other.size.columns += group.size.columns
    return kept


def pointwise(flow, taken, chains):
    """Elementwise nodes that no product took, grouped so that only a group's last array is written."""
    groups, group_of = [], {}
    for index in reversed(range(len(flow.nodes))):
        node = flow.nodes[index]
        if index in taken or node.operator not in POINTWISE:
            continue
        readers = flow.readers.get(node.outputs[0], ())
        owners = {id(group_of[item]) if item in group_of else None for item in readers}
        if chains and readers and len(owners) == 1 and None not in owners and node.outputs[0] not in flow.outputs:
            group = group_of[readers[0]]
            group.indices.append(index)
        else:
            group = Group([index], work.of_mover(flow.graph, node, "pointwise"))
            groups.append(group)
        group_of[index] = group
    taken.update(group_of)
    return groups


def movers(flow, groups, taken):
    """All that is left: pools, reductions, slices, and the parts of concatenations that have to be copied."""
    merged = {index for group in groups if group.merged for index in group.indices}
    found, placed = [], set()
    for index, node in enumerate(flow.nodes):
        if index in taken:
            continue
        if node.operator == "Concat":
            for part in node.inputs:
                if must_copy(flow, part, placed, merged):
                    found.append(Copy(index, part))
                placed.add(flow.root(part))
        elif node.operator in COPIES:
            found += [Copy(index, item) for item in node.outputs if item and is_used(flow, item)]
        else:
            found.append(Group([index], work.of_mover(flow.graph, node, kind_of(node.operator))))
    return found


class Copy(Group):
    """A kernel that moves one array of a node: a part of a concatenation, or an output of a split."""

    def __init__(self, index, tensor):
        Group.__init__(self, [index], None)
        self.tensor = tensor


def must_copy(flow, part, placed, merged):
    """Can the one who makes a part of a concatenation not write it in place?"""
    root = flow.root(part)
    maker = flow.maker.get(root)
    if maker is None or root in placed or maker in merged or root in flow.outputs:
        return True
    return flow.nodes[maker].operator == "Concat" or flow.graph.shapes[root][2:] != flow.graph.shapes[part][2:]


def is_used(flow, tensor):
    return bool(flow.readers.get(tensor)) or tensor in flow.outputs


def between(flow, groups, taken):
    """Whatever lies between matrix products, connected, as one kernel: TensorRT for RTX's fusion."""
    levels, leader = {}, {}
    for group in groups:
        for index in group.indices:
            leader[index] = group.indices[0]
    for index, node in enumerate(flow.nodes):
        made = [flow.maker[item] for item in flow.inputs(node) if item in flow.maker]
        before = max([levels[item] for item in made] or [0])
        levels[index] = before + 1 if leader.get(index) == index else before
    parent = {index: index for index in range(len(flow.nodes)) if index not in taken}

    def find(index):
        while parent[index] != index:
            index = parent[index]
        return index

    for index in sorted(parent):
        for item in flow.inputs(flow.nodes[index]):
            maker = flow.maker.get(item)
            if maker in parent and levels[maker] == levels[index]:
                parent[find(maker)] = find(index)
    found = {}
    for index in parent:
        found.setdefault(find(index), []).append(index)
    return [
        Group(sorted(indices), work.of_mover(flow.graph, flow.nodes[max(indices)], "pointwise"))
        for indices in found.values()
    ]


def to_kernel(flow, group, float32):
    """Group -> Kernel."""
    nodes = [flow.nodes[index] for index in sorted(group.indices)]
    single = any(node.name in float32 for node in nodes)
    if isinstance(group, Copy):
        count = flow.graph.elements(group.tensor)
        columns = (flow.graph.shapes[group.tensor] + (1, 1))[1]
        name = "{} of {}".format(group.tensor, nodes[0].name)
        return Kernel(name, "copy", 0, 0, count, count, count // max(1, columns), columns, 0, single)
    made = {item for node in nodes for item in node.outputs}
    read, constants, written = set(), set(), set()
    for node in nodes:
        read.update(item for item in flow.inputs(node) if item not in made)
        constants.update(item for item in node.inputs if item in flow.graph.constants)
        for item in node.outputs:
            inside = set(flow.readers.get(item, ())) <= set(group.indices)
            if item and (item in flow.outputs or not inside):
                written.add(item)
    total = flow.graph.elements
    weights = sum(total(item) for item in constants if item in flow.graph.shapes)
    size = group.size
    return Kernel(
        " + ".join(node.name for node in nodes), size.kind, size.macs, weights, sum(map(total, read)),
        sum(map(total, written)), size.rows, size.columns, size.depth, single,
    )  # fmt: skip
