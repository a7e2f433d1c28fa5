"""Planted failures for scenarios/load_4bit.py, its CUDA rows first: every test of this file must come out red."""

import sys
from pathlib import Path

import pytest

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import load_4bit
from mocked_gpu import report_memory


@pytest.fixture
def mocked_gpu(monkeypatch, probe):
    """Let the CUDA figures be those of the report's bad release for the Qwen2.5-7B shape, in GiB."""
    report_memory(
        monkeypatch, probe, load_4bit, "the report's bad release", allocated=5.46, allocated_peak=14.2, reserved=13.83
    )


@scenario(row="A1", checkpoints=["qwen2.5-7b"])
def test_reserved_as_unquantized_with_a_mocked_gpu(probe, checkpoint, mocked_gpu):
    """What is reserved is what the unquantized model needs."""
    load_4bit.test_reserved(probe, checkpoint, double_quant=False)


@scenario(row="A1", checkpoints=["gemma-3-12b"])
def test_gemma3_reserved_as_unquantized_with_a_mocked_gpu(probe, checkpoint, mocked_gpu):
    """The same for Gemma 3."""
    load_4bit.test_reserved_gemma3(probe, checkpoint)


@scenario(row="A1", checkpoints=["qwen2.5-7b"])
def test_control_reserves_without_need_with_a_mocked_gpu(probe, checkpoint, mocked_gpu):
    """The unquantized control allocates less than it should, and reserves more."""
    load_4bit.test_reserved_unquantized(probe, checkpoint)


@scenario(row="A2", checkpoints=["qwen2.5-7b"])
def test_peak_like_unquantized_with_a_mocked_gpu(probe, checkpoint, mocked_gpu):
    """The peak while loading is what the unquantized model needs."""
    load_4bit.test_peak_while_loading(probe, checkpoint, device_map="auto")


@pytest.fixture
def nothing_quantized(monkeypatch):
    """Let a 4-bit load ignore that it is one."""
    plain = load_4bit.load_plain
    monkeypatch.setattr(load_4bit, "load_in_4bit", lambda folder, place, **keywords: plain(folder, place))


@scenario(row="A3", checkpoints=["qwen2.5-7b"])
def test_four_bit_is_ignored(probe, checkpoint, nothing_quantized):
    """All four counts say bfloat16."""
    load_4bit.test_four_counts_agree(probe, checkpoint)


@scenario(row="A3", checkpoints=["gemma-3-12b"])
def test_four_bit_is_ignored_for_gemma3(probe, checkpoint, nothing_quantized):
    """Linear layers stay as they are."""
    load_4bit.test_gemma3_is_quantized(probe, checkpoint)


@scenario(row="A4", checkpoints=["qwen2.5-7b"])
def test_quantizable_layers_stay_in_bf16(probe, checkpoint, nothing_quantized):
    """Every layer that should be in 4-bit is in bfloat16."""
    load_4bit.test_nothing_quantizable_stays_in_bf16(probe, checkpoint)
