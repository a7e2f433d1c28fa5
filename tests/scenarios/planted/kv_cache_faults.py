"""Planted failures for scenarios/kv_cache.py: every test must come out red, or skipped for what is missing."""

import functools
import sys
from pathlib import Path

import torch
from transformers import cache_utils

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import kv_cache

OFFLOADED_HERE = (cache_utils.CacheLayerMixin, cache_utils.DynamicLayer)


def late(tensor):
    """Return keys or values as if each belonged to the position after its own."""
    return torch.roll(tensor, 1, dims=-2)


def misplaced(tensor):
    """Return keys or values as if each belonged to another head; moving both along the positions changes no answer."""
    return torch.roll(tensor, 1, dims=-3)


@scenario(row="F1", checkpoints=["qwen2.5-7b"])
def test_offloaded_layers_are_lost(probe, checkpoint, monkeypatch):
    """Let an offloaded layer come back as zeros."""

    def offload(layer):
        layer.keys, layer.values = torch.zeros_like(layer.keys), torch.zeros_like(layer.values)

    for place in OFFLOADED_HERE:
        monkeypatch.setattr(place, "offload", offload, raising=False)
    kv_cache.test_offloaded_cache(probe, checkpoint)


@scenario(row="F1", needs=["cuda"], checkpoints=["qwen2.5-7b"])
def test_layers_are_never_offloaded(probe, checkpoint, monkeypatch):
    """Let offloading do nothing: same tokens, and no memory saved."""
    for place in OFFLOADED_HERE:
        monkeypatch.setattr(place, "offload", lambda layer: None, raising=False)
    kv_cache.test_offloaded_cache(probe, checkpoint)


@scenario(row="F2", needs=["optimum-quanto"], checkpoints=["qwen2.5-7b"])
def test_the_quantized_cache_holds_plain_values(probe, checkpoint, monkeypatch):
    """Let quantizing keep the values as they are."""
    monkeypatch.setattr(cache_utils.QuantoQuantizedLayer, "_quantize", lambda layer, tensor, axis: tensor)
    monkeypatch.setattr(cache_utils.QuantoQuantizedLayer, "_dequantize", lambda layer, tensor: tensor)
    kv_cache.test_quantized_cache(probe, checkpoint, "quanto")


@scenario(row="F2", needs=["hqq"], checkpoints=["qwen2.5-7b"])
def test_the_quantized_cache_mixes_heads_up(probe, checkpoint, monkeypatch):
    """Let dequantizing give back another head's values."""
    right = cache_utils.HQQQuantizedLayer._dequantize
    monkeypatch.setattr(
        cache_utils.HQQQuantizedLayer, "_dequantize", lambda layer, quantized: misplaced(right(layer, quantized))
    )
    kv_cache.test_quantized_cache(probe, checkpoint, "hqq")


@scenario(row="F3", checkpoints=["qwen2.5-7b"])
def test_the_cache_keeps_a_wide_copy(probe, checkpoint, monkeypatch):
    """Let each layer keep its keys in float32 as well."""
    right = cache_utils.DynamicLayer.update

    @functools.wraps(right)
    def update(layer, key_states, *rest, **keywords):
        layer.copy = key_states.float()
        return right(layer, key_states, *rest, **keywords)

    monkeypatch.setattr(cache_utils.DynamicLayer, "update", update)
    kv_cache.test_growth_with_the_prompt(probe, checkpoint)


@scenario(row="F3", checkpoints=["qwen2.5-7b"])
def test_the_default_cache_mixes_positions_up(probe, checkpoint, monkeypatch):
    """Let decoding attend to the neighbours' keys."""
    right = cache_utils.DynamicLayer.update

    @functools.wraps(right)
    def update(layer, *rest, **keywords):
        keys, values = right(layer, *rest, **keywords)
        return (keys if keys.shape[-2] == rest[0].shape[-2] else late(keys)), values

    monkeypatch.setattr(cache_utils.DynamicLayer, "update", update)
    kv_cache.test_default_cache(probe, checkpoint)


@scenario(row="G11", needs=["hqq"], checkpoints=["gemma-3-4b"])
def test_the_refusal_is_beside_the_point(probe, checkpoint, monkeypatch):
    """Let the quantized cache be refused with another reason than its true one."""
    right = cache_utils.QuantizedCache.__init__

    def refuse(cache, backend, config, **keywords):
        right(cache, "no backend", config)

    monkeypatch.setattr(cache_utils.QuantizedCache, "__init__", keeping_names(refuse))
    kv_cache.test_quantized_cache_with_sliding_layers(probe, checkpoint, "hqq")


@scenario(row="G11", needs=["hqq"], checkpoints=["gemma-3-4b"])
def test_sliding_layers_are_accepted_and_mixed_up(probe, checkpoint, monkeypatch):
    """Let the quantized cache accept sliding layers, as releases before the refusal did, and answer wrong."""

    def accept(cache, backend, config, nbits, axis_key, axis_value, q_group_size):
        count = config.get_text_config().num_hidden_layers
        layers = [cache_utils.HQQQuantizedLayer(nbits, axis_key, axis_value, q_group_size) for _ in range(count)]
        cache_utils.Cache.__init__(cache, layers=layers)

    right = cache_utils.HQQQuantizedLayer._dequantize
    monkeypatch.setattr(cache_utils.QuantizedCache, "__init__", keeping_names(accept))
    monkeypatch.setattr(
        cache_utils.HQQQuantizedLayer, "_dequantize", lambda layer, quantized: misplaced(right(layer, quantized))
    )
    kv_cache.test_quantized_cache_with_sliding_layers(probe, checkpoint, "hqq")


def keeping_names(function):
    """Give a stand-in the parameter names of the real one: the scenario asks for them."""
    return functools.wraps(cache_utils.QuantizedCache.__init__)(function)
