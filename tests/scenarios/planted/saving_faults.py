"""Planted failures for scenarios/saving.py: every test of this file must come out red, on any processor."""

import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import saving
from quantized import keep_packed_layout

SCALES = (".absmax", ".SCB")  # what 4-bit and 8-bit weights are multiplied with


@scenario(row="G17", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("kind", ["4bit", "4bit-double-quant", "8bit"])
def test_scales_come_back_in_another_order(probe, checkpoint, tmp_path, monkeypatch, kind):
    """Turn the scales around in the saved file: every layer comes back quantized, and answers garbage."""
    save = saving.save

    def save_and_turn(probe, model, folder):
        save(probe, model, folder)
        for file in folder.glob("*.safetensors"):
            held = load_file(file)
            turned = {
                name: tensor.flip(0).contiguous() if name.endswith(SCALES) else tensor for name, tensor in held.items()
            }
            save_file(turned, file, metadata={"format": "pt"})

    monkeypatch.setattr(saving, "save", save_and_turn)
    saving.test_save_before_a_forward(probe, checkpoint, tmp_path, kind)


@scenario(row="G17", checkpoints=["qwen2.5-7b"])
def test_saved_without_a_word_about_quantization(probe, checkpoint, tmp_path, monkeypatch):
    """Save the weights in bfloat16: nothing comes back in 4-bit, and the answer is that of other weights."""

    def save_plain(probe, model, folder):
        saving.load_plain(checkpoint("qwen2.5-7b"), {"": probe.device}).save_pretrained(folder)

    monkeypatch.setattr(saving, "save", save_plain)
    saving.test_save_before_a_forward(probe, checkpoint, tmp_path, "4bit")


@scenario(row="G18", checkpoints=["qwen2.5-7b"])
def test_scales_stay_in_the_layout_of_the_cpu_kernels(probe, checkpoint, tmp_path, monkeypatch):
    """Leave the block scales transposed when the weights are packed back, as bitsandbytes does where it repacks."""
    load_as, save = saving.load_as, saving.save

    def load_without_repacking(*given):
        model = load_as(*given)
        keep_packed_layout(model)
        return model

    def transpose_and_save(probe, model, folder):
        for parameter in model.parameters():
            state = getattr(parameter, "quant_state", None)
            if state is not None:
                state.absmax = state.absmax.reshape(state.shape[0], -1).T.contiguous().reshape(-1)
        save(probe, model, folder)

    monkeypatch.setattr(saving, "load_as", load_without_repacking)
    monkeypatch.setattr(saving, "save", transpose_and_save)
    saving.test_save_after_a_forward(probe, checkpoint, tmp_path, "4bit")
