"""The checkpoint: constructor arguments, arrays and resolved settings in one .npz, without pickle.

    json                 uint8, UTF-8 JSON: format, model {class, arguments}, settings, data, history,
                         unit, step, averaged
    model/NAME           the weights as trained
    ema/NAME             their exponential moving average: what is exported
    optimizer/I/NAME     Adam's state of its parameter I
    muon/I/NAME          Muon's state of its weight I, where a run has it
    discriminator/NAME, opponent/I/NAME    of a GAN: the discriminator, and its Adam's state

Written to a temporary name and renamed, so an interrupted write leaves the one before.
"""

import io
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from .errors import CheckpointError
from .models import build

FORMAT = 1
NAME = "checkpoint.npz"
# what numpy, zipfile and json raise on a damaged file; zipfile says RuntimeError to a method that it does not know
DAMAGE = (KeyError, ValueError, TypeError, AttributeError, OSError, EOFError, RuntimeError)
DAMAGE += (zipfile.BadZipFile, zlib.error)


class Checkpoint(NamedTuple):
    """about: the JSON part, a dict; arrays: name -> array, with the prefixes above."""

    about: dict
    arrays: dict

    def state(self, prefix):
        """The arrays under a prefix, as tensors by their own names."""
        start = prefix + "/"
        return {
            name[len(start) :]: torch.from_numpy(np.array(array))
            for name, array in self.arrays.items()
            if name.startswith(start)
        }

    def model(self, weights="ema"):
        """The trained model, in evaluation mode; weights: "ema" or "model"."""
        try:
            model = build(self.about["model"]["class"], self.about["model"]["arguments"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint describes no model of this latentjet: {error}") from error
        load_state(model, self.state(weights), self.about["model"]["class"])
        return model.eval()


def load_state(model, state, name):
    """Fill a model from named tensors; raises CheckpointError that names the first entry which does not fit."""
    expected = model.state_dict()
    for key in expected:
        if key not in state:
            raise CheckpointError(f"the checkpoint has no '{key}', which {name} needs: it is of another model")
        if state[key].shape != expected[key].shape:
            seen, wanted = tuple(state[key].shape), tuple(expected[key].shape)
            raise CheckpointError(f"'{key}' is {seen} in the checkpoint, expected {wanted}: it is of another model")
        if state[key].dtype != expected[key].dtype:
            seen, wanted = state[key].dtype, expected[key].dtype
            raise CheckpointError(f"'{key}' is {seen} in the checkpoint, expected {wanted}: the file was changed")
    extra = sorted(set(state) - set(expected))
    if extra:
        raise CheckpointError(f"the checkpoint has '{extra[0]}', which {name} does not: it is of another model")
    model.load_state_dict(state)


def arrays_of(prefix, state):
    """Named tensors -> arrays under a prefix."""
    return {f"{prefix}/{name}": tensor.detach().cpu().numpy() for name, tensor in state.items()}


def arrays_of_optimizer(prefix, optimizer):
    """An optimiser's state of each parameter -> arrays under a prefix."""
    states = optimizer.state_dict()["state"]
    return {name: array for index in states for name, array in arrays_of(f"{prefix}/{index}", states[index]).items()}


def load_optimizer(optimizer, state):
    """Fill an optimiser from tensors by "I/NAME"; its rates stay."""
    states = {}
    for key, tensor in state.items():
        index, entry = key.split("/")
        states.setdefault(int(index), {})[entry] = tensor
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


def write_atomically(path, content):
    """Bytes to a temporary file beside the path, then renamed onto it."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def save(path, about, arrays):
    """Write a checkpoint; about gets the format number."""
    text = json.dumps({"format": FORMAT, **about}).encode()
    buffer = io.BytesIO()
    np.savez(buffer, json=np.frombuffer(text, np.uint8), **arrays)
    write_atomically(path, buffer.getvalue())


def load(path):
    """Path of a checkpoint, or of the folder that holds one -> Checkpoint. Raises CheckpointError."""
    path = Path(path)
    if path.is_dir():
        path = path / NAME
    if not path.is_file():
        raise CheckpointError(f"{path} does not exist: give the folder that `latentjet train --out` wrote")
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(arrays.pop("json").tobytes())
        number = about["format"]
    except DAMAGE as error:
        reason = "it is no .npz file" if "pickle" in str(error) else error
        raise CheckpointError(f"{path} is no checkpoint of latentjet, or is damaged ({reason})") from error
    if number != FORMAT:
        raise CheckpointError(f"{path} has format {number}, expected {FORMAT}: use the latentjet that wrote it")
    return Checkpoint(about, arrays)
