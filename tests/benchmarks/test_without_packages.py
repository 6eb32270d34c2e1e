"""Where jinja2 and matplotlib are not installed, as on a board: everything else works, and the page says what it needs."""

import sys

import pytest
from doubles import runs
from latentjet.benchmarks.results import save
from latentjet.runtime.cli import main


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A folder with run.json, and a Python without the two packages."""
    for name in ("jinja2", "matplotlib", "markupsafe"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("page", "plots"):
        monkeypatch.delitem(sys.modules, "latentjet.benchmarks.report." + name, raising=False)
    monkeypatch.chdir(tmp_path)
    save(runs.full(), "run.json")
    return tmp_path


@pytest.mark.parametrize(("option", "packages"), [("--out", "jinja2 matplotlib"), ("--png", "matplotlib")])
def test_the_page_says_what_to_install(bare, capsys, option, packages):
    assert main(["bench", "report", "run.json", option, "file"]) == 1
    err = capsys.readouterr().err
    assert "pip install {};".format(packages) in err and "--markdown needs neither" in err and err.count("\n") == 1
    assert not (bare / "file").exists()


def test_markdown_show_and_compare_need_neither(bare, capsys):
    assert main(["bench", "report", "run.json", "--markdown", "page.md"]) == 0
    assert "# invented-flow 'decode': one image in " in (bare / "page.md").read_text(encoding="utf-8")
    assert main(["bench", "show", "run.json"]) == 0
    assert main(["bench", "compare", "run.json", "run.json"]) == 0
    assert "REGRESSION" not in capsys.readouterr().out
