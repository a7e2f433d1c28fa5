"""Field reports, rows B4, G1 and G2: what a tower in 4-bit still makes of pictures and sounds.

Two things move the features of a tower in 4-bit: the rounding of its weights, which is meant, and faults around it.
Random weights amplify both: at real depth the rounding alone turns the features away from bfloat16. So the measure of
a whole tower is the same tower in bfloat16 with the *rounded* weights; its first layer, which amplifies nothing, is
compared with bfloat16 directly.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from multimodal_inputs import (
    SKIP_LISTS,
    TOWERS,
    expect_it_runs,
    gemma3_image_prompt,
    gemma4_audio_prompt,
    gemma4_image_prompt,
)
from quantized import (
    PROMPT_SEEDS,
    count_linear4bit,
    import_bitsandbytes,
    keep_packed_layout,
    linear4bit_names,
    load_in_4bit,
    load_plain,
    logits,
)
from torch.nn.functional import cosine_similarity

from harness.probe import scenario

INPUTS = {"vision_tower": gemma4_image_prompt, "audio_tower": gemma4_audio_prompt}
ALIKE = 0.999  # cosine of features from equal weights
BEYOND_ROUNDING = 0.1  # cosine: what may be lost on top of the rounding, an average over the inputs
BF16_AMPLIFIED = (
    0.5  # cosine of features from equal weights in another order of sums: bf16 alone may leave 0.7 at depth
)
ONE_LAYER = 0.98  # cosine after one layer: the rounding to NF4 moves a sum by a tenth, which leaves 0.995


@scenario(row="B4", checkpoints=["gemma-3-4b"])
@pytest.mark.parametrize("towers", ["quantized", "skipped"])
def test_gemma3_tower_features(probe, checkpoint, towers):
    """Features of Gemma 3's tower: a skipped one equals bfloat16, a quantized one loses what rounding weights costs."""
    expect_features(probe, checkpoint("gemma-3-4b"), "vision_tower", towers, gemma3_image_prompt)


@scenario(row="B4", tracker="huggingface/transformers#46932", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("towers", ["quantized", "skipped"])
@pytest.mark.parametrize("tower", ["vision_tower", "audio_tower"])
def test_gemma4_tower_features(probe, checkpoint, tower, towers):
    """Features of Gemma 4's towers: skipped ones equal bfloat16, quantized ones lose what rounding weights costs."""
    expect_features(probe, checkpoint("gemma-4-e2b"), tower, towers, INPUTS[tower])


@scenario(row="G1", tracker="huggingface/transformers#46932", checkpoints=["gemma-3-4b"])
@pytest.mark.parametrize("towers", ["quantized", "skipped"])
def test_gemma3_pixels_stay_numbers(probe, checkpoint, towers):
    """Pixel values reach the first layer of Gemma 3's vision tower as floats, and come out as in bfloat16."""
    expect_pixels_arrive(probe, checkpoint("gemma-3-4b"), towers, gemma3_image_prompt)


@scenario(row="G1", tracker="huggingface/transformers#46932", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("towers", ["quantized", "skipped"])
def test_gemma4_pixels_stay_numbers(probe, checkpoint, towers):
    """Pixel values reach the first layer of Gemma 4's vision tower as floats, and come out as in bfloat16."""
    expect_pixels_arrive(probe, checkpoint("gemma-4-e2b"), towers, gemma4_image_prompt)


@scenario(row="G2", tracker="huggingface/transformers#45672", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("towers", ["quantized", "skipped"])
def test_gemma4_audio_tower_runs(probe, checkpoint, towers):
    """Gemma 4's audio tower runs in 4-bit, its features are finite, and another sound gets another answer."""
    import_bitsandbytes(probe)
    model = load_towers(probe, checkpoint("gemma-4-e2b"), towers)
    with probe.phase("forward"):
        features = tower_features(model, "audio_tower", gemma4_audio_prompt)
    probe.expect("features are finite", all(torch.isfinite(each).all() for each in features))
    between = mean_cosine(features[:1], features[1:2])
    probe.record("cosine_between_sounds", between)
    probe.expect("two sounds give different features", between < ALIKE, between)
    expect_it_runs(probe, model, gemma4_audio_prompt)


# --- steps ---------------------------------------------------------------------------------------------------------


def load_towers(probe: Any, folder: str, towers: str) -> Any:
    """Load in 4-bit, the towers ``quantized`` or ``skipped``; state that they and the language model are as asked."""
    with probe.phase("load"):
        model = load_in_4bit(
            folder, {"": probe.device}, skip_modules=SKIP_LISTS["full"] if towers == "skipped" else None
        )
    inside = count_linear4bit(model, TOWERS)
    probe.record("linear4bit", count_linear4bit(model))
    probe.record("linear4bit_in_towers", inside)
    probe.expect("the towers are as asked", bool(inside) == (towers == "quantized"), inside)
    probe.expect("the language model is in 4-bit", count_linear4bit(model, ("language_model",)))
    keep_packed_layout(model)
    return model


def expect_features(probe: Any, folder: str, tower: str, towers: str, make_prompt: Any) -> None:
    """State that a tower's features lie as far from bfloat16 as the rounding of its weights puts them, no further."""
    import_bitsandbytes(probe)
    model = load_towers(probe, folder, towers)
    with probe.phase("load"):
        exact = load_plain(folder, {"": probe.device})
    rounded = dequantized_weights(model, tower)  # before any forward: that may repack them
    with probe.phase("forward"):
        found, wanted = (tower_features(each, tower, make_prompt) for each in (model, exact))
        put_weights(exact, rounded)
        explained = tower_features(exact, tower, make_prompt)
    cosine, rounding = mean_cosine(found, wanted), mean_cosine(explained, wanted)
    to_rounded = mean_cosine(found, explained)
    probe.record("cosine", cosine)
    probe.record("cosine_of_rounding", rounding)
    probe.record("cosine_to_rounded", to_rounded)
    if towers == "skipped":
        probe.expect("features equal those of bf16", cosine > ALIKE, f"cosine {cosine:.4f}")
    probe.expect(
        "no more is lost than rounding the weights costs",
        cosine > rounding - BEYOND_ROUNDING,
        f"cosine {cosine:.3f}, by rounding alone {rounding:.3f}",
    )
    probe.expect("features follow the rounded weights", to_rounded > BF16_AMPLIFIED, f"cosine {to_rounded:.3f}")


def expect_pixels_arrive(probe: Any, folder: str, towers: str, make_prompt: Any) -> None:
    """State that pictures enter the vision tower as floats and leave its first layer as they do in bfloat16."""
    import_bitsandbytes(probe)
    model = load_towers(probe, folder, towers)
    with probe.phase("load"):
        exact = load_plain(folder, {"": probe.device})
    with probe.phase("forward"):
        entered, found = through_first_layer(model, make_prompt)
        _, wanted = through_first_layer(exact, make_prompt)
    cosine = mean_cosine(found, wanted)
    probe.record("entered_as", sorted({str(each.dtype).removeprefix("torch.") for each in entered}))
    probe.record("cosine", cosine)
    probe.expect("pixel values enter as floats", all(each.is_floating_point() for each in entered), entered[0].dtype)
    probe.expect("the first layer sees the picture as bf16 does", cosine > ONE_LAYER, f"cosine {cosine:.3f}")


# --- what passes through a tower -----------------------------------------------------------------------------------


def tower_features(model: Any, tower: str, make_prompt: Any) -> list[torch.Tensor]:
    """Return a tower's own output, before the bridge, for each fixed input: float32 vectors on the CPU."""
    kept: list[torch.Tensor] = []
    module = model.get_submodule(f"model.{tower}")
    handle = module.register_forward_hook(lambda *call: kept.append(call[-1][0]))
    show_all(model, make_prompt, handle)
    return [each.flatten().float().cpu() for each in kept]


def through_first_layer(model: Any, make_prompt: Any) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return what entered the vision tower's first weight, as it was, and what left it, as float32 vectors."""
    entered: list[torch.Tensor] = []
    left: list[torch.Tensor] = []

    def keep(_: Any, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        entered.append(given[0])
        left.append(output.flatten().float().cpu())

    show_all(model, make_prompt, first_layer(model).register_forward_hook(keep))
    return entered, left


def show_all(model: Any, make_prompt: Any, handle: Any) -> None:
    """Run the model once for each fixed input, then take the hook off."""
    for seed in PROMPT_SEEDS:
        logits(model, make_prompt(model, seed=seed))
    handle.remove()


def first_layer(model: Any) -> Any:
    """Return the layer that takes the patches of a picture: a convolution or a linear layer, 4-bit or not."""
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    return next(each for each in model.get_submodule("model.vision_tower").modules() if isinstance(each, kinds))


def dequantized_weights(model: Any, tower: str) -> dict[str, torch.Tensor]:
    """Return module path → weight as a tower's 4-bit layers mean it; empty where the tower was skipped."""
    from bitsandbytes.functional import dequantize_4bit

    weights = {name: model.get_submodule(name).weight for name in linear4bit_names(model, (tower,))}
    return {name: dequantize_4bit(weight.data, weight.quant_state) for name, weight in weights.items()}


@torch.no_grad()
def put_weights(model: Any, weights: dict[str, torch.Tensor]) -> None:
    """Overwrite the weights of linear layers; their modules keep their dtype and place."""
    for name, weight in weights.items():
        model.get_submodule(name).weight.copy_(weight)


def mean_cosine(found: list[torch.Tensor], wanted: list[torch.Tensor]) -> float:
    """Return the mean cosine over pairs of vectors."""
    pairs = zip(found, wanted, strict=True)
    return float(torch.stack([cosine_similarity(*pair, dim=0) for pair in pairs]).mean())
