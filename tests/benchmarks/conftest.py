"""Machines to look at: file trees of boards (tests/doubles/boards.py), with commands that answer."""

import pytest
from doubles import boards
from doubles.plugged import board, built, copied, plug
from latentjet.runtime.machine import Machine, Outcome

__all__ = ["board", "built", "copied", "machine", "plug"]


@pytest.fixture
def machine(tmp_path):
    """(name of a board or {path: text}, {command: its output}, further files) -> a Machine below a folder of its own."""

    def made(files=None, commands=None, **more):
        known = boards.TREES[files].files if isinstance(files, str) else files or {}
        root = boards.grow(tmp_path / "root", dict(known, **more.pop("extra", {})))

        def run(command, timeout_s=60):
            said = (commands or {}).get(command[0])
            return Outcome(None, "", "No such file or directory") if said is None else Outcome(0, said, "")

        return Machine(root, run, "aarch64", environment=more.pop("environment", {}), **more)

    return made
