"""The cost of scale: what a point is made of is exact; the fit finds costs that it was given; pages and pictures."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from latentjet.benchmarks.scale import __main__ as command
from latentjet.benchmarks.scale import memory, points, predicted, record, study, table
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.errors import BackendError, InputError

ROOT = Path(__file__).resolve().parent.parent.parent.parent
exports = pytest.mark.skipif(sys.version_info < (3, 10), reason="exporting needs CPython 3.10")


def measured(point, kernels, macs, moved, seconds, board):
    taken = {"imported": 10 * 10**6, "loaded": 12 * 10**6, "most": 15 * 10**6}
    figures = {"nodes": kernels + 9, "kernels": kernels, "macs": macs, "moved_bytes": moved, "parameters": 250000, "graph_bytes": 10**6}
    return record.Measured(*point, memory=taken, board=board, seconds=((seconds, seconds),) * 3, **figures)


@pytest.fixture
def made():
    """Every point of the flow, its time exactly 20 us + 3 us a kernel + 0.05 ns a MAC + 0.1 ns a byte."""
    found = []
    for index, point in enumerate(points.points(["realnvp"])):
        kernels, macs = 9 * sum(point.arguments["couplings"]) + index % 3, 10**6 * (1 + index)
        moved = 10**5 * (1 + index * index % 7)
        board = {"seconds": 1e-3, "low": 5e-4, "high": 2e-3}
        seconds = 2e-5 + 3e-6 * kernels + 5e-11 * macs * point.batch + 1e-10 * moved
        found.append(measured(point, kernels, macs, moved, seconds, board))
    machine = {"processor": "a processor", "cores": 2, "system": "Linux", "python": "3.11.0", "load": 0.1}
    settings = {"rounds": 3, "burst_s": 0.02, "threads": 1, "seed": 0}
    return record.Record("2026-01-01T00:00:00Z", machine, {"torch": "2"}, settings, tuple(found))


def test_one_thing_changes_along_a_sweep_and_every_sweep_meets_the_default():
    for family, base in (("realnvp", points.FLOW), ("vae", points.VAE)):
        for sweep, values in points.SWEEPS[family].items():
            found = points.points([family], [sweep])
            assert [item.value for item in found] == sorted(values)
            for item in found:
                changed = [name for name in base if item.arguments[name] != base[name]]
                assert len(changed) + (item.batch != 1) <= 1 and set(item.arguments) == set(base)
            assert any(item.arguments == base and item.batch == 1 for item in found)
    assert len(points.points(least=True)) == 2 * sum(len(sweeps) for sweeps in points.SWEEPS.values())


@pytest.mark.parametrize(
    ("given", "told"),
    [((["gan"], None), "family is 'gan', expected one of realnvp, vae"), ((None, ["depth"]), "sweep is 'depth', expected")],
)
def test_unknown_names_are_refused(given, told, sentence):
    assert told in sentence(InputError, points.points, *given)


def test_the_fit_finds_the_costs_that_the_times_were_made_of(made):
    line = predicted.fit(made.points, "realnvp")
    np.testing.assert_allclose(line[:4], [2e-5, 3e-6, 5e-11, 1e-10], rtol=1e-6)
    assert line.sweeps == ("batch", "couplings")
    assert max(predicted.errors(made.points, "realnvp", line)) < 1e-6
    assert len(predicted.errors(made.points, "realnvp", line)) == 11
    assert predicted.fit(made.points, "vae") is None


def test_the_fit_sees_only_its_sweeps_and_no_cost_is_below_zero(made):
    slow = [item._replace(seconds=((1.0,),)) if item.sweep == "image" else item for item in made.points]
    assert predicted.fit(slow, "realnvp") == predicted.fit(made.points, "realnvp")
    falling = [item._replace(seconds=((1e-3 / (1 + item.kernels),),)) for item in made.points]
    assert min(predicted.fit(falling, "realnvp")[:4]) >= 0


def test_a_record_is_read_as_it_was_written_and_garbled_ones_are_refused(made, tmp_path, sentence):
    place = tmp_path / "scale.json"
    record.save(made, str(place))
    again = record.load(str(place))
    assert again._replace(points=()) == made._replace(points=())
    for one, other in zip(again.points, made.points):
        assert one._replace(seconds=()) == other._replace(seconds=())
        np.testing.assert_allclose(one.seconds, other.seconds, atol=1e-8)
    content = json.loads(place.read_text())
    for change in ({"kind": "x"}, {"format": 7}, {"points": [{}]}, {"points": 1}):
        place.write_text(json.dumps(dict(content, **change)))
        assert "is no record of the cost of scale" in sentence(InputError, record.load, str(place))
    assert "cannot be read" in sentence(InputError, record.load, str(tmp_path / "none.json"))


def test_the_page_has_a_row_for_each_point_and_says_what_was_fitted(made):
    page = table.page(made)
    assert len([row for row in page.splitlines() if row.startswith("| ")]) == 1 + len(made.points)
    assert "20.0 us + 3.00 us a kernel + 0.050 ns a MAC + 0.100 ns a byte moved, fitted to the sweeps over batch and couplings" in page
    assert "On the other 11 points it is off by 0 % (median) and 0 % (most)" in page
    assert "| 1.00 (0.50 to 2.00) | 5.0 |" in page and "measured again" not in page
    assert "measured again" in table.page(made._replace(machine=dict(made.machine, load=3.0)))


def test_memory_is_taken_in_a_process_of_its_own(bundles):
    found = memory.apart(bundles / "vae.bundle", 2)
    assert 0 < found["imported"] <= found["loaded"] and found["imported"] <= found["most"]


def test_a_process_that_dies_is_told(tmp_path, sentence):
    told = sentence(BackendError, memory.apart, tmp_path / "none.bundle", 1)
    assert "measuring memory of" in told and "none.bundle" in told


@exports
def test_what_a_graph_is_made_of_follows_from_the_model(tmp_path):
    """A coupling adds the same nodes and the MACs of its three convolutions; a bundle is verified and timed as any is."""
    from latentjet.benchmarks.exported import decode_bundle, perturbed
    from latentjet.train.models import RealNVP

    figures = {}
    for count in (1, 2, 3):
        model = perturbed(RealNVP((1, 8, 8), 0, (count,), (4,)))
        bundle = decode_bundle(model, model.latent, str(tmp_path / "{}.bundle".format(count)))
        figures[count] = bundle.graph("decode").figures
    assert Bundle.open(str(tmp_path / "1.bundle")).graph("decode").precision is None
    for name in ("nodes", "fused_nodes", "macs", "parameters"):
        assert figures[3][name] - figures[2][name] == figures[2][name] - figures[1][name] > 0
    assert figures[2]["macs"] - figures[1]["macs"] == 4 * 4 * (9 * 2 * 4 + 4 * 4 + 9 * 4 * 4)
    assert figures[2]["parameters"] - figures[1]["parameters"] == 9 * 2 * 4 + 4 + 4 * 4 + 4 + 9 * 4 * 4 + 4


@exports
def test_the_smallest_run_from_end_to_end(tmp_path, capsys, monkeypatch):
    import latentjet.benchmarks.scale.measured as run

    small = dict(points.VAE, image=[1, 8, 8], hidden=2)
    monkeypatch.setattr(points, "VAE", small)
    place = tmp_path / "scale.json"
    chosen = ["--families", "vae", "--sweeps", "batch", "--least", "--rounds", "2", "--burst", "0.001"]
    assert command.main(["run", "--out", str(place)] + chosen) == 0
    kept = record.load(str(place))
    assert capsys.readouterr().out == table.page(kept) + "\n" + str(place) + "\n"
    one, two = kept.points
    assert (one.batch, two.batch) == (1, 2) and one.macs == two.macs and one.graph_bytes == two.graph_bytes
    assert one.board["low"] < one.board["seconds"] < two.board["seconds"] and one.memory["most"] > one.memory["imported"]
    assert command.main(["run", "--out", str(place)] + chosen) == 1 and "--overwrite" in capsys.readouterr().err
    assert command.main(["run", "--out", str(tmp_path / "x"), "--sweeps", "depth"]) == 1
    assert "sweep is 'depth'" in capsys.readouterr().err
    with pytest.raises(InputError):
        run.run([], 2)


@exports
def test_pictures_are_drawn_beside_the_record_and_the_page_written(made, tmp_path, capsys):
    place, page = tmp_path / "scale.json", tmp_path / "page.md"
    record.save(made, str(place))
    page.write_text("<!-- scale -->\n<!-- /scale -->\n")
    assert command.main(["report", str(place), "--into", str(page)]) == 0
    assert (tmp_path / "scale-realnvp.png").read_bytes().startswith(b"\x89PNG")
    assert table.page(record.load(str(place))) in page.read_text() and not (tmp_path / "scale-vae.png").exists()


def test_the_page_shows_the_record_that_is_kept():
    from latentjet.benchmarks import section

    kept = record.load(str(ROOT / "docs" / "benchmarks" / "scale.json"))
    page = table.page(kept)
    assert section.read(str(ROOT / "docs" / "benchmarks.md"), "scale") == page
    for line in page.splitlines():
        if line.startswith("!["):
            assert (ROOT / "docs" / line.split("(")[1].rstrip(")")).is_file()


def rows_of(figures):
    points_of = [{"couplings": [2, 1]}, {"couplings": [4, 2]}, {"couplings": [4, 2], "depth": 0, "optimizer": "adam"}]
    return [{"point": point, "figures": found} for point, found in zip(points_of, figures)]


def test_a_study_is_read_and_its_points_are_its_models(tmp_path):
    rows = rows_of([{"bits_per_dim": 3.5, "accuracy": 0.7}, {"bits_per_dim": 3.25}, {"bits_per_dim": 3.3}])
    content = {"study": {"settings": {"family": "realnvp"}}, "rows": rows + [{"point": {}, "figures": {}}]}
    (tmp_path / "results.json").write_text(json.dumps(content))
    assert study.read(str(tmp_path)) == rows
    found = study.points(rows)
    assert [item.value for item in found] == [0, 1, 2] and found[2].arguments["depth"] == 0
    assert "optimizer" not in found[2].arguments
    assert all(item.arguments["classes"] == 10 for item in found)


def test_the_table_of_a_study_ends_with_the_best_likelihood(made):
    rows = rows_of([{"bits_per_dim": 3.5, "accuracy": 0.7}, {"bits_per_dim": 3.25}, {"bits_per_dim": 3.3}])
    page = study.page(rows, made._replace(points=made.points[:3]))
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    assert lines[0].startswith("| couplings | depth | optimizer | bits/dim |")
    assert [line.split(" | ")[3] for line in lines[1:]] == ["3.500", "3.300", "3.250"]
    assert "| 2,1 |  |  | 3.500 | 70 % |" in page and "| 4,2 | 0 | adam | 3.300 |  |" in page


@pytest.mark.parametrize("content, sentence", [
    (None, "cannot be read"),
    ("{", "holds no results of a study of flows"),
    ('{"study": {"settings": {"family": "vae"}}, "rows": [{"point": {}, "figures": {"bits_per_dim": 1}}]}', "not realnvp"),
    ('{"study": {"settings": {"family": "realnvp"}}, "rows": []}', "no run with a likelihood"),
])  # fmt: skip
def test_what_is_no_study_of_flows_is_refused(tmp_path, capsys, content, sentence):
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    assert command.main(["study", str(tmp_path)]) == 1
    assert sentence in capsys.readouterr().err
