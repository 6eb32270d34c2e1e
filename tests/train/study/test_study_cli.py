"""latentjet study as a user meets it: runs that go on, pages that keep what a person wrote, and what is refused."""

import csv
import json
import shutil

import pytest
from latentjet.train import checkpoint, fit
from latentjet.train.errors import NotFiniteError
from latentjet.train.study import page
from latentjet.train.study.__main__ import main

TINY = """
question = "Does it work?"
figures = ["validation", "train"]
[settings]
family = "vae"
data = "fashion-sample"
limit = 60
hidden = 4
precision = "fp32"
[[grid]]
latent = [2, 3]
seed = [0, 1]
temperature = [0.5, 1.0]
[plot]
x = "latent"
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a finished study of eight points, four of them trained."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "tiny.toml").write_text(TINY.replace('precision = "fp32"', 'precision = "fp32"\nepochs = 1'))
    assert main(["run", str(folder / "tiny.toml"), "--out", str(folder / "out")]) == 0
    return folder


def refusal(capsys, *arguments):
    """The one sentence with which it refuses."""
    assert main([str(argument) for argument in arguments]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "Traceback" not in err
    assert err.splitlines()[-1].startswith("latentjet study: ")
    return err.splitlines()[-1]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_runs_that_differ_in_temperature_are_trained_once(finished):
    runs = sorted(path.name for path in (finished / "out" / "runs").iterdir())
    assert len(runs) == 4
    for name in runs:
        assert len(checkpoint.load(finished / "out" / "runs" / name).about["history"]) == 1
    assert len((finished / "out" / "study.log").read_text().splitlines()) == 8


def test_a_finished_study_does_nothing_again(finished, capsys):
    before = contents(finished / "out" / "runs")
    assert main(["run", str(finished / "tiny.toml"), "--out", str(finished / "out")]) == 0
    assert "all 8 runs are done" in capsys.readouterr().out
    assert contents(finished / "out" / "runs") == before


def test_the_report_holds_every_number_of_the_runs(finished, tmp_path, capsys):
    out = tmp_path / "docs" / "tiny.md"
    out.parent.mkdir()
    assert main(["report", str(finished / "out"), "--out", str(out)]) == 0
    results = json.loads((out.parent / "tiny" / "results.json").read_text())
    assert len(results["rows"]) == 8
    for row in results["rows"]:
        name = f"latent={row['point']['latent']}_seed={row['point']['seed']}"
        (folder,) = (path for path in (finished / "out" / "runs").iterdir() if path.name.startswith(name))
        assert row["figures"]["validation"] == checkpoint.load(folder).about["history"][-1]["validation"]
    with open(out.parent / "tiny" / "results.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(line["validation"]) for line in table] == [row["figures"]["validation"] for row in results["rows"]]
    text = out.read_text()
    assert text.startswith("# Study: tiny\n\nDoes it work?")
    for part in ("figures.png", "samples.png"):
        assert f"(tiny/{part})" in text and (out.parent / "tiny" / part).stat().st_size > 3000
    mean = sum(row["figures"]["validation"] for row in results["rows"] if row["point"]["latent"] == 2) / 4
    assert f"| 2 | 0.5 | 2 | 0 | {mean:.1f} ± " in capsys.readouterr().out


def test_a_report_replaces_the_results_and_nothing_else(finished, tmp_path):
    out = tmp_path / "tiny.md"
    out.write_text(f"# My words\n\nbefore\n\n{page.BEGIN}\nold\n{page.END}\n\nafter\n")
    assert main(["report", str(finished / "out"), "--out", str(out)]) == 0
    first = out.read_text()
    assert first.startswith("# My words\n\nbefore\n") and first.endswith("\n\nafter\n") and "old" not in first
    assert "| latent | temperature |" in first
    assert main(["report", str(finished / "out"), "--out", str(out)]) == 0
    assert out.read_text() == first


def test_a_page_without_a_place_for_results_is_left_alone(finished, tmp_path, capsys):
    out = tmp_path / "letter.md"
    out.write_text("Dear all\n")
    assert "has no place for the results: put these two lines into it" in refusal(
        capsys, "report", finished / "out", "--out", out
    )
    assert out.read_text() == "Dear all\n"


def test_recorded_results_give_the_same_page_without_the_runs(finished, tmp_path):
    one, other = tmp_path / "one.md", tmp_path / "elsewhere" / "one.md"
    other.parent.mkdir()
    assert main(["report", str(finished / "out"), "--out", str(one)]) == 0
    shutil.copytree(tmp_path / "one", tmp_path / "elsewhere" / "one")
    shutil.copy(one, other)
    assert main(["report", str(other.with_suffix("")), "--out", str(other)]) == 0
    assert other.read_text() == one.read_text()
    assert contents(other.with_suffix("")).keys() == {other.with_suffix("") / path.name for path in (tmp_path / "one").iterdir()}


def test_training_that_diverges_is_recorded_and_the_study_goes_on(finished, tmp_path, monkeypatch, capsys):
    whole = fit.fit

    def fragile(settings, *rest, **named):
        if settings["latent"] == 3:
            raise NotFiniteError("the loss became nan in epoch 1; try a smaller --lr")
        return whole(settings, *rest, **named)

    monkeypatch.setattr(fit, "fit", fragile)
    assert main(["run", str(finished / "tiny.toml"), "--out", str(tmp_path / "out")]) == 0
    assert main(["report", str(tmp_path / "out")]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    told = {row["point"]["latent"]: row["diverged"] for row in results["rows"]}
    assert told == {2: None, 3: "the loss became nan in epoch 1"}
    assert "| 3 | 1 | 2 | 2 |  |  |" in capsys.readouterr().out


def test_a_killed_run_goes_on_from_its_checkpoint(finished, tmp_path, monkeypatch):
    report, reported = fit.report, []

    def killed(*args):
        reported.append(None)
        if len(reported) == 2:
            raise KeyboardInterrupt
        report(*args)

    (tmp_path / "tiny.toml").write_text((finished / "tiny.toml").read_text().replace("epochs = 1", "epochs = 3").replace("seed = [0, 1]", "seed = [0]"))
    with monkeypatch.context() as patch:
        patch.setattr(fit, "report", killed)
        assert main(["run", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / "out")]) == 130
    (folder,) = (tmp_path / "out" / "runs").iterdir()
    assert len(checkpoint.load(folder).about["history"]) == 2
    seconds = [row["seconds"] for row in checkpoint.load(folder).about["history"]]
    assert main(["run", str(tmp_path / "tiny.toml"), "--out", str(tmp_path / "out")]) == 0
    history = checkpoint.load(folder).about["history"]
    assert len(history) == 3 and [row["seconds"] for row in history[:2]] == seconds  # not trained again


@pytest.mark.parametrize(
    "change, expected",
    [
        (("latent = [2, 3]", "latent = [2, 4]"), 'its grid is [{"latent": [2, 3]'),
        (("limit = 60", "limit = 70"), '"limit": 60'),
    ],
)
def test_the_folder_of_another_study_is_refused_with_both_sides(change, expected, finished, tmp_path, capsys):
    (tmp_path / "tiny.toml").write_text((finished / "tiny.toml").read_text().replace(*change))
    before = contents(finished / "out")
    told = refusal(capsys, "run", tmp_path / "tiny.toml", "--out", finished / "out")
    assert "holds another study" in told and expected in told and change[1].split(" = ")[1].strip("[]") in told
    assert contents(finished / "out") == before


def test_another_storage_for_the_same_folder_is_refused(finished, tmp_path, capsys):
    told = refusal(
        capsys, "run", finished / "tiny.toml", "--out", finished / "out", "--storage", tmp_path / "other.log"
    )
    assert f"goes with --storage {finished / 'out' / 'journal.log'}, not with {tmp_path / 'other.log'}" in told


def test_a_folder_that_holds_something_else_is_refused(finished, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("precious")
    assert "holds no study" in refusal(capsys, "run", finished / "tiny.toml", "--out", tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "mine.txt"]


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_folder_without_results_is_refused(content, tmp_path, capsys):
    if content:
        (tmp_path / "results.json").write_text(content)
    assert "holds no results" in refusal(capsys, "report", tmp_path)


def test_a_misspelt_parameter_is_refused_before_anything_is_written(finished, tmp_path, capsys):
    (tmp_path / "tiny.toml").write_text(TINY.replace("hidden", "hiden"))
    assert "did you mean 'hidden'?" in refusal(capsys, "run", tmp_path / "tiny.toml", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_missing_is_named_before_anything_is_trained(tmp_path, capsys):
    from PIL import Image

    (tmp_path / "tiny.toml").write_text(TINY.replace("fashion-sample", "mnist"))
    command = ["run", tmp_path / "tiny.toml", "--out", tmp_path / "out", "--data-dir", tmp_path]
    assert "lacks train-images-idx3-ubyte" in refusal(capsys, *command)
    for label in ("cats", "dogs"):
        (tmp_path / "animals" / label).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "animals" / label / "1.png")
    (tmp_path / "tiny.toml").write_text(MEASURED.replace("fashion-sample", str(tmp_path / "animals")))
    assert "no judge ships for the data set" in refusal(capsys, *command)
    assert not (tmp_path / "out").exists()


def test_a_study_that_is_stopped_by_an_error_loses_no_point(finished, tmp_path, monkeypatch, capsys):
    def full(*args, **named):
        raise OSError(28, "No space left on device", "somewhere")

    with monkeypatch.context() as patch:
        patch.setattr(fit, "fit", full)
        command = ["run", finished / "tiny.toml", "--out", tmp_path / "out"]
        assert "somewhere cannot be used: No space left on device" in refusal(capsys, *command)
    assert main([str(part) for part in command]) == 0
    assert main(["report", str(tmp_path / "out")]) == 0
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())["rows"]) == 8


def test_the_studies_that_ship_are_listed(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in ("latent", "labels", "sharpness"):
        assert any(line.startswith(f"{name} ") and "runs" in line for line in out.splitlines())


MEASURED = """
question = "Which is sharper?"
figures = ["sharpness", "fid", "accuracy"]
images = 300
[settings]
data = "fashion-sample"
limit = 60
epochs = 1
precision = "fp32"
[[grid]]
family = ["vae", "cvae"]
hidden = [4]
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Folder of a finished study whose figures need samples."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "sharp.toml").write_text(MEASURED)
    assert main(["run", str(folder / "sharp.toml"), "--out", str(folder / "out")]) == 0
    return folder / "out"


def test_a_study_measures_its_samples(measured, tmp_path):
    page_of = tmp_path / "sharp.md"
    assert main(["report", str(measured), "--out", str(page_of)]) == 0
    rows = json.loads((tmp_path / "sharp" / "results.json").read_text())["rows"]
    assert [row["point"]["family"] for row in rows] == ["vae", "cvae"]
    assert all(row["figures"]["sharpness"] > 0 and row["figures"]["fid"] > 0 for row in rows)
    assert ["accuracy" in row["figures"] for row in rows] == [False, True]
    assert all(len(row["spectrum"]) == 14 for row in rows)
    text = page_of.read_text()
    assert "spectra.png" in text and "FID floor" in text and "judge" in text


def test_no_run_trains_on_the_images_that_are_measured(measured):
    from latentjet.train import data
    from latentjet.train.study import definition, runs

    found = definition.check("mine", {"settings": {"family": "vae", "data": "fashion-sample"}, "grid": [{"seed": [0, 1]}]})
    place = runs.Place(measured, "cpu")
    parts = [place.split(found.resolve(point), 300) for point in found.points()]
    whole = data.load("fashion-sample", "train")
    assert all(sum(len(part.labels) for part in three) == len(whole.labels) for three in parts)
    seen = [{image.numpy().tobytes() for image in part.images} for part in parts[0]]
    assert len(set.union(*seen)) >= sum(map(len, seen)) - 5  # the sample holds a few images twice
    assert (parts[0][2].images == parts[1][2].images).all()


def test_what_one_pixel_tells_of_real_and_generated_images(measured, tmp_path, capsys):
    (run,) = (path for path in (measured / "runs").iterdir() if "cvae" in path.name)
    out = tmp_path / "pixels.md"
    command = ["pixels", "--data", "fashion-sample", "--checkpoint", str(run), "--count", "20", "--out", str(out)]
    assert main(command) == 0
    printed, rows = capsys.readouterr().out, json.loads((tmp_path / "pixels" / "results.json").read_text())["rows"]
    ways = [("real train", "real test"), ("generated", "generated"), ("real train", "generated"), ("generated", "real test")]
    assert [(row["chosen_on"], row["tested_on"]) for row in rows] == ways
    for row in rows:
        assert row["pairs"] == len(row["each"]) == 45
        assert f"{row['median']:.4f} | {row['lowest']:.4f} (" in printed and printed.strip() in out.read_text()
    for part in ("matrices.png", "pixels.png"):
        assert (tmp_path / "pixels" / part).stat().st_size > 10_000
    assert "that command writes its own page" in refusal(capsys, "report", tmp_path / "pixels")


def test_an_unconditional_model_has_no_pairs_of_classes(measured, tmp_path, capsys):
    (run,) = (path for path in (measured / "runs").iterdir() if "=vae" in path.name)
    told = refusal(capsys, "pixels", "--data", "", "--checkpoint", run, "--out", tmp_path / "pixels.md")
    assert "holds an unconditional vae: its samples have no classes to tell apart" in told
    assert list(tmp_path.iterdir()) == []
    assert "nothing to look at" in refusal(capsys, "pixels", "--data", "", "--out", tmp_path / "pixels.md")
