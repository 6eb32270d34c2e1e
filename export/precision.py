"""Which nodes of a decode graph run in half precision, decided by measurement and proven by a gate.

1. Ranges: calibration inputs (z at temperature 1, every label) go through the float32 graph; a node whose values come
   within a factor 4 of half's largest number (65,504) stays in float32, and so does an Exp of more than log(65504 / 4).
2. Gate: the graph typed in half against the float32 one, in ONNX Runtime: at least 99.9 % of pixels within 2 levels of
   8 bit, no value that is not finite in 10,000 samples at temperature 1; for a flow the round trip is measured.
3. Where the gate fails, more nodes are promoted to float32, in the order of PROMOTIONS, until it passes.

ONNX Runtime's processor kernels compute half graphs in float32 and drop the roundings in between, so the gate runs an
emulation that rounds after every operator (half.emulate). It is still optimistic about accumulation inside a product;
the board repeats the gate on the engine it has built.
"""

import math
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime

from ..runtime.levels import SHARE_WITHIN, count_within, levels
from .half import emulate, to_half

LARGEST_HALF = 65504.0
LIMIT = LARGEST_HALF / 4
SAMPLES, BATCH = 10_000, 500
ELEMENTWISE = {"Add", "Sub", "Mul", "Div", "Exp", "Log", "Tanh", "Sigmoid", "Sqrt", "Pow", "Neg"}
MATRIX = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


class Gate(NamedTuple):
    """What the gate measured: share of pixels within 2 levels, largest difference in levels, values not finite,
    number of samples; round_trip: mean and largest |z - encode(decode(z))| for a flow, else None."""

    within: float
    largest_levels: float
    not_finite: int
    samples: int
    round_trip: dict = None

    @property
    def passed(self):
        return self.within >= SHARE_WITHIN and self.not_finite == 0


class Decision(NamedTuple):
    """keep: {node: why it stays in float32}; model: the typed graph (None: all float32); gate; ranges {value: |max|};
    exps {node: largest input of each exponential}; promotions: how many steps of PROMOTIONS were needed."""

    keep: dict
    model: object
    gate: Gate
    ranges: dict
    exps: dict
    promotions: int


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def calibration(latent, classes, count=SAMPLES, seed=40):
    """Batches of decode inputs: z at temperature 1, labels in turn; two seeds, one to decide and one to prove."""
    stream, order = np.random.RandomState(seed), np.arange(count)
    for start in range(0, count, BATCH):
        rows = order[start : start + BATCH]
        feeds = {"z": stream.standard_normal((len(rows), latent)).astype(np.float32)}
        if classes:
            feeds["labels"] = np.eye(classes, dtype=np.float32)[rows % classes]
        yield feeds


def measure_ranges(model, batches):
    """ModelProto, batches of feeds -> {value name: largest magnitude} of every value that a node computes."""
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output if name]
    del probed.graph.output[:]
    probed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    runner, ranges = session(probed), dict.fromkeys(names, 0.0)
    for feeds in batches:
        for name, value in zip(names, runner.run(None, feeds), strict=True):
            ranges[name] = max(ranges[name], float(np.abs(value).max()))
    return ranges


def out_of_range(model, ranges):
    """{node: reason} of nodes whose values, or whose inputs, are too large for half."""
    keep = {}
    for node in model.graph.node:
        for name in node.output:
            if not ranges[name] <= LIMIT:
                keep[node.name] = f"its values reach {ranges[name]:.3g}, half holds {LARGEST_HALF:.0f}"
        for name in node.input:
            if node.name not in keep and name in ranges:
                if not ranges[name] <= LIMIT:
                    keep[node.name] = f"it reads values up to {ranges[name]:.3g}"
                elif node.op_type == "Exp" and ranges[name] > math.log(LIMIT):
                    keep[node.name] = f"the exponential of {ranges[name]:.3g}"
    return keep


def elementwise_chain(model):
    """The arithmetic of the couplings and the tensor that they carry."""
    return {node.name for node in model.graph.node if node.op_type in ELEMENTWISE}


def last_matrices(model):
    """The products whose result goes into the arithmetic, not through a Relu: the last layer of each s, t net."""
    readers = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def readers_of(node):
        return [reader for name in node.output for reader in readers.get(name, [])]

    def feeds_arithmetic(node):
        after = readers_of(node)
        after += [reader for item in after if item.op_type == "Split" for reader in readers_of(item)]
        return any(reader.op_type in ELEMENTWISE for reader in after)

    return {node.name for node in model.graph.node if node.op_type in MATRIX and feeds_arithmetic(node)}


def first_half(model):
    """The couplings that are applied first: their error passes through all the others."""
    nodes = list(model.graph.node)
    return {node.name for node in nodes[: len(nodes) // 2]}


PROMOTIONS = (
    ("the arithmetic of the couplings and the carried tensor", elementwise_chain),
    ("the last layer of each net", last_matrices),
    ("the couplings applied first", first_half),
)


def compare(model, emulated, batches, encoder=None):
    """A float32 graph and its emulation in half, batches, encode graph of a flow -> Gate; levels: runtime/levels.py."""
    exact, half = session(model), session(emulated)
    back = session(encoder) if encoder else None
    within = pixels = samples = not_finite = 0
    largest, gaps = 0.0, None
    for feeds in batches:
        expected, seen = exact.run(None, feeds)[0], half.run(None, feeds)[0]
        not_finite += int((~np.isfinite(seen)).sum())
        gap = levels(seen, expected)
        within, pixels = within + count_within(gap), pixels + gap.size
        largest, samples = max(largest, float(gap.max())), samples + len(expected)
        if back and gaps is None:
            rest = {name: value for name, value in feeds.items() if name != "z"}
            again = back.run(None, {"images": np.clip(seen, 0, 1), **rest})[0]
            gaps = np.abs(again - feeds["z"])
    trip = {"mean": float(np.mean(gaps)), "largest": float(np.max(gaps))} if back else None
    return Gate(within / pixels, largest, not_finite, samples, trip)


def product_bound(flow):
    """A RealNVP -> the largest factor by which its couplings together can scale one element, whatever their nets say.

    In each level an element lies in half a or b; couplings with even index change b, the others a.
    """
    total = 0.0
    for level in flow.levels:
        bounds = [coupling.bound for coupling in level.couplings]
        total += max(sum(bounds[0::2]), sum(bounds[1::2]))
    return math.exp(total)


def decide(model, batches, ranging, encoder=None, bound=0.0):
    """A float32 graph -> Decision: as much in half as passes the gate.

    batches: function that returns the gate's batches of feeds; ranging: those for the ranges; encoder: a flow's encode
    graph; bound: its product bound; above LIMIT the first promotion is taken at once.
    """
    ranges = measure_ranges(model, ranging)
    keep = out_of_range(model, ranges)
    if bound > LIMIT:
        reason = f"the couplings can scale by {bound:.3g} together, half is safe to {LIMIT:.0f}"
        keep.update({name: reason for name in elementwise_chain(model) if name not in keep})
    exps = {node.name: ranges[node.input[0]] for node in model.graph.node if node.op_type == "Exp"}
    for count in range(len(PROMOTIONS) + 1):
        if count:
            reason, chosen = PROMOTIONS[count - 1]
            keep.update({name: f"promoted: {reason}" for name in chosen(model) if name not in keep})
        gate = compare(model, emulate(model, keep), batches(), encoder)
        if gate.passed:
            return Decision(keep, to_half(model, keep), gate, ranges, exps, count)
    every = {node.name: "no promotion passed the gate" for node in model.graph.node}
    return Decision(every, None, gate, ranges, exps, len(PROMOTIONS) + 1)


def entry(decision, file, bound):
    """A Decision -> what the manifest keeps of it; file: the typed graph's name."""
    return {
        "file": file if decision.model else None,
        "keep_float32": decision.keep,
        "promotions": decision.promotions,
        "largest_value": max(decision.ranges.values()),
        "exp_inputs": decision.exps,
        "product_bound": bound or None,
        "gate": dict(decision.gate._asdict(), passed=decision.gate.passed),
    }
