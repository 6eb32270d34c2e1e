"""The state of a machine at one moment: clocks, temperatures, throttling, load, memory. Read before and after a run."""

import re

from . import clocks

SMI = (
    "temperature.gpu", "clocks.gr", "clocks.max.gr", "clocks.mem", "clocks.max.mem", "clocks_throttle_reasons.active"
)  # fmt: skip
IDLE_REASONS = 0x1 | 0x2  # the GPU is idle, or runs at the clocks it was told to
COUNTS = (
    "sys/class/hwmon/hwmon*/oc[0-9]_event_cnt",  # Orin: the power supply's over-current events
    "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count",
)


def read(machine, earlier=None):
    """Machine -> {clocks_hz, governor, temperatures_c, throttled, throttle_counts, load, memory_free_bytes,
    swap_used_bytes}; what cannot be read is left out. earlier: a state; events counted since then are throttling."""
    counts = throttle_counts(machine)
    before = (earlier or {}).get("throttle_counts", counts)
    found = {
        "clocks_hz": clocks.read(machine, clocks.find(machine)),
        "governor": machine.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "temperatures_c": temperatures(machine),
        "throttled": cooling(machine) + sorted(name for name in counts if counts[name] > before.get(name, 0)),
        "throttle_counts": counts,
        "load": load(machine),
    }
    found.update(memory(machine))
    _add_gpu(machine, found)
    return {name: value for name, value in found.items() if value or name == "throttled"}


def temperatures(machine):
    """{zone: degrees Celsius}; without a Jetson's PMIC, whose sensor always says 100."""
    found = {}
    for folder in machine.glob("sys/class/thermal/thermal_zone[0-9]*"):
        name, value = machine.read(folder + "/type"), machine.number(folder + "/temp")
        if name and value is not None and not name.startswith("PMIC"):
            found[name] = value / 1000.0
    return found


def cooling(machine):
    """Names of what the kernel slows down at this moment to cool it; fans may turn."""
    found = set()
    for folder in machine.glob("sys/class/thermal/cooling_device[0-9]*"):
        name, state = machine.read(folder + "/type") or "", machine.number(folder + "/cur_state")
        if state and "fan" not in name.lower():
            found.add(name)
    return sorted(found)


def throttle_counts(machine):
    """{what: events since the machine started}"""
    found = {}
    for pattern in COUNTS:
        for path in machine.glob(pattern):
            value = machine.number(path)
            if value is not None:
                found[path.rsplit("/", 1)[1]] = value
    return found


def load(machine):
    """Load of the last 1, 5 and 15 minutes, or []."""
    match = re.match(r"([\d.]+) ([\d.]+) ([\d.]+) ", machine.read("proc/loadavg") or "")
    return [float(value) for value in match.groups()] if match else []


def memory(machine):
    """{memory_free_bytes, swap_used_bytes} as /proc/meminfo tells them."""
    told = {
        name: int(count) * 1024
        for name, count in re.findall(r"(\w+): +(\d{1,15}) kB", machine.read("proc/meminfo") or "")
    }
    found = {"memory_free_bytes": told.get("MemAvailable", told.get("MemFree"))}
    if "SwapTotal" in told and "SwapFree" in told:
        found["swap_used_bytes"] = told["SwapTotal"] - told["SwapFree"]
    return found


def _add_gpu(machine, found):
    """A GPU with a driver of its own (no Jetson's), as nvidia-smi tells of it."""
    outcome = machine.run(["nvidia-smi", "--query-gpu=" + ",".join(SMI), "--format=csv,noheader,nounits"], 10)
    words = [word.strip() for word in (outcome.out.splitlines() or [""])[0].split(",")]
    if outcome.status != 0 or len(words) != len(SMI):
        return
    told = dict(zip(SMI, words))
    if told["temperature.gpu"].isdecimal():
        found["temperatures_c"]["gpu"] = float(told["temperature.gpu"])
    for name, key in (("gpu", "gr"), ("gpu memory", "mem")):
        values = {"now": told["clocks." + key], "most": told["clocks.max." + key]}
        found["clocks_hz"][name] = {key: int(value) * 10**6 for key, value in values.items() if value.isdecimal()}
    reasons = told["clocks_throttle_reasons.active"]
    if re.match(r"0x[0-9a-fA-F]+\Z", reasons) and int(reasons, 16) & ~IDLE_REASONS:
        found["throttled"].append("gpu (reasons {})".format(reasons))
