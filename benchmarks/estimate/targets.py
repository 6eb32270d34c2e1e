"""The boards that can be predicted, from targets.json: cores and clocks by power mode, with where they come from."""

import json
import os
from typing import NamedTuple

from ...runtime.errors import InputError

PLACE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "targets.json")
HALF_RATE_OF_CALIBRATION = 2  # the TX2's: half multiply-accumulates a core and cycle, by float32's


class Device(NamedTuple):
    """A board in a power mode. target, mode: as typed; name; cores; half_rate: peak of half precision over float32's;
    gpu_hz, cpu_hz; memory_bytes_per_s: nominal; calibrated: were published latencies of this board fitted?
    tensorrt: the last that JetPack has for it, None where that is newer than what is known here."""

    target: str
    mode: str
    name: str
    cores: int
    half_rate: int
    gpu_hz: float
    cpu_hz: float
    memory_bytes_per_s: float
    calibrated: bool
    tensorrt: str = None

    @property
    def macs_per_s(self):
        """Peak multiply-accumulates a second in float32: one a core and cycle."""
        return self.cores * self.gpu_hz


def table():
    """targets.json -> {target: its entry}."""
    with open(PLACE, encoding="utf-8") as handle:
        return json.load(handle)


def find(target, mode=None):
    """Target and power mode (its default unless told) -> Device. Raises InputError that lists those there are."""
    known = table()
    if target not in known:
        raise InputError("target is '{}', expected one of: {}".format(target, ", ".join(sorted(known))))
    entry = known[target]
    mode = mode or entry["default"]
    if mode not in entry["modes"]:
        raise InputError(
            "power mode of {} is '{}', expected one of: {}".format(target, mode, ", ".join(sorted(entry["modes"])))
        )
    clocks = entry["modes"][mode]
    return Device(
        target, mode, entry["name"], entry["cores"], entry["half_rate"], float(clocks["gpu_hz"]),
        float(clocks["cpu_hz"]), float(clocks["memory_hz"]) * entry["bus_bytes"], entry["calibrated"],
        entry.get("tensorrt"),
    )  # fmt: skip
