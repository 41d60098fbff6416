"""What training warns of: a precision that a device has to emulate, a schedule that leaves some of the image."""

import re

import pytest
import torch

from bumplab.common.errors import BumplabError
from bumplab.diffusion.schedules import warn_of_signal
from bumplab.training.device import pick_precision, warn_of_emulation
from bumplab.training.loop import train
from bumplab.training.settings import preset

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
ONE_STEP = preset("smoke", world={"size": 8}, model={"patch": 1}).replace(
    training={"steps": 1, "snapshots": (), "evaluate_every": 0}
)


@pytest.mark.parametrize(
    "instructions, emulates",
    [
        ({"avx2": True, "avx512_bf16": False}, True),
        ({"avx512_bf16": True}, False),
        ({"amx_bf16": True, "avx512_bf16": False}, False),
        ({"neon": True}, True),
        ({"neon": True, "bf16": True}, False),
        ({}, False),  # it does not say
    ],
    ids=str,
)
def test_a_cpu_without_bf16_is_slow_at_it(monkeypatch, instructions, emulates):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    sentence = warn_of_emulation(CPU, "bf16")
    assert (sentence is not None) == emulates and warn_of_emulation(CPU, "fp32") is None
    if emulates:
        assert re.fullmatch(r"This CPU emulates bf16: [^.\n]* 400 times [^.\n]* fp32; use that\.", sentence)


def test_an_older_pytorch_does_not_say_what_its_cpu_has(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert warn_of_emulation(CPU, "bf16") is None


@pytest.mark.parametrize("capability, emulates", [((7, 5), True), ((8, 0), False), ((9, 0), False)])
def test_a_gpu_without_bf16_is_slow_at_it(monkeypatch, capability, emulates):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    sentence = warn_of_emulation(CUDA, "bf16")
    assert (sentence is not None) == emulates and warn_of_emulation(CUDA, "fp16") is None
    assert not emulates or "precision fp16" in sentence


def test_training_says_so_once_and_goes_on(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert train(ONE_STEP, tmp_path, "cpu", "bf16", progress=False).step == 1
    assert capsys.readouterr().err == warn_of_emulation(CPU, "bf16") + "\n"
    assert train(ONE_STEP.replace(seed=1), tmp_path / "exact", "cpu", progress=False).step == 1
    assert capsys.readouterr().err == ""


def test_training_warns_once_of_a_schedule_that_leaves_some_of_the_image(capsys, tmp_path):
    few = ONE_STEP.replace(diffusion={"timesteps": 100})
    assert train(few.replace(training={"steps": 3}), tmp_path, "cpu", progress=False).step == 3
    assert capsys.readouterr().err == warn_of_signal("linear", 100) + "\n"
    for name, fits in {"cosine": {"schedule": "cosine"}, "none": {"kind": "regression", "timesteps": 100}}.items():
        assert train(ONE_STEP.replace(diffusion={"timesteps": 100} | fits), tmp_path / name, "cpu", progress=False).step
        assert capsys.readouterr().err == ""


def test_fp16_on_a_cpu_is_refused_with_what_it_would_cost():
    with pytest.raises(
        BumplabError, match="^Precision 'fp16' is not possible on cpu, where it takes some 20 times as long"
    ):
        pick_precision(CPU, "fp16")
