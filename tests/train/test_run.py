"""What a run carries: the average of its weights."""

import pytest
import torch
from latentjet.train import run
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
