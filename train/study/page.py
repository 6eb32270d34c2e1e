"""The page of a study: Markdown that a person writes around a part that is generated between two markers."""

import statistics
from pathlib import Path

from ..checkpoint import write_atomically
from ..errors import StudyError
from .definition import brief
from .results import over_seeds

BEGIN, END = "<!-- results: written by latentjet study report -->", "<!-- end of the results -->"


def put(path, heading, lines):
    """Lines of Markdown into a page, in the place of those between its markers; a new page has nothing else."""
    path, block = Path(path), "\n".join([BEGIN, "", *lines, "", END])
    if not path.exists():
        write_atomically(path, f"{heading}\n\n{block}\n".encode())
        return
    text = path.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(END) < text.index(BEGIN):
        raise StudyError(f"{path} exists and has no place for the results: put these two lines into it: {BEGIN} {END}")
    before, rest = text.split(BEGIN)
    write_atomically(path, (before + block + rest.split(END)[1]).encode())


def heading(results):
    study = results["study"]
    return f"# Study: {study['name']}\n\n{study.get('question', '')}".strip()


def lines(results, pictures):
    """Results of trials and [(caption, file beside the page)] -> the generated part of the page."""
    study, rows = results["study"], results["rows"]
    text = [f"Fixed: {settings(study)}. {made_on(results)}", ""]
    text += [*table(over_seeds(rows), study["figures"]), *beside(study, rows)]
    text += [part for caption, file in pictures for part in ("", f"![{caption}]({file})", "", f"*{caption}*")]
    return text


REAL = {"fid_floor": "FID floor", "kid_floor": "KID floor", "judge_accuracy": "judge's accuracy"}


def beside(study, rows):
    """A sentence: what the figures by the judge are for real images, if any run has such figures."""
    found = {words: [row["figures"][name] for row in rows if name in row["figures"]] for name, words in REAL.items()}
    if not any(found.values()):
        return []
    words = ", ".join(f"{words} {spread(values)}" for words, values in found.items())
    return ["", f"Measured on {study['images']:,} images that no run saw. Real images in place of samples: {words}."]


def settings(study):
    fixed = study.get("settings", {})
    return ", ".join(f"{name} {brief(value)}" for name, value in fixed.items()) or "nothing"


def made_on(results):
    """One sentence: how many runs, how long, on what."""
    rows, on = results["rows"], results["made_on"]
    seconds = sum(row["seconds"] for row in rows)
    return (
        f"{len(rows)} runs of {seconds / 60:.0f} minutes in all, one after the other, on {on['processor']} "
        f"({on['cores']} cores, whatever else they did), torch {on['torch']}."
    )


def table(groups, figures):
    """Groups over seeds -> a Markdown table, means with half the range over the seeds."""
    axes = list(dict.fromkeys(name for group in groups for name in group["point"]))
    head = [*axes, "runs", "diverged", *[name.replace("_", " ") for name in figures], "seconds"]
    body = [row(group, axes, figures) for group in groups]
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *body)]


def row(group, axes, figures):
    point = [brief(group["point"][name]) if name in group["point"] else "" for name in axes]
    found = [spread(group["figures"].get(name, [])) for name in figures]
    return [*point, str(group["runs"]), str(group["diverged"]), *found, f"{group['seconds']:.0f}"]


def spread(values):
    """Values over seeds -> "103.2 ± 0.4" (mean, half the range), "103.2" for one, "" for none."""
    if not values:
        return ""
    if all(isinstance(value, int) for value in values) and len(set(values)) == 1:
        return str(values[0])
    mean, half = statistics.fmean(values), (max(values) - min(values)) / 2
    digits = 4 if abs(mean) < 1 else 3 if abs(mean) < 10 else 2 if abs(mean) < 100 else 1
    return f"{mean:.{digits}f} ± {half:.{digits}f}" if len(values) > 1 else f"{mean:.{digits}f}"
