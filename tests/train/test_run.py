"""What a run carries: the average of its weights, and a loss of its own for training."""

import math

import pytest
import torch
from latentjet.train import run, settings
from latentjet.train.data import Data
from torch.optim.swa_utils import AveragedModel


def averages(decay, values):
    """The average after each of the values that a weight takes."""
    model = torch.nn.Linear(1, 1, bias=False)
    averaged, found = AveragedModel(model, multi_avg_fn=run.averaging(decay)), []
    for value in values:
        torch.nn.init.constant_(model.weight, value)
        averaged.update_parameters(model)
        found.append(averaged.module.weight.item())
    return found


def test_the_first_average_is_the_first_value():
    assert averages(0.999, [3.0]) == [3.0]
    assert averages(0.999, [3.0] * 20) == [3.0] * 20


def test_a_short_run_is_not_held_back_by_the_average():
    values = averages(0.999, [0.0] + [1.0] * 30)
    assert values == sorted(values)
    assert values[-1] > 0.99  # with 0.999 from the start it would be 0.03


def test_the_horizon_grows_up_to_the_decay():
    expected, found = 0.0, averages(0.9, list(range(200)))
    for count, value in enumerate(range(200)):
        decay = min(0.9, (1 + count) / (10 + count)) if count else 0.0
        expected = decay * expected + (1 - decay) * value
        assert found[count] == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert 199 - found[-1] == pytest.approx(9, rel=0.01)  # decay / (1 - decay) behind a ramp


def test_contrast_joins_the_loss_in_training_alone():
    """An untrained flow is the identity whatever the label: its gaps are 0, so all of the margin is lacking."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4000, 1, 8, 8), dtype=torch.uint8, generator=generator)
    data, found = Data(images, torch.arange(4000) % 3, list("abc"), "toy", "a test"), {}
    for contrast in (0.0, 0.5):
        given = {"couplings": [2], "width": [4], "dequantiser": 0, "precision": "fp32", "contrast": contrast}
        one = run.Run(settings.resolve("realnvp", given), data, torch.device("cpu"))
        rows, generator = torch.arange(4000), torch.Generator().manual_seed(1)
        found[contrast] = one.validate(data), one.update(data, rows, generator, 0.0)["train"]
    assert found[0.0][0] == found[0.5][0]
    whole = 0.5 * 60 / (64 * math.log(2))  # bits/dim, were every image compared
    assert found[0.5][1] - found[0.0][1] == pytest.approx(whole, rel=0.1)
