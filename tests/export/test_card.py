"""Model cards: all that was measured is on them, the commands make the same again, nothing is half written."""

import json
import os
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from latentjet.export.card import half, name_of
from latentjet.export.recipe import train_command, train_commands, wrapped
from latentjet.runtime import shipped
from latentjet.runtime.bundle import Bundle, write
from latentjet.runtime.cli import main
from latentjet.train import checkpoint
from latentjet.train.__main__ import make_parser, prepare
from latentjet.train.settings import make_model, resolve

ROOT = Path(__file__).resolve().parent.parent.parent
FIGURES = {
    "bits_per_dim": {
        "value": 3.38512,
        "low": 3.3,
        "high": 3.46,
        "count": 1234,
        "unit": "bits/dim",
        "note": "of p(x|y)",
    },
    "accuracy": {"value": 0.78, "low": 0.75, "high": 0.81, "count": 500, "unit": "share", "note": ""},
    "accuracy/red": {"value": 0.5417, "low": 0.4, "high": 0.6, "count": 100, "unit": "share", "note": ""},
}


def settings_of(family, **given):
    return resolve(family, {"data": "fashion-sample", **given})


@pytest.fixture
def flow(bundles, tmp_path):
    """Path of a bundle with a recorded recipe."""
    return recorded(bundles / "realnvp.bundle", tmp_path / "flow.zip", settings_of("realnvp", epochs=2, seed=7))


def recorded(source, path, settings, without=()):
    """A copy of a bundle that says how it was trained."""
    opened = Bundle.open(source)
    contents = {name: opened.read(name) for name in opened.manifest["files"] if name not in without}
    data = {"name": "fashion-sample", "classes": opened.classes, "images": 5400}
    write(path, {**opened.manifest, "settings": settings, "data": data}, contents)
    return path


def evaluation(bundle, place, **changes):
    """Write what `latentjet evaluate` writes of a bundle -> its path."""
    manifest = Bundle.open(bundle).manifest
    about = {"model": manifest["model"], "settings": manifest["settings"], "family": manifest["family"]}
    content = {
        "format": 1,
        "evaluated": {"path": "x", "kind": "bundle", **about, "ran": "backend 'ort', decode in fp32"},
        "data": {"name": "fashion-sample", "split": "test", "images": 1234, "classes": ["red"]},
        "judge": {"sha256": "c1291f", "data": {"name": "fashion-mnist"}, "test": {"accuracy": 0.9329, "images": 10000}},
        "options": {"seed": 3, "temperature": 0.8, "samples": 500, "importance": 1, "binarise": "threshold"},
        "notes": ["a note on intervals"],
        "figures": FIGURES,
        "absent": {"fid": "too few images"},
    }
    place.write_text(json.dumps({**content, **changes}))
    return place


@pytest.fixture
def card(capsys):
    """(arguments of latentjet card) -> (status, standard output, standard error)."""

    def run(*arguments):
        status = main(["card", *map(str, arguments)])
        seen = capsys.readouterr()
        return status, seen.out, seen.err

    return run


def commands(text):
    """The shell commands on a card, as words."""
    (block,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [shlex.split(line) for line in block.replace("\\\n", " ").strip().splitlines()]


def test_a_card_holds_every_figure_with_interval_and_count(flow, tmp_path, card):
    status, out, err = card(flow, evaluation(flow, tmp_path / "e.json"), "--out", tmp_path / "models")
    assert (status, err) == (0, "") and out.strip() == str(tmp_path / "models" / "flow.md")
    text = (tmp_path / "models" / "flow.md").read_text()
    assert "| bits_per_dim | 3.385 | 3.3 to 3.46 | 1,234 | bits/dim; of p(x\\|y) |" in text
    assert "| accuracy | 0.78 | 0.75 to 0.81 | 500 | share |" in text and "accuracy by part: red 0.5417" in text
    assert "no fid: too few images" in text and "a note on intervals" in text
    assert "c1291f" in text and "93.29 %" in text and "temperature 0.8, seed 3" in text
    assert "8 - log2(p(x) / q(u)) / D" in text and "MIT" in text and "not good for" in text and "Nalisnick" in text
    decode = Bundle.open(flow).graph("decode").figures
    assert f"| decode | {decode['nodes']} | {decode['macs'] / 1e6:.2f} | {decode['parameters']:,} |" in text
    assert f"{os.path.getsize(flow) / 1e3:,.0f} kB as a bundle" in text
    picture = (tmp_path / "models" / "flow.png").read_bytes()
    assert picture == Bundle.open(flow).read("preview.png") and "](flow.png)" in text


def test_the_commands_give_the_recorded_settings_again(flow, tmp_path, card):
    card(flow, evaluation(flow, tmp_path / "e.json"), "--out", tmp_path)
    train, export, evaluate, again = commands((tmp_path / "flow.md").read_text())
    assert prepare(make_parser().parse_args(train[2:]))[0] == Bundle.open(flow).manifest["settings"]
    assert export == ["latentjet", "export", "runs/flow", "runs/flow.zip", "--target", "tx2"]
    for words in ("--limit 1234", "--samples 500", "--temperature 0.8", "--seed 3", "--backend ort", "--split test"):
        assert words in shlex.join(evaluate)
    assert evaluate[2] == "runs/flow.zip" and again == [
        "latentjet", "card", "runs/flow.zip", "runs/flow.json", "--out", "docs/models"
    ]  # fmt: skip


def test_the_convention_is_that_of_the_flow(flow, tmp_path, card):
    def text_of(path):
        measured = evaluation(path, tmp_path / "e.json")
        assert card(path, measured, "--out", tmp_path / "models", "--overwrite")[0] == 0
        return (tmp_path / "models" / path.with_suffix(".md").name).read_text()

    assert "8 - log2(p(x) / q(u)) / D" in text_of(flow)
    opened = Bundle.open(flow)
    graphs = {name: entry for name, entry in opened.manifest["graphs"].items() if name != "dequantise"}
    contents = {name: opened.read(name) for name in opened.manifest["files"] if name != "dequantise.onnx"}
    write(tmp_path / "plain.zip", {**opened.manifest, "graphs": graphs}, contents)
    assert "u uniform in [0, 1)" in text_of(tmp_path / "plain.zip")


@pytest.mark.parametrize(
    "settings",
    [
        settings_of("cvae", latent=5, form="conv", hidden=24, limit=100, precision="fp32"),
        settings_of("realnvp", couplings=[2, 3], width=[8, 16], unconditional=True, bound=1.25, clip=7.5),
        settings_of("vae", data="a folder/with blanks", size=28, lr=3e-4),
    ],
)
def test_any_settings_come_back_from_their_command(settings):
    words, others = train_command(settings, "runs/x")
    assert set(others) == {"warmup"}
    assert prepare(make_parser().parse_args(words[2:]))[0] == settings
    assert shlex.split(wrapped(words).replace("\\\n", " ")) == words


def prepared(words, settings, folder):
    """Words of the commands that train a run, its settings -> those that the last command gives.

    The run that it starts from lies in the folder, untrained.
    """
    before = settings.get("start")
    if before:
        shape = SimpleNamespace(images=torch.zeros(1, 1, 28, 28), classes=range(10))
        model = make_model({"contrast": 0.0, **before["settings"]}, shape)
        about = {"settings": before["settings"], "model": {"class": "RealNVP", "arguments": model.arguments}}
        place = folder / words[-1][words[-1].index("--start") + 1]
        place.mkdir(parents=True)
        about["history"] = [{}] * before["epochs"]
        checkpoint.save(place / checkpoint.NAME, about, checkpoint.arrays_of("ema", model.state_dict()))
    return prepare(make_parser().parse_args(words[-1][2:]))[0]


SHAPE = {"couplings": [2], "width": [4], "planes": 3, "depth": 1, "bound": 1.0, "dequantiser": 4}


def test_a_run_that_was_started_from_another_comes_back_from_both_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = settings_of("realnvp", epochs=5, **SHAPE)
    second = {**first, "epochs": 2, "contrast": 0.1, "start": {"settings": first, "epochs": 4}}
    words, others = train_commands(second, "runs/x")
    assert len(words) == 2 and set(others) == {"warmup"} and words[0][-1] == words[1][words[1].index("--start") + 1]
    assert prepare(make_parser().parse_args(words[0][2:]))[0] == {**first, "epochs": 4}
    assert prepared(words, second, tmp_path) == second


def test_a_share_is_rounded_down_so_that_all_means_all():
    gate = {"within": 0.99999745, "samples": 10000}
    graph = SimpleNamespace(precision={"gate": gate, "file": "decode.fp16.onnx"})
    assert half(graph).startswith("99.999 % of pixels")
    gate["within"] = 1.0
    assert half(graph).startswith("100.000 % of pixels")


def test_a_judge_of_ones_own_is_named_in_the_command(flow, tmp_path, card):
    seen = json.loads(evaluation(flow, tmp_path / "e.json").read_text())["options"]
    measured = evaluation(flow, tmp_path / "e.json", options={**seen, "judge": "my eyes.npz"})
    assert card(flow, measured, "--out", tmp_path)[0] == 0
    words = commands((tmp_path / "flow.md").read_text())[2]
    assert words[words.index("--judge") + 1] == "my eyes.npz"


def test_an_encoder_that_the_bundle_has_not_is_measured_on_one_that_has(bundles, tmp_path, card):
    small = recorded(bundles / "cvae.bundle", tmp_path / "small.zip", settings_of("cvae"), ["weights.npz"])
    measured = evaluation(small, tmp_path / "e.json", figures={"bce_kl": FIGURES["bits_per_dim"]})
    assert card(small, measured, "--out", tmp_path)[0] == 0
    again = card(small, measured, measured, "--out", tmp_path, "--overwrite")
    assert again[0] == 0 and (tmp_path / "small.md").read_text().count("runs/small.bundle\n") == 1
    about = {**json.loads(measured.read_text())["evaluated"], "kind": "checkpoint", "ran": "eager PyTorch on cpu"}
    first = evaluation(small, tmp_path / "f.json", figures={"bce_kl": FIGURES["bits_per_dim"]}, evaluated=about)
    assert card(small, first, measured, "--out", tmp_path, "--overwrite")[0] == 0
    assert (tmp_path / "small.md").read_text().count("latentjet export runs/small runs/small.bundle\n") == 1
    assert card(small, measured, "--out", tmp_path, "--overwrite")[0] == 0
    text = (tmp_path / "small.md").read_text()
    lines = [shlex.join(words) for words in commands(text)]
    assert "--without-weights" in lines[1] and lines[2] == "latentjet export runs/small runs/small.bundle"
    assert lines[3].startswith("latentjet evaluate runs/small.bundle ") and "it is no likelihood" in text


def test_a_checkpoint_that_was_measured_is_measured_again(flow, tmp_path, card):
    about = json.loads(evaluation(flow, tmp_path / "e.json").read_text())["evaluated"]
    about.update(kind="checkpoint", ran="eager PyTorch on cpu")
    assert card(flow, evaluation(flow, tmp_path / "e.json", evaluated=about), "--out", tmp_path)[0] == 0
    evaluate = shlex.join(commands((tmp_path / "flow.md").read_text())[2])
    assert evaluate.startswith("latentjet evaluate runs/flow --data") and "--backend" not in evaluate


def test_a_folder_of_images_keeps_its_path_in_the_commands(bundles, tmp_path, card):
    settings = settings_of("realnvp", data="my images/cats")
    found = recorded(bundles / "realnvp.bundle", tmp_path / "cats.zip", settings)
    about = {"name": "cats", "split": "test", "images": 9, "classes": ["red"]}
    assert card(found, evaluation(found, tmp_path / "e.json", data=about), "--out", tmp_path)[0] == 0
    train, _, evaluate, _ = commands((tmp_path / "cats.md").read_text())
    for words in (train, evaluate):
        assert words[words.index("--data") + 1] == "my images/cats"


def test_several_evaluations_stand_on_one_card(flow, tmp_path, card):
    one, other = (evaluation(flow, tmp_path / f"{name}.json") for name in "ab")
    assert card(flow, one, other, "--out", tmp_path)[0] == 0
    text = (tmp_path / "flow.md").read_text()
    assert text.count("| bits_per_dim |") == 2 and len(commands(text)) == 5 and "runs/flow-2.json" in text


def test_an_existing_card_stays_unless_told(flow, tmp_path, card):
    (tmp_path / "flow.md").write_text("precious")
    found = evaluation(flow, tmp_path / "e.json")
    status, _, err = card(flow, found, "--out", tmp_path)
    assert status == 1 and "exists already" in err and (tmp_path / "flow.md").read_text() == "precious"
    assert not (tmp_path / "flow.png").exists()
    assert card(flow, found, "--out", tmp_path, "--overwrite")[0] == 0
    assert (tmp_path / "flow.md").read_text().startswith("# flow\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "cannot be read"),
        ("", "is no evaluation"),
        ("[]", "is no evaluation"),
        ("{}", "is no evaluation"),
        ("[" * 100000, "is no evaluation"),
        ({"format": 9}, "is no evaluation of this latentjet"),
        ({"figures": {"fid": {"value": "low"}}}, "is no evaluation"),
        ({"figures": []}, "is no evaluation"),
        ({"options": {}}, "is no evaluation"),
        ({"data": None}, "is no evaluation"),
        ({"judge": {}}, "is no evaluation"),
        ({"absent": 3}, "is no evaluation"),
        ({"evaluated": {"kind": "bundle", "model": {}, "settings": {}, "ran": "x"}}, "of another model"),
    ],
)
def test_what_is_no_evaluation_of_this_bundle_writes_nothing(flow, tmp_path, card, content, expected):
    place = tmp_path / "e.json"
    if isinstance(content, dict):
        evaluation(flow, place, **content) if content else place.write_text("{}")
    elif content is not None:
        place.write_text(content)
    status, out, err = card(flow, place, "--out", tmp_path / "models")
    assert status == 1 and out == "" and err.count("\n") == 1 and expected in err and "e.json" in err
    assert not (tmp_path / "models").exists()


def test_a_bundle_without_a_recipe_gets_no_card(bundles, tmp_path, card):
    bare = recorded(bundles / "cvae.bundle", tmp_path / "bare.zip", None)
    status, _, err = card(bare, evaluation(bare, tmp_path / "e.json"), "--out", tmp_path / "models")
    assert status == 1 and "says nothing of its training" in err and not (tmp_path / "models").exists()


def test_a_place_that_cannot_be_written(flow, tmp_path, card):
    status, _, err = card(flow, evaluation(flow, tmp_path / "e.json"), "--out", tmp_path / "e.json" / "models")
    assert status == 1 and err.count("\n") == 1 and "cannot be written" in err


@pytest.mark.parametrize(
    ("path", "name"), [("runs/a.zip", "a"), ("a.bundle", "a"), ("fashion-cvae", "fashion-cvae"), ("b/.zip", ".zip")]
)
def test_the_name_of_a_card(path, name):
    assert name_of(path) == name


@pytest.mark.parametrize("name", shipped.names())
def test_every_bundle_that_ships_has_its_card_in_the_docs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, bundle = (ROOT / "docs" / "models" / f"{name}.md").read_text(), Bundle.open(name)
    since = {"fall": 0.4, "optimizer": "adam", "contrast": 0.0}  # what was constant before it became an option
    settings = bundle.manifest["settings"]
    words = [words for words in commands(text) if words[:2] == ["latentjet", "train"]]
    assert len(words) == 1 + ("start" in settings)
    assert prepared(words, settings, tmp_path) == {**since, **settings}
    assert f"{bundle.graph('decode').figures['parameters']:,}" in text and bundle.manifest["trained"] in text
    assert (ROOT / "docs" / "models" / f"{name}.png").read_bytes() == bundle.read("preview.png")
