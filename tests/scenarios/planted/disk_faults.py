"""Planted failures for scenarios/disk.py: every test of this file must come out red."""

import sys
from pathlib import Path

import torch

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import disk


@scenario(row="G12", checkpoints=["qwen2.5-7b"])
def test_nothing_refuses_and_placeholders_reach_the_forward(probe, checkpoint, tmp_path, monkeypatch):
    """Take the refusals of quantizer and dispatch away: a model of placeholders is used as if it were whole."""
    from transformers import modeling_utils
    from transformers.quantizers.quantizer_bnb_4bit import Bnb4BitHfQuantizer

    monkeypatch.setattr(Bnb4BitHfQuantizer, "validate_environment", lambda *rest, **keywords: None)
    for module in (modeling_utils, sys.modules.get("transformers.integrations.accelerate")):
        if hasattr(module, "dispatch_model"):
            monkeypatch.setattr(module, "dispatch_model", lambda model, **keywords: model)
    disk.test_whole_model_on_disk(probe, checkpoint, tmp_path, "4bit", "map")


@scenario(row="G12", checkpoints=["qwen2.5-7b"])
def test_layers_come_back_from_the_disk_as_zeros(probe, checkpoint, tmp_path, monkeypatch):
    """Let every weight that is read back from the disk be zero: the control notices that the answer is wrong."""
    from accelerate.utils import OffloadedWeightsLoader

    read = OffloadedWeightsLoader.__getitem__
    monkeypatch.setattr(OffloadedWeightsLoader, "__getitem__", lambda self, key: torch.zeros_like(read(self, key)))
    disk.test_all_but_the_ends_on_disk(probe, checkpoint, tmp_path)
