"""Planted failures for scenarios/experts.py: every test of this file must come out red, in any release."""

import sys
from pathlib import Path

from transformers import AutoConfig

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import experts


@scenario(row="G6", checkpoints=["qwen3-moe"])
def test_experts_stay_in_bf16(probe, checkpoint, monkeypatch):
    """Keep the experts out of 4-bit: attention is quantized, and the footprint stays near that of bfloat16."""
    load = experts.load_in_4bit
    monkeypatch.setattr(experts, "load_in_4bit", lambda *given: load(*given, skip_modules=["mlp", "lm_head"]))
    experts.test_experts_are_quantized(probe, checkpoint)


@scenario(row="G6", checkpoints=["qwen3-moe"])
def test_attention_stays_in_bf16(probe, checkpoint, monkeypatch):
    """Keep the attention out of 4-bit: the control notices. By full paths, for some releases ignore bare names."""
    load = experts.load_in_4bit
    layers = AutoConfig.from_pretrained(checkpoint("qwen3-moe")).num_hidden_layers
    skipped = [*(f"model.layers.{number}.self_attn" for number in range(layers)), "lm_head"]
    monkeypatch.setattr(experts, "load_in_4bit", lambda *given: load(*given, skip_modules=skipped))
    experts.test_attention_beside_experts_is_quantized(probe, checkpoint)


@scenario(row="G6", checkpoints=["qwen3-moe"])
def test_experts_take_no_part(probe, checkpoint, monkeypatch):
    """Load a model whose experts hold nothing: the control notices that the answer does not hang on them."""
    load = experts.load_plain

    def load_without(*given):
        model = load(*given)
        for parameter in experts.expert_parameters(model):
            parameter.data.zero_()
        return model

    monkeypatch.setattr(experts, "load_plain", load_without)
    experts.test_experts_in_bf16(probe, checkpoint)
