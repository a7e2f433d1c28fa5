"""Field reports, rows B1 to B3: multimodal models in 4-bit, towers quantized or skipped, and really run."""

from __future__ import annotations

from typing import Any

import pytest
from multimodal_inputs import (
    SKIP_LISTS,
    TOWERS,
    expect_it_runs,
    gemma3_image_prompt,
    gemma4_audio_prompt,
    gemma4_image_prompt,
)
from quantized import (
    bytes_by_dtype,
    count_linear4bit,
    import_bitsandbytes,
    linear4bit_names,
    load_in_4bit,
    plain_linear_names,
    prompt,
)

from harness.probe import scenario


@scenario(row="B1", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("modality", ["text", "image", "audio"])
def test_gemma4_generates(probe, checkpoint, modality):
    """Gemma 4 in 4-bit on one device generates, and what it is shown reaches its answer."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_in_4bit(checkpoint("gemma-4-e2b"), {"": probe.device})
    make = {"text": prompt, "image": gemma4_image_prompt, "audio": gemma4_audio_prompt}[modality]
    expect_it_runs(probe, model, make)


@scenario(row="B1", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
def test_gemma4_loads_with_sdpa(probe, checkpoint):
    """Gemma 4 in 4-bit accepts attn_implementation="sdpa", as the reporters passed it; naming none is the control."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_in_4bit(checkpoint("gemma-4-e2b"), {"": probe.device}, attn_implementation="sdpa")
    expect_it_runs(probe, model, prompt)


@scenario(row="B2", checkpoints=["gemma-3-4b"])
@pytest.mark.parametrize("modality", ["text", "image"])
def test_gemma3_generates(probe, checkpoint, modality):
    """Gemma 3 in 4-bit on one device generates, and what it is shown reaches its answer."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_in_4bit(checkpoint("gemma-3-4b"), {"": probe.device})
    expect_it_runs(probe, model, {"text": prompt, "image": gemma3_image_prompt}[modality])


@scenario(row="B3", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("names", ["full", "bare"])
def test_gemma4_towers_are_skipped(probe, checkpoint, names):
    """llm_int8_skip_modules keeps the towers of Gemma 4 out of 4-bit; the memory it costs is recorded."""
    model = load_with_towers_skipped(probe, checkpoint("gemma-4-e2b"), SKIP_LISTS[names])
    expect_it_runs(probe, model, gemma4_image_prompt)


@scenario(row="B3", checkpoints=["gemma-3-4b"])
@pytest.mark.parametrize("names", ["full", "bare"])
def test_gemma3_towers_are_skipped(probe, checkpoint, names):
    """llm_int8_skip_modules keeps the tower of Gemma 3 out of 4-bit; the memory it costs is recorded."""
    model = load_with_towers_skipped(probe, checkpoint("gemma-3-4b"), SKIP_LISTS[names])
    expect_it_runs(probe, model, gemma3_image_prompt)


# --- steps ---------------------------------------------------------------------------------------------------------


def load_with_towers_skipped(probe: Any, folder: str, skip: list[str]) -> Any:
    """Load twice, without and with the skip list; state that no tower is quantized, and record what that costs."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        quantized = load_in_4bit(folder, {"": probe.device})
    whole = sum(bytes_by_dtype(quantized).values())
    probe.record("linear4bit_in_towers_unskipped", count_linear4bit(quantized, TOWERS))
    del quantized
    with probe.phase("load"):
        model = load_in_4bit(folder, {"": probe.device}, skip_modules=skip)
    inside = linear4bit_names(model, TOWERS)
    left = plain_linear_names(model, but=("lm_head", "embed_vision", "embed_audio", *TOWERS))
    probe.record("linear4bit", count_linear4bit(model))
    probe.record("linear4bit_in_towers", len(inside))
    probe.record("skipping_costs_bytes", sum(bytes_by_dtype(model).values()) - whole)
    probe.record("names_that_match_nothing", probe.placement(model, "load", skip)["keys_without_module"])
    probe.expect("no Linear4bit under the towers", not inside, f"{len(inside)}: {inside[:3]}")
    probe.expect(
        "the language model is still in 4-bit", count_linear4bit(model, ("language_model",)) and not left, left[:3]
    )
    return model
