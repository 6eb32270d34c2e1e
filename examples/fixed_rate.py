"""Generate images at a fixed rate, as an application beside a display or a robot would, and count missed deadlines.

    python examples/fixed_rate.py runs/cvae.bundle --rate 30 --seconds 10

Time is cut into periods, and each is to bring one image. A period in which none becomes ready is a missed deadline; it
is not caught up. Latency is the time from an image's begin to its end; jitter is how late it begins.
"""

import argparse
import sys
import time

from latentjet.runtime import load
from latentjet.runtime.errors import LatentjetError


def generate(model, number):
    """The image with this number: classes in turn, a seed of its own -> uint8 (1, C, H, W)."""
    if model.classes:
        return model.sample([number % len(model.classes)], seed=number, uint8=True)
    return model.sample(count=1, seed=number, uint8=True)


def run(model, rate, seconds):
    """-> (periods, missed, latencies, delays of the begin), times in seconds."""
    period, periods = 1.0 / rate, max(1, int(round(rate * seconds)))
    latencies, delays, ready, number = [], [], 0, 0
    start = time.perf_counter()
    while number < periods:
        due = start + number * period
        wait = due - time.perf_counter()
        if wait > 0:
            time.sleep(wait)
        begin = time.perf_counter()
        generate(model, number)  # here an application would show it
        end = time.perf_counter()
        latencies.append(end - begin)
        delays.append(begin - due)
        reached = max(number, int((end - start) / period))  # the period in which it was ready
        ready += reached < periods
        number = reached + 1
    return periods, periods - ready, latencies, delays


def percentile(values, percent):
    """The value that this many percent stay below, as trtexec counts it."""
    ordered = sorted(values)
    return ordered[max(len(ordered) - 1 - int((1 - percent / 100.0) * len(ordered)), 0)]


def report(values):
    """p50, p99 and the largest, in milliseconds."""
    figures = [percentile(values, 50), percentile(values, 99), max(values)]
    return "p50 {:.3f} ms, p99 {:.3f} ms, largest {:.3f} ms".format(*(1e3 * value for value in figures))


def positive(text):
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def main():
    parser = argparse.ArgumentParser(description="Generate images at a fixed rate; count missed deadlines.")
    parser.add_argument("bundle", metavar="BUNDLE")
    parser.add_argument("--rate", type=positive, default=30.0, help="images a second (default 30)")
    parser.add_argument("--seconds", type=positive, default=10.0, help="how long (default 10)")
    parser.add_argument("--backend", default="auto", help="auto, trt, ort (default auto)")
    args = parser.parse_args()
    try:
        with load(args.bundle, args.backend) as model:
            for number in range(10):  # the first call loads the graph, the next ones warm it up
                generate(model, number)
            periods, missed, latencies, delays = run(model, args.rate, args.seconds)
            print(f"backend '{model.backend}': {args.rate:g} images a second for {args.seconds:g} s")
    except LatentjetError as error:
        print(f"fixed_rate: {error}", file=sys.stderr)
        return 1
    print(f"deadlines  {periods}, missed {missed} ({100.0 * missed / periods:.2f} %)")
    print(f"latency    {report(latencies)}")
    print(f"jitter     {report(delays)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
