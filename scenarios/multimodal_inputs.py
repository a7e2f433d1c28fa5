"""What the multimodal scenarios share: towers, skip lists, fixed inputs, and the check that they reach the answer."""

from __future__ import annotations

from typing import Any

import torch
from quantized import count_linear4bit, greedy, input_device, logits, prompt

TOWERS = ("vision_tower", "audio_tower", "multi_modal_projector")
SKIP_LISTS = {  # the reporters' list, by full path and by bare name; Gemma 4 has no projector, Gemma 3 no audio tower
    "full": ["model.vision_tower", "model.multi_modal_projector", "model.audio_tower", "lm_head"],
    "bare": ["vision_tower", "multi_modal_projector", "audio_tower", "lm_head"],
}
PATCH_GRID = 6  # patches along each side of Gemma 4's picture: a multiple of its pooling kernel, 3
AUDIO_FRAMES = 32
FRAMES_PER_AUDIO_TOKEN = 4  # two convolutions of stride 2


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
