"""Field reports, family E: does a merged model answer as its adapter did?"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from device_maps import distance
from peft import PeftModel
from quantized import (
    PROMPT_SEEDS,
    count_linear4bit,
    greedy,
    import_bitsandbytes,
    keep_packed_layout,
    load_in_4bit,
    load_plain,
    logits,
    prompt,
)

from harness.probe import scenario

MERGE_WARNING = "Merge lora module to 4-bit linear"
SAME = 0.05  # relative distance of logits: what bfloat16 rounding of the merged weights explains, twice over
SAME_GEMMA4 = 0.2  # the same on Gemma 4, whose tiny form amplifies it: bfloat16 merges differ by 0.08 to 0.16
SAME_EXACT = 1e-3  # the same in float32
REFUSED = ("dequant", "merge", "4bit", "4-bit")  # a refusal says what it refuses
DTYPES = {"bf16": (torch.bfloat16, SAME), "fp32": (torch.float32, SAME_EXACT)}


@dataclass(frozen=True)
class Answer:
    """What a model says to one prompt: greedy tokens, and the logits after the prompt."""

    tokens: list[int]
    logits: torch.Tensor


@scenario(row="E1", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
@pytest.mark.parametrize("double_quant", [False, True])
def test_merge_into_the_4bit_base(probe, checkpoint, double_quant):
    """merge_and_unload() into a 4-bit base reproduces what the adapter answered."""
    merge_into_4bit(probe, checkpoint("qwen2.5-7b"), checkpoint("qwen2.5-7b-lora"), double_quant=double_quant)


@scenario(row="E1", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora"])
def test_gemma4_merge_into_the_4bit_base(probe, checkpoint):
    """The same on Gemma 4, the reporter's model."""
    merge_into_4bit(probe, checkpoint("gemma-4-e2b"), checkpoint("gemma-4-e2b-lora"), allowed=SAME_GEMMA4)


@scenario(row="E2", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_merge_into_a_fresh_base(probe, checkpoint, dtype):
    """Control: the same adapter merged into a fresh, unquantized base is reproduced, without a warning."""
    merge_into_fresh(probe, checkpoint("qwen2.5-7b"), checkpoint("qwen2.5-7b-lora"), dtype)


@scenario(row="E2", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora"])
def test_gemma4_merge_into_a_fresh_base(probe, checkpoint):
    """Control on Gemma 4: a fresh base in float32 takes the merge without a warning and answers as the adapter."""
    merge_into_fresh(probe, checkpoint("gemma-4-e2b"), checkpoint("gemma-4-e2b-lora"), "fp32")


@scenario(row="E3", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_dequantize_under_the_adapter(probe, checkpoint):
    """dequantize() in place under an adapter, then the merge, reproduces the adapter or is refused in words."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_in_4bit(checkpoint("qwen2.5-7b"), {"": probe.device})
    keep_packed_layout(model)
    probe.record("linear4bit", count_linear4bit(model))
    probe.expect("the base is in 4-bit", count_linear4bit(model))
    base = answers(model)
    with probe.phase("adapter"):
        adapted = PeftModel.from_pretrained(model, checkpoint("qwen2.5-7b-lora")).eval()
    adapter = answers(adapted)
    with probe.phase("merge"):
        try:
            adapted.get_base_model().dequantize()
            merged = adapted.merge_and_unload()
        except (NotImplementedError, ValueError) as refusal:  # other exceptions are no refusal but a break
            if not any(word in str(refusal).lower() for word in REFUSED):
                raise
            probe.record("label", f"refused: {str(refusal)[:200]}")
            return
    probe.record("linear4bit_after_merge", count_linear4bit(merged))
    compare(probe, base, adapter, answers(merged), SAME)


@scenario(row="E3", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_dequantize_before_the_adapter(probe, checkpoint):
    """Control: dequantize() first, then the adapter, then the merge: that order reproduces the adapter."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        quantized = load_in_4bit(checkpoint("qwen2.5-7b"), {"": probe.device})
    keep_packed_layout(quantized)
    probe.record("linear4bit", count_linear4bit(quantized))
    probe.expect("the base is in 4-bit", count_linear4bit(quantized))
    model = quantized.dequantize()
    probe.expect("nothing is in 4-bit once dequantized", count_linear4bit(model) == 0, count_linear4bit(model))
    base, adapter, merged, warned = before_and_after_merge(probe, model, checkpoint("qwen2.5-7b-lora"))
    probe.expect("no merge warning", warned == 0, warned)
    compare(probe, base, adapter, merged, SAME)


# --- steps ---------------------------------------------------------------------------------------------------------


def merge_into_4bit(
    probe: Any, base_folder: str, adapter_folder: str, *, double_quant: bool = False, allowed: float = SAME
) -> None:
    """Load in 4-bit, merge the adapter into the packed weights, compare; the label is the field report's."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_in_4bit(base_folder, {"": probe.device}, double_quant=double_quant)
    keep_packed_layout(model)
    probe.record("linear4bit", count_linear4bit(model))
    probe.expect("the base is in 4-bit", count_linear4bit(model))
    base, adapter, merged, warned = before_and_after_merge(probe, model, adapter_folder)
    probe.record("merge_warnings", warned)
    held = compare(probe, base, adapter, merged, allowed)
    probe.record("label", "DIRECT_4BIT_MERGE_PASSES" if held else "DIRECT_4BIT_MERGE_STILL_DIVERGES")


def merge_into_fresh(probe: Any, base_folder: str, adapter_folder: str, dtype: str) -> None:
    """Load unquantized in ``dtype`` (``bf16``, ``fp32``), merge the adapter, compare; the label is the report's."""
    kind, allowed = DTYPES[dtype]
    with probe.phase("load"):
        model = load_plain(base_folder, {"": probe.device}, dtype=kind)
    base, adapter, merged, warned = before_and_after_merge(probe, model, adapter_folder)
    probe.record("merge_warnings", warned)
    probe.expect("no merge warning", warned == 0, warned)
    held = compare(probe, base, adapter, merged, allowed)
    probe.record("label", f"FRESH_{dtype.upper()}_MERGE_{'STILL_PASSES' if held else 'DIVERGES'}")


def before_and_after_merge(
    probe: Any, model: Any, adapter_folder: str
) -> tuple[list[Answer], list[Answer], list[Answer], int]:
    """Return what base, adapter and merged model answer, and how many merge warnings were given."""
    base = answers(model)
    with probe.phase("adapter"):
        adapted = PeftModel.from_pretrained(model, adapter_folder).eval()
    adapter = answers(adapted)
    with probe.phase("merge"), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        merged = adapted.merge_and_unload()
    warned = sum(MERGE_WARNING in str(warning.message) for warning in caught)
    return base, adapter, answers(merged), warned


def answers(model: Any) -> list[Answer]:
    """Ask the model every prompt."""
    inputs = [prompt(model, seed=seed) for seed in PROMPT_SEEDS]
    return [Answer(greedy(model, each), logits(model, each)) for each in inputs]


def compare(probe: Any, base: list[Answer], adapter: list[Answer], merged: list[Answer], allowed: float) -> bool:
    """Record the three booleans, the match and the distances of each prompt; state that the adapter is reproduced.

    The booleans compare greedy tokens, as the reports do; the expectation compares logits within ``allowed``, for one
    near tie of two tokens flips a text and proves nothing.
    """
    held = True
    for number, (was, wanted, found) in enumerate(zip(base, adapter, merged, strict=True)):
        apart, effect = distance(found.logits, wanted.logits), distance(was.logits, wanted.logits)
        probe.record(f"base_differs_from_adapter.{number}", was.tokens != wanted.tokens)
        probe.record(f"adapter_equals_merged.{number}", wanted.tokens == found.tokens)
        probe.record(f"base_equals_merged.{number}", was.tokens == found.tokens)
        probe.record(f"match.{number}", match_of(was, wanted, found, allowed))
        probe.record(f"merged_from_adapter.{number}", apart)
        probe.record(f"largest_logit_difference.{number}", float((found.logits - wanted.logits).abs().max()))
        probe.record(f"base_from_adapter.{number}", effect)
        probe.expect(f"prompt {number}: the adapter changes the answer", effect > 2 * allowed, f"{effect:.4f}")
        text = f"prompt {number}: the merged model answers as the adapter"
        held &= probe.expect(text, apart <= allowed, f"relative distance {apart:.5f}, allowed {allowed}")
    return held


def match_of(base: Answer, adapter: Answer, merged: Answer, allowed: float) -> str:
    """Say whom the merged model follows: the adapter, the base, or neither."""
    if merged.tokens == adapter.tokens or distance(merged.logits, adapter.logits) <= allowed:
        return "MATCHES_ADAPTER"
    if merged.tokens == base.tokens or distance(merged.logits, base.logits) <= allowed:
        return "MATCHES_BASE"
    return "MATCHES_NEITHER"
