"""Field reports, family F and row G11: the key-value cache of a 4-bit model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from caches import (
    KEPT_STEPS,
    answers,
    cache_bytes,
    default_cache,
    fill,
    growth,
    lengths,
    offloaded_cache,
    per_token,
    quantized_cache,
    require_backend,
    round_in_place,
    slope,
    widest_layer,
)
from device_maps import SAME, distance
from quantized import (
    count_linear4bit,
    greedy,
    import_bitsandbytes,
    keep_packed_layout,
    load_in_4bit,
    prompt,
)

from harness.probe import scenario

BITS = 4
GROUP = 64
SHARE = (BITS + 2 * 32 / GROUP) / 16  # of bfloat16: 4 bits a value, and at most two float32 numbers to each group
STEPWISE = 0.1  # relative distance that another kernel makes: 4-bit weights have one of their own for a single token
COARSER = 2  # a backend may round so much coarser than the plain rounding that it is compared with


@scenario(row="F1", checkpoints=["qwen2.5-7b"])
def test_offloaded_cache(probe, checkpoint):
    """A cache that is offloaded to the CPU gives the default one's tokens and takes less memory at the prefill."""
    model = load(probe, checkpoint("qwen2.5-7b"))
    inputs = prompt(model, lengths(model)[-1])
    wanted = greedy(model, {**inputs, "past_key_values": default_cache(model)})  # warms the allocator up, too
    found = greedy(model, {**inputs, "past_key_values": offloaded_cache(probe, model)})
    probe.record("tokens", found)
    probe.expect("same tokens as with the default cache", found == wanted, f"{found}, default {wanted}")
    compare_peaks(probe, model, offloaded_cache(probe, model), inputs)


@scenario(row="F2", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("backend", ["quanto", "hqq"])
def test_quantized_cache(probe, checkpoint, backend):
    """A cache in 4 bits is as small as that, answers as the default one whose values are rounded, and saves memory."""
    require_backend(probe, backend)
    model = load(probe, checkpoint("qwen2.5-7b"))
    length = lengths(model)[-1]
    inputs = prompt(model, length)
    expect_it_answers(probe, model, quantized_cache(model, backend, BITS, GROUP), length)
    cache = quantized_cache(model, backend, BITS, GROUP)
    full = compare_peaks(probe, model, cache, inputs)
    held = cache_bytes(cache)
    probe.record("cache_bytes", held)
    probe.expect("4 bits are held, and scales", held <= SHARE * full, f"{held} of {full} bytes, allowed {SHARE:.3f}")


@scenario(row="F3", checkpoints=["qwen2.5-7b"])
def test_growth_with_the_prompt(probe, checkpoint):
    """Memory grows with the prompt by the cache's own bytes per token, its peak by a layer's activations besides."""
    model = load(probe, checkpoint("qwen2.5-7b"))
    fill(model, default_cache(model), prompt(model, lengths(model)[-1]))  # workspaces that stay are allocated here
    held, allocated, peaks = [], [], []
    for length in lengths(model):
        cache, inputs = default_cache(model), prompt(model, length)
        now, peak = growth(probe, "prefill", lambda cache=cache, inputs=inputs: fill(model, cache, inputs))
        held.append(cache_bytes(cache))
        allocated.append(now)
        peaks.append(peak)
    own = per_token(model)
    probe.record("lengths", lengths(model))
    probe.record("bytes_per_token_formula", own)
    probe.record("bytes_per_token_cache", slope(lengths(model), held))
    probe.expect("the cache holds keys and values and no more", held == [own * n for n in lengths(model)], held)
    if probe.device != "cpu":
        expect_slopes(probe, model, slope(lengths(model), allocated), slope(lengths(model), peaks))


@scenario(row="F3", checkpoints=["qwen2.5-7b"])
def test_default_cache(probe, checkpoint):
    """Control of F1 and F2: the default cache answers, token by token, as the model does without a cache."""
    model = load(probe, checkpoint("qwen2.5-7b"))
    length = lengths(model)[0]
    ids = prompt(model, length + KEPT_STEPS)["input_ids"]
    found = answers(model, default_cache(model), ids, length)
    with torch.inference_mode():
        whole = model(input_ids=ids, use_cache=False).logits[0, length - 1 :].float().cpu()
    apart = distance(found, whole)
    probe.record("distance_to_control", apart)
    probe.expect(
        "it answers as without a cache", apart <= STEPWISE, f"relative distance {apart:.4f}, allowed {STEPWISE}"
    )


@scenario(row="G11", tracker="huggingface/transformers#47828", checkpoints=["gemma-3-4b"])
@pytest.mark.parametrize("backend", ["quanto", "hqq"])
def test_quantized_cache_with_sliding_layers(probe, checkpoint, backend):
    """On a model with sliding-window layers a quantized cache is refused in plain words, or answers right.

    The prompt is longer than the window. The default cache, with its values rounded, is the control.
    """
    require_backend(probe, backend)
    model = load(probe, checkpoint("gemma-3-4b"))
    try:
        cache = quantized_cache(model, backend, BITS, GROUP)
    except ValueError as refusal:
        if "layer" not in str(refusal):
            raise
        probe.record("refused", 1)
        probe.record("refusal", str(refusal))
        return
    probe.record("refused", 0)
    expect_it_answers(probe, model, cache, 3 * model.config.get_text_config().sliding_window // 2)
    probe.record("cache_bytes", cache_bytes(cache))


# --- steps ---------------------------------------------------------------------------------------------------------


def load(probe: Any, folder: str) -> Any:
    """Load in 4-bit on one device and state that it is so."""
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_in_4bit(folder, {"": probe.device})
    count = count_linear4bit(model)
    probe.record("linear4bit", count)
    probe.expect("something is in 4-bit", count, count)
    keep_packed_layout(model)
    return model


def compare_peaks(probe: Any, model: Any, cache: Any, inputs: dict[str, torch.Tensor]) -> int:
    """Prefill with the default cache, then with ``cache``; state that the latter's peak is lower on a GPU.

    Returns:
        Bytes that the default cache holds.
    """
    default = default_cache(model)
    _, wide = growth(probe, "prefill_default", lambda: fill(model, default, inputs))
    full = cache_bytes(default)
    default.layers.clear()  # its memory must not count for the other
    _, narrow = growth(probe, "prefill", lambda: fill(model, cache, inputs))
    probe.record("default_cache_bytes", full)
    probe.record("prompt_tokens", inputs["input_ids"].shape[1])
    if probe.device != "cpu":
        probe.record("prefill_peak_default_bytes", wide)
        probe.record("prefill_peak_bytes", narrow)
        probe.expect("its peak is below the default cache's", narrow < wide, f"{narrow} against {wide}, cache {full}")
    return full


def expect_it_answers(probe: Any, model: Any, cache: Any, length: int) -> None:
    """State that decoding from a quantized cache strays no further than rounding the default cache's values does.

    The next tokens are given, so that one other token does not make all that follow it differ. The prefill itself
    attends to values that are not yet rounded: its answer is that of the default cache.
    """
    ids = prompt(model, length + KEPT_STEPS)["input_ids"]
    wanted = answers(model, default_cache(model), ids, length)
    rounded = answers(model, default_cache(model), ids, length, then=lambda filled: round_in_place(filled, BITS, GROUP))
    found = answers(model, cache, ids, length)
    first, apart, by_rounding = distance(found[0], wanted[0]), distance(found, wanted), distance(rounded, wanted)
    probe.record("distance_to_control", apart)
    probe.record("distance_by_rounding", by_rounding)
    probe.record("same_tokens", int((found.argmax(-1) == wanted.argmax(-1)).sum()))
    probe.expect("the prefill answers as with the default cache", first <= SAME, f"{first:.4f}, allowed {SAME}")
    allowed = COARSER * by_rounding
    probe.expect(
        "it strays no further than 4-bit rounding does", apart <= allowed, f"{apart:.4f} against {allowed:.4f}"
    )


def expect_slopes(probe: Any, model: Any, allocated: float, peak: float) -> None:
    """State what the allocator's slopes may be, in bytes per token of the prompt."""
    own, most = per_token(model), per_token(model) + widest_layer(model)
    probe.record("bytes_per_token_allocated", allocated)
    probe.record("bytes_per_token_peak", peak)
    probe.expect("what stays is the cache", 0.99 * own <= allocated <= 1.5 * own, f"{allocated:.0f} against {own}")
    probe.expect("the peak adds one layer's activations", own <= peak <= most, f"{peak:.0f} of {own} to {most}")
