"""Field reports, family B: multimodal models in 4-bit, towers quantized or skipped, and really run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from quantized import (
    bytes_by_dtype,
    count_linear4bit,
    greedy,
    import_bitsandbytes,
    input_device,
    linear4bit_names,
    load_in_4bit,
    load_plain,
    logits,
    map_keys_without_module,
    plain_linear_names,
    prompt,
)

from harness.probe import scenario

TOWERS = ("vision_tower", "audio_tower", "multi_modal_projector")
SKIP_LISTS = {  # the reporters' list, by full path and by bare name; Gemma 4 has no projector, Gemma 3 no audio tower
    "full": ["model.vision_tower", "model.multi_modal_projector", "model.audio_tower", "lm_head"],
    "bare": ["vision_tower", "multi_modal_projector", "audio_tower", "lm_head"],
}
PATCH_GRID = 6  # patches along each side of Gemma 4's picture: a multiple of its pooling kernel, 3
AUDIO_FRAMES = 32
FRAMES_PER_AUDIO_TOKEN = 4  # two convolutions of stride 2


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


@scenario(row="B4", tracker="huggingface/transformers#46932", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("towers", ["quantized", "skipped"])
def test_gemma4_image_features(probe, checkpoint, towers):
    """Gemma 4's image features in 4-bit point where those of bfloat16 do; towers left out of 4-bit are the control."""
    import_bitsandbytes(probe)
    folder, place = checkpoint("gemma-4-e2b"), {"": probe.device}
    with probe.phase("load"):
        model = load_in_4bit(folder, place, skip_modules=SKIP_LISTS["full"] if towers == "skipped" else None)
    with probe.phase("load"):
        exact = load_plain(folder, place)
    probe.record("linear4bit", count_linear4bit(model))
    probe.record("linear4bit_in_towers", count_linear4bit(model, TOWERS))
    with probe.phase("forward"):
        features = [gemma4_image_features(each) for each in (model, exact)]
    cosine = float(torch.nn.functional.cosine_similarity(*features, dim=0))
    probe.record("cosine", cosine)
    probe.expect("the towers are as asked", bool(count_linear4bit(model, TOWERS)) == (towers == "quantized"))
    probe.expect("image features stay close to bf16", cosine > 0.8, f"cosine {cosine:.3f}")


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
    probe.record("names_that_match_nothing", map_keys_without_module(model, skip))
    probe.expect("no Linear4bit under the towers", not inside, f"{len(inside)}: {inside[:3]}")
    probe.expect(
        "the language model is still in 4-bit", count_linear4bit(model, ("language_model",)) and not left, left[:3]
    )
    return model


def expect_it_runs(probe: Any, model: Any, make_prompt: Any) -> None:
    """State that the model is quantized, that generation works, and that two inputs get two answers."""
    probe.record("linear4bit", count_linear4bit(model))
    probe.expect("the language model is in 4-bit", count_linear4bit(model, ("language_model",)))
    with probe.phase("forward"):
        one, other = (logits(model, make_prompt(model, seed=seed)) for seed in (11, 23))
    probe.expect("logits are finite", torch.isfinite(one).all() and torch.isfinite(other).all())
    difference = float((one - other).abs().max())
    probe.record("logits_difference", difference)
    probe.expect("another input gives other logits", difference > 1e-3, difference)
    with probe.phase("generate"):
        tokens = greedy(model, make_prompt(model))
    probe.record("tokens", tokens)


# --- inputs: the text is the same for every seed, only what is shown differs ----------------------------------------


def gemma3_image_prompt(model: Any, seed: int = 11) -> dict[str, torch.Tensor]:
    """Return a prompt that shows Gemma 3 one random picture."""
    vision = model.config.vision_config
    pixels = torch.rand((1, 3, vision.image_size, vision.image_size), generator=seeded(seed)) * 2 - 1
    inputs = with_soft_tokens(model, model.config.image_token_id, model.config.mm_tokens_per_image)
    inputs["token_type_ids"] = (inputs["input_ids"] == model.config.image_token_id).long()
    return {**inputs, "pixel_values": placed(model, pixels)}


def gemma4_image_prompt(model: Any, seed: int = 11) -> dict[str, torch.Tensor]:
    """Return a prompt that shows Gemma 4 one random picture, cut into patches as its processor does."""
    vision = model.config.vision_config
    patches = PATCH_GRID**2
    pixels = torch.rand((1, patches, 3 * vision.patch_size**2), generator=seeded(seed))
    line = torch.arange(PATCH_GRID)
    positions = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).reshape(1, patches, 2)
    inputs = with_soft_tokens(model, model.config.image_token_id, patches // vision.pooling_kernel_size**2)
    return {**inputs, "pixel_values": placed(model, pixels), "image_position_ids": positions.to(input_device(model))}


@torch.inference_mode()
def gemma4_image_features(model: Any) -> torch.Tensor:
    """Return the vision tower's features of one picture, after the bridge, as one float32 vector on the CPU."""
    shown = gemma4_image_prompt(model)
    output = model.model.get_image_features(shown["pixel_values"], shown["image_position_ids"], return_dict=True)
    features = output.pooler_output
    parts = features if isinstance(features, (list, tuple)) else [features]  # one entry a picture in later releases
    return torch.cat([part.flatten() for part in parts]).float().cpu()


def gemma4_audio_prompt(model: Any, seed: int = 11) -> dict[str, torch.Tensor]:
    """Return a prompt that plays Gemma 4 random mel frames."""
    mel_bins = model.config.audio_config.subsampling_conv_channels[0]
    features = torch.randn((1, AUDIO_FRAMES, mel_bins), generator=seeded(seed))
    heard = torch.ones((1, AUDIO_FRAMES), dtype=torch.bool, device=input_device(model))
    inputs = with_soft_tokens(model, model.config.audio_token_id, AUDIO_FRAMES // FRAMES_PER_AUDIO_TOKEN)
    return {**inputs, "input_features": placed(model, features), "input_features_mask": heard}


def with_soft_tokens(model: Any, token: int, count: int) -> dict[str, torch.Tensor]:
    """Return a fixed text prompt with ``count`` places, in its middle, for what the tower gives."""
    text = prompt(model)["input_ids"]
    middle = torch.full((1, count), token, device=text.device)
    ids = torch.cat([text[:, :4], middle, text[:, 4:]], dim=1)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def placed(model: Any, values: torch.Tensor) -> torch.Tensor:
    """Return floating inputs in bfloat16 on the device of the input embeddings."""
    return values.to(input_device(model), torch.bfloat16)


def seeded(seed: int) -> torch.Generator:
    """Return a CPU generator with that seed."""
    return torch.Generator().manual_seed(seed)
