"""Controls beside the planted failures of scenarios/adapter_imports.py: every test of this file must come out green."""

import sys
from pathlib import Path

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import adapter_imports


@scenario(row="G9", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_peft_itself_does_without_that_name(probe, checkpoint, monkeypatch):
    """The name that transformers imports is gone, and PEFT's own way still loads the adapter."""
    import peft

    monkeypatch.delattr(peft, "inject_adapter_in_model")
    adapter_imports.test_load_adapter(probe, checkpoint, "peft")


@scenario(row="G10", checkpoints=["qwen2.5-7b"])
def test_a_4bit_base_does_not_ask_for_torchao(probe, checkpoint, monkeypatch):
    """An old torchao is refused, and a base of bitsandbytes layers is adapted all the same."""
    from peft.tuners.lora import torchao

    def refuse():
        raise ImportError("Found an incompatible version of torchao. Found version 0.0.0")

    monkeypatch.setattr(torchao, "is_torchao_available", refuse)
    adapter_imports.test_lora_beside_torchao(probe, checkpoint, "4bit")
