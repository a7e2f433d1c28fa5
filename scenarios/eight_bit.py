"""Field reports, row G13: 8-bit loading, on one device and spilled over two by a memory limit."""

from __future__ import annotations

import functools
import gc
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import transformers
from device_maps import (
    CPU_ROOM,
    Place,
    distance,
    expect_same_logits,
    expect_split,
    places,
    spilling,
)
from quantized import (
    LINEARS_PER_LAYER,
    DeviceMap,
    greedy,
    import_bitsandbytes,
    load_plain,
    logits,
    prompt,
    tensors,
)
from simulated_devices import MAIN, main_device

from harness.probe import scenario

SHARE = 0.35  # of the bfloat16 bytes: more than the largest layer needs, less than the model in 8-bit (a half and more)
NEAR = 0.3  # relative distance of logits that rounding weights to 8 bits explains; unrelated logits are about 1.4 apart
SLACK = 1.05  # allocated over limit: what block rounding and the scales of 8-bit weights add to planned bytes
BLOCK = 2 * 2**20  # bytes: the smallest piece that torch's CUDA allocator asks of the driver


@scenario(row="G13", tracker="huggingface/transformers#43873", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("room", ["spills", "fits"])
def test_auto_map_in_8bit(probe, checkpoint, room):
    """device_map="auto" in 8-bit with too little memory offloads, stays within the limit, and still answers right.

    ``fits`` is the control: the same call with room for all.
    """
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    wanted = logits_on_one_device(folder, probe.device)
    int8_main_device(probe)
    limits = spilling(folder, SHARE) if room == "spills" else {0: CPU_ROOM, "cpu": CPU_ROOM}
    probe.record("limits", {str(place): limit for place, limit in limits.items()})
    gc.collect()  # the control's model, or its memory is laid to this load
    before = probe.cuda.allocated
    with probe.phase("load"):
        model = load_in_8bit(folder, "auto", cpu_offload=True, max_memory=dict(limits))
    record_8bit(probe, model)
    if room == "spills":
        expect_split(probe, model)
        expect_within(probe, model, int(limits[0]), probe.cuda.allocated - before)
    inputs = prompt(model)
    with probe.phase("forward"):
        expect_same_logits(probe, model, inputs, wanted, "it answers as on one device")
    with probe.phase("generate"):
        probe.record("tokens", greedy(model, inputs))


@scenario(row="G13", checkpoints=["qwen2.5-7b"])
def test_8bit_on_one_device(probe, checkpoint):
    """Control: 8-bit on one device answers close to bfloat16, and generates."""
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    plain = load_plain(folder, {"": probe.device})
    wanted = logits(plain, prompt(plain))
    del plain
    with probe.phase("load"):
        model = load_in_8bit(folder, {"": probe.device})
    record_8bit(probe, model)
    inputs = prompt(model)
    with probe.phase("forward"):
        apart = distance(logits(model, inputs), wanted)
    probe.record("distance_to_bf16", apart)
    probe.expect("it answers close to bfloat16", apart <= NEAR, f"relative distance {apart:.4f}, allowed {NEAR}")
    with probe.phase("generate"):
        probe.record("tokens", greedy(model, inputs))


# --- steps ---------------------------------------------------------------------------------------------------------


def load_in_8bit(
    folder: str,
    device_map: DeviceMap,
    *,
    cpu_offload: bool = False,
    skip_modules: Sequence[str] | None = None,
    **keywords: Any,
) -> Any:
    """Load a checkpoint in LLM.int8; further keywords go to ``from_pretrained``."""
    config = transformers.BitsAndBytesConfig(
        load_in_8bit=True,
        llm_int8_enable_fp32_cpu_offload=cpu_offload,
        llm_int8_skip_modules=None if skip_modules is None else list(skip_modules),
    )
    return load_plain(folder, device_map, quantization_config=config, **keywords)


def logits_on_one_device(folder: str, device: str) -> torch.Tensor:
    """Return the control's logits: the same weights in 8-bit, all on one device."""
    model = load_in_8bit(folder, {"": device})
    return logits(model, prompt(model))


def count_linear8bit(model: Any) -> int:
    """Count the ``Linear8bitLt`` modules."""
    import bitsandbytes as bnb

    return sum(isinstance(module, bnb.nn.Linear8bitLt) for module in model.modules())


def record_8bit(probe: Any, model: Any) -> None:
    """Record what is in 8-bit and where it lies; state that every layer of the decoder is."""
    count = count_linear8bit(model)
    probe.record("linear8bit", count)
    probe.placement(model, "load")
    probe.record("places", places(model))
    wanted = LINEARS_PER_LAYER * model.config.num_hidden_layers
    probe.expect("every decoder layer is Linear8bitLt", count == wanted, f"{count} of {wanted}")


def expect_within(probe: Any, model: Any, limit: int, allocated: int) -> None:
    """State that the weights on device 0, and on a GPU the memory taken by the load, stay within the limit (bytes)."""
    away = {"meta", "cpu"} if probe.device.startswith("cuda") else {"meta"}
    held = sum(t.numel() * t.element_size() for _, t in tensors(model) if t.device.type not in away)
    probe.record("device_0_bytes", held)
    probe.expect("the weights on device 0 stay within its limit", held <= limit, f"{held} of {limit}")
    if probe.device.startswith("cuda"):
        allowed = int(SLACK * limit) + BLOCK
        text = "the load took no more than the limit from device 0"
        probe.expect(text, allocated <= allowed, f"{allocated} of {allowed}", about="memory")


def int8_main_device(probe: Any) -> Place:
    """Return the main device as ``main_device`` does, with int8 weights that come back taking a card's way.

    accelerate sends int8 weights that are bound for ``"cpu"`` over device 0 by number, which is not there without a
    GPU. Weights bound for a card take another branch: they do here too, for the simulated device goes by a name of its
    own, ``torch.device("cpu", 0)``.
    """
    from accelerate import hooks
    from accelerate.utils import modeling

    real = modeling.set_module_tensor_to_device  # before main_device directs it
    main = main_device(probe)
    if main != MAIN:
        return main
    directed = hooks.set_module_tensor_to_device

    @functools.wraps(real)
    def set_module_tensor_to_device(module: Any, tensor_name: str, device: Any, value: Any = None, **rest: Any) -> Any:
        returns = value is not None and str(device) == MAIN and is_int8(module, tensor_name)
        if returns:
            return real(module, tensor_name, torch.device(MAIN), value=value, **rest)
        return directed(module, tensor_name, device, value=value, **rest)

    hooks.set_module_tensor_to_device = set_module_tensor_to_device
    return main


def is_int8(module: Any, tensor_name: str) -> bool:
    """Tell whether a module's tensor is a weight in 8-bit."""
    owner, _, name = tensor_name.rpartition(".")
    held = dict(module.get_submodule(owner).named_parameters(recurse=False)).get(name)
    return type(held).__name__ == "Int8Params"
