"""Planted failures for scenarios/split.py: every test of this file must come out red."""

import sys
from pathlib import Path

import pytest

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import split


@pytest.fixture(autouse=True)
def embedding_lost(monkeypatch):
    """Let every load but the control's come back with an embedding that holds nothing."""
    real = split.load_in_4bit

    def load_in_4bit(folder, device_map, **keywords):
        model = real(folder, device_map, **keywords)
        if "cpu_offload" in keywords:
            model.get_input_embeddings().weight.data.zero_()
        return model

    monkeypatch.setattr(split, "load_in_4bit", load_in_4bit)


@scenario(row="C1", checkpoints=["gemma-4-e2b"])
def test_split_gemma4_answers_otherwise(probe, checkpoint):
    """Gemma 4 with its towers on the CPU."""
    split.test_towers_on_the_cpu(probe, checkpoint, double_quant=False)


@scenario(row="C2", checkpoints=["qwen2.5-7b"])
def test_a_model_with_room_answers_otherwise(probe, checkpoint):
    """The control of the spill."""
    split.test_auto_map_with_room(probe, checkpoint, double_quant=False)


@scenario(row="C3", checkpoints=["qwen2.5-7b"])
def test_a_split_decoder_answers_otherwise(probe, checkpoint):
    """Layers on the CPU by hand."""
    split.test_layers_on_the_cpu(probe, checkpoint)
