"""The run beside the peers in its smallest form, without the peers; its record, its table, what it refuses."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from latentjet.benchmarks.peers import __main__ as command
from latentjet.benchmarks.peers import record, table
from latentjet.runtime.errors import InputError

ROOT = Path(__file__).resolve().parent.parent.parent.parent
exports = pytest.mark.skipif(sys.version_info < (3, 10), reason="exporting needs CPython 3.10")
SMALLEST = ["--libraries", "none", "--size", "small", "--batch", "1,2", "--rounds", "2", "--burst", "0.001"]
OURS = ("plain PyTorch", "dense", "model")


def measured(way="model", batch=1, seconds=1e-3, name="plain PyTorch", note=""):
    rounds = tuple((seconds * (1 + index / 100), seconds) for index in range(5))
    return record.Measured("flow-dense", name, "dense", way, batch, 1000, 2000000, rounds, note)


@pytest.fixture
def made():
    """A record in which zuko, compiled, is twice as fast as the bundle at batch 1 and half as fast at batch 8."""
    results = [measured(), measured(batch=8, seconds=4e-3)]
    results += [measured("compiled", 1, 5e-4, "zuko", "a note"), measured("compiled", 8, 8e-3, "zuko", "a note")]
    machine = {"processor": "a processor", "cores": 2, "system": "Linux", "python": "3.11.0", "load": 0.1}
    settings = {"rounds": 5, "burst_s": 0.02, "threads": 1, "seed": 0, "size": "full"}
    return record.Record("2026-01-01T00:00:00Z", machine, {"zuko": "1.6.0"}, settings, tuple(results))


def test_a_record_is_read_as_it_was_written(made, tmp_path):
    record.save(made, str(tmp_path / "record.json"))
    again = record.load(str(tmp_path / "record.json"))
    assert again._replace(results=()) == made._replace(results=())
    for one, other in zip(again.results, made.results):
        assert one._replace(seconds=()) == other._replace(seconds=())
        np.testing.assert_allclose(one.seconds, other.seconds, atol=1e-8)


@pytest.mark.parametrize("change", [{"kind": "other"}, {"format": 9}, {"results": [{}]}, {"machine": None, "results": 3}])
def test_what_is_no_record_is_refused(made, tmp_path, change, sentence):
    place = tmp_path / "record.json"
    record.save(made, str(place))
    place.write_text(json.dumps(dict(json.loads(place.read_text()), **change)))
    assert "is no record of a run beside the peers" in sentence(InputError, record.load, str(place))


@pytest.mark.parametrize("seconds", [[], [[]], [[0.0]], [[1e-3, -1e-3]]])
def test_seconds_that_are_none_are_refused(made, tmp_path, seconds, sentence):
    place = tmp_path / "record.json"
    record.save(made, str(place))
    content = json.loads(place.read_text())
    content["results"][1]["seconds"] = seconds
    place.write_text(json.dumps(content))
    assert "record.json" in sentence(InputError, record.load, str(place))
    assert "cannot be read" in sentence(InputError, record.load, str(tmp_path / "none.json"))


def test_the_table_has_a_line_for_each_system_and_says_who_wins(made):
    page = table.page(made)
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert len(rows) == 4 and {row.count("|") for row in rows} == {8}
    assert rows[3].startswith("| zuko (dense), torch.compile | 1,000 | 2.00 | 0.500 (")
    assert "| **0.500 (0.500 to 0.500)** | 8.00 (" in rows[3] and rows[3].endswith("| 2.00 (2.00 to 2.00) |")
    assert rows[2].startswith("| **plain PyTorch (dense), bundle, `Model`** |") and rows[2].endswith("| 1 |")
    assert "Faster than plain PyTorch (dense), bundle, `Model`: zuko (dense), torch.compile at batch 1 (2.00 times)." in page
    assert "zuko torch.compile: a note." in page
    assert "a processor, 2 cores" in page and "zuko 1.6.0" in page and "measured again" not in page


def test_the_table_says_where_the_machine_was_busy_or_the_models_small(made):
    busy = made._replace(machine=dict(made.machine, load=1.5), settings=dict(made.settings, size="small"))
    assert "to be measured again" in table.page(busy) and "Small models" in table.page(busy)


@exports
def test_the_smallest_run_times_every_way_and_keeps_what_its_table_shows(tmp_path, capsys):
    from latentjet.benchmarks.peers import works

    place = str(tmp_path / "record.json")
    chosen = ["--works", "flow-dense,vae-mlp", "--ways", "eager,model,engine,bare"]
    assert command.main(["run", "--out", place] + SMALLEST + chosen) == 0
    page = capsys.readouterr().out
    kept = record.load(place)
    assert page == table.page(kept) + "\n" + place + "\n"
    assert {item.batch for item in kept.results} == {1, 2} and len(kept.results) == 16
    assert all(len(item.seconds) == 2 and item.median_s > 0 for item in kept.results)
    keys = {item.key for item in kept.results if item.work == "flow-dense"}
    assert keys == {("plain PyTorch", "dense", "eager"), OURS, ("latentjet", "conv", "model")}
    assert {item.way for item in kept.results if item.work == "vae-mlp"} == {"eager", "model", "engine", "bare"}
    assert {item.macs for item in kept.results if item.work == "vae-mlp"} == {20 * 16 + 16 * 784}
    assert set(table.WORDS) == set(table.REFERENCES) == set(works.WORKS)
    assert command.main(["run", "--out", place] + SMALLEST) == 1 and "--overwrite" in capsys.readouterr().err


@exports
def test_equal_parameter_counts_are_within_five_percent():
    from latentjet.benchmarks.peers import flows, works

    full = works.SIZES["full"]
    own = works.own_flow(full)
    assert own.parameters == 183363
    dense = works.plain_flow(full, own.parameters)
    assert abs(dense.parameters / own.parameters - 1) < 0.05
    assert flows.fit(lambda width: flows.Flow(works.plain.DenseFlow((1, 4, 4), width, 2), None, None, None), 0) == 1


@exports
@pytest.mark.parametrize("form", ["mlp", "conv"])
def test_the_decoder_in_pytorch_alone_is_the_same_function(form):
    import torch
    from latentjet.benchmarks.peers import plain
    from latentjet.train.models import VAE

    vae = VAE((1, 8, 8), 5, 0, form, 4).eval()
    z = torch.randn(3, 5)
    with torch.no_grad():
        for name, buffer in vae.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
        torch.testing.assert_close(plain.decoder_like(vae).eval()(z), vae.decode(z))


@exports
def test_the_dense_flow_is_undone_by_its_inverse_and_a_wrong_one_gets_no_time(sentence):
    import contextlib

    import torch
    from latentjet.benchmarks.peers import plain, systems, works
    from latentjet.runtime.errors import CheckError

    torch.manual_seed(0)
    flow = works.perturbed(plain.DenseFlow((1, 28, 28), 3, 3))
    subject = systems.Subject("x", "dense", flow, flow.decode, None, 784, 1, (flow, flow.encode))
    assert systems.largest_gap(subject) < 1e-5
    assert systems.count_macs(subject) == 3 * (392 * 3 + 3 * 3 + 3 * 784)
    wrong = subject._replace(directions=(flow, lambda v: flow.encode(v) + 0.1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(works.WORKS, "wrong", works.Work(True, lambda size, libraries: [(wrong, ("eager",))]))
        told = sentence(CheckError, works.build, "wrong", {}, [], None, contextlib.ExitStack(), lambda line: None)
    assert "a wrong flow gets no time" in told


@exports
@pytest.mark.parametrize(
    ("images", "told"),
    [
        (np.full((2, 1, 28, 28), np.nan), "not all in [0, 1]"),
        (np.full((2, 784), 1.1), "not all in [0, 1]"),
        (np.zeros((1, 784)), "for 2 images of 784 pixels"),
        (np.full((2, 784), 0.5), "differs by 0.5 from eager PyTorch"),
    ],
)
def test_wrong_images_get_no_time(images, told, sentence):
    from latentjet.benchmarks.peers import works
    from latentjet.runtime.errors import CheckError

    calls = {("a", "b", "eager"): lambda: np.zeros((2, 784)), ("a", "b", "bare"): lambda: images}
    assert told in sentence(CheckError, works.refuse_wrong_images, calls, 2, True)


@exports
@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--works", "flow"], "work is 'flow', expected one of flow-conv, "),
        (["--libraries", "pyro"], "library is 'pyro', expected one of normflows, nflows, zuko, FrEIA"),
        (["--libraries", "zuko"], "zuko is not installed: `make peers` sets up all"),
        (["--ways", "fast"], "way is 'fast', expected one of eager, compiled, "),
        (["--size", "huge"], "size is 'huge', expected one of full, small"),
        (["--batch", "0"], "batches are [0]"),
        (["--rounds", "1"], "rounds 1"),
        (["--burst", "nan"], "burst nan s"),
        (["--works", "vae-mlp,vae-mlp"], "each once"),
    ],
)
def test_what_is_unknown_is_refused_in_one_line(tmp_path, capsys, monkeypatch, given, told):
    from latentjet.benchmarks.peers import works

    monkeypatch.setattr(works.importlib.util, "find_spec", lambda name: None)
    place = tmp_path / "record.json"
    works_ = ["--works", "vae-mlp"]
    assert command.main(["run", "--out", str(place)] + SMALLEST + works_ + given) == 1
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("peers run: ") and told in err and not place.exists()


def test_the_page_shows_the_record_that_is_kept():
    from latentjet.benchmarks import section

    kept = record.load(str(ROOT / "docs" / "benchmarks" / "peers.json"))
    assert section.read(str(ROOT / "docs" / "benchmarks.md"), "peers") == table.page(kept)


def test_every_peer_has_a_pinned_version():
    text = (ROOT / "benchmarks" / "peers" / "requirements.txt").read_text()
    pinned = dict(re.findall(r"^(\w+)==([\d.]+)$", text, re.MULTILINE))
    source = (ROOT / "benchmarks" / "peers" / "flows.py").read_text()
    assert set(pinned) == set(re.findall(r'^    \("(\w+)", "\w+"\): ', source, re.MULTILINE))
