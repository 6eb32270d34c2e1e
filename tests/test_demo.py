"""The demo runs every step and refuses to write over anything."""

from latentjet.export import demo
from latentjet.runtime.cli import main


def test_the_quick_demo_makes_what_it_promises(tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "--quick", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    for name in ("cvae.png", "realnvp.png", "realnvp/curve.png", "cvae.bundle/bundle.json", "realnvp-bench.json"):
        assert (out / name).is_file(), name
    assert printed.count("$ latentjet ") == 10
    next_commands = printed[printed.rindex("next") :].strip().splitlines()[1:]
    assert len(next_commands) == 3 and all(line.strip().startswith("latentjet ") for line in next_commands)


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path, capsys):
    (tmp_path / "mine").write_text("precious")
    assert main(["demo", "--out", str(tmp_path)]) == 1
    assert "not empty" in capsys.readouterr().err and (tmp_path / "mine").read_text() == "precious"


def test_a_place_that_cannot_be_made_is_one_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["demo", "--out", str(tmp_path / "file" / "demo")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_step_that_fails_ends_the_demo_with_its_status(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "steps", lambda out, quick: [["show", str(tmp_path / "none")], ["--help"]])
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 1
    captured = capsys.readouterr()
    assert "`latentjet show` ended with status 1" in captured.err and "Make a model" not in captured.out
