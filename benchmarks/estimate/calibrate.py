"""Fits the parameters of cost.py to published latencies, and tells honestly how well they predict.

    python -m latentjet.benchmarks.estimate.calibrate [--out calibration.json]

published.json has the latencies and their sources, networks.json the kernels of each network (built by
tests/published/build.py). The logarithms of the parameters minimise the squared logarithms of predicted / published, with
a weak pull to PRIOR, which was written down before anything was fitted and keeps parameters that few networks speak of
(depthwise convolutions) from running away when those are left out. How good it is: each network in turn is left out,
the rest fitted, and the network predicted; then the same with whole families, which is harder and gives the interval.
"""

import argparse
import json
import os
import sys
from typing import NamedTuple

import numpy as np

from ...runtime import files
from ...runtime.errors import LatentjetError
from .cost import Calibration, run_s, with_ends, work_of
from .kernel import from_row
from .targets import find

FOLDER = os.path.dirname(os.path.abspath(__file__))
PRIOR = Calibration(20e-6, 300e-6, 0.9, 0.5, 0.5, 0.1, 0.6, 1.8, 40.0)
PULL = Calibration(2.0, 2.0, 1.5, 1.5, 1.5, 3.0, 1.0, 1.0, 3.0)  # one standard deviation of the logarithm: a factor e^2 ...
NINE_OF_TEN = 0.9


class Case(NamedTuple):
    """One published latency: network, its family and input size, precision, seconds, and the network's Work."""

    network: str
    family: str
    size: str
    precision: str
    seconds: float
    work: tuple
    device: tuple

    def predict(self, calibration):
        """Seconds."""
        return run_s(self.work, self.device, self.precision == "fp16", calibration)


class Check(NamedTuple):
    """A published latency beside its prediction by a fit that never saw it, seconds."""

    case: Case
    predicted_s: float

    @property
    def error(self):
        return self.predicted_s / self.case.seconds - 1


def read(name):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as handle:
        return json.load(handle)


def cases(key="rows", target="tx2"):
    """The published latencies of networks that could be built -> [Case]."""
    published, networks = read("published.json"), read("networks.json")
    found, device = [], find(target, "MAXN")
    for row in published[key]:
        built = networks.get("{} {}".format(row["network"], row["input"]))
        if built is None:
            continue
        kernels = [from_row(item) for item in built["kernels"]]
        if row["precision"] == "fp16":
            kernels = with_ends(kernels, built["ends"])
        found.append(
            Case(
                row["network"], published["families"][row["network"]], row["input"], row["precision"],
                1e-3 * row["latency_ms"], work_of(kernels), device,
            )
        )  # fmt: skip
    return found


def residuals(logarithms, fitted):
    """Logarithms of the parameters, [Case] -> what the fit makes small."""
    calibration = Calibration(*np.exp(logarithms))
    misses = [np.log(case.predict(calibration) / case.seconds) for case in fitted]
    return np.append(misses, (logarithms - np.log(PRIOR)) / np.array(PULL))


def fit(fitted, start=PRIOR, most=60, step=1e-4):
    """[Case] -> Calibration: Levenberg and Marquardt's method with differences for derivatives."""
    place, damping = np.log(start), 1e-2
    now = residuals(place, fitted)
    for _ in range(most):
        slopes = np.array([residuals(place + step * unit, fitted) - now for unit in np.eye(len(place))]).T / step
        for _ in range(8):
            move = np.linalg.solve(slopes.T.dot(slopes) + damping * np.eye(len(place)), -slopes.T.dot(now))
            move = np.clip(move, -1, 1)
            then = residuals(place + move, fitted)
            gain = now.dot(now) - then.dot(then)
            if gain > 0:
                place, now, damping = place + move, then, max(damping / 3, 1e-6)
                break
            damping *= 4
        else:
            break
        if gain < 1e-10:
            break
    return Calibration(*(float(value) for value in np.exp(place)))


def leave_out(known, by, start):
    """[Case], "network" or "family" -> ([Check] in the order of the cases, {left out: Calibration})."""
    fits = {
        name: fit([case for case in known if getattr(case, by) != name], start)
        for name in sorted({getattr(case, by) for case in known})
    }
    return [Check(case, case.predict(fits[getattr(case, by)])) for case in known], fits


def summary(checks):
    """[Check] -> {median, nine_of_ten, within_35, largest} of the absolute errors, and factor: of ten published
    latencies nine lie between prediction / factor and prediction * factor."""
    errors = np.sort([abs(check.error) for check in checks])
    factors = np.sort([abs(np.log1p(check.error)) for check in checks])
    ninth = int(np.ceil(NINE_OF_TEN * len(errors))) - 1
    return {
        "median": float(np.median(errors)),
        "nine_of_ten": float(errors[ninth]),
        "within_35": float(np.mean(errors <= 0.35)),
        "largest": float(errors[-1]),
        "factor": float(np.exp(factors[ninth])),
        "latencies": len(errors),
    }


def calibrate():
    """-> what calibration.json holds, and ([Check] by network, [Check] by family)."""
    known = cases()
    calibration = fit(known)
    by_network, _ = leave_out(known, "network", calibration)
    by_family, fits = leave_out(known, "family", calibration)
    content = {
        "format": 1,
        "made_by": "python -m latentjet.benchmarks.estimate.calibrate",
        "parameters": dict(calibration._asdict()),
        "without_family": {name: dict(fits[name]._asdict()) for name in sorted(fits)},
        "network_left_out": summary(by_network),
        "family_left_out": summary(by_family),
        "shortest_s": min(case.seconds for case in known),
        "networks": len({case.network for case in known}),
    }
    return content, by_network, by_family


def markdown(by_network, by_family):
    """The table of docs/estimate.md."""
    lines = [
        "| network | input | precision | published ms | predicted ms | error | error, family left out |",
        "|---|---|---|---|---|---|---|",
    ]
    for one, other in zip(by_network, by_family):
        case = one.case
        lines.append(
            "| {} | {} | {} | {:.2f} | {:.2f} | {:+.0f} % | {:+.0f} % |".format(
                case.network, case.size, case.precision, 1e3 * case.seconds, 1e3 * one.predicted_s, 100 * one.error,
                100 * other.error,
            )
        )  # fmt: skip
    return lines


def other_board(calibration, key="nano_rows", target="nano"):
    """Calibration -> [Check] of latencies published for another board, which no fit has seen."""
    return [Check(case, case.predict(calibration)) for case in cases(key, target)]


def main(argv=None):
    parser = argparse.ArgumentParser(description="Fit the estimator to published latencies; how well it predicts.")
    parser.add_argument("--out", metavar="JSON", help="write the parameters here")
    args = parser.parse_args(argv)
    content, by_network, by_family = calibrate()
    print("\n".join(markdown(by_network, by_family)))
    for name in ("network_left_out", "family_left_out"):
        print(name, json.dumps(content[name], sort_keys=True))
    print("parameters", json.dumps(content["parameters"]))
    checks = other_board(Calibration(**content["parameters"]))
    print("Jetson Nano, never fitted")
    for check in checks:
        print("{:<22} {:<10} {:8.2f} {:8.2f} {:+.0f} %".format(
            check.case.network, check.case.size, 1e3 * check.case.seconds, 1e3 * check.predicted_s, 100 * check.error
        ))  # fmt: skip
    if args.out:
        try:
            files.write_file(args.out, (json.dumps(content, indent=1, sort_keys=True) + "\n").encode("utf-8"))
        except LatentjetError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
