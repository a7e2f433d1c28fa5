"""Planted failures for scenarios/adapters.py: every test of this file must come out red."""

import sys
from pathlib import Path

import pytest

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import adapters
from device_maps import expect_only_gpus


@scenario(row="D3", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_something_lands_on_a_mocked_second_gpu(probe, checkpoint, tmp_path, monkeypatch):
    """The adapter load allocates on a GPU that no map names."""

    def on_a_split_base(*given, **keywords):
        probe.simulated("two GPUs, and an adapter load that allocates on both")
        probe.cuda.highest.update({0: 4096, 1: 512})
        expect_only_gpus(probe, {0})

    monkeypatch.setattr(adapters, "on_a_split_base", on_a_split_base)
    adapters.test_split_decoder_beside_another_gpu(probe, checkpoint, tmp_path, offload=False)


@pytest.fixture
def no_effect(monkeypatch):
    """Let an adapter land in full and then hold nothing, from the given load on."""

    def plant(first):
        real, loads = adapters.PeftModel.from_pretrained, []

        def from_pretrained(*given, **keywords):
            adapted = real(*given, **keywords)
            loads.append(adapted)
            for name, weight in adapted.named_parameters():
                if len(loads) >= first and ".lora_B." in name:
                    weight.data.zero_()
            return adapted

        monkeypatch.setattr(adapters.PeftModel, "from_pretrained", from_pretrained)

    return plant


@scenario(row="D1", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_an_adapter_has_no_effect(probe, checkpoint, no_effect):
    """The adapter of a decoder on one device changes nothing."""
    no_effect(1)
    adapters.test_decoder_on_one_device(probe, checkpoint, double_quant=False)


@scenario(row="D1", checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora"])
def test_an_adapter_has_no_effect_on_gemma4(probe, checkpoint, no_effect):
    """The same on Gemma 4."""
    no_effect(1)
    adapters.test_gemma4_on_one_device(probe, checkpoint)


@scenario(row="D2", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_an_adapter_has_no_effect_on_a_split_base(probe, checkpoint, no_effect):
    """The control's adapter works, that of the split base does not: the answers differ."""
    no_effect(2)
    adapters.test_split_decoder_with_room(probe, checkpoint)


@scenario(row="D2", checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora"])
def test_an_adapter_has_no_effect_on_split_gemma4(probe, checkpoint, no_effect):
    """The same on Gemma 4 with its towers on the CPU."""
    no_effect(2)
    adapters.test_split_gemma4(probe, checkpoint, double_quant=False)


@scenario(row="D5", checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora-broad"])
def test_the_refusal_names_no_layer(probe, checkpoint, monkeypatch):
    """Broad targets are refused by a text that says nothing of what they met."""

    def from_pretrained(*given, **keywords):
        raise ValueError("not supported")

    monkeypatch.setattr(adapters.PeftModel, "from_pretrained", from_pretrained)
    adapters.test_broad_targets_get_a_clear_answer(probe, checkpoint)


@scenario(row="D6", checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora-linear"])
def test_an_adapter_of_the_towers_changes_text(probe, checkpoint, monkeypatch):
    """The load of an adapter that names no text layer alters the base: its answer to a text is another."""
    real = adapters.PeftModel.from_pretrained

    def from_pretrained(model, *given, **keywords):
        adapted = real(model, *given, **keywords)
        adapted.get_submodule("base_model.model.model.language_model.layers.0.input_layernorm").weight.data.neg_()
        return adapted

    monkeypatch.setattr(adapters.PeftModel, "from_pretrained", from_pretrained)
    adapters.test_inner_linear_targets(probe, checkpoint)
