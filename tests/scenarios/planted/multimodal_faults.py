"""Planted failures for scenarios/multimodal.py: every test of this file must come out red."""

import sys
from pathlib import Path

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import multimodal
from quantized import load_plain


@scenario(row="B2", checkpoints=["gemma-3-4b"])
def test_pictures_are_not_seen(probe, checkpoint, monkeypatch):
    """The vision tower of Gemma 3 gives nothing: another picture gets the same answer."""
    real = multimodal.load_in_4bit

    def load_in_4bit(*given):
        model = real(*given)
        model.get_submodule("model.multi_modal_projector").register_forward_hook(lambda *call: call[-1] * 0)
        return model

    monkeypatch.setattr(multimodal, "load_in_4bit", load_in_4bit)
    multimodal.test_gemma3_generates(probe, checkpoint, "image")


@scenario(row="B1", checkpoints=["gemma-4-e2b"])
def test_four_bit_is_lost_beside_sdpa(probe, checkpoint, monkeypatch):
    """The attention setting is taken and the quantization forgotten."""
    monkeypatch.setattr(multimodal, "load_in_4bit", load_plain)
    multimodal.test_gemma4_loads_with_sdpa(probe, checkpoint)
