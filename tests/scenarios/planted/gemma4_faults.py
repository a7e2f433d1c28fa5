"""Planted failures for scenarios/gemma4.py: every test of this file must come out red."""

import sys
from pathlib import Path

import pytest
import torch

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import gemma4


@scenario(row="G14", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
def test_a_cache_that_remembers_wrong(probe, checkpoint, monkeypatch):
    """Let the cache hand back older keys in reverse: one forward is right, tokens fed one by one are not."""
    from transformers.cache_utils import DynamicCache

    real = DynamicCache.update

    def update(self, keys, values, *rest, **keywords):
        found, values = real(self, keys, values, *rest, **keywords)
        return (found.flip(2) if found.shape[2] != keys.shape[2] else found), values

    monkeypatch.setattr(DynamicCache, "update", update)
    gemma4.test_logits_without_a_cache(probe, checkpoint, "fp32")


@scenario(row="G14", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("kind", ["4bit", "bf16"])
def test_a_model_that_drops_its_last_layer_without_a_cache(probe, checkpoint, monkeypatch, kind):
    """Change the states that pass between layers where no cache is used: the answers differ."""
    real = gemma4.all_logits

    def all_logits(model, inputs, *, use_cache):
        layer = model.get_submodule(f"{gemma4.TEXT}.layers")[-1]
        handle = layer.register_forward_hook(lambda _, given, output: output if use_cache else given[0])
        found = real(model, inputs, use_cache=use_cache)
        handle.remove()
        return found

    monkeypatch.setattr(gemma4, "all_logits", all_logits)
    gemma4.test_logits_without_a_cache(probe, checkpoint, kind)


@scenario(row="G15", needs=["transformers>=5.5.3"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("keys", ["every-module", "rest-by-one-key"])
def test_hooks_copy_the_shared_states(probe, checkpoint, monkeypatch, keys):
    """Hand each offloaded layer a copy of the shared keys and values: what it adds is lost, a later layer misses it."""
    from accelerate.hooks import AlignDevicesHook

    real = AlignDevicesHook.pre_forward

    def pre_forward(self, module, *given, **keywords):
        given, keywords = real(self, module, *given, **keywords)
        if "shared_kv_states" in keywords:
            keywords["shared_kv_states"] = dict(keywords["shared_kv_states"])
        return given, keywords

    monkeypatch.setattr(AlignDevicesHook, "pre_forward", pre_forward)
    gemma4.test_layers_on_the_cpu(probe, checkpoint, "giving", keys)


@scenario(row="G15", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
def test_offloaded_weights_come_back_as_zeros(probe, checkpoint, monkeypatch):
    """Let every offloaded weight come back as zeros: nothing is raised, and the answer is wrong."""
    plant_zeros(monkeypatch)
    gemma4.test_layers_on_the_cpu(probe, checkpoint, "reusing", "every-module")


@scenario(row="G16", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("part", ["embed_tokens_per_layer", "norm"])
def test_offloaded_parts_come_back_as_zeros(probe, checkpoint, monkeypatch, part):
    """Let every offloaded weight come back as zeros: nothing is raised, and the answer is wrong."""
    plant_zeros(monkeypatch)
    gemma4.test_embeddings_offloaded(probe, checkpoint, part)


def plant_zeros(monkeypatch):
    from accelerate.utils.offload import PrefixedDataset

    real = PrefixedDataset.__getitem__
    monkeypatch.setattr(PrefixedDataset, "__getitem__", lambda self, key: torch.zeros_like(real(self, key)))
