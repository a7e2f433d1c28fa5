"""Planted cures for what no release does right yet in scenarios/skip_lists.py: every test here must come out green."""

import sys
from pathlib import Path

import pytest

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import skip_lists


@scenario(row="G5", checkpoints=["qwen2.5-7b", "qwen2.5-1.5b", "gemma-3-4b"])
@pytest.mark.parametrize("name", ["qwen2.5-7b", "qwen2.5-1.5b", "gemma-3-4b"])
def test_a_head_is_never_quantized(probe, checkpoint, monkeypatch, name):
    """Add what is kept by default to every skip list."""
    from transformers.quantizers.base import HfQuantizer

    real = HfQuantizer.get_modules_to_not_convert
    monkeypatch.setattr(
        HfQuantizer,
        "get_modules_to_not_convert",
        staticmethod(lambda model, skip, keep=None, *_: real(model, skip, keep, add_default_skips=True)),
    )
    skip_lists.test_own_skip_list(probe, checkpoint, name, "unnamed")


@scenario(row="G3", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
def test_a_bare_name_is_honoured(probe, checkpoint, monkeypatch):
    """Compare skipped names with each part of a path."""
    from transformers.integrations import bitsandbytes

    real = bitsandbytes.should_convert_module
    monkeypatch.setattr(
        bitsandbytes,
        "should_convert_module",
        lambda name, skip=None: real(name, skip) and not set(skip or ()) & set(name.split(".")),
    )
    skip_lists.test_gemma4_tower_is_skipped_by_name(probe, checkpoint, "bare")


@scenario(row="G3", checkpoints=["gemma-3-4b"])
def test_a_bare_name_is_refused(probe, checkpoint, monkeypatch):
    """Refuse a name that is no path, in words that give it."""
    real = skip_lists.load_in_4bit

    def load_in_4bit(folder, device_map, *, skip_modules):
        if "vision_tower" in skip_modules:
            raise ValueError("llm_int8_skip_modules: 'vision_tower' names no module")
        return real(folder, device_map, skip_modules=skip_modules)

    monkeypatch.setattr(skip_lists, "load_in_4bit", load_in_4bit)
    skip_lists.test_gemma3_tower_is_skipped_by_name(probe, checkpoint, "bare")
