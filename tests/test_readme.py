"""Every command and every line of Python in the README runs, in order, in a fresh folder.

Training commands are shortened (`--limit 300 --epochs 1` is added; the last one counts); `make` commands are what
.ci/run runs in full.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", README, re.DOTALL)
SHORT = " --limit 300 --epochs 1"


def shortened(line):
    if "latentjet train" in line and "--resume" not in line:
        return line + SHORT
    return line + " --rounds 2" if "bench run" in line else line


def script():
    """The README's commands and Python blocks as one shell script."""
    lines = ["set -euo pipefail"]
    for number, (language, text) in enumerate(BLOCKS):
        if language == "sh":
            lines += [shortened(line) for line in text.strip().splitlines() if not line.startswith("make ")]
        else:
            Path(f"block{number}.py").write_text(text)
            lines.append(f"python -W error block{number}.py")
    return "\n".join(lines)


def test_the_commands_of_the_readme_run(tmp_path, monkeypatch):
    if not (ROOT / ".venv36" / "bin" / "python").exists():
        reason = "the README's last commands need CPython 3.6, which this machine lacks"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    tree = tmp_path / "latentjet"
    shutil.copytree(
        ROOT, tree, ignore=shutil.ignore_patterns(".venv*", ".git", "build", "*.egg-info", "__pycache__", "demo")
    )
    (tree / ".venv").symlink_to(Path(sys.prefix))
    monkeypatch.chdir(tree)
    places = [Path(sys.executable).parent, Path(os.path.realpath(ROOT / ".venv36" / "bin" / "python3.6")).parent]
    environment = {**os.environ, "PATH": os.pathsep.join(map(str, [*places, os.environ["PATH"]]))}
    done = subprocess.run(["bash", "-c", script()], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for made in ("runs/cvae.png", "runs/cvae.json", "runs/mine.bundle/bundle.json", "runs/small/curve.png"):
        assert (tree / made).is_file(), made


def test_ci_runs_the_make_commands_of_the_readme():
    ci = (ROOT / ".ci" / "run").read_text()
    commands = [
        line for language, text in BLOCKS if language == "sh" for line in text.splitlines() if line.startswith("make ")
    ]
    assert commands == ["make demo", "make test"]
    assert all(command in ci for command in commands)


def test_links_and_pictures_of_the_documents_exist():
    for document in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            assert link.startswith("http") or (document.parent / link).exists(), f"{document.name}: {link}"
