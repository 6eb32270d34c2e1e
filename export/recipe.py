"""From what a bundle and an evaluation recorded to the commands that make them again."""

import re
import shlex
from pathlib import Path

from ..runtime.parts import CONSTANTS
from ..train.__main__ import make_parser


def option(key, value):
    """A recorded setting -> the words of its option; none for what was left open."""
    if value is None or value is False:
        return []
    flag = "--" + key.replace("_", "-")
    if value is True:
        return [flag]
    return [flag, ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)]


def train_commands(settings, out):
    """Resolved settings, folder -> (the commands that train it, each its words; settings that no option sets).

    The last command is the run's own, and the ones before are those of the run that it started from.
    """
    earlier = []
    if "start" in settings:
        before, place = settings["start"], f"{out}-start"
        earlier, _ = train_commands({**before["settings"], "epochs": before["epochs"]}, place)
        settings = {**settings, "start": place}
    words, others = train_command(settings, out)
    return [*earlier, words], others


def train_command(settings, out):
    """Resolved settings, folder -> (words of the command that trains it, settings that no option sets)."""
    known = set(re.findall(r"--[a-z-]+", make_parser().format_help()))
    words, others = ["latentjet", "train", settings["family"]], {}
    for key, value in settings.items():
        given = option(key, value)
        if given and given[0] in known:
            words += given
        elif given and key != "family":
            others[key] = value
    return [*words, "--out", out], others


def export_command(manifest, source, path):
    """A shipped bundle's manifest, checkpoint, bundle -> the words of the command that exports it."""
    words = ["latentjet", "export", source, path, "--target", manifest["target"].split(":")[0]]
    words += [] if "weights.npz" in manifest["files"] else ["--without-weights"]
    return [*words, "--compact"] if CONSTANTS in manifest["files"] else words


def backend(evaluated):
    """What a bundle was evaluated on, as an option; none for a checkpoint."""
    if evaluated["kind"] == "checkpoint":
        return []
    found = re.match(r"backend '(\w+)'", evaluated["ran"])
    return ["--backend", found.group(1) if found else "eager"]


def data_option(evaluation):
    """The data set as an option: what training was given (a folder's path), where that is what was measured on."""
    name, trained = evaluation["data"]["name"], (evaluation["evaluated"]["settings"] or {}).get("data")
    return trained if trained and Path(trained).name == name else name


def wrapped(words, width=116):
    """Words of a command -> lines for a shell; an option stays with its value."""
    lines, line = [], ""
    for part in re.split(r" (?=--)", shlex.join(words)):
        if line and len(line) + len(part) + 3 > width:
            lines.append(line + " \\")
            line = "   "
        line = f"{line} {part}" if line else part
    return "\n".join([*lines, line])


def evaluate_command(evaluation, path, out=None):
    """Content of an evaluation, what was evaluated, file for the result -> the words of the command."""
    data, options = evaluation["data"], evaluation["options"]
    words = ["latentjet", "evaluate", path, "--data", data_option(evaluation), "--split", data["split"]]
    words += ["--limit", str(data["images"]), *backend(evaluation["evaluated"])]
    for key in ("samples", "temperature", "seed", "importance", "binarise", "judge"):
        words += option(key, options.get(key))
    return [*words, "--out", out] if out else words
