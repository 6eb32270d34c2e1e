"""What the trials of a study found: rows, the same as JSON and CSV, and their means over seeds."""

import csv
import io
import json
import platform
import statistics
from pathlib import Path

import torch

from ..checkpoint import write_atomically
from ..errors import StudyError
from .definition import brief

NAME = "results.json"


def gather(trials, definition):
    """Finished trials -> results as JSON values: what was asked, on which machine, one row a trial."""
    rows = []
    for trial in trials:
        told = trial.user_attrs
        row = {"trial": trial.number, "point": told["point"], "diverged": told.get("diverged")}
        row["figures"] = dict(told.get("figures", {}))
        row["spectrum"] = [float(f"{value:.4g}") for value in row["figures"].pop("spectrum", [])]
        rows.append({**row, "seconds": told["seconds"], "host": told["host"]})
    order = {json.dumps(point, sort_keys=True): index for index, point in enumerate(definition.points())}
    rows.sort(key=lambda row: (order.get(json.dumps(row["point"], sort_keys=True), 0), row["trial"]))
    asked = {key: value for key, value in definition._asdict().items() if value}
    return {"kind": "trials", "study": asked, "made_on": machine(), "rows": rows}


def machine():
    """The machine that reports, which is the one that ran them unless a row's host says otherwise."""
    names = [line.split(":")[1].strip() for line in cpu_lines() if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": len(names) or None,
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
    }


def cpu_lines():
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def write(folder, results):
    """Results to results.json and results.csv in a folder."""
    write_json(folder, results)
    write_atomically(Path(folder) / "results.csv", as_csv(results["rows"]).encode())


def write_json(folder, results):
    write_atomically(Path(folder) / NAME, (json.dumps(results, indent=1) + "\n").encode())


def read(folder):
    """Folder with results.json -> results. Raises StudyError."""
    path = Path(folder) / NAME
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["rows"], found["kind"], found["made_on"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{path} holds no results ({error!r}): give the --out of `latentjet study run`") from error
    if found["kind"] != "trials":
        raise StudyError(f"{path} holds results of latentjet study {found['kind']}: that command writes its own page")
    return found


def as_csv(rows):
    """Rows -> CSV, one line a trial: its point, its figures, whether it diverged, its seconds."""
    axes = list(dict.fromkeys(name for row in rows for name in row["point"]))
    names = list(dict.fromkeys(name for row in rows for name in row["figures"]))
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([*axes, *names, "diverged", "seconds", "host"])
    for row in rows:
        point = [brief(row["point"][name]) if name in row["point"] else "" for name in axes]
        found = ["" if row["figures"].get(name) is None else row["figures"][name] for name in names]
        lines.writerow([*point, *found, row["diverged"] or "", row["seconds"], row["host"]])
    return text.getvalue()


def over_seeds(rows):
    """Rows -> groups of points that differ in their seed only: a list of {point, runs, diverged, figures, seconds},
    each figure as its values over the runs that have one."""
    groups = {}
    for row in rows:
        point = {name: value for name, value in row["point"].items() if name != "seed"}
        groups.setdefault(json.dumps(point, sort_keys=True), (point, []))[1].append(row)
    return [group(point, members) for point, members in groups.values()]


def group(point, members):
    names = list(dict.fromkeys(name for row in members for name in row["figures"]))
    values = {name: [row["figures"][name] for row in members if row["figures"].get(name) is not None] for name in names}
    return {
        "point": point,
        "runs": len(members),
        "diverged": sum(row["diverged"] is not None for row in members),
        "figures": values,
        "seconds": statistics.fmean(row["seconds"] for row in members),
    }
