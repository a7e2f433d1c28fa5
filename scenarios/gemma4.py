"""Field reports, rows G14 to G16: Gemma 4, whose last layers reuse keys and values of others, cached and split."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from device_maps import SAME, Place, away, distance, expect_it_answers
from quantized import (
    NEVER_QUANTIZED,
    count_linear4bit,
    greedy,
    import_bitsandbytes,
    keep_packed_layout,
    load_in_4bit,
    load_plain,
    logits,
    map_keys_without_module,
    model_class,
    prompt,
)
from simulated_devices import main_device
from transformers import AutoConfig

from harness.probe import scenario

TEXT = "model.language_model"
TEXT_LENGTH = 40  # tokens: more than the sliding window of the tiny model
STEPS = 4  # of them, fed one by one
EXACT = 1e-3  # relative distance of float32 logits that were computed in other portions
TIED = (f"{TEXT}.embed_tokens", "lm_head")  # one weight: never in two places
OFFLOADED = {
    "embed_tokens": TIED,
    "embed_tokens_per_layer": (f"{TEXT}.embed_tokens_per_layer",),
    "norm": (f"{TEXT}.norm",),
}


@scenario(row="G14", tracker="huggingface/transformers#45242", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("kind", ["4bit", "bf16", "fp32"])
def test_logits_without_a_cache(probe, checkpoint, kind):
    """Gemma 4 answers the same with and without a cache: in one piece, and in float32 token by token too.

    Feeding tokens one by one changes the order of sums, and random weights of real depth amplify that in bfloat16:
    there the distance is recorded, and in float32 it is judged.
    """
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_kind(checkpoint("gemma-4-e2b"), kind, probe.device)
    probe.record("linear4bit", count_linear4bit(model))
    probe.expect("it is in 4-bit where asked", bool(count_linear4bit(model)) == (kind == "4bit"))
    keep_packed_layout(model)
    inputs = prompt(model, length=TEXT_LENGTH)
    with probe.phase("forward"):
        cached, uncached = (all_logits(model, inputs, use_cache=use_cache) for use_cache in (True, False))
        stepwise = logits_by_steps(model, inputs)
    apart, by_steps = distance(uncached, cached), distance(stepwise, uncached[-STEPS:])
    probe.record("distance_without_cache", apart)
    probe.record("distance_by_steps", by_steps)
    probe.expect("logits with and without a cache are equal", apart <= SAME, f"relative distance {apart:.5f}")
    with probe.phase("generate"):
        answers = [tokens(model, inputs, use_cache=use_cache) for use_cache in (True, False)]
    probe.record("equal_tokens", sum(one == other for one, other in zip(*answers, strict=True)))
    if kind == "fp32":
        probe.expect("token by token they are equal too", by_steps <= EXACT, f"relative distance {by_steps:.5f}")
        probe.expect("generation is the same with and without a cache", answers[0] == answers[1], answers)


@scenario(row="G15", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("keys", ["every-module", "rest-by-one-key"])
@pytest.mark.parametrize("moved", ["giving", "reusing"])
def test_layers_on_the_cpu(probe, checkpoint, moved, keys):
    """Gemma 4 with the layers that give keys and values, or those that reuse them, on the CPU answers as on one device.

    No adapter is involved. ``every-module`` names each module of the model; ``rest-by-one-key`` sends the towers to the
    CPU too, and all that is not named to the main device by one empty key.
    """
    folder, main = checkpoint("gemma-4-e2b"), main_device(probe)
    layers = dict.fromkeys(layers_that(folder, moved), "cpu")
    towers = dict.fromkeys(["model.vision_tower", "model.audio_tower"], "cpu")
    whole = every_module(folder, main) if keys == "every-module" else {**towers, "": main}
    expect_split_answers(probe, folder, {**whole, **layers})


@scenario(row="G16", tracker="huggingface/transformers#48409", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("part", list(OFFLOADED))
def test_embeddings_offloaded(probe, checkpoint, part):
    """Gemma 4 with an embedding (and its tied head) on the CPU answers as on one device; a norm is the control."""
    folder, main = checkpoint("gemma-4-e2b"), main_device(probe)
    expect_split_answers(probe, folder, {**every_module(folder, main), **dict.fromkeys(OFFLOADED[part], "cpu")})


# --- steps ---------------------------------------------------------------------------------------------------------


def expect_split_answers(probe: Any, folder: str, split: dict[str, Place]) -> None:
    """State that the model, split as asked, answers as the same weights do on one device, and generates."""
    import_bitsandbytes(probe)
    control = load_in_4bit(folder, {"": probe.device}, skip_modules=[*away(split), *NEVER_QUANTIZED])
    keep_packed_layout(control)
    wanted = logits(control, prompt(control))
    del control
    with probe.phase("load"):
        model = load_in_4bit(folder, split, cpu_offload=True)
    unknown = map_keys_without_module(model, list(split))
    probe.expect("every key of the map names a module", not unknown, unknown)
    expect_it_answers(probe, model, wanted)


def load_kind(folder: str, kind: str, device: str) -> Any:
    """Load on one device in 4-bit, bfloat16 or float32."""
    if kind == "4bit":
        return load_in_4bit(folder, {"": device})
    return load_plain(folder, {"": device}, dtype={"bf16": torch.bfloat16, "fp32": torch.float32}[kind])


def layers_that(folder: str, moved: str) -> list[str]:
    """List the decoder layers that have keys and values of their own, or those that reuse them."""
    text = AutoConfig.from_pretrained(folder).text_config
    first = text.num_hidden_layers - text.num_kv_shared_layers
    numbers = range(first) if moved == "giving" else range(first, text.num_hidden_layers)
    return [f"{TEXT}.layers.{number}" for number in numbers]


def every_module(folder: str, main: Place) -> dict[str, Place]:
    """Return a map that names every part of the model and every decoder layer, all on ``main``."""
    with torch.device("meta"):
        model = model_class(folder)(AutoConfig.from_pretrained(folder))
    names: list[str] = []
    for name, _ in model.named_modules():
        opened = name in {"", "model", TEXT, f"{TEXT}.layers"}
        if not opened and not any(name.startswith(f"{kept}.") for kept in names):
            names.append(name)
    return dict.fromkeys(names, main)


# --- with and without a cache --------------------------------------------------------------------------------------


@torch.inference_mode()
def all_logits(model: Any, inputs: dict[str, torch.Tensor], *, use_cache: bool) -> torch.Tensor:
    """Return the logits of every position of one forward, in float32 on the CPU."""
    return model(**inputs, use_cache=use_cache).logits[0].float().cpu()


@torch.inference_mode()
def logits_by_steps(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the logits of the last tokens, each fed alone to the cache of those before it."""
    ids, cache, found = inputs["input_ids"], None, []
    ends = range(ids.shape[1] - STEPS, ids.shape[1] + 1)
    for start, end in zip([0, *ends], ends, strict=False):
        seen = torch.ones_like(ids[:, :end])
        output = model(input_ids=ids[:, start:end], attention_mask=seen, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        found.append(output.logits[0, -1].float().cpu())
    return torch.stack(found[1:])


def tokens(model: Any, inputs: dict[str, torch.Tensor], *, use_cache: bool) -> list[int]:
    """Generate greedily with or without a cache and return the new tokens."""
    model.generation_config.use_cache = use_cache
    return greedy(model, inputs)
