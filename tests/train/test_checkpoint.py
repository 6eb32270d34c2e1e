"""The checkpoint: written whole or not at all, read exactly, and damage told in one sentence."""

import errno
import json
import os

import numpy as np
import pytest
import torch
from latentjet.train import checkpoint
from latentjet.train.errors import CheckpointError
from latentjet.train.models import VAE, RealNVP


def small_model():
    torch.manual_seed(0)
    return VAE(image=(1, 4, 4), latent=2, classes=2, hidden=3)


def about_of(model):
    return {
        "model": {"class": type(model).__name__, "arguments": model.arguments},
        "settings": {"family": "cvae", "lr": 0.1},
        "history": [{"epoch": 1, "train": 0.1 + 0.2, "validation": 1e-9}],
    }


def arrays_of(model):
    ema = {name: 2 * tensor for name, tensor in model.state_dict().items()}
    state = {"step": torch.tensor(7.0), "exp_avg": torch.arange(6.0).reshape(3, 2) / 7}
    return {
        **checkpoint.arrays_of("model", model.state_dict()),
        **checkpoint.arrays_of("ema", ema),
        **checkpoint.arrays_of("optimizer/0", state),
    }


@pytest.fixture
def saved(tmp_path):
    """Path of a checkpoint of a small model."""
    model = small_model()
    checkpoint.save(tmp_path / checkpoint.NAME, about_of(model), arrays_of(model))
    return tmp_path / checkpoint.NAME


def refusal(path):
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


def same(left, right):
    return set(left) == set(right) and all(
        left[name].dtype == right[name].dtype and np.array_equal(left[name], right[name]) for name in left
    )


def test_what_was_saved_is_loaded_exactly(saved):
    model = small_model()
    for path in (saved, saved.parent, str(saved)):
        stored = checkpoint.load(path)
        assert stored.about == {"format": checkpoint.FORMAT, **about_of(model)}
        assert same(stored.arrays, arrays_of(model))


def test_the_model_has_the_averaged_weights_unless_the_others_are_asked_for(saved):
    stored, model = checkpoint.load(saved), small_model()
    z, y = torch.randn(3, 2), torch.eye(2)[[0, 1, 0]]
    assert torch.equal(stored.model("model").decode(z, y), model.decode(z, y))
    averaged = stored.model()
    assert not averaged.training
    for name, tensor in averaged.state_dict().items():
        assert torch.equal(tensor, 2 * model.state_dict()[name])


def test_nothing_in_the_file_is_pickled(saved):
    with np.load(saved, allow_pickle=False) as stored:
        assert all(stored[name].dtype.kind in "fiu" for name in stored.files)
        assert json.loads(stored["json"].tobytes())["format"] == 1


def test_other_users_may_read_it(saved):
    assert saved.stat().st_mode & 0o777 == 0o644


def test_a_missing_checkpoint_says_what_to_give(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "model.npz"):
        with pytest.raises(CheckpointError) as caught:
            checkpoint.load(path)
        assert str(path) in str(caught.value)
        assert "does not exist: give the folder that `latentjet train --out` wrote" in str(caught.value)


def test_every_truncation_is_refused(saved):
    content = saved.read_bytes()
    for length in range(0, len(content), 7):
        saved.write_bytes(content[:length])
        assert "is no checkpoint of latentjet, or is damaged" in refusal(saved)


def test_every_damaged_byte_is_refused_or_harmless(saved):
    expected, content, refused = checkpoint.load(saved), saved.read_bytes(), 0
    for index in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[index] ^= 0xFF
        saved.write_bytes(damaged)
        try:
            stored = checkpoint.load(saved)
        except CheckpointError as error:
            assert str(saved) in str(error) and "\n" not in str(error)
            refused += 1
            continue
        # the directory of a zip has no checksum: a name may get lost, but no value may change
        assert stored.about == expected.about
        assert all(np.array_equal(array, expected.arrays.get(name)) for name, array in stored.arrays.items())
    assert refused > len(content) / 3 / 2


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not an npz\n" * 50, b"\x80\x04K\x01."])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(content)
    assert "is no checkpoint of latentjet, or is damaged" in refusal(path)


def test_a_single_array_is_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    assert "is no checkpoint of latentjet" in refusal(path)


class Trap:
    """Leaves a trace if somebody unpickles it."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (self.trace,)


def test_pickled_objects_are_refused_and_never_run(tmp_path):
    trace = tmp_path / "trace"
    text = np.frombuffer(b'{"format": 1}', np.uint8)
    path = tmp_path / "checkpoint.npz"
    np.savez(path, json=text, **{"model/x": np.array([Trap(str(trace))], dtype=object)})
    assert "damaged" in refusal(path)
    torch.save({"model": Trap(str(trace))}, path)
    assert "damaged" in refusal(path)
    assert not trace.exists()


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"{}", b"3", b"null", b"\xff\xfe"])
def test_json_that_is_not_ours_is_refused(tmp_path, text):
    path = tmp_path / "checkpoint.npz"
    np.savez(path, json=np.frombuffer(text, np.uint8))
    assert "is no checkpoint of latentjet, or is damaged" in refusal(path)


def test_an_npz_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "checkpoint.npz"
    np.savez(path, weight=np.zeros(3))
    assert "is no checkpoint of latentjet" in refusal(path)


@pytest.mark.parametrize("number", [2, 0, "1", None])
def test_another_format_is_told_by_its_number(tmp_path, number):
    path = tmp_path / "checkpoint.npz"
    np.savez(path, json=np.frombuffer(json.dumps({"format": number}).encode(), np.uint8))
    assert f"has format {number}, expected 1: use the latentjet that wrote it" in refusal(path)


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda arrays: arrays.pop("ema/nets.decoder.0.weight"), "the checkpoint has no 'nets.decoder.0.weight'"),
        (
            lambda arrays: arrays.update({"ema/nets.decoder.0.weight": np.zeros((3, 9), np.float32)}),
            "'nets.decoder.0.weight' is (3, 9) in the checkpoint, expected (3, 4)",
        ),
        (
            lambda arrays: arrays.update({"ema/nets.zoo": np.zeros(1), "ema/nets.ant": np.zeros(1)}),
            "the checkpoint has 'nets.ant', which VAE does not",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path, change, expected):
    model = small_model()
    arrays = arrays_of(model)
    change(arrays)
    checkpoint.save(tmp_path / checkpoint.NAME, about_of(model), arrays)
    stored = checkpoint.load(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        stored.model()
    assert expected in str(caught.value) and "it is of another model" in str(caught.value)
    stored.model("model")


def test_a_checkpoint_of_another_model_changes_nothing(saved):
    flow = RealNVP(image=(1, 4, 4), classes=2, couplings=(1,), width=(2,))
    before = {name: tensor.clone() for name, tensor in flow.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load_state(flow, checkpoint.load(saved).state("model"), "RealNVP")
    assert str(caught.value).startswith(f"the checkpoint has no '{next(iter(before))}', which RealNVP needs")
    assert all(torch.equal(before[name], tensor) for name, tensor in flow.state_dict().items())


def test_only_the_first_entry_that_does_not_fit_is_named():
    model, other = small_model(), VAE(image=(1, 4, 4), latent=3, classes=2, hidden=5)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load_state(other, model.state_dict(), "VAE")
    first = next(iter(other.state_dict()))
    assert f"'{first}' is (3, 18) in the checkpoint, expected (5, 18)" in str(caught.value)
    assert str(caught.value).count("expected") == 1


@pytest.mark.parametrize("function", ["replace", "fsync", "chmod"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_checkpoint_before_it(saved, monkeypatch, function, error):
    def interrupt(*args):
        raise error

    before = saved.read_bytes()
    monkeypatch.setattr(checkpoint.os, function, interrupt)
    with pytest.raises(type(error)):
        checkpoint.save(saved, about_of(small_model()), {})
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [checkpoint.NAME]


def test_an_interrupt_just_after_the_write_leaves_the_new_checkpoint(saved, monkeypatch):
    replace = os.replace

    def replace_and_interrupt(*args):
        replace(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.os, "replace", replace_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(saved, {"settings": "new"}, {})
    assert checkpoint.load(saved).about["settings"] == "new"
    assert os.listdir(saved.parent) == [checkpoint.NAME]


def test_a_first_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path / checkpoint.NAME, {}, {})
    assert os.listdir(tmp_path) == []


def test_whoever_reads_sees_the_old_or_the_new_file_never_a_part(saved, monkeypatch):
    before, seen, replace = saved.read_bytes(), [], os.replace

    def look(*args):
        seen.append(saved.read_bytes())
        replace(*args)

    monkeypatch.setattr(checkpoint.os, "replace", look)
    checkpoint.write_atomically(saved, b"new")
    assert seen == [before]
    assert saved.read_bytes() == b"new"


def test_an_array_of_another_type_is_refused_by_name(tmp_path):
    model = small_model()
    arrays = arrays_of(model)
    arrays["ema/nets.decoder.0.weight"] = arrays["ema/nets.decoder.0.weight"].astype(np.float64)
    checkpoint.save(tmp_path / checkpoint.NAME, about_of(model), arrays)
    with pytest.raises(
        CheckpointError, match=r"'nets\.decoder\.0\.weight' is torch\.float64 .* expected torch\.float32"
    ):
        checkpoint.load(tmp_path).model()


def test_a_description_of_no_model_is_refused(tmp_path):
    checkpoint.save(tmp_path / checkpoint.NAME, {"model": {"class": "Glow", "arguments": {}}}, {})
    with pytest.raises(CheckpointError, match="describes no model of this latentjet: .*'Glow'"):
        checkpoint.load(tmp_path).model()
