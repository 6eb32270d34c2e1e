"""Power and clocks over time: a thread that reads rails and clocks every so often while a run goes on.

Reading a rail asks a chip on the I2C bus, which takes about a millisecond in the kernel, without Python's lock.
"""

import bisect
import threading
import time
from typing import NamedTuple

from . import clocks, rails

SAMPLED = ("cpu0", "gpu", "memory")
LEAST_SAMPLES = 5


class Window(NamedTuple):
    """A stretch of one case's calls: when it began and ended (seconds of the sampler's clock), images made in it."""

    began: float
    ended: float
    images: int


class Sampler:
    """Context: samples a Machine's rails and clocks. power_samples [(s, [watts])] and clock_samples [(s, [hertz])]
    grow while it runs. clock: what times are read from; they count from `began`."""

    def __init__(self, machine, interval_s=0.1, clock=time.perf_counter):
        self.machine, self.interval_s, self.clock = machine, interval_s, clock
        self.rails = rails.find(machine)
        self.clocks = [found for found in clocks.find(machine) if found.name in SAMPLED]
        self.power_samples, self.clock_samples, self.idle_w = [], [], {}
        self.began = clock()
        self._stop, self._thread = threading.Event(), None

    def sample(self):
        """Read everything once; a reading with something missing is dropped."""
        now = self.clock() - self.began
        watts = [rails.power(self.machine, rail) for rail in self.rails]
        if watts and None not in watts:
            self.power_samples.append((now, watts))
        hertz = [clocks.now(self.machine, clock) for clock in self.clocks]
        if hertz and None not in hertz:
            self.clock_samples.append((now, hertz))

    def _go_on(self):
        while not self._stop.wait(self.interval_s):
            self.sample()

    def rest(self, seconds, wait=time.sleep):
        """Inside the context: let the machine idle for so long, which gives idle_w; nothing without rails."""
        if self.rails and seconds > 0:
            before = len(self.power_samples)
            wait(seconds)
            taken = [watts for _, watts in self.power_samples[before:]]
            if taken:
                means = [sum(column) / len(taken) for column in zip(*taken)]
                self.idle_w = dict(zip((rail.name for rail in self.rails), means))

    def __enter__(self):
        if self.rails or self.clocks:
            self._thread = threading.Thread(target=self._go_on, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind, error, trace):
        self._stop.set()
        if self._thread:
            self._thread.join()

    def power(self):
        """What a file keeps of it (results.py), or None without rails."""
        if not self.rails:
            return None
        names = [rail.name for rail in self.rails]
        samples = [[round(when, 4)] + [round(value, 4) for value in watts] for when, watts in self.power_samples]
        return {
            "interval_s": self.interval_s, "rails": names, "total": rails.whole(names), "idle_w": self.idle_w,
            "samples": samples,
        }  # fmt: skip

    def frequencies(self):
        """What a file keeps of the clocks, or None where none can be read."""
        if not self.clocks:
            return None
        samples = [[round(when, 4)] + hertz for when, hertz in self.clock_samples]
        return {"interval_s": self.interval_s, "names": [clock.name for clock in self.clocks], "samples": samples}

    def energy_j_per_image(self, windows):
        """Windows of one case -> joules an image, what the idle machine takes included; None where fewer than
        LEAST_SAMPLES were taken in them. It is the module's power (the rail that holds the others, else their sum),
        averaged over the samples in the windows, times their length, over their images."""
        names = [rail.name for rail in self.rails]
        total = rails.whole(names)
        times, watts = [when + self.began for when, _ in self.power_samples], []
        for window in windows:
            low, high = bisect.bisect_left(times, window.began), bisect.bisect_right(times, window.ended)
            for _, values in self.power_samples[low:high]:
                watts.append(values[names.index(total)] if total else sum(values))
        if len(watts) < LEAST_SAMPLES:
            return None
        seconds = sum(window.ended - window.began for window in windows)
        return sum(watts) / len(watts) * seconds / sum(window.images for window in windows)
