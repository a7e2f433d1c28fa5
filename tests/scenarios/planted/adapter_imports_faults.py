"""Planted failures for scenarios/adapter_imports.py: every test of this file must come out red, in any release."""

import sys
from pathlib import Path

import torch

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import adapter_imports

GONE = "EncoderDecoderCache"  # every PEFT imports it at its top, as older ones did HybridCache


@scenario(row="G7", checkpoints=["qwen2.5-7b"])
def test_transformers_has_lost_a_name_that_peft_imports(probe, checkpoint, monkeypatch):
    """Take a cache class out of transformers: the import of PEFT fails, fresh, though a server had imported it."""
    import transformers

    lazy = type(transformers)
    find = lazy.__getattr__

    def find_all_but_one(self, name):
        if name == GONE:
            raise AttributeError(f"module {self.__name__} has no attribute {name}")
        return find(self, name)

    monkeypatch.delattr(transformers, GONE, raising=False)
    monkeypatch.setattr(lazy, "__getattr__", find_all_but_one)
    adapter_imports.test_import_peft(probe, checkpoint)


@scenario(row="G9", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_peft_lacks_a_name_that_transformers_imports(probe, checkpoint, monkeypatch):
    """Take a function out of PEFT: transformers imports it when an adapter is loaded, and not before."""
    import peft

    monkeypatch.delattr(peft, "inject_adapter_in_model")
    adapter_imports.test_load_adapter(probe, checkpoint, "transformers")


@scenario(row="G9", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_an_adapter_is_loaded_without_its_weights(probe, checkpoint, monkeypatch):
    """Let load_adapter inject the layers and leave B at zero: nothing is raised, and nothing is adapted."""
    from transformers import PreTrainedModel

    load_adapter = PreTrainedModel.load_adapter

    def load_and_lose(self, *given, **keywords):
        load_adapter(self, *given, **keywords)
        for name, parameter in self.named_parameters():
            if ".lora_B." in name:
                torch.nn.init.zeros_(parameter)

    monkeypatch.setattr(PreTrainedModel, "load_adapter", load_and_lose)
    adapter_imports.test_load_adapter(probe, checkpoint, "transformers")


@scenario(row="G10", checkpoints=["qwen2.5-7b"])
def test_an_old_torchao_is_refused(probe, checkpoint, monkeypatch):
    """Refuse the torchao that is installed, as PEFT does below a minimum: a model without torchao is refused too."""
    from peft.tuners.lora import torchao

    def refuse():
        raise ImportError("Found an incompatible version of torchao. Found version 0.0.0")

    monkeypatch.setattr(torchao, "is_torchao_available", refuse)
    adapter_imports.test_lora_beside_torchao(probe, checkpoint, "bf16")


@scenario(row="G7", checkpoints=["qwen2.5-7b"])
def test_the_base_generates_nothing(probe, checkpoint, monkeypatch):
    """The control of the import: the base gives its prompt back and nothing more."""
    real = adapter_imports.load_plain

    def load_plain(*given):
        model = real(*given)
        model.generate = lambda input_ids, **keywords: input_ids
        return model

    monkeypatch.setattr(adapter_imports, "load_plain", load_plain)
    adapter_imports.test_the_base_without_peft(probe, checkpoint)
