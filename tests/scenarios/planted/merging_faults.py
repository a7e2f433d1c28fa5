"""Planted failures for scenarios/merging.py: every test of this file must come out red."""

import sys
from pathlib import Path

import pytest

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import merging


@pytest.fixture(autouse=True)
def dropped(monkeypatch):
    """Let a merge drop the adapter: what is left answers as the base."""
    real = merging.PeftModel.from_pretrained

    def from_pretrained(*given):
        adapted = real(*given)
        adapted.merge_and_unload = adapted.unload
        return adapted

    monkeypatch.setattr(merging.PeftModel, "from_pretrained", from_pretrained)


@scenario(row="E2", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_a_merge_into_a_fresh_base_drops_the_adapter(probe, checkpoint, dtype):
    """The control notices."""
    merging.test_merge_into_a_fresh_base(probe, checkpoint, dtype)


@scenario(row="E2", checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora"])
def test_a_merge_into_fresh_gemma4_drops_the_adapter(probe, checkpoint):
    """The control on Gemma 4 notices."""
    merging.test_gemma4_merge_into_a_fresh_base(probe, checkpoint)


@scenario(row="E3", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_a_merge_after_dequantize_drops_the_adapter(probe, checkpoint):
    """The order that works is judged as the one that does not."""
    merging.test_dequantize_before_the_adapter(probe, checkpoint)
