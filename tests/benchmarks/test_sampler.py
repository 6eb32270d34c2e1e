"""Power and clocks over time, and energy an image: by hand, on a machine whose files are written here."""

import os
import time

import pytest
from latentjet.benchmarks.sampler import LEAST_SAMPLES, Sampler, Window

POWER = "sys/bus/i2c/drivers/ina3221x/0-0041/iio:device1/in_power0_input"


def steady(machine, board, watts):
    """A Sampler whose clock is a list, and what it read at 0, 1, 2 ... s: a power of VDD_IN each."""
    times = [100.0]
    sampler = Sampler(machine(board), clock=lambda: times[0])
    for when, value in enumerate(watts):
        times[0] = 100.0 + when
        with open(os.path.join(sampler.machine.root, POWER), "w") as handle:
            handle.write(str(int(1000 * value)))
        sampler.sample()
    return sampler


def test_energy_is_mean_power_in_the_windows_times_their_length_over_their_images(machine):
    sampler = steady(machine, "tx2", [2, 2, 6, 6, 6, 2, 2, 8, 8, 2])
    windows = [Window(101.5, 104.5, 20), Window(106.5, 108.5, 10)]
    # samples inside: 6, 6, 6, 8, 8 W; 3 + 2 s; 30 images
    assert sampler.energy_j_per_image(windows) == pytest.approx(34 / 5 * 5 / 30)


def test_too_few_samples_give_no_energy(machine):
    sampler = steady(machine, "tx2", [5] * LEAST_SAMPLES)
    assert sampler.energy_j_per_image([Window(99.0, 200.0, 1)]) is not None
    assert sampler.energy_j_per_image([Window(100.5, 200.0, 1)]) is None
    assert sampler.energy_j_per_image([]) is None


def test_without_a_rail_that_holds_the_others_their_sum_counts(machine):
    times = [0.0]
    sampler = Sampler(machine("xavier"), clock=lambda: times[0])
    for when in range(6):
        times[0] = float(when)
        sampler.sample()
    assert sampler.energy_j_per_image([Window(0.0, 5.0, 50)]) == pytest.approx(8.3 * 5 / 50)
    assert sampler.power()["total"] is None


def test_idle_power_is_what_was_read_while_it_rested(machine):
    sampler = Sampler(machine("nano"))
    sampler.rest(0.5, lambda seconds: sampler.sample())
    assert sampler.idle_w == pytest.approx({"POM_5V_IN": 2.875, "POM_5V_GPU": 0.121, "POM_5V_CPU": 0.484})
    assert sampler.power()["idle_w"] == sampler.idle_w


def test_a_thread_samples_while_a_block_runs_and_ends_with_it(machine):
    with Sampler(machine("tx2"), interval_s=0.002) as sampler:
        deadline = time.time() + 20
        while len(sampler.power_samples) < 3 and time.time() < deadline:
            time.sleep(0.002)
    count = len(sampler.power_samples)
    time.sleep(0.02)
    assert 3 <= count == len(sampler.power_samples)
    kept, clocks = sampler.power(), sampler.frequencies()
    assert kept["rails"][3:5] == ["VDD_IN", "VDD_SYS_CPU"] and kept["total"] == "VDD_IN"
    assert all(len(sample) == 1 + len(kept["rails"]) for sample in kept["samples"])
    assert clocks["names"] == ["cpu0", "gpu", "memory"]
    assert clocks["samples"][0][1:] == [2035200000, 1134750000, 1866000000]


def test_a_reading_with_something_missing_is_dropped(machine):
    sampler = steady(machine, "tx2", [1, 2])
    os.remove(os.path.join(sampler.machine.root, POWER))
    sampler.sample()
    assert len(sampler.power_samples) == 2 and len(sampler.clock_samples) == 3


def test_a_machine_without_rails_and_clocks(machine):
    with Sampler(machine()) as sampler:
        sampler.rest(60.0)  # not waited for
    assert sampler.power() is None and sampler.frequencies() is None
    assert sampler.energy_j_per_image([Window(0.0, 1e9, 5)]) is None
