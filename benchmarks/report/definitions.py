"""How each figure is defined; the words that stand at the end of every report."""

from .parts import Section, Table

ROWS = [
    ("one call", "`Engine.run` on the host's clock: numpy arrays in, numpy arrays out, the checks of the inputs "
    "included, for every system."),
    ("rounds", "All systems of a batch size run in turn in every round, one burst of calls each; the first call "
    "of a burst is not counted. Each system is warmed up until its median is stable."),
    ("median, p90, p99", "Over all raw seconds. Percentiles by trtexec's formula (TensorRT 8.2): sorted[max(n - "
    "1 - int((1 - p/100) n), 0)]."),
    ("single", "Batch 1, the next call only after the last has ended; its result is the p90: MLPerf's single stream."),
    ("batch", "Images a second: the batch size over the median call."),
    ("overlapped", "Two engines of a system in two threads; queries over wall time. On a GPU that is trtexec's "
    "throughput, on a processor concurrency."),
    ("paced", "One call is due every 1/rate seconds, with idle gaps. Missed: not done before the next was due. "
    "Jitter: p99 less the median of the time from due to done."),
    ("cold", "A new process for each start: start of Python, imports and load, first call; the steady call apart."),
    ("energy", "Power of the rail that holds the others, averaged over the samples in a case's calls, times "
    "their length, over their images; what the idle machine takes is included."),
    ("times as fast as eager", "The median over rounds of (eager's median in the round / the system's), both "
    "run side by side; eager is the trained model in eager PyTorch, float32, inference mode. In brackets the 95 "
    "% bootstrap interval of that median over rounds."),
    ("largest difference", "Of any output value from the reference that eager PyTorch in float32 wrote at "
    "export; a level is 1/255 of the range."),
]  # fmt: skip


def section(runs):
    """Runs -> Section with what they use of the definitions."""
    scenarios = set(result.case.scenario for run in runs for result in run.results)
    scenarios |= (
        {"energy"} if any(result.energy_j_per_image is not None for run in runs for result in run.results) else set()
    )
    optional = {"single", "overlapped", "batch", "paced", "cold", "energy"}
    rows = [list(row) for row in ROWS if row[0] not in optional or row[0] in scenarios]
    return Section(
        "definitions", "How each figure is defined", [], [], [Table("Definitions", ["figure", "definition"], rows, 2)]
    )
