"""Field reports, row G8: an adapter on a base that accelerate has dispatched, planned by accelerate's own planner."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from adapters import expect_all_adapted
from device_maps import MOVED, distance, expect_same_logits, expect_split, layers_split, spilling
from peft import PeftModel, peft_model
from quantized import greedy, load_plain, logits, prompt
from simulated_devices import main_device

from harness.probe import scenario

SHARE = 0.4  # of the base's bytes: more than its largest layer, less than the model, so that the adapter load spills


@scenario(row="G8", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
@pytest.mark.parametrize("planned", ["auto", "sequential"])
def test_adapter_on_a_dispatched_base(probe, checkpoint, planned):
    """A base that lies on two devices takes an adapter, and answers as on one device.

    ``auto`` is PEFT's default and balances the memory first; ``sequential`` is its control, which differs in that step
    alone. The base is in bfloat16: what 4-bit weights do on the way is the matter of row D2.
    """
    base, adapter = checkpoint("qwen2.5-7b"), checkpoint("qwen2.5-7b-lora")
    before, wanted = on_one_device(probe, base, adapter)
    balance = peft_model.get_balanced_memory  # before the simulation replaces it
    split = layers_split(base, main_device(probe))
    use_real_planner(probe, balance)
    with probe.phase("load"):
        model = load_plain(base, split)
    expect_split(probe, model)
    with probe.phase("adapter"):
        limits = spilling(base, SHARE)
        adapted = PeftModel.from_pretrained(model, adapter, device_map=planned, max_memory=limits).eval()
    expect_split(probe, adapted)
    expect_all_adapted(probe, adapted, adapter)
    probe.expect("the adapter has an effect", distance(wanted, before) > MOVED, distance(wanted, before))
    inputs = prompt(adapted)
    with probe.phase("forward"):
        expect_same_logits(probe, adapted, inputs, wanted, "it answers as on one device")
    with probe.phase("generate"):
        probe.record("tokens", greedy(adapted, inputs))


@scenario(row="G8", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("given", ["as-it-is", "as-a-list"])
def test_planner_takes_the_models_own_classes(probe, checkpoint, given):
    """The planner balances memory for a model whose unsplittable classes are handed over as transformers keeps them.

    transformers 4 keeps a list there, 5 a set. ``as-a-list`` is the control.
    """
    with probe.phase("load"):
        model = load_plain(checkpoint("qwen2.5-7b"), {"": probe.device})
    classes = model._no_split_modules  # noqa: SLF001 - the attribute that accelerate's manual tells users to pass
    probe.record("kept_as", type(classes).__name__)
    if given == "as-a-list":
        classes = list(classes)
    asked = {0: 2**40, "cpu": 2**40}
    balance = peft_model.get_balanced_memory
    if not probe.device.startswith("cuda"):
        balance = with_a_card(probe, balance)
    with probe.phase("plan"):
        limits = balance(model, max_memory=asked, no_split_module_classes=classes)
    probe.expect("every place keeps its limit", set(limits) == {0, "cpu"} and all(limits.values()), limits)


# --- steps ---------------------------------------------------------------------------------------------------------


def on_one_device(probe: Any, base: str, adapter: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of the base, and of the base with the adapter, all on one device."""
    model = load_plain(base, {"": probe.device})
    inputs = prompt(model)
    before = logits(model, inputs)
    return before, logits(PeftModel.from_pretrained(model, adapter).eval(), inputs)


def use_real_planner(probe: Any, balance: Any) -> None:
    """Give PEFT accelerate's own ``get_balanced_memory`` back where a simulated device took its place."""
    if peft_model.get_balanced_memory is not balance:
        peft_model.get_balanced_memory = with_a_card(probe, balance)


def with_a_card(probe: Any, balance: Any) -> Any:
    """Return ``get_balanced_memory`` as it runs where a card is: only the name of device 0 is simulated.

    A torch without an accelerator refuses to say what device 0 is; the planner asks, and then counts bytes alone.
    """
    probe.simulated("a card for the planner: device 0 is called cuda:0")
    from accelerate.utils import modeling

    @functools.wraps(balance)
    def get_balanced_memory(*arguments: Any, **keywords: Any) -> Any:
        modeling.torch = _TorchWithACard()
        try:
            return balance(*arguments, **keywords)
        finally:
            modeling.torch = torch

    return get_balanced_memory


class _TorchWithACard:
    """The torch module, but for what it says device 0 is."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def device(place: Any) -> torch.device:
        return torch.device("cuda", place) if isinstance(place, int) else torch.device(place)
