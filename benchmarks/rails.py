"""Power rails of a Jetson: INA3221 monitors, read by the name of the rail, never by a number.

Two layouts: JetPack 4 (kernel 4.9) has an iio driver, with milliwatts in in_powerN_input beside rail_name_N (NVIDIA's
Development Guide of L4T 32.7, "Software-Based Power Consumption Modeling"); later kernels have hwmon, with millivolts
in inN_input and milliamperes in currN_input beside inN_label (kernel.org, hwmon/ina3221).
"""

import re
from typing import NamedTuple

IIO = "sys/bus/i2c/drivers/ina3221x/*/iio*device*/rail_name_[0-2]"
HWMON = ("sys/bus/i2c/drivers/ina3221*/*/hwmon/hwmon*/in[1-3]_label", "sys/class/hwmon/hwmon*/in[1-3]_label")
WHOLE = ("VDD_IN", "POM_5V_IN", "5V_IN")  # the rails that the module's others are parts of


class Rail(NamedTuple):
    """One rail: its name, and the files whose product is its power, in units of `watts`."""

    name: str
    files: tuple
    watts: float


def find(machine):
    """Machine -> the Rails that can be read now, each name once; a channel without a name or with none connected (NC)
    is no rail."""
    found = {}
    for label in machine.glob(IIO):
        folder, number = label.rsplit("/", 1)[0], label[-1]
        _add(machine, found, label, (folder + "/in_power{}_input".format(number),), 1e-3)
    for pattern in HWMON:
        for label in machine.glob(pattern):
            folder, number = label.rsplit("/", 1)[0], re.search(r"in(\d)_label", label).group(1)
            if not (machine.read(folder + "/name") or "").startswith("ina3221"):
                continue
            files = tuple("{}/{}{}_input".format(folder, kind, number) for kind in ("in", "curr"))
            _add(machine, found, label, files, 1e-6)
    return list(found.values())


def _add(machine, found, label, files, watts):
    name = machine.read(label)
    rail = Rail(name, files, watts)
    if name and name != "NC" and name not in found and power(machine, rail) is not None:
        found[name] = rail


def power(machine, rail):
    """Watts at this moment, or None where a file cannot be read."""
    product = rail.watts
    for path in rail.files:
        value = machine.number(path)
        if value is None:
            return None
        product *= value
    return product


def whole(names):
    """Names of rails -> the one that the others are parts of, or None: then their sum is the module's power."""
    return next((name for name in WHOLE if name in names), None)
