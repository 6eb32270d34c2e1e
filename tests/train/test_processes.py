"""Two processes that share every batch train as one does: the same losses, the same weights within rounding."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from latentjet.train import checkpoint, fit, processes, settings
from latentjet.train.__main__ import main
from latentjet.train.data import Data, hold_out
from latentjet.train.errors import SettingsError

CASES = {
    "cvae": {"family": "cvae", "latent": 3, "hidden": 8},
    "cvae conv": {"family": "cvae", "latent": 3, "hidden": 3, "form": "conv"},
    "realnvp": {"family": "realnvp", "couplings": [2, 1], "width": [4, 4]},
    "realnvp contrast": {"family": "realnvp", "couplings": [2], "width": [4], "contrast": 0.5},
    "gan": {"family": "gan", "latent": 3, "hidden": 3},
}
EPOCHS = 3
CHILD = """
import json, shutil, sys
import numpy as np
import torch
from latentjet.train import checkpoint, fit, processes
from latentjet.train.data import Data

device = processes.join(torch.device("cpu"))
with np.load(sys.argv[1]) as stored:
    parts = [Data(torch.from_numpy(stored[f"{n}x"]), torch.from_numpy(stored[f"{n}y"]), list("abc"), "toy", "a test") for n in "th"]
fit.curves.draw_curve = lambda *given: None  # it takes longer than training here
report = fit.report
def report_and_keep(run, out, row, *rest, **named):
    report(run, out, row, *rest, **named)
    if row["epoch"] == 1:
        shutil.copy(out / "checkpoint.npz", out.with_name(out.name + " after 1.npz"))
fit.report = report_and_keep
for settings, out, resume in json.loads(sys.argv[2]):
    run = fit.fit(settings, *parts, out, device, checkpoint.load(out) if resume else None)
    assert (processes.rank(), processes.count()) == (torch.distributed.get_rank(), 2)
    for tensor in [*run.model.state_dict().values(), *run.average.module.state_dict().values()]:
        first = tensor.clone()
        torch.distributed.broadcast(first, 0)
        assert torch.equal(first, tensor), "the processes have come apart"
del run
processes.leave()
"""


def chosen(case):
    """Of 58 images 19 a batch: three batches that do not divide by two, and one of a single row."""
    common = {"data": "toy", "batch": 19, "epochs": EPOCHS, "precision": "fp32", "lr": 0.003, **CASES[case]}
    return settings.resolve(common.pop("family"), common)


def halves():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, 1, 8, 8), dtype=torch.uint8, generator=generator)
    return hold_out(Data(images, torch.arange(64) % 3, list("abc"), "toy", "a test"), 0.1, 0)


def torchrun(*command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run([*launcher, *map(str, command)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Warning" not in done.stderr
    return done


def stop(*given):
    raise KeyboardInterrupt


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders one/CASE, trained by one process; two/CASE, by two; more/CASE, by one, then two; fewer/CASE, by two, then one."""
    root = tmp_path_factory.mktemp("processes")
    training, held_out = halves()
    arrays = {"tx": training.images, "ty": training.labels, "hx": held_out.images, "hy": held_out.labels}
    np.savez(root / "data.npz", **{name: tensor.numpy() for name, tensor in arrays.items()})
    (root / "child.py").write_text(CHILD)
    cpu, plan = torch.device("cpu"), []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fit.curves, "draw_curve", lambda *given: None)
        for case in CASES:
            fit.fit(chosen(case), training, held_out, root / "one" / case, cpu, show=False)
            with pytest.raises(KeyboardInterrupt), pytest.MonkeyPatch.context() as patch:
                patch.setattr(fit, "report", stop)
                fit.fit(chosen(case), training, held_out, root / "more" / case, cpu, show=False)
            plan.append([chosen(case), str(root / "two" / case), False])
            plan.append([chosen(case), str(root / "more" / case), True])
        done = torchrun(root / "child.py", root / "data.npz", json.dumps(plan))
        for case in CASES:
            stored = checkpoint.load(root / "two" / f"{case} after 1.npz")
            fit.fit(chosen(case), training, held_out, root / "fewer" / case, cpu, stored, show=False)
    return root, done.stdout


@pytest.mark.parametrize("count", ["two", "more", "fewer"])
@pytest.mark.parametrize("case", CASES)
def test_two_processes_have_the_losses_of_one_also_when_resumed_by_more_or_fewer(folders, case, count):
    one, two = (checkpoint.load(folders[0] / name / case).about["history"] for name in ("one", count))
    assert len(one) == len(two) == EPOCHS
    for left, right in zip(one, two, strict=True):
        for name in set(left) - {"seconds", "images_per_s", "precision"}:
            assert left[name] == pytest.approx(right[name], rel=1e-4), name


@pytest.mark.parametrize("case", CASES)
def test_two_processes_write_what_one_writes(folders, case):
    one, two = (folders[0] / count / case for count in ("one", "two"))
    names = [sorted(str(path.relative_to(out)) for path in out.rglob("*")) for out in (one, two)]
    assert names[0] == names[1]
    left, right = checkpoint.load(one), checkpoint.load(two)
    assert set(left.arrays) == set(right.arrays)
    assert all(left.arrays[name].shape == right.arrays[name].shape for name in left.arrays)


def test_only_the_first_process_prints(folders):
    lines = folders[1].splitlines()
    assert len([line for line in lines if line.startswith("epoch ")]) == len(CASES) * (EPOCHS + EPOCHS - 1)


def test_the_command_shares_a_run_among_processes_and_one_alone_goes_on(tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    small = ["--data", "fashion-sample", "--limit", "80", "--hidden", "4", "--latent", "3", "--precision", "fp32"]
    out = tmp_path / "out"
    assert main(["cvae", "--out", str(out), "--epochs", "1", *small, "--processes", "2"]) == 0
    printed = capfd.readouterr()
    assert printed.err.count("data: fashion-sample") == 1
    assert printed.out.splitlines()[-1].startswith(f"{out}: ")
    assert main(["cvae", "--out", str(out), "--resume", "--epochs", "2"]) == 0
    assert main(["cvae", "--out", str(tmp_path / "whole"), "--epochs", "2", *small]) == 0
    two, one = (checkpoint.load(folder).about["history"] for folder in (out, tmp_path / "whole"))
    assert two[0]["train"] == pytest.approx(one[0]["train"], rel=1e-5)


def test_a_number_of_processes_below_one_is_refused(tmp_path, capsys):
    assert main(["vae", "--out", str(tmp_path / "out"), "--processes", "0"]) == 1
    assert capsys.readouterr().err == "latentjet train: --processes is 0, expected at least 1\n"


@pytest.mark.parametrize("number", ["0", "1"])
def test_more_processes_than_gpus_are_refused_by_all_of_them(number, monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "LOCAL_RANK": number, "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SettingsError) as caught:
        processes.join(torch.device("cuda"))
    assert "2 processes on a machine with 1 GPUs, expected one for each: start at most 1" in str(caught.value)


def test_numbers_drawn_for_a_part_are_those_of_its_rows():
    whole = torch.randn(7, 3, generator=torch.Generator().manual_seed(4))
    for first in range(3):
        part = processes.SharedGenerator(torch.Generator().manual_seed(4), 7, first, 3)
        drawn = processes.draw(torch.randn, (len(range(first, 7, 3)), 3), part)
        assert torch.equal(drawn, whole[first::3])
    assert torch.equal(processes.draw(torch.randn, (7, 3), torch.Generator().manual_seed(4)), whole)


def test_alone_nothing_is_shared():
    rows, generator, module = torch.arange(5), torch.Generator(), torch.nn.Linear(1, 1)
    part = processes.share(rows, generator)
    assert part.rows is rows and part.generator is generator and part.factor == 1 / 5
    assert processes.parallel(module) is module
    assert processes.mean(torch.tensor(3.0)) == 3.0
    assert (processes.rank(), processes.count(), processes.started()) == (0, 1, False)
