"""Laws that every model obeys. CPython 3.6 code, like what it tests."""

import io
import json

import numpy as np
import torch
from latentjet.train.models import build


def outputs(model, x, y, z):
    """Everything that a model says of images x, labels y, latents z: {name: tensor with a row for each image}."""
    if type(model).__name__ == "VAE":
        names = ("images", "mean", "log_variance", "reconstruction", "same mean", "same log_variance")
        found = (model.decode(z, y), *model.encode(x, y), *model(x, y, z.flip(1)))
    elif type(model).__name__ == "GAN":
        names, found = ("images",), (model.decode(z, y),)
    else:
        names = ("images", "code", "log_prob", "z", "log_det")
        found = (model.decode(z, y), model.encode(x, y), model.log_prob(x, y), *model(x, y))
        if model.dequantiser:
            names += ("noise", "log q")
            found += model.dequantise((255 * x).floor(), x.flip(2), y)
    assert len(found) == len(names)
    return {name: found[index] for index, name in enumerate(names)}


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in left)


def test_shapes(model, rows):
    x, y, z = rows(model, 3)
    images = model.decode(z, y)
    assert images.shape == x.shape
    assert all(len(found) == 3 and found.isfinite().all() for found in outputs(model, x, y, z).values())
    margin = 2 * model.tone.alpha if hasattr(model, "tone") else 0  # a flow's logits are kept off black and white
    assert images.min() >= -margin and images.max() <= 1 + margin
    assert images.std() > 1e-3


def test_a_row_does_not_depend_on_its_batch(model, rows):
    x, y, z = rows(model, 5)
    whole = outputs(model, x, y, z)
    for index in range(5):
        row = slice(index, index + 1)
        alone = outputs(model, x[row], None if y is None else y[row], z[row])
        for name in whole:
            assert torch.allclose(alone[name], whole[name][row], rtol=1e-9, atol=1e-9), name


def test_every_parameter_gets_a_finite_gradient(model, rows):
    x, y, z = rows(model.train(), 6)
    weights = torch.Generator().manual_seed(3)
    loss = sum((found * torch.rand(found.shape, generator=weights)).sum() for found in outputs(model, x, y, z).values())
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_saved_weights_give_the_same_bits(model, rows):
    x, y, z = rows(model, 2)
    expected = outputs(model, x, y, z)
    buffer = io.BytesIO()
    np.savez(buffer, **{name: tensor.numpy() for name, tensor in model.state_dict().items()})
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        state = {name: torch.from_numpy(np.array(stored[name])) for name in stored.files}
    fresh = build(type(model).__name__, model.arguments).double().eval()
    assert not same(outputs(fresh, x, y, z), expected)
    fresh.load_state_dict(state)
    assert same(outputs(fresh, x, y, z), expected)


def test_arguments_survive_json_and_rebuild_the_model(model, rows):
    arguments = json.loads(json.dumps(model.arguments))
    assert arguments == model.arguments
    rebuilt = build(type(model).__name__, arguments).double().eval()
    assert rebuilt.arguments == model.arguments
    assert (rebuilt.image, rebuilt.latent, rebuilt.classes) == (model.image, model.latent, model.classes)
    rebuilt.load_state_dict(model.state_dict())
    x, y, z = rows(model, 2)
    assert same(outputs(rebuilt, x, y, z), outputs(model, x, y, z))


def test_float32_is_near_float64(model, rows):
    x, y, z = rows(model, 2)
    expected = outputs(model, x, y, z)
    found = outputs(model.float(), x.float(), None if y is None else y.float(), z.float())
    for name in expected:
        assert found[name].dtype == torch.float32
        assert torch.allclose(found[name].double(), expected[name], rtol=1e-3, atol=1e-3), name


def test_each_label_gives_another_image_and_another_code(conditional, rows):
    x, _, z = rows(conditional, 1)
    labels = torch.eye(conditional.classes, dtype=torch.float64)
    count = conditional.classes
    images = conditional.decode(z.expand(count, -1), labels)
    found = [images]
    if hasattr(conditional, "encode"):
        codes = conditional.encode(x.expand(count, -1, -1, -1), labels)
        found.append(codes if torch.is_tensor(codes) else codes[0])
    for one in range(count):
        for other in range(one):
            assert all((tensor[one] - tensor[other]).abs().max() > 1e-6 for tensor in found)


def test_mixing_weights_lead_from_one_class_to_another(conditional, rows):
    _, _, z = rows(conditional, 1)
    first, second = torch.eye(conditional.classes, dtype=torch.float64)[:2]
    shares = torch.tensor([[0.0], [1e-6], [0.5], [1 - 1e-6], [1.0]], dtype=torch.float64)
    images = conditional.decode(z.expand(5, -1), (1 - shares) * first + shares * second)
    step = (images[1:] - images[:-1]).abs().flatten(1).max(1)[0]
    assert images.isfinite().all()
    assert step[0] < 1e-4 and step[3] < 1e-4
    assert step[1] > 1e-6 and step[2] > 1e-6
