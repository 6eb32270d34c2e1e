"""Where the time goes, by the model's layers; what a profiler saw, and what an estimate predicts."""

from .names import seconds, share
from .parts import Picture, Section, Table

MOST = 14
ONE = "all other layers"


def section(run):
    """Run -> Section of the profiles, or None."""
    profiles = [profile for profile in run.layers if profile["layers"]]
    if not profiles:
        return None
    pictures = [picture(number, profile) for number, profile in enumerate(profiles)]
    lead = ["Time of each layer of the model, by the backend's own profiler and summed over the graph's nodes "
    "that came from it. "
            "Profiling slows calls down, so the sum is more than the latency above: read the shares."]  # fmt: skip
    return Section("layers", "Time by layer", lead, pictures, [table(profile) for profile in profiles])


def by_layer(layers):
    """[{layer, name, seconds}] -> [(layer, seconds)] in the model's order; what is small is put together at the end."""
    sums = {}
    for item in layers:
        name = str(item.get("layer") or "not of the model")
        sums[name] = sums.get(name, 0.0) + item["seconds"]
    kept = set(sorted(sums, key=sums.get, reverse=True)[: MOST if len(sums) > MOST + 1 else len(sums)])
    found = [(name, value) for name, value in sums.items() if name in kept]
    rest = sum(value for name, value in sums.items() if name not in kept)
    return found + ([(ONE, rest)] if len(kept) < len(sums) else [])


def picture(number, profile):
    found = by_layer(profile["layers"])
    total = sum(value for _, value in found)
    rows = [{"label": name, "values": [1e6 * value]} for name, value in found]
    name, value = max(found, key=lambda item: item[1])
    alt = "Time by layer in {}, batch {}: {} in all; most, {}, in {}.".format(
        profile["system"], profile["batch"], seconds(total), share(value / total, 1), name)  # fmt: skip
    title = "Time by layer, {}, batch {}".format(profile["system"], profile["batch"])
    data = {"rows": rows, "parts": [], "xlabel": "microseconds"}
    return Picture("layers-{}".format(number), title, alt, "stacked", data)


def table(profile):
    total = sum(item["seconds"] for item in profile["layers"]) or 1.0
    rows = [
        [str(item.get("layer") or ""), str(item.get("name", "")), ", ".join(map(str, item.get("operators") or [])),
         "{:.1f}".format(1e6 * item["seconds"]), share(item["seconds"] / total, 1)]
        for item in profile["layers"]
    ]  # fmt: skip
    caption = "Every kernel or node, {}, batch {}".format(profile["system"], profile["batch"])
    return Table(caption, ["layer of the model", "node", "operators", "\u00b5s", "share"], rows, 3, True)
