"""Planted failures for every file: a 4-bit load that quantizes nothing, and passes all else. Each test must be red."""

import sys
from pathlib import Path

import pytest

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import adapters
import multimodal
import quantized
import split


@pytest.fixture
def never_quantized(monkeypatch):
    """Let every load ignore its quantization, as some releases did with some settings."""
    monkeypatch.setattr(quantized, "four_bit_config", lambda **keywords: None)


@scenario(row="B2", checkpoints=["gemma-3-4b"])
def test_gemma3_generates_without_being_quantized(probe, checkpoint, never_quantized):
    """It generates well, and that is not what was asked."""
    multimodal.test_gemma3_generates(probe, checkpoint, "text")


@scenario(row="C1", checkpoints=["gemma-4-e2b"])
def test_towers_of_a_model_that_is_not_quantized(probe, checkpoint, never_quantized):
    """A split of towers that quantizes nothing."""
    split.test_towers_on_the_cpu(probe, checkpoint, double_quant=False)


@scenario(row="C2", checkpoints=["qwen2.5-7b"])
def test_a_roomy_map_of_a_model_that_is_not_quantized(probe, checkpoint, never_quantized):
    """The control of the spills."""
    split.test_auto_map_with_room(probe, checkpoint, double_quant=False)


@scenario(row="C3", checkpoints=["qwen2.5-7b"])
def test_layers_of_a_model_that_is_not_quantized(probe, checkpoint, never_quantized):
    """A cpu map under which nothing is in 4-bit."""
    split.test_layers_on_the_cpu(probe, checkpoint)


@scenario(row="D1", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_an_adapter_on_a_base_that_is_not_quantized(probe, checkpoint, never_quantized):
    """The adapter works, on the wrong base."""
    adapters.test_decoder_on_one_device(probe, checkpoint, double_quant=False)


@scenario(row="D1", checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora"])
def test_an_adapter_on_gemma4_that_is_not_quantized(probe, checkpoint, never_quantized):
    """The same on Gemma 4."""
    adapters.test_gemma4_on_one_device(probe, checkpoint)


@scenario(row="D2", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_an_adapter_on_a_split_base_that_is_not_quantized(probe, checkpoint, never_quantized):
    """The control of the split bases."""
    adapters.test_split_decoder_with_room(probe, checkpoint)


@scenario(row="D2", checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora"])
def test_an_adapter_on_a_split_gemma4_that_is_not_quantized(probe, checkpoint, never_quantized):
    """Towers on the CPU, nothing in 4-bit."""
    adapters.test_split_gemma4(probe, checkpoint, double_quant=False)


@scenario(row="D5", checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora-broad"])
def test_broad_targets_on_a_base_that_is_not_quantized(probe, checkpoint, never_quantized):
    """A refusal is as clear as before, but of another model."""
    adapters.test_broad_targets_get_a_clear_answer(probe, checkpoint)


@scenario(row="D6", checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora-linear"])
def test_inner_targets_on_a_base_that_is_not_quantized(probe, checkpoint, never_quantized):
    """The workaround, on the wrong base."""
    adapters.test_inner_linear_targets(probe, checkpoint)
