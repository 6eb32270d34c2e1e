"""What a report says first: one sentence, and a few figures."""

from .latency import beside_eager, timed
from .names import bundle, deployed, machine, scaled, seconds, short, words
from .scenarios import frames, phases


def best(run):
    """The result that the headline is about: the fastest deployed system at the smallest batch size, or None."""
    found = timed(run)
    found = [item for item in found if deployed(item.case)] or found
    return min(found, key=lambda item: (item.case.batch, item.percentile_s(90)), default=None)


def sentence(run):
    """Run -> what, on what machine, how long, how much faster than eager."""
    result = best(run)
    what = "{} '{}'".format(bundle(run), run.bundle["graph"])
    if result is None:
        return "{} on {}: {} results".format(what, machine(run), len(run.results))
    images = "one image" if result.case.batch == 1 else "{} images".format(result.case.batch)
    mode = run.machine.get("power_mode")
    return "{}: {} in {} (p90) with {} on {}{}{}.".format(
        what, images, seconds(result.percentile_s(90)), words(result.case), machine(run),
        " in mode {}".format(mode) if mode else "", beside(run, result),
    )  # fmt: skip


def beside(run, result):
    """The clause about eager PyTorch; none where there is no such baseline."""
    found = beside_eager(run, result)
    if found is None:
        return ""
    if found.low <= 1 <= found.high:
        return ", no faster or slower than eager PyTorch as far as {} rounds tell".format(len(result.rounds))
    return ", {} times as fast as eager PyTorch (95 % {} to {})".format(*map(short, found))


def figures(run):
    """Run -> [(value, what it is)] for the tiles below the headline."""
    found, result = [], best(run)
    if result is not None:
        found.append((seconds(result.median_s), "median, batch {}, {}".format(result.case.batch, words(result.case))))
        beside_it = beside_eager(run, result)
        if beside_it is not None:
            found.append(("{}\u00d7".format(short(beside_it.median)), "as fast as eager PyTorch"))
    fast = [item for item in timed(run) if deployed(item.case)]
    if fast:
        most = max(fast, key=lambda item: item.samples_per_s)
        found.append(
            (short(most.samples_per_s), "images a second, batch {}, {}".format(most.case.batch, words(most.case)))
        )
    return found + of_scenarios(run)


def of_scenarios(run):
    """Tiles of cold start, fixed rate and energy, where they were measured."""
    found = []
    for item in run.results:
        if not deployed(item.case):
            continue
        if item.case.scenario == "cold" and phases(item):
            found.append(
                (
                    item.median_s,
                    (seconds(item.median_s), "from process start to the first image, {}".format(words(item.case))),
                )
            )
    tiles = [min(found)[1]] if found else []
    paced = [
        item
        for item in run.results
        if item.case.scenario == "paced" and "missed" in item.figures and deployed(item.case)
    ]
    if paced:
        item = min(paced, key=lambda item: (item.figures["missed"] / float(frames(item)), item.median_s))
        at = " at {:.6g} Hz".format(item.figures["rate_hz"]) if item.figures.get("rate_hz") else ""
        missed = "{} of {:,}".format(item.figures["missed"], frames(item))
        tiles.append((missed, "deadlines missed{}, {}".format(at, words(item.case))))
    joules = [item for item in run.results if item.energy_j_per_image is not None and deployed(item.case)]
    if joules:
        item = min(joules, key=lambda item: item.energy_j_per_image)
        tiles.append(
            (scaled(item.energy_j_per_image, "J"), "an image, batch {}, {}".format(item.case.batch, words(item.case)))
        )
    return tiles
