"""latentjet train as a user meets it: what it refuses, what it writes, and how it takes signals."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from latentjet.train import checkpoint, data, settings
from latentjet.train.__main__ import main

SMALL = {
    "vae": ["--hidden", "8", "--latent", "3"],
    "cvae": ["--hidden", "4", "--latent", "3", "--form", "conv"],
    "realnvp": ["--couplings", "1,1", "--width", "4,4"],
    "gan": ["--hidden", "4", "--latent", "3"],
}
QUICK = ["--data", "fashion-sample", "--limit", "200", "--epochs", "1", "--precision", "fp32", "--device", "cpu"]


def refusal(capsys, *arguments):
    """The one sentence with which it refuses."""
    assert main([str(argument) for argument in arguments]) == 1
    out, err = capsys.readouterr()
    last = err.splitlines()[-1]
    assert out == "" and "Traceback" not in err
    assert last.startswith("latentjet train: ")
    assert all(line.startswith("data: ") for line in err.splitlines()[:-1])
    return last


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder of a cvae after one epoch."""
    folder = tmp_path_factory.mktemp("finished")
    assert main(["cvae", "--out", str(folder), *QUICK, *SMALL["cvae"]]) == 0
    return folder


@pytest.mark.parametrize("family", sorted(SMALL))
def test_one_epoch_of_each_family(family, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert main([family, "--out", str(out), *QUICK, *SMALL[family]]) == 0
    printed = capsys.readouterr()
    assert "data: fashion-sample, 6000 training images, ships with latentjet\n" in printed.err
    unit = settings.FAMILIES[family].unit
    row = json.loads((out / "metrics.jsonl").read_text())
    assert printed.out.splitlines()[-1] == (
        f"{out}: {row['validation']:.3f} {unit} on held-out images after 1 epochs; see curve.png and results/"
    )
    names = {str(path.relative_to(out)) for path in contents(out)}
    assert names == {"checkpoint.npz", "metrics.jsonl", "curve.png", "results/sample_1.png"}
    stored = checkpoint.load(out)
    assert stored.about["data"]["images"] == 180 and stored.about["data"]["classes"] == data.CLOTHES
    model = stored.model()
    labels = torch.eye(10)[:2] if model.classes else None
    assert model.decode(torch.zeros(2, model.latent), labels).shape == (2, 1, 28, 28)
    assert bool(model.classes) == (family != "vae")


def test_realnvp_without_labels(tmp_path):
    assert main(["realnvp", "--unconditional", "--out", str(tmp_path), *QUICK, *SMALL["realnvp"]]) == 0
    stored = checkpoint.load(tmp_path)
    assert stored.about["settings"]["unconditional"] is True
    assert stored.model().decode(torch.zeros(1, 784)).shape == (1, 1, 28, 28)


def test_the_same_command_gives_the_same_weights(finished, tmp_path):
    assert main(["cvae", "--out", str(tmp_path), *QUICK, *SMALL["cvae"]]) == 0
    one, other = checkpoint.load(finished).arrays, checkpoint.load(tmp_path).arrays
    assert set(one) == set(other)
    assert all(np.array_equal(one[name], other[name]) for name in one)


def pictures(folder, classes, size, count):
    """A folder of class folders with so many pictures in all -> itself."""
    from PIL import Image

    for index in range(count):
        place = folder / str(index % classes)
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (size, size), (20 * index % 256, 0, 99)).save(place / f"{index}.png")
    return folder


def trained(about, weights):
    """What an optimiser moves, of the tensors of a model: not the statistics of batch norm."""
    return {name: value for name, value in about.state(weights).items() if "running" not in name and "num" not in name}


@pytest.mark.parametrize("family", ["vae", "realnvp", "gan"])
def test_a_run_starts_with_the_averaged_weights_and_the_shape_of_another(family, tmp_path, capsys):
    first, out = tmp_path / "first", tmp_path / "out"
    assert main([family, "--out", str(first), *QUICK, *SMALL[family]]) == 0
    still = ["--lr", "1e-9", "--epochs", "1", "--precision", "fp32", "--device", "cpu"]
    assert main([family, "--start", str(first), "--out", str(out), *still]) == 0
    before, after = checkpoint.load(first), checkpoint.load(out)
    assert before.about["model"] == after.about["model"] and before.about["data"] == after.about["data"]
    assert after.about["settings"]["start"] == {"settings": before.about["settings"], "epochs": 1}
    pairs = [("ema", "model"), ("ema", "ema")] + [("discriminator", "discriminator")] * (family == "gan")
    for seen, now in pairs:
        found = trained(after, now)
        for name, value in trained(before, seen).items():
            assert torch.allclose(found[name], value, rtol=0, atol=1e-6), (now, name)
    assert not torch.equal(*(next(iter(trained(before, name).values())) for name in ("ema", "model")))
    assert main([family, "--out", str(out), "--resume", "--epochs", "2"]) == 0
    capsys.readouterr()
    assert "leave --start out" in refusal(capsys, family, "--out", out, "--resume", "--start", first)


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["realnvp"], "is a run of 'cvae', not of 'realnvp': give cvae"),
        (["cvae", "--latent", "4"], "--latent is 4, but the run in {finished} has 3: leave it out"),
        (["cvae", "--seed", "1"], "--seed is 1, but the run in {finished} has 0: leave it out"),
        (["cvae", "--limit", "100"], "--limit is 100, but the run in {finished} has 200: leave it out"),
        (["cvae", "--unconditional"], "--unconditional is True, but the run in {finished} has none: leave it out"),
        (["cvae", "--data", "{folder}"], "the shape of its images is [1, 28, 28], and the data have [3, 8, 8]"),
    ],
)
def test_a_run_that_cannot_be_started_from(capsys, finished, tmp_path, arguments, expected):
    folder = pictures(tmp_path / "folder", 2, 8, 4)
    arguments = [argument.format(folder=folder) for argument in arguments]
    told = refusal(capsys, *arguments, "--start", finished, "--out", tmp_path / "out")
    assert expected.format(finished=finished) in told
    assert not (tmp_path / "out").exists()


def test_a_start_without_an_epoch_or_from_no_run_is_refused(capsys, finished, tmp_path):
    stored = checkpoint.load(finished)
    (tmp_path / "begun").mkdir()
    checkpoint.save(tmp_path / "begun" / checkpoint.NAME, {**stored.about, "history": []}, stored.arrays)
    told = refusal(capsys, "cvae", "--start", tmp_path / "begun", "--out", tmp_path / "out")
    assert f"--start {tmp_path / 'begun'} has no epoch yet: train it first, with --resume" in told
    judge = settings.Path(data.__file__).parent / "judges" / "mnist.npz"
    assert "describes no model of this latentjet" in refusal(capsys, "cvae", "--start", judge, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_data_of_the_run_that_was_started_from_are_known_by_another_path(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "set", 3, 8, 20)
    assert main(["cvae", "--data", "set", "--out", "first", "--epochs", "1", *SMALL["cvae"]]) == 0
    capsys.readouterr()
    other = ["cvae", "--start", "first", "--data", str(tmp_path / "set"), "--epochs", "1"]
    assert "--seed is 1, but the run in first has 0" in refusal(capsys, *other, "--seed", "1", "--out", "second")
    assert main([*other, "--out", "second"]) == 0
    capsys.readouterr()
    pictures(tmp_path / "set", 3, 8, 25)
    told = refusal(capsys, *other, "--out", "third")
    assert "the images of the data were 18 and are 23 now: give the data of that run" in told
    assert not (tmp_path / "third").exists()


def test_a_run_on_other_images_starts_from_one_of_as_many_classes(tmp_path, capsys):
    first, out, quick = tmp_path / "first", tmp_path / "out", ["--epochs", "1", "--precision", "fp32"]
    one, other, third = (pictures(tmp_path / name, 3 - (name == "c"), 8, 20) for name in "abc")
    assert main(["cvae", "--data", str(one), "--out", str(first), *quick, *SMALL["cvae"]]) == 0
    chosen = ["--data", str(other), "--seed", "3", "--validation", "0.3"]
    assert main(["cvae", "--start", str(first), "--out", str(out), *quick, *chosen]) == 0
    assert checkpoint.load(out).about["data"]["images"] == 14
    assert checkpoint.load(out).about["settings"]["seed"] == 3
    capsys.readouterr()
    chosen[1] = str(third)
    told = refusal(capsys, "cvae", "--start", first, "--out", tmp_path / "no", *quick, *chosen)
    assert "the number of its classes is 3, and the data have 2" in told


def test_a_folder_of_class_folders_can_be_trained_on(tmp_path):
    from PIL import Image

    for index in range(12):
        folder = tmp_path / "pictures" / ("cats" if index % 2 else "dogs")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9 + index, 12), (20 * index, 0, 99)).save(folder / f"{index}.png")
    command = ["cvae", "--data", str(tmp_path / "pictures"), "--size", "8", "--epochs", "1", *SMALL["cvae"]]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    stored = checkpoint.load(tmp_path / "out")
    assert stored.about["data"]["classes"] == ["cats", "dogs"]
    assert stored.model().image == (3, 8, 8)
    assert main(["cvae", "--out", str(tmp_path / "out"), "--resume", "--epochs", "2"]) == 0
    assert len(checkpoint.load(tmp_path / "out").about["history"]) == 2


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["vae", "--couplings", "4,4"], "--couplings is no option of vae, which has --latent, --form, --hidden"),
        (["realnvp", "--latent", "8"], "--latent is no option of realnvp, which has --couplings, --width"),
        (["vae", "--unconditional"], "vae is unconditional already"),
        (["vae", "--epochs", "0"], "--epochs is 0, expected at least 1"),
        (["vae", "--limit", "-5"], "--limit is -5, expected at least 1"),
        (["vae", "--lr", "2"], "--lr is 2.0, expected between 0 and 1"),
        (["vae", "--clip", "-1"], "--clip is -1.0, expected between 0 and inf"),
        (["vae", "--seed", "-1"], "--seed is -1, expected between 0 and"),
        (["vae", "--device", "tpu"], "--device is 'tpu', expected auto, cpu, cuda or cuda:N"),
        (["vae", "--data", "{empty}"], "has no class folders: expected one for each class"),
        (["vae", "--data", "{lacking}"], "lacking/cats has no images"),
        (["vae", "--data", "{mixed}"], "(C, H, W): make them one size, or give --size"),
        (["vae", "--data", "imagenet"], "data set 'imagenet' is neither a folder nor one of mnist, fashion-mnist"),
        (["vae", "--data", "fashion-sample", "--size", "14"], "--size resizes the images of a folder"),
        (["vae", "--data", "fashion-sample", "--limit", "1"], "too few to hold 1 out"),
        (["realnvp", "--couplings", "4,4,4", "--width", "4,4,4", *QUICK], "image 1x28x28 becomes 7x7 at level 3"),
        (["realnvp", "--couplings", "4", *QUICK], "couplings has 1 levels and width 2"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(capsys, tmp_path, arguments, expected):
    from PIL import Image

    folders = {name: tmp_path / name for name in ("empty", "lacking", "mixed")}
    for part in ("empty", "lacking/cats", "lacking/dogs", "mixed/cats", "mixed/dogs"):
        (tmp_path / part).mkdir(parents=True)
    for size, place in enumerate(("lacking/dogs", "mixed/cats", "mixed/dogs"), 8):
        Image.new("RGB", (size, 8)).save(tmp_path / place / "1.png")
    arguments = [argument.format(**folders) for argument in arguments]
    assert expected in refusal(capsys, *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["glow", "--out", "x"], "'glow'"),
        (["vae"], "--out"),
        (["vae", "--out", "x", "--couplings", "4,a"], "'4,a' is not a list of integers like 4,4"),
        (["vae", "--out", "x", "--form", "gru"], "'gru'"),
    ],
)
def test_a_wrong_command_line_is_usage(capsys, arguments, expected):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert expected in capsys.readouterr().err.splitlines()[-1]


def test_an_unknown_family_is_refused_with_those_that_exist(capsys):
    with pytest.raises(SystemExit):
        main(["glow", "--out", "x"])
    last = capsys.readouterr().err.splitlines()[-1]
    assert all(family in last for family in SMALL)


def test_a_folder_that_holds_something_is_refused_and_left_untouched(capsys, finished, tmp_path):
    (tmp_path / "thesis.tex").write_text("two years of work")
    for folder in (tmp_path, finished):
        before = contents(folder)
        message = refusal(capsys, "cvae", "--out", folder, *QUICK)
        assert f"--out {folder} exists and is not empty: name another folder, or give --resume" in message
        assert contents(folder) == before


def test_an_empty_folder_is_taken(tmp_path):
    assert main(["vae", "--out", str(tmp_path), *QUICK, *SMALL["vae"]]) == 0


def test_a_file_as_out_is_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("text")
    assert "exists and is not empty" in refusal(capsys, "vae", "--out", tmp_path / "file", *QUICK)
    assert (tmp_path / "file").read_text() == "text"


def test_out_that_cannot_be_written_is_one_sentence(capsys, tmp_path):
    (tmp_path / "file").write_text("text")
    out = tmp_path / "file" / "out"
    assert f"{out} cannot be written: Not a directory" in refusal(capsys, "vae", "--out", out, *QUICK)


def test_a_full_disk_is_one_sentence(capsys, tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    message = refusal(capsys, "vae", "--out", tmp_path, *QUICK, *SMALL["vae"])
    assert message.endswith(f"{tmp_path} cannot be written: No space left on device")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    "option, value, expected",
    [
        ("--lr", "0.5", "--lr is 0.5, but the run in {out} has 0.001"),
        ("--form", "mlp", "--form is mlp, but the run in {out} has conv"),
        ("--data", "mnist", "--data is mnist, but the run in {out} has fashion-sample"),
        ("--limit", "100", "--limit is 100, but the run in {out} has 200"),
        ("--size", "8", "--size is 8, but the run in {out} has none"),
        ("--planes", "3", "--planes is 3, but the run in {out} has none"),
        ("--latent", "20", "--latent is 20, but the run in {out} has 3"),
        ("--epochs", "0", "--epochs is 0, but the run in {out} has 1 already"),
        ("--epochs", "-3", "--epochs is -3, but the run in {out} has 1 already"),
    ],
)
def test_resume_refuses_other_settings(capsys, finished, option, value, expected):
    before = contents(finished)
    message = refusal(capsys, "cvae", "--out", finished, "--resume", option, value)
    assert expected.format(out=finished) in message
    assert contents(finished) == before


def test_resume_takes_settings_that_are_the_same(finished):
    before = contents(finished)
    assert main(["cvae", "--out", str(finished), "--resume", "--form", "conv", "--lr", "0.001", *QUICK]) == 0
    assert contents(finished) == before


def test_resume_takes_the_models_own_defaults_by_name(tmp_path):
    assert main(["vae", "--out", str(tmp_path), *QUICK]) == 0
    before = contents(tmp_path)
    assert main(["vae", "--out", str(tmp_path), "--resume", "--form", "mlp", "--hidden", "400", "--latent", "20"]) == 0
    assert contents(tmp_path) == before


def test_a_run_that_is_older_than_a_setting_goes_on(finished, tmp_path):
    stored = checkpoint.load(finished)
    since = ("fall", "optimizer", "contrast")
    older = {name: value for name, value in stored.about["settings"].items() if name not in since}
    checkpoint.save(tmp_path / checkpoint.NAME, {**stored.about, "settings": older}, stored.arrays)
    assert main(["cvae", "--out", str(tmp_path), "--resume", "--epochs", "2", "--device", "cpu"]) == 0
    again = checkpoint.load(tmp_path).about
    assert len(again["history"]) == 2 and again["settings"] == {**stored.about["settings"], "epochs": 2}


def test_resume_of_another_family_is_refused(capsys, finished):
    for family in ("vae", "realnvp", "gan"):
        message = refusal(capsys, family, "--out", finished, "--resume")
        assert message.endswith(f"{finished} holds a run of 'cvae', not of '{family}': give cvae")


def test_resume_of_nothing_is_refused(capsys, tmp_path):
    message = refusal(capsys, "vae", "--out", tmp_path / "typo", "--resume")
    assert f"{tmp_path / 'typo'} does not exist" in message or "checkpoint.npz does not exist" in message
    assert not (tmp_path / "typo").exists()


def test_resume_of_a_damaged_checkpoint_is_refused(capsys, finished, tmp_path):
    (tmp_path / checkpoint.NAME).write_bytes((finished / checkpoint.NAME).read_bytes()[:-100])
    message = refusal(capsys, "cvae", "--out", tmp_path, "--resume")
    assert f"{tmp_path / checkpoint.NAME} is no checkpoint of latentjet, or is damaged" in message


def test_a_loss_that_is_not_finite_is_one_sentence(capsys, tmp_path, monkeypatch):
    family = settings.FAMILIES["vae"]
    spoilt = family._replace(loss=lambda *arguments: family.loss(*arguments) * float("nan"))
    monkeypatch.setitem(settings.FAMILIES, "vae", spoilt)
    assert main(["vae", "--out", str(tmp_path), *QUICK, *SMALL["vae"]]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "latentjet train: the loss became nan in epoch 1, step 1; the layer with the largest gain is 'nets." in last
    assert f"; {tmp_path / checkpoint.NAME} keeps epoch 0; start anew in another folder with a smaller --lr" in last
    assert checkpoint.load(tmp_path).about["history"] == []


def test_ctrl_c_before_training_says_nothing_of_resuming(capsys, tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "load", interrupt)
    assert main(["vae", "--out", str(tmp_path / "out"), *QUICK]) == 130
    assert capsys.readouterr().err == "\nstopped\n"


LONG = ["--data", "fashion-sample", "--limit", "600", "--epochs", "6", "--precision", "fp32", "--device", "cpu"]
CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background hands it on ignored
from latentjet.train.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def start():
    """Starts latentjet train in a process of its own, on one thread; ends it with the test."""
    environment, started = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}, []

    def run(*arguments):
        command = [sys.executable, "-c", CHILD, *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, text=True, env=environment, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def finish(process):
    """Returns the exit status and what stderr said."""
    err = process.communicate(timeout=120)[1]
    return process.returncode, err


def signal_after_two_epochs(process, out, number):
    """Send a signal once the second epoch is on disk; returns the exit status and what stderr said."""
    deadline = time.monotonic() + 120
    while not (out / "results" / "sample_2.png").exists():
        assert process.poll() is None and time.monotonic() < deadline, "no second epoch"
        time.sleep(0.005)
    process.send_signal(number)
    return finish(process)


def test_sigkill_and_resume_is_uninterrupted(start, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    status, err = signal_after_two_epochs(start("cvae", "--out", broken, *LONG, *SMALL["cvae"]), broken, signal.SIGKILL)
    assert status == -signal.SIGKILL, err
    assert 2 <= len(checkpoint.load(broken).about["history"]) < 6
    resumed = start("cvae", "--out", broken, "--resume")
    assert main(["cvae", "--out", str(whole), *LONG, *SMALL["cvae"]]) == 0
    status, err = finish(resumed)
    assert status == 0, err
    one, other = checkpoint.load(whole), checkpoint.load(broken)
    assert set(one.arrays) == set(other.arrays)
    for name, array in one.arrays.items():
        assert np.array_equal(array, other.arrays[name]), name
    for left, right in zip(one.about["history"], other.about["history"], strict=True):
        assert all(left[key] == right[key] for key in ("epoch", "train", "validation"))


def test_ctrl_c_is_no_traceback_and_the_run_goes_on(start, tmp_path):
    process = start("vae", "--out", tmp_path / "out", *LONG, *SMALL["vae"])
    status, err = signal_after_two_epochs(process, tmp_path / "out", signal.SIGINT)
    assert status == 130
    assert "Traceback" not in err
    resume = f"latentjet train vae --out {tmp_path / 'out'} --resume"
    assert err.splitlines()[-1] == f"stopped; go on with: {resume}"
    assert not list((tmp_path / "out").rglob(".*"))
    stored = checkpoint.load(tmp_path / "out")
    assert 2 <= len(stored.about["history"]) < 6
    stored.model()
    assert main(resume.split()[2:]) == 0
    assert len(checkpoint.load(tmp_path / "out").about["history"]) == 6


def test_ctrl_c_stops_all_processes_and_says_once_how_to_go_on(tmp_path):
    command = ["cvae", "--out", str(tmp_path / "out"), *LONG[:-6], "--epochs", "500", *LONG[-4:], "--processes", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    process = subprocess.Popen([sys.executable, "-c", CHILD, *command, *SMALL["cvae"]], env=environment, **pipes)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "out" / "results" / "sample_2.png").exists():
            assert process.poll() is None and time.monotonic() < deadline, "no second epoch"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)  # what a terminal does
        status, err = finish(process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert status == 130 and "Traceback" not in err, err
    hint = f"stopped; go on with: latentjet train cvae --out {tmp_path / 'out'} --resume --processes 2"
    assert err.count("stopped") == 1 and hint in err
