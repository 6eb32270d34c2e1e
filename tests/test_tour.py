"""Every command and every line of Python in docs/tour.md runs, in order, and its pictures are those in docs/tour.

`python tests/test_tour.py` draws the pictures anew, with the bundles that ship: run it when these have changed.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

DOCS = Path(__file__).resolve().parent.parent / "docs"
TOUR = (DOCS / "tour.md").read_text()
BLOCKS = re.findall(r"```(sh|python)\n(.*?)```", TOUR, re.DOTALL)
PICTURES = re.findall(r"\]\((tour/[^)]+[.]png)\)", TOUR)


def run(folder):
    """Run the tour in an empty folder -> the finished process."""
    lines = ["set -euo pipefail"]
    for number, (language, text) in enumerate(BLOCKS):
        if language == "sh":
            lines.append(text)
        else:
            (folder / f"block{number}.py").write_text(text)
            lines.append(f"python -W error block{number}.py")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(folder / "cache")}
    command = ["bash", "-c", "\n".join(lines)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def images_of(path, height, width):
    """The lower right part of a picture: its images without captions, which each Pillow writes in its own way."""
    with Image.open(path) as picture:
        return np.array(picture.convert("L"))[-height:, -width:].astype(int)


def test_the_tour_runs_and_its_pictures_are_those_in_the_docs(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(PICTURES) >= 5 and len(set(PICTURES)) == len(PICTURES)
    for name in PICTURES:
        with Image.open(DOCS / name) as picture:
            height, width = picture.height - 20, picture.width - 80
        gap = np.abs(images_of(tmp_path / name, height, width) - images_of(DOCS / name, height, width))
        assert gap.mean() < 1, f"docs/{name} is not what the tour draws: python tests/test_tour.py"
    assert sorted(path.name for path in (DOCS / "tour").iterdir()) == sorted(Path(name).name for name in PICTURES)


def test_the_pictures_are_small():
    assert all((DOCS / name).stat().st_size < 100_000 for name in PICTURES)


def draw():
    """Draw docs/tour anew."""
    with tempfile.TemporaryDirectory() as folder:
        done = run(Path(folder))
        if done.returncode:
            sys.exit(done.stderr)
        shutil.rmtree(DOCS / "tour", ignore_errors=True)
        shutil.copytree(Path(folder, "tour"), DOCS / "tour")


if __name__ == "__main__":
    draw()
