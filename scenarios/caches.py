"""Caches as the scenarios make, fill and measure them; works from transformers 4.57 to every 5.x."""

from __future__ import annotations

import inspect
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers

KEPT_STEPS = 8  # tokens decoded after the prefill
LONGEST = 4096  # tokens, where the model has room for twice as many
BACKENDS = {"quanto": ("optimum-quanto", 0), "hqq": ("hqq", 1)}  # package, and an axis that the backend accepts
BF16 = 2  # bytes


class IdleStream:
    """What stands for a CUDA stream where there is none: everything is done in order anyway."""

    def wait_stream(self, other: object) -> None:
        """Return at once."""

    def __enter__(self) -> None:
        """Change nothing."""

    def __exit__(self, *raised: object) -> None:
        """Change nothing."""


# --- making --------------------------------------------------------------------------------------------------------


def default_cache(model: Any) -> Any:
    """Return the cache that generation uses when nothing is asked for."""
    return transformers.DynamicCache(config=model.config)


def offloaded_cache(probe: Any, model: Any) -> Any:
    """Return the default cache with its layers offloaded to the CPU, or skip where the release has none.

    It works on CUDA streams. Without a GPU they are simulated: then only its order of layers is tried, not the moves.
    """
    if "offloading" not in inspect.signature(transformers.DynamicCache.__init__).parameters:
        probe.not_applicable("DynamicCache takes no offloading= in this release")
    cache = transformers.DynamicCache(config=model.config, offloading=True)
    if not probe.device.startswith("cuda"):
        probe.simulated("CUDA streams of the offloaded cache; nothing moves between devices")
        cache.prefetch_stream = IdleStream()
        torch.cuda.default_stream = lambda device=None: IdleStream()
    return cache


def require_backend(probe: Any, backend: str) -> None:
    """Skip where the backend of a quantized cache is not installed, or this release does not take one by name."""
    package, _ = BACKENDS[backend]
    if not probe.has(package):
        probe.not_applicable(f"needs {package}, which is not installed")
    if "backend" not in inspect.signature(getattr(transformers, "QuantizedCache", object).__init__).parameters:
        probe.not_applicable("QuantizedCache takes no backend= in this release")


def quantized_cache(model: Any, backend: str, bits: int, group: int) -> Any:
    """Return a quantized cache; call :func:`require_backend` first.

    Raises:
        ValueError: this release refuses the model.
    """
    axes = dict.fromkeys(("axis_key", "axis_value"), BACKENDS[backend][1])
    return transformers.QuantizedCache(backend, model.config, nbits=bits, q_group_size=group, **axes)


# --- running -------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def fill(model: Any, cache: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Run the prompt through the model into ``cache`` and return the last position's logits, on their device."""
    return model(**inputs, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]


@torch.inference_mode()
def answers(
    model: Any, cache: Any, ids: torch.Tensor, length: int, then: Callable[[Any], None] | None = None
) -> torch.Tensor:
    """Prefill with ``length`` of the ids, call ``then`` with the cache, feed the other ids one at a time.

    Returns:
        Logits of the last prefilled position and of each fed one, steps × vocabulary, float32 on the CPU.
    """
    first = ids[:, :length]
    rows = [fill(model, cache, {"input_ids": first, "attention_mask": torch.ones_like(first)})]
    if then is not None:
        then(cache)
    rows += [
        model(input_ids=ids[:, at : at + 1], past_key_values=cache, use_cache=True).logits[0, -1]
        for at in range(length, ids.shape[1])
    ]
    return torch.stack(rows).float().cpu()


def round_in_place(cache: Any, bits: int, group: int) -> None:
    """Round what a default cache holds to ``bits``, between least and greatest of each ``group`` of neighbours."""
    for layer in cache.layers:
        layer.keys, layer.values = rounded(layer.keys, bits, group), rounded(layer.values, bits, group)


def rounded(values: torch.Tensor, bits: int, group: int) -> torch.Tensor:
    """Return ``values`` at evenly spaced levels of their group, in their own shape and dtype."""
    rows = values.float().reshape(-1, group)
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    step = (high - low).clamp_min(torch.finfo(torch.float32).tiny) / (2**bits - 1)
    return (((rows - low) / step).round() * step + low).reshape(values.shape).to(values.dtype)


# --- measuring -----------------------------------------------------------------------------------------------------


def lengths(model: Any) -> list[int]:
    """Return four prompt lengths, each twice the one before: up to half of the model's positions, 4096 at most."""
    longest = min(LONGEST, model.config.get_text_config().max_position_embeddings // 2)
    return [longest // 8, longest // 4, longest // 2, longest]


def growth(probe: Any, phase: str, work: Callable[[], object]) -> tuple[int, int]:
    """Do ``work`` in a phase; return by how many allocated CUDA bytes it grew and how far its peak rose, 0 on a CPU."""
    before = probe.cuda.allocated
    with probe.phase(phase):
        kept = work()
    after, peak = probe.cuda.allocated - before, probe.cuda.allocated_peak - before
    del kept
    return after, peak


def cache_bytes(cache: Any) -> int:
    """Sum the bytes of the tensors that a cache's layers hold, those inside of quantized tensors included."""
    return sum(held_bytes(value) for layer in cache.layers for value in vars(layer).values())


def held_bytes(value: Any) -> int:
    """Sum the bytes of tensors in ``value``: a tensor, a quantized tensor, or containers of them."""
    if isinstance(value, torch.Tensor):
        if hasattr(value, "__tensor_flatten__"):
            return sum(held_bytes(getattr(value, name)) for name in value.__tensor_flatten__()[0])
        return value.numel() * value.element_size()
    if isinstance(value, dict):
        return sum(held_bytes(part) for part in value.values())
    return sum(held_bytes(part) for part in value) if isinstance(value, list | tuple) else 0


def slope(tokens: Sequence[int], sizes: Sequence[int]) -> float:
    """Return bytes per token, by least squares."""
    return statistics.linear_regression(tokens, sizes).slope


def per_token(model: Any) -> int:
    """Return the bytes of one token's keys and values over all layers, in bfloat16."""
    c = model.config.get_text_config()
    width = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    return 2 * c.num_hidden_layers * c.num_key_value_heads * width * BF16


def widest_layer(model: Any) -> int:
    """Return an upper bound of the bytes per token that one layer's activations take at their widest.

    Feed-forward: gate, its activation, up and their product. Beside them, each as wide as the hidden state or
    narrower: the residual, the normed input and its float32 copies (two each), queries, keys, values, the latter two
    once more for every query head, attention's output; 16 in all.
    """
    c = model.config.get_text_config()
    return BF16 * (4 * c.intermediate_size + 16 * c.hidden_size)
