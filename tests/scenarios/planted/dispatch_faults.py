"""Planted failures for scenarios/dispatch.py: every test of this file must come out red, in any release."""

import sys
from pathlib import Path

import pytest
from peft import peft_model

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import dispatch


@pytest.fixture(autouse=True)
def _take_classes_for_one(monkeypatch):
    """Let the planner take what it is given for the name of one class, as accelerate does with a set before 1.14."""
    balance = peft_model.get_balanced_memory

    def get_balanced_memory(model, max_memory=None, no_split_module_classes=None, **keywords):
        classes = [set(no_split_module_classes)]
        return balance(model, max_memory=max_memory, no_split_module_classes=classes, **keywords)

    monkeypatch.setattr(peft_model, "get_balanced_memory", get_balanced_memory)


@scenario(row="G8", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_the_adapter_load_balances_memory(probe, checkpoint):
    """PEFT asks the planner on the way of an adapter load."""
    dispatch.test_adapter_on_a_dispatched_base(probe, checkpoint, "auto")


@scenario(row="G8", checkpoints=["qwen2.5-7b"])
def test_the_planner_alone(probe, checkpoint):
    """A user asks the planner."""
    dispatch.test_planner_takes_the_models_own_classes(probe, checkpoint, "as-it-is")
