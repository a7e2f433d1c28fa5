"""Planted failures for scenarios/skip_lists.py: every test of this file must come out red."""

import sys
from pathlib import Path

import pytest

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import skip_lists


@scenario(row="G3", checkpoints=["gemma-3-4b"])
@pytest.mark.parametrize("name", ["full", "bare"])
def test_the_tower_is_quantized_all_the_same(probe, checkpoint, monkeypatch, name):
    """Drop the tower from the skip list without a word."""
    real = skip_lists.load_in_4bit

    def load_in_4bit(folder, device_map, *, skip_modules):
        return real(folder, device_map, skip_modules=skip_modules[1:])

    monkeypatch.setattr(skip_lists, "load_in_4bit", load_in_4bit)
    skip_lists.test_gemma3_tower_is_skipped_by_name(probe, checkpoint, name)


@scenario(row="G4", checkpoints=["qwen2.5-1.5b"])
@pytest.mark.parametrize("form", ["skipped", "on_the_cpu"])
def test_a_number_reaches_those_that_begin_with_it(probe, checkpoint, monkeypatch, form):
    """Skip layers 10 and 11 beside layer 1, as a comparison of beginnings does."""
    real = skip_lists.load_in_4bit

    def load_in_4bit(folder, device_map, *, skip_modules=None, **keywords):
        asked = skip_modules or ["lm_head", "model.layers.1"]
        more = [] if any("self_attn" in name for name in asked) else ["model.layers.10", "model.layers.11"]
        return real(folder, device_map, skip_modules=[*asked, *more], **keywords)

    monkeypatch.setattr(skip_lists, "load_in_4bit", load_in_4bit)
    {"skipped": skip_lists.test_one_layer_is_skipped, "on_the_cpu": skip_lists.test_one_layer_is_on_the_cpu}[form](
        probe, checkpoint, 1
    )


@scenario(row="G5", checkpoints=["qwen2.5-7b", "qwen2.5-1.5b", "gemma-3-4b"])
def test_a_head_of_its_own_is_lost(probe, checkpoint, monkeypatch):
    """Shuffle the quantized head: the list without it loads, and answers something else."""
    real = skip_lists.load_in_4bit

    def load_in_4bit(folder, device_map, *, skip_modules):
        model = real(folder, device_map, skip_modules=skip_modules)
        if "lm_head" not in skip_modules:
            model.lm_head.weight.data = model.lm_head.weight.data.flip(0)
        return model

    monkeypatch.setattr(skip_lists, "load_in_4bit", load_in_4bit)
    skip_lists.test_own_skip_list(probe, checkpoint, "qwen2.5-7b", "unnamed")
