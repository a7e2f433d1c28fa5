"""Planted failures for controls and 4-bit rows that every release passes: every test of this file must come out red.

The commonest false green of all is a model that was never quantized and passes everything else.
"""

import sys
from pathlib import Path

import pytest

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import adapter_imports
import adapters
import load_4bit
import merging
import multimodal
import quantized
import split


@pytest.fixture
def never_quantized(monkeypatch):
    """Let every load ignore its quantization, as some releases did with some settings."""
    monkeypatch.setattr(quantized, "four_bit_config", lambda **keywords: None)


@pytest.fixture
def adapter_lost_in_merge(monkeypatch):
    """Let a merge drop the adapter: the merged model is the base."""
    from peft.tuners.lora import LoraModel

    monkeypatch.setattr(LoraModel, "merge_and_unload", lambda self, *rest, **keywords: self.unload())


@scenario(row="A3", checkpoints=["qwen2.5-7b"])
def test_counts_of_a_model_that_is_not_quantized(probe, checkpoint, never_quantized):
    """The four counts see it."""
    load_4bit.test_four_counts_agree(probe, checkpoint)


@scenario(row="A4", checkpoints=["qwen2.5-7b"])
def test_dtypes_of_a_model_that_is_not_quantized(probe, checkpoint, never_quantized):
    """The dtypes show it."""
    load_4bit.test_nothing_quantizable_stays_in_bf16(probe, checkpoint)


@scenario(row="A3", checkpoints=["gemma-3-12b"])
def test_gemma3_that_is_not_quantized(probe, checkpoint, never_quantized):
    """Gemma 3, whose 4-bit was said to be ignored."""
    load_4bit.test_gemma3_is_quantized(probe, checkpoint)


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


@scenario(row="E2", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_a_fresh_base_loses_the_adapter_in_the_merge(probe, checkpoint, adapter_lost_in_merge):
    """What comes out is the base."""
    merging.test_merge_into_a_fresh_base(probe, checkpoint, "fp32")


@scenario(row="E2", checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora"])
def test_a_fresh_gemma4_loses_the_adapter_in_the_merge(probe, checkpoint, adapter_lost_in_merge):
    """The same on Gemma 4."""
    merging.test_gemma4_merge_into_a_fresh_base(probe, checkpoint)


@scenario(row="E3", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_a_dequantized_base_loses_the_adapter_in_the_merge(probe, checkpoint, adapter_lost_in_merge):
    """The control of the dequantized merge."""
    merging.test_dequantize_before_the_adapter(probe, checkpoint)


@scenario(row="G7", checkpoints=["qwen2.5-7b"])
def test_the_base_gives_no_tokens(probe, checkpoint, monkeypatch):
    """The control of PEFT's import: a base that does not generate."""
    monkeypatch.setattr(adapter_imports, "greedy", lambda model, inputs: [])
    adapter_imports.test_the_base_without_peft(probe, checkpoint)
