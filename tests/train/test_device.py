"""Where a run computes, and in which precision."""

import pytest
import torch
from latentjet.train import device
from latentjet.train.errors import SettingsError

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["tpu", "", "meta", "mps", "cuda:x", "gpu"])
def test_an_unknown_device_is_refused_with_those_that_exist(name):
    with pytest.raises(SettingsError) as caught:
        device.choose_device(name)
    assert str(caught.value) == f"--device is '{name}', expected auto, cpu, cuda or cuda:N"


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("cuda", "cuda:1"):
        with pytest.raises(
            SettingsError, match=f"--device is '{name}', but this torch sees no CUDA device: take --dev"
        ):
            device.choose_device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SettingsError, match="--device is 'cuda:2', but this torch sees 2 CUDA devices"):
        device.choose_device("cuda:2")
    assert device.choose_device("cuda:1") == torch.device("cuda:1")


@pytest.mark.parametrize("available, expected", [(False, "cpu"), (True, "cuda")])
def test_auto_takes_cuda_where_there_is_one(monkeypatch, available, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(available))
    assert device.choose_device("auto").type == expected
    assert device.choose_device("cpu") == CPU


@pytest.mark.parametrize(
    "has, expected",
    [({}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512_bf16": False}, "fp32")],
)
def test_auto_takes_bf16_where_the_processor_multiplies_it(monkeypatch, has, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    assert device.choose_precision("auto", CPU) == expected
    assert [device.choose_precision(name, CPU) for name in ("fp32", "bf16")] == ["fp32", "bf16"]


def test_auto_is_fp32_where_torch_cannot_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert device.choose_precision("auto", CPU) == "fp32"


@pytest.mark.parametrize("supported, expected", [(True, "bf16"), (False, "fp32")])
def test_auto_asks_the_gpu(monkeypatch, supported, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert device.choose_precision("auto", torch.device("cuda")) == expected
