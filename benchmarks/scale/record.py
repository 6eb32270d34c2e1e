"""A run over the points: raw seconds, memory, what each graph is made of, and the board's estimate, as JSON.

    format     1
    kind       "latentjet scale"
    started    UTC, ISO 8601
    machine    see device.py, and the load before the run
    versions   {package: version}
    settings   {rounds, burst_s, threads, seed}
    points     [{family, sweep, value, arguments, batch, nodes, kernels, macs (an image's), moved_bytes (a batch's),
               parameters, graph_bytes, memory {imported, loaded, most}, board {seconds, low, high},
               seconds [[one list a round]]}], seconds to 10 ns
"""

import json
from typing import NamedTuple

import numpy as np

from ...runtime.errors import InputError
from ...runtime.files import write_file

FORMAT = 1
KIND = "latentjet scale"
HEAD = ("started", "machine", "versions", "settings")


class Measured(NamedTuple):
    """A Point and what was found there: nodes of the graph, kernels (nodes that ONNX Runtime is left with), macs of one
    image, bytes that kernels read and write, parameters, bytes of the graph, memory, board, rounds of seconds."""

    family: str
    sweep: str
    value: int
    arguments: dict
    batch: int
    nodes: int
    kernels: int
    macs: int
    moved_bytes: int
    parameters: int
    graph_bytes: int
    memory: dict
    board: dict
    seconds: tuple

    @property
    def median_s(self):
        return float(np.median([value for part in self.seconds for value in part]))

    def round_medians(self):
        """Median seconds of each round, (rounds,)."""
        return np.array([np.median(part) for part in self.seconds])


class Record(NamedTuple):
    """One run."""

    started: str
    machine: dict
    versions: dict
    settings: dict
    points: tuple


def save(record, path):
    """Write a Record; raises OutputError if it cannot be written."""
    head = dict([("format", FORMAT), ("kind", KIND)], **{name: getattr(record, name) for name in HEAD})
    lines = []
    for item in record.points:
        entry = dict(item._asdict())
        rounds = ["[" + ", ".join("{:.8f}".format(value) for value in part) + "]" for part in entry.pop("seconds")]
        lines.append("  " + json.dumps(entry)[:-1] + ', "seconds": [\n   ' + ",\n   ".join(rounds) + "]}")
    text = json.dumps(head, indent=1)[:-2] + ',\n "points": [\n' + ",\n".join(lines) + "\n ]\n}\n"
    write_file(path, text.encode("utf-8"))


def load(path):
    """Path -> Record. Raises InputError for a file that is missing or is none."""
    try:
        with open(path, encoding="utf-8") as handle:
            content = json.load(handle)
        if content["kind"] != KIND or content["format"] != FORMAT:
            raise KeyError("kind or format")
        found = []
        for entry in content["points"]:
            found.append(Measured(**dict(entry, seconds=tuple(tuple(part) for part in entry["seconds"]))))
            if not found[-1].seconds or not all(part and min(part) > 0 for part in found[-1].seconds):
                raise ValueError("seconds of {} {} are not valid".format(entry["sweep"], entry["value"]))
        head = [content[name] for name in HEAD]
    except OSError as error:
        raise InputError("{} cannot be read: {}".format(path, error.strerror or error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("{} is no record of the cost of scale ({})".format(path, error))
    return Record(*head, points=tuple(found))
