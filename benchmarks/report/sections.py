"""The sections of a run's report, in the order in which a reader asks."""

from . import latency, layers, machine, power, prediction, quality, scenarios


def sections(run, predictions=()):
    """Run, predictions of `latentjet estimate` -> [Section]; what was not measured has none."""
    found = [
        latency.section(run),
        latency.ratios(run),
        latency.throughput(run),
        scenarios.overlapped(run),
        scenarios.cold(run),
        scenarios.paced(run),
        quality.section(run),
        layers.section(run),
        prediction.section(run, predictions),
        power.section(run),
        machine.section(run),
    ]
    return [item for item in found if item is not None]
