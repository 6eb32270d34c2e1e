"""File trees of boards: what a Jetson's kernel shows of rails, clocks, temperatures and itself.

None was recorded on a board: each is put together from what is written about it, and `source` says where.
The numbers in them are made up, but of the size that such a board shows.
"""

import os
from typing import NamedTuple

ENERGYMON = "names of channels: energymon's jetson reader, from L4T 32.6.1's device trees (github.com/energymon/energymon)"
JETSON_STATS = "files of the memory's clock: jtop/core/memory.py of github.com/rbonghi/jetson_stats"


class Tree(NamedTuple):
    """files: {path: text}; rails: {name: watts} that they say, total: the name of the rail that holds the others;
    clocks: {name: (now, least, most) in hertz}; board: the doctor's name for it; source: where the layout is from."""

    files: dict
    rails: dict
    total: str
    clocks: dict
    board: str
    source: str


def iio(bus, device, **rails):
    """An INA3221 of kernel 4.9: milliwatts by name, in the order of its channels."""
    folder = "sys/bus/i2c/drivers/ina3221x/{}/iio:device{}/".format(bus, device)
    files = {folder + "name": "ina3221x"}
    for number, (name, milliwatts) in enumerate(rails.items()):
        files[folder + "rail_name_{}".format(number)] = name
        files[folder + "in_power{}_input".format(number)] = str(milliwatts)
        files[folder + "in_voltage{}_input".format(number)] = "5000"
        files[folder + "in_current{}_input".format(number)] = str(milliwatts // 5)
    return files


def hwmon(bus, device, *channels):
    """An INA3221 of kernels from 5.10 on: (name, millivolts, milliamperes) of each channel; None: not connected."""
    folder = "sys/bus/i2c/drivers/ina3221/{}/hwmon/hwmon{}/".format(bus, device)
    files = {folder + "name": "ina3221", folder + "in7_label": "sum of shunt voltages", folder + "in7_input": "3"}
    for number, channel in enumerate(channels, 1):
        name, millivolts, milliamperes = channel or ("NC", 0, 0)
        files[folder + "in{}_label".format(number)] = name
        files[folder + "in{}_input".format(number)] = str(millivolts)
        files[folder + "curr{}_input".format(number)] = str(milliamperes)
    return files


def cpu(number, now, least, most, governor="schedutil"):
    """Kilohertz of one processor."""
    folder = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_".format(number)
    return {
        folder + "cur_freq": str(now), folder + "min_freq": str(least), folder + "max_freq": str(most),
        folder + "governor": governor,
    }  # fmt: skip


def three(folder, names, values):
    return {"{}/{}".format(folder, name): str(value) for name, value in zip(names, values)}


def gpu(folder, *values):
    return three(folder, ("cur_freq", "min_freq", "max_freq"), values)


def zone(number, name, millidegrees):
    folder = "sys/class/thermal/thermal_zone{}/".format(number)
    return {folder + "type": name, folder + "temp": str(millidegrees)}


def cooling(number, name, state):
    folder = "sys/class/thermal/cooling_device{}/".format(number)
    return {folder + "type": name, folder + "cur_state": str(state), folder + "max_state": "10"}


def joined(*parts):
    found = {}
    for part in parts:
        found.update(part)
    return found


def memory(total, available, swap=0, swap_free=0):
    text = "MemTotal: {:>9} kB\nMemFree: 100 kB\nMemAvailable: {:>9} kB\nSwapTotal: {} kB\nSwapFree: {} kB\n"
    return {"proc/meminfo": text.format(total, available, swap, swap_free)}


def model(text, release=""):
    found = {"proc/device-tree/model": text + "\0"}
    if release:
        found["etc/nv_tegra_release"] = "# R{} (release), REVISION: {}, GCID: 1, BOARD: x\n".format(*release.split(" "))
    return found


EMC = ("rate", "min_rate", "max_rate")
TREES = {
    "tx2": Tree(
        joined(
            model("quill", "32 7.1"), memory(8048520, 6000000, 4024260, 4024260),
            iio("0-0040", 0, VDD_SYS_GPU=1520, VDD_SYS_SOC=687, VDD_4V0_WIFI=0),
            iio("0-0041", 1, VDD_IN=5056, VDD_SYS_CPU=1152, VDD_SYS_DDR=1383),
            iio("0-0042", 2, VDD_MUX=9000, VDD_5V0_IO_SYS=1500, VDD_3V3_SYS=800),
            cpu(0, 2035200, 345600, 2035200), cpu(1, 2035200, 345600, 2035200),
            gpu("sys/devices/17000000.gp10b/devfreq/17000000.gp10b", 1134750000, 114750000, 1300500000),
            three("sys/kernel/debug/bpmp/debug/clk/emc", EMC, (1866000000, 40800000, 1866000000)),
            zone(0, "BCPU-therm", 36500), zone(1, "GPU-therm", 34000), zone(2, "PMIC-Die", 100000),
            cooling(0, "pwm-fan", 3), cooling(1, "gpu-balanced", 0),
            {"proc/loadavg": "0.42 0.30 0.25 1/471 8765\n"},
        ),
        {"VDD_SYS_GPU": 1.52, "VDD_SYS_SOC": 0.687, "VDD_4V0_WIFI": 0.0, "VDD_IN": 5.056, "VDD_SYS_CPU": 1.152,
         "VDD_SYS_DDR": 1.383, "VDD_MUX": 9.0, "VDD_5V0_IO_SYS": 1.5, "VDD_3V3_SYS": 0.8},
        "VDD_IN",
        {"cpu0": (2035200000, 345600000, 2035200000), "cpu1": (2035200000, 345600000, 2035200000),
         "gpu": (1134750000, 114750000, 1300500000), "memory": (1866000000, 40800000, 1866000000)},
        "Jetson TX2",
        "NVIDIA's L4T 32.7 Development Guide, Power Management for Jetson TX2 Series; " + ENERGYMON + "; " + JETSON_STATS,
    ),
    "tx2 nx": Tree(
        joined(
            model("NVIDIA Jetson TX2 NX Developer Kit", "32 7.3"),
            iio("7-0040", 0, VDD_IN=3200, VDD_CPU_GPU=900, VDD_SOC=700),
            cpu(0, 345600, 345600, 1190400),
            gpu("sys/devices/17000000.gp10b/devfreq/17000000.gp10b", 114750000, 114750000, 1300500000),
        ),
        {"VDD_IN": 3.2, "VDD_CPU_GPU": 0.9, "VDD_SOC": 0.7}, "VDD_IN",
        {"cpu0": (345600000, 345600000, 1190400000), "gpu": (114750000, 114750000, 1300500000)},
        "Jetson TX2 NX",
        "as tx2; the number of its I2C bus is a guess, which the reader does not look at",
    ),
    "nano": Tree(
        joined(
            model("NVIDIA Jetson Nano Developer Kit", "32 7.1"),
            iio("6-0040", 0, POM_5V_IN=2875, POM_5V_GPU=121, POM_5V_CPU=484),
            cpu(0, 1479000, 1479000, 1479000),
            gpu("sys/devices/57000000.gpu/devfreq/57000000.gpu", 921600000, 921600000, 921600000),
            three("sys/kernel/debug/tegra_bwmgr", ("emc_rate", "emc_min_rate", "emc_max_rate"), (1600000000,) * 3),
        ),
        {"POM_5V_IN": 2.875, "POM_5V_GPU": 0.121, "POM_5V_CPU": 0.484}, "POM_5V_IN",
        {"cpu0": (1479000000,) * 3, "gpu": (921600000,) * 3, "memory": (1600000000,) * 3},
        "Jetson Nano",
        "L4T 32.7 Development Guide, Power Management for Jetson Nano; " + ENERGYMON + "; " + JETSON_STATS,
    ),
    "xavier": Tree(
        joined(
            model("Jetson-AGX", "32 7.2"),
            iio("1-0040", 0, GPU=1500, CPU=2000, SOC=1800), iio("1-0041", 1, CV=0, VDDRQ=600, SYS5V=2400),
            cpu(0, 2265600, 1190400, 2265600),
            gpu("sys/devices/17000000.gv11b/devfreq/17000000.gv11b", 1377000000, 114750000, 1377000000),
            three("sys/kernel/debug/bpmp/debug/clk/emc", EMC, (2133000000, 204000000, 2133000000)),
        ),
        {"GPU": 1.5, "CPU": 2.0, "SOC": 1.8, "CV": 0.0, "VDDRQ": 0.6, "SYS5V": 2.4}, None,
        {"cpu0": (2265600000, 1190400000, 2265600000), "gpu": (1377000000, 114750000, 1377000000),
         "memory": (2133000000, 204000000, 2133000000)},
        "Jetson AGX Xavier",
        "L4T 32.7 Development Guide, Power Management for Jetson Xavier; " + ENERGYMON,
    ),
    "xavier nx": Tree(
        joined(
            model("NVIDIA Jetson Xavier NX Developer Kit", "35 4.1"),
            hwmon("7-0040", 6, ("VDD_IN", 5000, 1000), ("VDD_CPU_GPU_CV", 5000, 200), ("VDD_SOC", 5000, 160)),
            gpu("sys/devices/17000000.gv11b/devfreq/17000000.gv11b", 1109250000, 114750000, 1109250000),
        ),
        {"VDD_IN": 5.0, "VDD_CPU_GPU_CV": 1.0, "VDD_SOC": 0.8}, "VDD_IN",
        {"gpu": (1109250000, 114750000, 1109250000)},
        "Jetson Xavier NX",
        "alumet's Jetson plugin, which lists a Xavier NX's files (github.com/alumet-dev/alumet)",
    ),
    "orin": Tree(
        joined(
            model("Jetson AGX Orin Developer Kit", "35 3.1"),
            hwmon("1-0040", 3, ("VDD_GPU_SOC", 20000, 250), ("VDD_CPU_CV", 20000, 40), ("VIN_SYS_5V0", 5000, 800)),
            hwmon("1-0041", 4, None, ("VDDQ_VDD2_1V8AO", 5000, 80), None),
            gpu("sys/devices/17000000.ga10b/devfreq/17000000.ga10b", 306000000, 306000000, 1300500000),
            {"sys/class/hwmon/hwmon5/oc1_event_cnt": "0", "sys/class/hwmon/hwmon5/oc3_event_cnt": "2"},
        ),
        {"VDD_GPU_SOC": 5.0, "VDD_CPU_CV": 0.8, "VIN_SYS_5V0": 4.0, "VDDQ_VDD2_1V8AO": 0.4}, None,
        {"gpu": (306000000, 306000000, 1300500000)},
        "Jetson AGX Orin",
        "Jetson Linux r35 Developer Guide, Jetson Orin; Linux' tegra234-p3737 device trees (power-sensor@40, @41)",
    ),
    "orin nano": Tree(
        joined(
            model("NVIDIA Jetson Orin Nano Developer Kit", "36 3.0"),
            hwmon("1-0040", 1, ("VDD_IN", 5000, 1200), ("VDD_CPU_GPU_CV", 5000, 300), ("VDD_SOC", 5000, 280)),
            gpu("sys/devices/platform/bus@0/17000000.gpu/devfreq/17000000.gpu", 624750000, 306000000, 624750000),
        ),
        {"VDD_IN": 6.0, "VDD_CPU_GPU_CV": 1.5, "VDD_SOC": 1.4}, "VDD_IN",
        {"gpu": (624750000, 306000000, 624750000)},
        None,
        "Jetson Linux r36 Developer Guide, Jetson Orin Nano Series",
    ),
}  # fmt: skip


def grow(root, files):
    """Write {path: text} below a folder -> its path as text."""
    for name, text in files.items():
        place = os.path.join(str(root), name)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w", encoding="utf-8", errors="surrogateescape") as handle:
            handle.write(text if text.endswith(("\n", "\0")) or not text else text + "\n")
    return str(root)
