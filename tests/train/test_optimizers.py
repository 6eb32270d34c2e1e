"""Muon's steps for convolutions, Adam's for the rest."""

import pytest
import torch
from latentjet.train import checkpoint
from latentjet.train.losses import flow_log_prob
from latentjet.train.models import RealNVP
from latentjet.train.optimizers import Muon, make_optimizers

MATRIX = {"lr": 0.1, "weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}


def small_flow(seed=0):
    torch.manual_seed(seed)
    return RealNVP(image=(1, 8, 8), classes=3, couplings=(2,), width=(8,), dequantiser=4)


def with_gradients(model, seed=1):
    torch.manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return model


def test_each_parameter_has_one_optimiser():
    model = small_flow()
    adam, muon = make_optimizers("muon", model, 0.01).values()
    taken = sum(parameter.numel() for one in (adam, muon) for parameter in one.param_groups[0]["params"])
    assert taken == sum(parameter.numel() for parameter in model.parameters())
    assert all(weight.ndim == 4 for weight in muon.param_groups[0]["params"])
    assert not [one for one in adam.param_groups[0]["params"] if one.ndim == 4]
    (all_of_it,) = make_optimizers("adam", model, 0.01).values()
    assert len(all_of_it.param_groups[0]["params"]) == len(list(model.parameters()))


def test_weights_change_where_they_lie():
    model = with_gradients(small_flow())
    muon = make_optimizers("muon", model, 0.01)["muon"]
    places = {name: one.data_ptr() for name, one in model.named_parameters()}
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    muon.step()
    for name, one in model.named_parameters():
        assert one.data_ptr() == places[name]
        assert torch.equal(one, before[name]) == (one.ndim != 4), name


@pytest.mark.parametrize("shape", [(6, 4, 3, 3), (40, 2, 3, 3), (16, 16, 1, 1)])
def test_a_step_is_that_of_torch_on_the_matrix_but_for_its_bfloat16(shape):
    torch.manual_seed(2)
    weight = torch.nn.Parameter(torch.randn(shape))
    start = weight.detach().clone().flatten(1)
    matrix = torch.nn.Parameter(weight.detach().clone().flatten(1))
    one, other = Muon([weight], 0.1), torch.optim.Muon([matrix], **MATRIX)
    for _ in range(3):
        weight.grad = torch.randn_like(weight)
        matrix.grad = weight.grad.flatten(1)
        one.step()
        other.step()
    assert (weight.flatten(1) - matrix).norm() < 0.03 * (matrix - start).norm()


def test_a_step_moves_all_directions_alike():
    torch.manual_seed(3)
    weight = torch.nn.Parameter(torch.zeros(8, 8, 3, 3))
    weight.grad = (torch.diag(torch.logspace(0, -2, 8)) @ torch.randn(8, 72)).reshape(8, 8, 3, 3)
    Muon([weight], 1.0).step()
    asked, taken = torch.linalg.svdvals(weight.grad.flatten(1)), torch.linalg.svdvals(weight.detach().flatten(1))
    assert asked[0] / asked[-1] > 20 and taken[0] / taken[-1] < 4


def test_no_step_computes_in_half_precision(monkeypatch):
    """Emulated bfloat16 took longer than all the rest of a step."""
    seen, whole = [], torch.addmm
    monkeypatch.setattr(torch, "addmm", lambda *of, **how: seen.append(of[0].dtype) or whole(*of, **how))
    make_optimizers("muon", with_gradients(small_flow()), 0.01)["muon"].step()
    assert set(seen) == {torch.float32}


def test_a_restored_optimiser_goes_on_as_it_would_have():
    runs = []
    for again in (False, True):
        model = with_gradients(small_flow())
        optimizers = make_optimizers("muon", model, 0.01)
        for one in optimizers.values():
            one.step()
        if again:
            arrays = {}
            for name, one in optimizers.items():
                arrays.update(checkpoint.arrays_of_optimizer(name, one))
            copy = small_flow(seed=9)
            copy.load_state_dict(model.state_dict())
            model, optimizers = copy, make_optimizers("muon", copy, 0.01)
            for name, one in optimizers.items():
                checkpoint.load_optimizer(one, checkpoint.Checkpoint({}, arrays).state(name))
        with_gradients(model, seed=5)
        for one in optimizers.values():
            one.step()
        runs.append(model.state_dict())
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])


@pytest.mark.parametrize("name", ["adam", "muon"])
def test_a_few_steps_lower_a_loss(name):
    model = small_flow()
    optimizers = make_optimizers(name, model, 0.003).values()
    x, y = torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.eye(3)[torch.arange(16) % 3]
    losses = []
    for _ in range(20):
        model.zero_grad()
        loss = -flow_log_prob(model, (255 * x).to(torch.uint8), y, torch.full_like(x, 0.5)).mean()
        loss.backward()
        losses.append(loss.item())
        for optimizer in optimizers:
            optimizer.step()
    assert losses[-1] < losses[0] - 5
