"""Field reports, row G6: a mixture of experts in 4-bit."""

from __future__ import annotations

from typing import Any

import torch
from device_maps import distance
from quantized import (
    greedy,
    import_bitsandbytes,
    linear4bit_names,
    load_in_4bit,
    load_plain,
    logits,
    packed_bytes,
    prompt,
)
from torch import nn

from harness.probe import scenario

PROJECTIONS = 4  # q, k, v, o
NEARLY_ALL = 0.99  # share of the experts' weights that has to be in 4-bit


@scenario(row="G6", tracker="bitsandbytes-foundation/bitsandbytes#1849", checkpoints=["qwen3-moe"])
def test_experts_are_quantized(probe, checkpoint):
    """A mixture of experts in 4-bit has its experts in 4-bit, and takes the memory of a 4-bit model."""
    import_bitsandbytes(probe)
    folder = checkpoint("qwen3-moe")
    with probe.phase("load"):
        model = load_in_4bit(folder, {"": probe.device})
    record_layers(probe, model)
    packed, total = expert_weights(model)
    probe.record("expert_weights", total)
    probe.record("expert_weights_in_4bit", packed)
    wanted = expert_weights_of(model.config)
    probe.expect("every expert is there", total == wanted, f"{total} of {wanted}")
    share = packed / max(total, 1)
    probe.expect("the experts are in 4-bit", share >= NEARLY_ALL, f"{share:.3f} of their weights")
    footprint, whole = int(model.get_memory_footprint()), bf16_bytes(model)
    probe.record("footprint_bytes", footprint)
    probe.record("bf16_bytes", whole)
    most = whole - int(NEARLY_ALL * 1.5 * wanted)  # a weight in 4-bit takes half a byte in place of two
    probe.expect("the footprint is that of 4-bit experts", footprint <= most, f"{footprint} of {most}")
    with probe.phase("generate"):
        probe.record("tokens", greedy(model, prompt(model)))


@scenario(row="G6", checkpoints=["qwen3-moe"])
def test_attention_beside_experts_is_quantized(probe, checkpoint):
    """Control: the attention of the same model is in 4-bit, whatever becomes of its experts."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_in_4bit(checkpoint("qwen3-moe"), {"": probe.device})
    record_layers(probe, model)
    count, wanted = len(linear4bit_names(model, ["self_attn"])), PROJECTIONS * model.config.num_hidden_layers
    probe.expect("every attention layer is Linear4bit", count == wanted, f"{count} of {wanted}")


@scenario(row="G6", checkpoints=["qwen3-moe"])
def test_experts_in_bf16(probe, checkpoint):
    """Control: the same model unquantized has all its experts, and they take part in the answer."""
    with probe.phase("load"):
        model = load_plain(checkpoint("qwen3-moe"), {"": probe.device})
    packed, total = expert_weights(model)
    wanted = expert_weights_of(model.config)
    probe.expect("every expert is there, none in 4-bit", (packed, total) == (0, wanted), f"{packed}, {total}")
    inputs = prompt(model)
    with probe.phase("generate"):
        probe.record("tokens", greedy(model, inputs))
    before = logits(model, inputs)
    with torch.no_grad():
        for parameter in expert_parameters(model):
            parameter.zero_()
    moved = distance(logits(model, inputs), before)
    probe.expect("the answer hangs on the experts", moved > 0.1, f"relative distance {moved:.4f} without them")


# --- steps ---------------------------------------------------------------------------------------------------------


def record_layers(probe: Any, model: Any) -> None:
    """Record what is in 4-bit, and which parameters take most; state that something is."""
    names = linear4bit_names(model)
    probe.record("linear4bit", len(names))
    probe.record("linear4bit_in_attention", len(linear4bit_names(model, ["self_attn"])))
    probe.record("linear4bit_in_experts", len(linear4bit_names(model, ["experts"])))
    probe.record("packed_bytes", packed_bytes(model))
    probe.placement(model, "load")
    probe.expect("something is in 4-bit", names, len(names))


def expert_parameters(model: nn.Module) -> list[nn.Parameter]:
    """List the parameters below an ``experts`` module: one an expert and projection, or all experts in one."""
    return [parameter for name, parameter in model.named_parameters() if "experts" in name.split(".")]


def expert_weights(model: nn.Module) -> tuple[int, int]:
    """Count the experts' weights: those in packed 4-bit form (two to a byte), and all of them."""
    found = expert_parameters(model)
    packed = sum(2 * parameter.numel() for parameter in found if parameter.dtype == torch.uint8)
    return packed, packed + sum(parameter.numel() for parameter in found if parameter.dtype != torch.uint8)


def expert_weights_of(config: Any) -> int:
    """Return how many weights the experts hold, from the config alone: gate, up and down of each, in each layer."""
    return config.num_hidden_layers * config.num_experts * 3 * config.hidden_size * config.moe_intermediate_size


def bf16_bytes(model: nn.Module) -> int:
    """Return what the parameters would take in bfloat16, packed ones unpacked."""
    return sum(2 * (2 * p.numel() if p.dtype == torch.uint8 else p.numel()) for p in model.parameters())
