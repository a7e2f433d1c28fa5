"""The CUDA rows of scenarios/load_4bit.py on a card that behaves: every test of this file must come out green."""

import sys
from pathlib import Path

import pytest

from harness.probe import scenario
from harness.probe.memory import Cuda

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import load_4bit
from mocked_gpu import report_memory

GIB = 2**30


@pytest.fixture
def mocked_gpu(monkeypatch, probe):
    """Let the CUDA figures be those of the report's good release for the Qwen2.5-7B shape, in GiB."""
    report_memory(
        monkeypatch, probe, load_4bit, "the report's good release", allocated=5.46, allocated_peak=6.59, reserved=6.7
    )


@scenario(row="A1", checkpoints=["qwen2.5-7b"])
def test_reserved_near_allocated_with_a_mocked_gpu(probe, checkpoint, mocked_gpu):
    """What is reserved is near what is allocated."""
    load_4bit.test_reserved(probe, checkpoint, double_quant=False)


@scenario(row="A1", checkpoints=["gemma-3-12b"])
def test_gemma3_reserved_near_allocated_with_a_mocked_gpu(probe, checkpoint, mocked_gpu):
    """The same for Gemma 3."""
    load_4bit.test_reserved_gemma3(probe, checkpoint)


@scenario(row="A2", checkpoints=["qwen2.5-7b"])
def test_peak_far_below_unquantized_with_a_mocked_gpu(probe, checkpoint, mocked_gpu):
    """The peak while loading stays far below what the unquantized model needs."""
    load_4bit.test_peak_while_loading(probe, checkpoint, device_map="auto")


@scenario(row="A1", checkpoints=["qwen2.5-7b"])
def test_control_with_a_mocked_gpu(probe, checkpoint, monkeypatch):
    """The unquantized control: allocated is the checkpoint, and little more is reserved."""
    probe.simulated("a GPU that holds the checkpoint")
    size = int(14.19 * GIB)
    monkeypatch.setattr(load_4bit, "checkpoint_bytes", lambda folder: size)
    for name in ("allocated", "reserved"):
        monkeypatch.setattr(Cuda, name, property(lambda self: size))
    load_4bit.test_reserved_unquantized(probe, checkpoint)
