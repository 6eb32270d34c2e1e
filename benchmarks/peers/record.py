"""One run beside the peers: raw seconds and where they were measured, as JSON.

    format     1
    kind       "latentjet peers"
    started    UTC, ISO 8601
    machine    see device.py
    versions   {package: version}
    settings   {rounds, burst_s, threads, seed, size}
    results    [{work, name, form, way, batch, parameters, macs, note, seconds [[one list a round]]}], seconds to 10 ns
"""

import json
from typing import NamedTuple

import numpy as np

from ...runtime.errors import InputError
from ...runtime.files import write_file

FORMAT = 1
KIND = "latentjet peers"


class Measured(NamedTuple):
    """One system of a work at one batch size: whose model, form, way, what it is, rounds of seconds."""

    work: str
    name: str
    form: str
    way: str
    batch: int
    parameters: int
    macs: int
    seconds: tuple
    note: str = ""

    @property
    def key(self):
        return self.name, self.form, self.way

    @property
    def rounds(self):
        return self.seconds

    @property
    def median_s(self):
        """Median of all raw seconds, as of a Result of `latentjet bench`."""
        return float(np.median([value for part in self.seconds for value in part]))

    def round_medians(self):
        """Median seconds of each round, (rounds,): what results.ratio reads."""
        return np.array([np.median(part) for part in self.seconds])


class Record(NamedTuple):
    """One run over works."""

    started: str
    machine: dict
    versions: dict
    settings: dict
    results: tuple


def save(record, path):
    """Write a Record, one line a round; raises OutputError if it cannot be written."""
    head = {"format": FORMAT, "kind": KIND}
    head.update((name, getattr(record, name)) for name in ("started", "machine", "versions", "settings"))
    lines = [json.dumps(head, indent=1)[:-2] + ',\n "results": [']
    parts = []
    for item in record.results:
        entry = dict(item._asdict())
        rounds = ["[" + ", ".join("{:.8f}".format(value) for value in part) + "]" for part in entry.pop("seconds")]
        parts.append("  " + json.dumps(entry)[:-1] + ', "seconds": [\n   ' + ",\n   ".join(rounds) + "]}")
    lines.append(",\n".join(parts))
    write_file(path, ("\n".join(lines) + "\n ]\n}\n").encode("utf-8"))


def load(path):
    """Path -> Record. Raises InputError for a file that is missing or is none."""
    try:
        with open(path, encoding="utf-8") as handle:
            content = json.load(handle)
        if content["kind"] != KIND or content["format"] != FORMAT:
            raise KeyError("kind or format")
        found = []
        for entry in content["results"]:
            entry = dict(entry, seconds=tuple(tuple(part) for part in entry["seconds"]))
            found.append(Measured(**entry))
            if not entry["seconds"] or not all(part and min(part) > 0 for part in entry["seconds"]):
                raise ValueError("seconds of {} {} are not valid".format(entry["name"], entry["way"]))
        head = [content[name] for name in ("started", "machine", "versions", "settings")]
    except OSError as error:
        raise InputError("{} cannot be read: {}".format(path, error.strerror or error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("{} is no record of a run beside the peers ({})".format(path, error))
    return Record(*head, results=tuple(found))
