"""Invented runs of a benchmark, from a seed: what the tests of comparing and reporting read. Nothing here was measured."""

import numpy as np
from latentjet.benchmarks.results import Case, Result, Run

SPEED_MS = {  # median milliseconds of one image; a batch of n takes n ** 0.7 times as long
    "eager": 4.0, "eager-channels-last": 4.4, "torchscript": 3.1, "compile": 2.6, "ort": 1.2, "trt": 0.9,
}  # fmt: skip


def rounds(median_s, count, calls, random, noise=0.02, wander=0.01):
    """Seconds around a median: noise from call to call with a tail to the right, and from round to round."""
    levels = median_s * np.exp(wander * random.standard_normal((count, 1)))
    seconds = levels * np.exp(noise * np.abs(random.standard_normal((count, calls))))
    return tuple(tuple(float(value) for value in part) for part in seconds)


def plain(
    seed=0, slower=1.0, systems=("eager", "ort"), batches=(1, 8), count=20, calls=15, noise=0.02, wander=0.01, **changes
):
    """A run of single and batch; slower: {system: factor} or one factor for all but eager."""
    random = np.random.RandomState(seed)
    results = []
    for system in systems:
        for batch in batches:
            factor = slower.get(system, 1.0) if isinstance(slower, dict) else 1.0 if system == "eager" else slower
            case = Case("single" if batch == 1 else "batch", system, "fp32", batch, 1)
            median = 1e-3 * SPEED_MS[system] * batch**0.7 * factor
            results.append(
                Result(
                    case,
                    rounds(median, count, calls, random, noise, wander),
                    1e-6,
                    levels={"within_2": 1.0, "largest": 0.01},
                )
            )
    run = Run(
        started="2026-01-02T03:04:05Z",
        finished="2026-01-02T03:05:05Z",
        machine={"processor": "Invented CPU", "architecture": "x86_64", "cores": 4, "system": "Linux"},
        bundle={"path": "runs/flow.bundle", "family": "realnvp", "graph": "decode", "sha256": "ab" * 32},
        settings={"rounds": count, "burst_s": 0.05, "threads": 1, "seed": seed},
        results=tuple(results),
        versions={"latentjet": "0.1.0", "python": "3.11.7", "torch": "2.9.0"},
        before={"governor": "performance", "load": [0.1, 0.2, 0.3]},
        after={"governor": "performance", "load": [0.9, 0.4, 0.3]},
    )
    return run._replace(**changes)


def full(seed=0):
    """A run with everything that a file can hold."""
    random = np.random.RandomState(seed)
    base = plain(seed, systems=tuple(SPEED_MS), batches=(1, 64), count=12, calls=10)
    results = [with_device(item) for item in base.results]
    results += [half(item, random) for item in base.results if item.case.system == "trt"]
    first = {item.case.system: item for item in base.results if item.case.batch == 1}
    results.append(overlapped(first["trt"], random))
    results += [paced(first[name], late, random) for name, late in (("eager", 6), ("ort", 1), ("trt", 0))]
    results += [cold(first[name], random) for name in ("eager", "ort", "trt")]
    seconds = np.arange(0, 60, 0.5)
    return base._replace(
        results=tuple(results),
        machine=dict(
            base.machine, board="Invented board", module="none", architecture="aarch64", cores=6, power_mode="MAXN",
            gpu="Invented GPU", memory_bytes=8 << 30, environment={"OMP_NUM_THREADS": "1"},
        ),
        before=state(0), after=state(9),
        power={
            "interval_s": 0.5, "rails": ["VDD_IN", "VDD_SYS_GPU", "VDD_SYS_CPU"], "total": "VDD_IN",
            "idle_w": {"VDD_IN": 2.31, "VDD_SYS_GPU": 0.15, "VDD_SYS_CPU": 0.3},
            "samples": [[float(t), 4 + float(np.sin(t / 9)), 1.2 + 0.3 * float(np.sin(t / 5)), 0.9] for t in seconds],
        },
        clocks={
            "interval_s": 0.5, "names": ["cpu0", "gpu", "memory"],
            "samples": [[float(t), 2.0e9, 1.3e9 if t < 40 else 1.12e9, None if t < 5 else 1.866e9] for t in seconds],
        },
        layers=({"system": "ort", "batch": 1, "layers": layers(random)},),
        warnings=(
            {"what": "clocks are not locked: gpu", "advice": "lock them: sudo jetson_clocks"},
            {"what": "other processes run here: the load was 1.40 before the run", "advice": "stop them, or wait"},
        ),
        bundle=dict(
            base.bundle, name="invented-flow", nodes=105, macs=19600000, parameters=412000, model_class="RealNVP",
            image=[1, 28, 28], kB=1650, quality={"bits_per_dim": {"value": 3.046, "low": 3.04, "high": 3.052, "unit": "bits/dim"}, "fid": 15.3},
        ),
        settings=dict(base.settings, rate_hz=30.0, harness_s={"1": 5.2e-6, "8": 6.1e-6}, left_out=[{"system": "trt-managed", "reason": "no managed memory here"}]),
    )  # fmt: skip


def state(warmer):
    return {
        "clocks_hz": {"cpu0": {"now": 2.0e9, "least": 3.456e8, "most": 2.0e9}, "gpu": {"now": 1.3e9, "least": 1.3e9, "most": 1.3e9}},
        "governor": "schedutil", "temperatures_c": {"GPU": 41.5 + warmer, "CPU": 43.0 + warmer}, "throttled": ["thermal"] if warmer else [],
        "load": [1.4, 1.1, 0.7], "memory_free_bytes": 5 << 30, "swap_used_bytes": 0,
    }  # fmt: skip


def with_device(item):
    """The same with a device's own time, memory and energy, where the system has a device."""
    if not item.case.system.startswith("trt"):
        return item
    device = tuple(tuple(0.8 * value for value in part) for part in item.rounds)
    return item._replace(
        device_rounds=device,
        memory={"process_bytes": 600 << 20, "device_bytes": 90 << 20},
        energy_j_per_image=0.0021 / item.case.batch**0.3,
    )


def half(item, random):
    case = item.case._replace(precision="fp16")
    seconds = tuple(tuple(0.6 * value for value in part) for part in item.rounds)
    return Result(case, seconds, 0.0061, levels={"within_2": 0.99975, "largest": 6.2})


def overlapped(item, random):
    walls = [40 * 0.7 * item.median_s * float(value) for value in random.uniform(0.99, 1.01, 20)]
    case = item.case._replace(scenario="overlapped")
    return Result(
        case, tuple((wall / 40,) for wall in walls), 1e-6, figures={"queries": [40] * 20, "wall_s": walls, "engines": 2}
    )


def paced(item, late, random):
    lateness = np.abs(random.normal(1.3 * item.median_s, 0.2 * item.median_s, 150)) - 1 / 30.0
    lateness[:late] += 0.04
    figures = {
        "rate_hz": 30.0, "frames": 150, "missed": late, "started_s": [1e-4] * 150, "lateness_s": [float(value) for value in lateness],
    }  # fmt: skip
    return Result(item.case._replace(scenario="paced"), item.rounds, 1e-6, figures=figures)


def cold(item, random):
    start = {"eager": 2.9, "ort": 0.31, "trt": 0.62}[item.case.system]
    figures = {
        "start_s": [0.03, 0.031], "load_s": [start, start], "first_s": [9 * item.median_s] * 2, "steady_s": [item.median_s] * 2,
        "peak_bytes": [200 << 20] * 2,
    }  # fmt: skip
    return Result(item.case._replace(scenario="cold"), ((start + 0.03,), (start + 0.031,)), 1e-6, figures=figures)


def layers(random):
    found = [{"name": "squeeze", "operators": ["Conv"], "layer": "squeeze", "seconds": 2.1e-5}]
    for number in range(12):
        for node, operators in (
            ("first", ["Conv", "Relu"]),
            ("middle", ["Conv", "Relu"]),
            ("last", ["Conv", "Tanh"]),
            ("affine", ["Exp", "Mul", "Add"]),
        ):
            name = "/couplings.{}/{}".format(number, node)
            found.append(
                {
                    "name": name,
                    "operators": operators,
                    "layer": "couplings.{}".format(number),
                    "seconds": float(random.uniform(1e-5, 4e-5)),
                }
            )
    return found + [{"name": "logit", "operators": ["Sigmoid", "Sub", "Mul"], "layer": None, "seconds": 1.1e-5}]


def estimate(target="tx2", mode="MAXN", precision="fp32", batch=1):
    """What `latentjet estimate --json` writes, invented."""
    found = [
        {
            "name": "couplings.{}".format(number),
            "seconds": 6e-5 + 5e-6 * number,
            "bound": ("launch", "memory", "arithmetic")[number % 3],
        }
        for number in range(12)
    ]
    return {
        "target": target, "mode": mode, "precision": precision, "batch": batch,
        "seconds": sum(item["seconds"] for item in found), "layers": found,
    }  # fmt: skip
