"""A run: one graph on several systems in several scenarios, side by side, with the machine's state around it.

Every system is checked against the reference before it is timed and in every round while it is. One that is wrong, or
cannot be had here, is an error where it was asked for by name; else it is left out, and the run says why.
"""

import contextlib
import math
import time
from typing import NamedTuple

import numpy as np

from ..runtime.check import repeated, run_in_parts
from ..runtime.errors import CheckError, InputError, LatentjetError
from ..runtime.machine import Machine
from ..runtime.model import valid_seed
from . import advice, cold, device, layers, loads, memory, scenarios, state, systems
from .measure import burst, rounds_of, warm_up
from .results import Case, Result, Run
from .sampler import Sampler, Window

IDLE_S = 1.0
HARNESS_CALLS = 200


class Settings(NamedTuple):
    """How to measure. scenarios: names, or None for the usual; burst_s: seconds of a system's calls in a round;
    rate_hz: of the scenario paced; device: where PyTorch runs; named: systems were asked for by name, so one that
    cannot run is an error; with_layers: ask backends for the times of their layers."""

    graph: str = "decode"
    scenarios: tuple = None
    batches: tuple = (1, 8, 64)
    threads: int = 1
    rounds: int = 20
    burst_s: float = 0.05
    seed: int = 0
    rate_hz: float = 30.0
    device: str = "auto"
    named: bool = True
    with_layers: bool = True

    def refuse_wrong(self, names):
        """Raise InputError for what cannot be meant."""
        if not names or len(set(names)) != len(names):
            raise InputError("systems are {}: expected at least one, each once".format(", ".join(names) or "none"))
        for batch in self.batches:
            if batch < 1:
                raise InputError("batch is {}, expected at least 1".format(batch))
        if len(set(self.batches)) != len(self.batches):
            raise InputError("batches are {}: expected each once".format(", ".join(map(str, self.batches))))
        if self.rounds < 2 or self.threads < 1:
            raise InputError(
                "rounds is {} and threads {}: expected at least 2 and 1".format(self.rounds, self.threads)
            )
        if not 0 < self.burst_s < math.inf:
            raise InputError("burst is {} s, expected more than 0".format(self.burst_s))
        if not 0 < self.rate_hz <= 10000:
            raise InputError("rate is {} Hz, expected more than 0 and at most 10000".format(self.rate_hz))
        if self.device not in systems.DEVICES:
            raise InputError("device is '{}', expected one of: {}".format(self.device, ", ".join(systems.DEVICES)))
        valid_seed(self.seed)


def run(bundle, names, settings=None, machine=None, progress=None, quality=None):
    """Bundle, names of systems, Settings -> Run. progress: called with (scenario, batch, round); quality: {figure:
    value} to keep beside speed. Raises BackendError, CheckError, InputError, PlanError, BundleError."""
    settings, machine = settings or Settings(), machine or Machine()
    settings.refuse_wrong(names)
    wanted = scenarios.cases(settings.scenarios, settings.batches)
    bundle.graph(settings.graph)
    session = Session(bundle, settings, machine, progress or (lambda *given: None))
    started, before = now(), state.read(machine)
    described = device.describe(machine)
    with contextlib.ExitStack() as stack:
        stack.enter_context(session.sampler)
        session.sampler.rest(IDLE_S)
        session.open(names, stack)
        if not session.engines:
            raise InputError("no system can run here: {}".format(session.reasons()))
        for scenario, batch in wanted:
            session.measure(scenario, batch)
        harness_s = session.harness([batch for _, batch in wanted])
        told = session.layers() if settings.with_layers else ()
        versions = device.versions(systems.packages(session.engines))
    after = state.read(machine, before)
    results = tuple(session.results)
    if not results:
        raise InputError("no system gave a right result: {}".format(session.reasons()))
    kept = dict(settings._asdict(), batches=list(settings.batches), left_out=session.left_out, harness_s=harness_s)
    kept["scenarios"] = [name for name in scenarios.SCENARIOS if name in {scenario for scenario, _ in wanted}]
    frequencies = session.sampler.frequencies()
    return Run(
        started, described, about(bundle, settings.graph, quality), kept, results, now(), versions, before, after,
        session.sampler.power(), frequencies, tuple(told),
        tuple(advice.of(described, before, after, results, frequencies)),
    )  # fmt: skip


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Session:
    """What a run gathers: engines by system, verdicts, memory, results, and what was left out and why."""

    def __init__(self, bundle, settings, machine, progress):
        self.bundle, self.settings, self.machine, self.progress = bundle, settings, machine, progress
        self.sampler = Sampler(machine)
        self.engines, self.memory, self.results, self.left_out = {}, {}, [], []

    def leave_out(self, name, error):
        """Raise the error of a system that was asked for by name; else note why it is left out."""
        if self.settings.named:
            raise error
        self.left_out.append({"system": name, "reason": str(error)})
        self.engines.pop(name, None)
        self.results = [result for result in self.results if result.case.system != name]

    def reasons(self):
        return "; ".join("{system}: {reason}".format(**item) for item in self.left_out)

    def open(self, names, stack):
        """Load every system and run the reference through it at several batch sizes, before anything is timed."""
        for name in names:
            systems.find(name)
        for name in names:
            resident = memory.process_bytes(self.machine)
            try:
                engine = stack.enter_context(self.opened(name))
                free = free_bytes(engine)
                self.verify(name, engine)
            except systems.UNAVAILABLE as error:
                self.leave_out(name, error)
                continue
            self.engines[name] = engine
            self.memory[name] = memory.measured(
                memory.growth(resident, memory.process_bytes(self.machine)),
                memory.growth(free_bytes(engine), free), on_device(engine),
            )  # fmt: skip

    def opened(self, name):
        settings = self.settings
        return systems.open_system(self.bundle, settings.graph, name, settings.threads, settings.device)

    def verify(self, name, engine):
        """Run all rows of the reference in batches of one, two and the rest, then the batch sizes that will be timed.
        Raises CheckError. What compiles each batch size by itself runs those alone."""
        inputs, expected = self.bundle.reference(engine.graph.name)
        if not getattr(engine, "each_batch", False):
            outputs = run_in_parts(engine, inputs)
            if name not in loads.UNCHECKED:
                loads.Verdict(engine.graph, name, engine.precision, expected)(outputs)
        self.verify_again(name, engine, self.settings.batches)

    def verify_again(self, name, engine, batches):
        """Run batch sizes several times, with other rows each time: in the rounds every call has the same ones, so
        there a CUDA graph that replays old results would pass. Raises CheckError."""
        for outputs, expected in repeated(engine, *self.bundle.reference(engine.graph.name), sizes=batches):
            try:
                if name not in loads.UNCHECKED:
                    loads.Verdict(engine.graph, name, engine.precision, expected)(outputs)
            except CheckError as error:
                graphs = getattr(engine, "graphs", None)
                text = "with CUDA graphs {}".format(graphs) if graphs else "where it ran before"
                raise CheckError("{} (the same batch size again, other rows, {})".format(error, text))

    def load(self, name, batch, engine=None):
        return loads.prepare(self.bundle, engine or self.engines[name], name, batch, self.settings.seed)

    def measure(self, scenario, batch):
        """Time every system in one scenario at one batch size."""
        step = {"cold": self._cold, "overlapped": self._overlapped, "paced": self._paced}.get(scenario, self._bursts)
        step(scenario, batch, lambda number: self.progress(scenario, batch, number))

    def _bursts(self, scenario, batch, progress):
        subjects = {name: self.load(name, batch) for name in self.engines}
        settings = self.settings
        found = rounds_of(subjects, settings.rounds, settings.burst_s, progress, self.leave_out)
        for name, timing in found.items():
            self.keep(scenario, name, batch, timing, subjects[name].check)

    def _overlapped(self, scenario, batch, progress):
        with contextlib.ExitStack() as stack:
            pairs = {}
            for name in list(self.engines):
                try:
                    second = stack.enter_context(self.opened(name))
                    self.verify_again(name, second, [batch])
                except systems.UNAVAILABLE as error:
                    self.leave_out(name, error)
                    continue
                pairs[name] = self.load(name, batch), self.load(name, batch, second)
            settings = self.settings
            found = scenarios.overlapped(pairs, settings.rounds, settings.burst_s, progress, self.leave_out)
        for name, (timing, figures) in found.items():
            note = "" if on_device(self.engines[name]) else "two engines at once: on a processor no copies overlap"
            self.keep(scenario, name, batch, timing, pairs[name][0].check, figures, note)

    def _paced(self, scenario, batch, progress):
        subjects = {name: self.load(name, batch) for name in self.engines}
        settings = self.settings
        found = scenarios.paced(subjects, settings.rounds, settings.rate_hz, progress=progress, failed=self.leave_out)
        for name, (timing, figures) in found.items():
            self.keep(scenario, name, batch, timing, subjects[name].check, figures)

    def _cold(self, scenario, batch, progress):
        settings, told = self.settings, {name: [] for name in self.engines}
        wanted = {
            "bundle": self.bundle.path, "graph": settings.graph, "threads": settings.threads, "device": settings.device,
            "seed": settings.seed,
        }  # fmt: skip
        for number in range(min(settings.rounds, scenarios.MOST_COLD_ROUNDS)):
            for name in list(told):
                try:
                    told[name].append(cold.start(dict(wanted, system=name)))
                except LatentjetError as error:
                    self.leave_out(name, error)
                    del told[name]
            progress(number + 1)
        for name, starts in told.items():
            self.keep(scenario, name, batch, *scenarios.cold(starts))

    def keep(self, scenario, name, batch, timing, verdict=None, figures=None, note=""):
        """A Timing and what belongs to it -> one more Result."""
        engine, checked = self.engines[name], isinstance(verdict, loads.Verdict)
        case = Case(scenario, name, engine.precision, batch, self.settings.threads)
        windows = [Window(began, ended, calls * batch) for began, ended, calls in timing.windows]
        peak = self.memory[name].get("left_out", "") if scenario == "cold" else ""
        notes = [loads.UNCHECKED.get(name, ""), graphs_of(name, engine), note, peak]
        self.results.append(
            Result(
                case, timing.rounds, verdict.largest if checked else None, "; ".join(filter(None, notes)),
                timing.device_rounds, figures or {}, verdict.levels() if checked else {}, self.memory[name],
                self.sampler.energy_j_per_image(windows),
            )
        )  # fmt: skip

    def harness(self, batches):
        """{batch: median seconds that everything around an engine takes}, by the replay engine, which only looks up."""
        found = {}
        with systems.open_system(self.bundle, self.settings.graph, "replay") as engine:
            for batch in sorted(set(batches)):
                load = self.load("replay", batch, engine)
                warm_up(load.call, least_s=0.02)
                found[str(batch)] = float(np.median(burst(load.call, HARNESS_CALLS)[0]))
        return found

    def layers(self):
        """Times of layers, of the systems that can tell them; an engine of its own for each, since telling slows it."""
        found = []
        for name in [name for name in self.engines if name in layers.TOLD]:
            with self.opened(name) as engine:
                told = layers.measure(self.bundle, engine, name, self.settings.batches, self.settings.threads)
                found.extend(told)
        return found


def on_device(engine):
    """Does this engine copy to a GPU and back?"""
    watch = getattr(engine, "watch", None)
    return bool(watch and watch(False))


def free_bytes(engine):
    """Free bytes of the GPU that an engine runs on, where that has memory of its own; else None."""
    cuda = getattr(engine, "cuda", None)
    return cuda.free_bytes() if cuda is not None else None


def graphs_of(name, engine):
    """Why a system that was to launch CUDA graphs does not, or ""."""
    graphs = getattr(engine, "graphs", "on")
    return "" if graphs in ("on", "off") else "CUDA graphs {}".format(graphs)


def about(bundle, graph, quality=None):
    """What a result keeps of the bundle."""
    described = bundle.graph(graph)
    entry = bundle.manifest["files"][described.file]
    figures = {name: described.figures.get(name) for name in ("nodes", "macs", "parameters")}
    return dict(
        figures, path=bundle.path, name=bundle.path.rstrip("/").rsplit("/", 1)[-1], family=bundle.family, graph=graph,
        sha256=entry["sha256"], kB=round(entry["bytes"] / 1e3, 1), model_class=bundle.manifest["model"].get("class"),
        image=None if bundle.image is None else list(bundle.image), quality=quality or {},
    )  # fmt: skip
