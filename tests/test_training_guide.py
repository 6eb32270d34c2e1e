"""docs/training.md against the code: its commands can be typed, its options exist, its tables name every family."""

import re
import shlex
from pathlib import Path

from latentjet.train.__main__ import make_parser
from latentjet.train.settings import FAMILIES, MODEL_OPTIONS, resolve
from torch.distributed.run import parse_args

GUIDE = (Path(__file__).resolve().parent.parent / "docs" / "training.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


def typed(line):
    """A command line -> (family, settings)."""
    words = shlex.split(line)
    if words[0] == "torchrun":
        started = parse_args(words[1:])
        assert started.module and started.training_script == "latentjet.train"
        words = ["latentjet", "train", *started.training_script_args]
    assert words[:2] == ["latentjet", "train"], line
    args = vars(make_parser().parse_args(words[2:]))
    chosen = {name: args[name] for name in ("data", "epochs", "batch", "lr", "seed", "precision")}
    return resolve(args["family"], chosen)


def test_the_commands_can_be_typed():
    lines = [line for line in COMMANDS if "FAMILY" not in line]
    assert len(lines) >= 4
    for line in lines:
        assert typed(line)["family"] in FAMILIES


def test_the_options_exist():
    known = {option for action in make_parser()._actions for option in action.option_strings}
    named = set(re.findall(r"`(--[a-z-]+)", GUIDE))
    assert len(named) > 15 and not named - known


def test_the_tables_name_every_family_and_its_options():
    assert re.findall(r"^\| `(\w+)` \| [A-Za-z]", GUIDE, re.MULTILINE) == list(FAMILIES)
    rows = {families: options for options, families in re.findall(r"^\| (`--.*) \| (`.*) \|$", GUIDE, re.MULTILINE)}
    for families, options in rows.items():
        own = MODEL_OPTIONS[FAMILIES[re.match(r"`(\w+)`", families).group(1)].model.__name__]
        assert re.findall(r"--(\w+)", options) == list(own), families
    assert len(rows) == len(MODEL_OPTIONS)
