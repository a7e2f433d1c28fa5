"""Planted cures for what no release does right yet in scenarios/split.py: every test here must come out green."""

import sys
from pathlib import Path

import pytest
from accelerate import dispatch_model

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import split
from device_maps import layers_split


@scenario(row="C2", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("double_quant", [False, True])
def test_a_spill_to_the_cpu(probe, checkpoint, monkeypatch, double_quant):
    """A spill keeps in bfloat16 what it offloads, and so does its control: nothing packed is moved."""
    real, main = split.load_in_4bit, split.main_device(probe)
    parts = layers_split(checkpoint("qwen2.5-7b"), main)

    def load_in_4bit(folder, device_map, *, max_memory=None, **keywords):
        if device_map == "auto":
            return real(folder, parts, **keywords)
        return real(folder, device_map, skip_modules=skipped(parts), **keywords)

    monkeypatch.setattr(split, "main_device", lambda probe: main)  # what it simulates is there
    monkeypatch.setattr(split, "load_in_4bit", load_in_4bit)
    split.test_auto_map_spills_to_the_cpu(probe, checkpoint, double_quant=double_quant)


@scenario(row="C2", checkpoints=["qwen2.5-7b"])
def test_a_spill_to_the_disk(probe, checkpoint, monkeypatch, tmp_path):
    """The same where the CPU has no room: what was left in bfloat16 is sent to the disk after the load."""
    real, main = split.load_in_4bit, 0 if probe.device.startswith("cuda") else "cpu"
    placed = layers_split(checkpoint("qwen2.5-7b"), "main")
    parts = {name: "disk" if place == "cpu" else main for name, place in placed.items()}

    def load_in_4bit(folder, device_map, *, double_quant=False, **keywords):
        model = real(folder, {"": probe.device}, double_quant=double_quant, skip_modules=skipped(parts))
        return dispatch_model(model, parts, main, offload_dir=tmp_path) if device_map == "auto" else model

    monkeypatch.setattr(split, "load_in_4bit", load_in_4bit)
    split.test_auto_map_spills_to_the_disk(probe, checkpoint, tmp_path)


def skipped(parts):
    """Return the modules to leave in bfloat16: the offloaded ones, and what always stays."""
    main = parts["model.embed_tokens"]
    return [*(name for name, place in parts.items() if place != main), *split.NEVER_QUANTIZED]
