"""Builds the published networks, fuses them, and writes their kernels to benchmarks/estimate/networks.json.

    python tests/published/build.py [FILE]

It needs torch and torchvision, two gigabytes of memory and about two minutes; the calibration and its tests read the file.
"""

import io
import json
import sys
import warnings
from pathlib import Path

import torch
from latentjet.benchmarks.estimate import fusion, graph, kernel

sys.path.insert(0, str(Path(__file__).resolve().parent))
import lffd
import slim

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = {**slim.NETWORKS, **lffd.NETWORKS}


def onnx_bytes(network, size):
    """nn.Module, (height, width) -> an ONNX file's bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that writes opset 13 is deprecated
        torch.onnx.export(
            network.eval(), (torch.zeros(1, 3, *size),), buffer, opset_version=13, dynamo=False, input_names=["image"]
        )
    return buffer.getvalue()


def sizes_of(published):
    """Published rows -> {network: sizes as written there}."""
    found = {}
    for row in published["rows"]:
        found.setdefault(row["network"], [])
        if row["input"] not in found[row["network"]]:
            found[row["network"]].append(row["input"])
    return found


def build(name, text):
    """Network and "WIDTHxHEIGHT" -> what networks.json keeps of it."""
    width, height = map(int, text.split("x"))
    torch.manual_seed(0)
    read = graph.read(onnx_bytes(NETWORKS[name](), (height, width)), name=name)
    fused = fusion.fuse(read, chains=False)
    return {"ends": fused.ends, "kernels": [kernel.to_row(item) for item in fused.kernels]}


def main(place=ROOT / "benchmarks" / "estimate" / "networks.json"):
    published = json.loads((ROOT / "benchmarks" / "estimate" / "published.json").read_text())
    found = {}
    for name, sizes in sizes_of(published).items():
        for text in sizes:
            if name in NETWORKS:
                found[f"{name} {text}"] = made = build(name, text)
                macs = sum(row[1] for row in made["kernels"])
                print(f"{name:<24} {text:<10} {len(made['kernels']):>4} kernels {macs / 1e9:8.3f} GMAC")
    lines = [f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in found.items()]
    Path(place).write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
