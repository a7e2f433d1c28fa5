"""Planted failures for scenarios/towers.py: every test of this file must come out red."""

import sys
from pathlib import Path

import torch

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import towers


@scenario(row="G1", checkpoints=["gemma-3-4b"])
def test_gemma3_pixels_are_cut_to_integers(probe, checkpoint, monkeypatch):
    """Cut pixel values to whole numbers on their way into the tower: the first layer no longer sees the picture."""
    plant_before_first_layer(monkeypatch, lambda values: values.to(torch.uint8).to(values.dtype))
    towers.test_gemma3_pixels_stay_numbers(probe, checkpoint, "quantized")


@scenario(row="G1", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
def test_gemma4_pixels_enter_as_bytes(probe, checkpoint, monkeypatch):
    """Hand the first layer of Gemma 4 bytes, as a cast to the type of a packed weight does."""
    plant_before_first_layer(monkeypatch, lambda values: values.to(torch.uint8))
    towers.test_gemma4_pixels_stay_numbers(probe, checkpoint, "quantized")


@scenario(row="B4", checkpoints=["gemma-3-4b"])
def test_pictures_are_cut_to_integers(probe, checkpoint, monkeypatch):
    """Cut what enters 4-bit layers to whole numbers: the image features are finite, and silently wrong."""
    plant_whole_numbers(monkeypatch)
    towers.test_gemma3_tower_features(probe, checkpoint, "quantized")


@scenario(row="B4", needs=["transformers>=5.12"], checkpoints=["gemma-4-e2b"])
def test_sounds_are_cut_to_integers(probe, checkpoint, monkeypatch):
    """Cut what enters 4-bit layers to whole numbers: the audio features are finite, and silently wrong."""
    plant_whole_numbers(monkeypatch)
    towers.test_gemma4_tower_features(probe, checkpoint, "audio_tower", "quantized")


@scenario(row="G2", needs=["transformers>=5.12"], checkpoints=["gemma-4-e2b"])
def test_the_audio_tower_takes_the_range_of_a_packed_weight(probe, checkpoint, monkeypatch):
    """Ask for the numeric range of a packed weight's type in the audio tower, as releases before 5.12 did."""
    from transformers.models.gemma4 import modeling_gemma4

    real = modeling_gemma4.Gemma4AudioFeedForward.forward

    def forward(self, hidden_states):
        torch.finfo(self.ffw_layer_1.linear.weight.dtype)
        return real(self, hidden_states)

    monkeypatch.setattr(modeling_gemma4.Gemma4AudioFeedForward, "forward", forward)
    towers.test_gemma4_audio_tower_runs(probe, checkpoint, "quantized")


def plant_before_first_layer(monkeypatch, cut):
    """Change what enters the first layer of a model in 4-bit; its bfloat16 control stays whole."""
    real = towers.first_layer

    def first_layer(model):
        layer = real(model)
        if towers.count_linear4bit(model):
            layer.register_forward_pre_hook(lambda _, given: (cut(given[0]),))
        return layer

    monkeypatch.setattr(towers, "first_layer", first_layer)


def plant_whole_numbers(monkeypatch):
    from bitsandbytes.nn import Linear4bit

    real = Linear4bit.forward
    monkeypatch.setattr(Linear4bit, "forward", lambda self, given: real(self, given.trunc()))
