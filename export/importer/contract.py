"""The contract of the importers of TensorRT 8 (contract.json), as sets that can be asked.

Which operators there are, which types and ranks their data may have, and which inputs must be known while the graph is
read. The rules that are words in the contract are functions in rules_*.py.
"""

import functools
import json
import os
import re

PLACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contract.json")
# importers that release/8.2-GA has and release/8.0-GA has not
ABSENT_FROM_8_0 = frozenset(("Einsum", "GatherND", "IsNaN", "Round", "Scatter", "ScatterElements", "ScatterND", "Sign"))
NAMES = {"FLOAT": "FLOAT", "DOUBLE": "FLOAT", "HALF": "FLOAT16", "FLOAT16": "FLOAT16", "INT8": "INT8", "INT32": "INT32",
         "INT64": "INT32", "BOOL": "BOOL", "UINT8": "INT32"}  # fmt: skip
# operators whose first input is not the data that the contract's types are about, or whose importer does not look
OTHERWISE = frozenset(
    ("Where", "RandomUniformLike", "If", "Loop", "Scan", "Dropout", "Pad", "ReverseSequence", "Scatter",
     "ScatterElements", "ScatterND")
)  # fmt: skip
KNOWN_INPUTS = frozenset(("FLOAT", "FLOAT16", "DOUBLE", "INT8", "INT32", "INT64", "BOOL"))
KNOWN_WEIGHTS = KNOWN_INPUTS | {"UINT8"}


@functools.lru_cache(1)
def contract():
    """{operator: {constant_inputs, types, ranks, rules, quirks, source}}; "(general)" is about every graph."""
    with open(PLACE, encoding="utf-8") as handle:
        return json.load(handle)


def operators(version="8.2"):
    """The names of the operators that a version has an importer for."""
    names = {name for name in contract() if not name.startswith("(")}
    return names - ABSENT_FROM_8_0 if version == "8.0" else names


def constant_inputs(operator):
    """Indices of the inputs that must be weights."""
    return contract()[operator]["constant_inputs"]


@functools.lru_cache(None)
def types(operator):
    """The types that an operator's data may have, as TensorRT names them; None where all are taken."""
    text = contract()[operator]["types"]
    if text.startswith("all") or operator in OTHERWISE:
        return None
    words = re.findall(r"[A-Z]+[0-9]*", re.sub(r"\(.*?\)", "", text))
    return frozenset(NAMES[word] for word in words if word in NAMES)


@functools.lru_cache(None)
def ranks(operator):
    """(least, most) axes that an operator's data may have."""
    text = contract()[operator]["ranks"].split("(")[0].split(";")[0]
    numbers = [int(word) for word in re.findall(r"\d+", text)]
    if text.startswith(("any", "result", "documented")) or not numbers:
        return 0, 8
    return (numbers[0], 8) if "and more" in text else (min(numbers), max(numbers))
