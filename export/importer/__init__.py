"""What the ONNX parser of TensorRT 8.2 and 8.0 says of a graph: its contract as data, its rules as code.

    findings_of(model)          every node that the parser refuses, or reads as something else than ONNX means

Contents
    contract.json    the contract of each operator's importer: constant inputs, types, ranks, rules, quirks, source
    contract.py      the same, as sets that can be asked
    facts.py         an ONNX model -> nodes with the type, shape and value of each input, as far as they are known
    finding.py       what a rule says, and the registry of rules
    rules_*.py       what the contract says in words, one function per operator, by subject
    judge.py         facts and rules -> findings

Sources: onnx-tensorrt release/8.2-GA and release/8.0-GA, builtin_op_importers.cpp (the importers), and NvInfer.h of
TensorRT 8.2.1 (what a layer takes). The rules are held against the verdicts that this parser gave on 1,268 small nodes
(tests/export/importer/verdicts.json). CPython 3.6 code: the stand-in for TensorRT in the tests reads by the same rules.
"""

from .finding import CHANGED, DEPENDS, REFUSED, UNDEFINED, Finding  # noqa: F401
from .judge import VERSIONS, findings_of, graph_findings, node_findings  # noqa: F401
