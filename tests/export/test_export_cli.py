"""latentjet export: one line for what is wrong, a table for what is right."""

import pytest
from latentjet.runtime.cli import main


def test_the_table_tells_what_a_person_wants_to_know(bundles, tmp_path, capsys):
    assert main(["export", str(bundles / "realnvp"), str(tmp_path / "f.bundle")]) == 0
    out = capsys.readouterr().out
    for word in (
        "decode",
        "encode",
        "log_prob",
        "nodes",
        "MMAC",
        "parameters",
        "largest diff",
        "Conv",
        "opset 13",
        "8.2",
    ):
        assert word in out


@pytest.mark.parametrize("target", ["tx2", "nowhere"])
def test_errors_are_one_line_and_leave_nothing(tmp_path, target, capsys):
    assert main(["export", str(tmp_path / "none"), str(tmp_path / "b"), "--target", target]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("latentjet export: ") and captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bundle_is_refused_before_any_work(bundles, capsys):
    assert main(["export", str(bundles / "cvae"), str(bundles / "cvae.bundle")]) == 1
    assert capsys.readouterr().err.strip().endswith("name another place, or give --overwrite")
