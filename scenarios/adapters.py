"""Field reports, family D: a LoRA adapter on a 4-bit base, on one device and on a base that is split."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from device_maps import (
    MOVED,
    Place,
    away,
    distance,
    expect_only_gpus,
    expect_same_logits,
    expect_split,
    layers_split,
    record_placement,
    spilling,
    towers_split,
)
from peft import PeftModel
from quantized import (
    NEVER_QUANTIZED,
    greedy,
    import_bitsandbytes,
    keep_packed_layout,
    load_in_4bit,
    logits,
    prompt,
)
from simulated_devices import main_device

from harness.probe import scenario

SPLIT_SHARE = 0.4  # of the base's bfloat16 bytes: more than its largest unquantized layer, less than the split base
TOWERS = {"vision_tower": "vision", "audio_tower": "audio"}


# --- D1: one device ------------------------------------------------------------------------------------------------


@scenario(row="D1", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
@pytest.mark.parametrize("double_quant", [False, True])
def test_decoder_on_one_device(probe, checkpoint, double_quant):
    """Control: a 4-bit decoder on one device takes an adapter, changes its answer, and generates."""
    import_bitsandbytes(probe)
    base, adapter = checkpoint("qwen2.5-7b"), checkpoint("qwen2.5-7b-lora")
    on_one_device(probe, base, adapter, double_quant=double_quant)


@scenario(row="D1", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora"])
def test_gemma4_on_one_device(probe, checkpoint):
    """Control: Gemma 4 in 4-bit on one device takes an adapter named by full paths and changes its answer."""
    import_bitsandbytes(probe)
    on_one_device(probe, checkpoint("gemma-4-e2b"), checkpoint("gemma-4-e2b-lora"))


# --- D2, D3: a split base ------------------------------------------------------------------------------------------


@scenario(row="D2", tracker="huggingface/peft#3169", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
@pytest.mark.parametrize("double_quant", [False, True])
def test_split_decoder_spills_again(probe, checkpoint, double_quant):
    """A split 4-bit decoder takes an adapter while the device has no room for the whole model."""
    import_bitsandbytes(probe)
    base, adapter = checkpoint("qwen2.5-7b"), checkpoint("qwen2.5-7b-lora")
    split = layers_split(base, main_device(probe))
    limits = spilling(base, SPLIT_SHARE)
    on_a_split_base(probe, base, adapter, split, double_quant=double_quant, max_memory=limits)


@scenario(row="D2", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_split_decoder_with_room(probe, checkpoint):
    """Control: a split 4-bit decoder takes an adapter where PEFT finds room for the whole model on the device."""
    import_bitsandbytes(probe)
    base, adapter = checkpoint("qwen2.5-7b"), checkpoint("qwen2.5-7b-lora")
    on_a_split_base(probe, base, adapter, layers_split(base, main_device(probe)))


@scenario(row="D2", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora"])
@pytest.mark.parametrize("double_quant", [False, True])
def test_split_gemma4(probe, checkpoint, double_quant):
    """Gemma 4 with its towers on the CPU takes an adapter the plain way and answers as on one device."""
    import_bitsandbytes(probe)
    base, adapter = checkpoint("gemma-4-e2b"), checkpoint("gemma-4-e2b-lora")
    on_a_split_base(probe, base, adapter, towers_split(main_device(probe)), double_quant=double_quant)


@scenario(row="D3", tracker="huggingface/peft#3169", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_split_decoder_with_offload_keywords(probe, checkpoint, tmp_path):
    """A split 4-bit decoder takes an adapter with the offload keywords that reporters were told to add."""
    import_bitsandbytes(probe)
    base, adapter = checkpoint("qwen2.5-7b"), checkpoint("qwen2.5-7b-lora")
    keywords = offload_keywords(probe, tmp_path, max_memory=spilling(base, SPLIT_SHARE))
    on_a_split_base(probe, base, adapter, layers_split(base, main_device(probe)), **keywords)


@scenario(row="D3", tracker="huggingface/peft#3169", needs=["cuda:2"], checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
@pytest.mark.parametrize("offload", [False, True], ids=["plain", "offload-keywords"])
def test_split_decoder_beside_another_gpu(probe, checkpoint, tmp_path, offload):
    """A base split between GPU 0 and the CPU takes an adapter without touching the second GPU, which no map names."""
    import_bitsandbytes(probe)
    base, adapter = checkpoint("qwen2.5-7b"), checkpoint("qwen2.5-7b-lora")
    keywords = offload_keywords(probe, tmp_path) if offload else {}
    on_a_split_base(probe, base, adapter, layers_split(base, 0), **keywords)


def offload_keywords(probe: Any, folder: Any, **limits: Any) -> dict[str, Any]:
    """Return the offload keywords of the reports."""
    wanted = {"offload_dir": str(folder), "offload_buffers": True, "ephemeral_gpu_offload": True}
    return {**wanted, "torch_device": probe.device, **limits}


# --- D4: the map given twice ---------------------------------------------------------------------------------------


@scenario(
    row="D4",
    tracker="huggingface/transformers#45482",
    needs=["transformers>=5.5"],
    checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora"],
)
def test_split_gemma4_with_map_given_again(probe, checkpoint):
    """Gemma 4 with its towers on the CPU takes an adapter that is given the same map, and answers as on one device."""
    import_bitsandbytes(probe)
    base, adapter = checkpoint("gemma-4-e2b"), checkpoint("gemma-4-e2b-lora")
    split = towers_split(main_device(probe))
    on_a_split_base(probe, base, adapter, split, device_map=dict(split))


# --- D5, D6: what the adapter may name on Gemma 4 ------------------------------------------------------------------


@scenario(
    row="D5",
    tracker="huggingface/peft#3129",
    needs=["transformers>=5.5"],
    checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora-broad"],
)
def test_broad_targets_are_supported(probe, checkpoint):
    """Plain target names reach every tower of Gemma 4, its clipped linear layers included."""
    import_bitsandbytes(probe)
    on_one_device(probe, checkpoint("gemma-4-e2b"), checkpoint("gemma-4-e2b-lora-broad"))


@scenario(
    row="D5",
    tracker="huggingface/peft#3129",
    needs=["transformers>=5.5"],
    checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora-broad"],
)
def test_broad_targets_get_a_clear_answer(probe, checkpoint):
    """Plain target names on Gemma 4 either reach all they name, or are refused by an error that names the layer."""
    import_bitsandbytes(probe)
    folder = checkpoint("gemma-4-e2b-lora-broad")
    with probe.phase("load"):
        model = load_in_4bit(checkpoint("gemma-4-e2b"), {"": probe.device})
    record_placement(probe, model, "load")
    named = Counter(type(m).__name__ for n, m in model.named_modules() if n.endswith(tuple(plain_names())))
    probe.record("named_by_type", dict(named))
    try:
        with probe.phase("adapter"):
            adapted = PeftModel.from_pretrained(model, folder)
    except ValueError as refusal:
        probe.record("broad_targets", f"refused: {str(refusal)[:200]}")
        probe.expect("the refusal names the layer", any(name in str(refusal) for name in named), refusal)
        return
    probe.record("broad_targets", "supported")
    expect_all_adapted(probe, adapted, folder)


@scenario(row="D6", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b", "gemma-4-e2b-lora-linear"])
def test_inner_linear_targets(probe, checkpoint):
    """The workaround: targets with .linear appended load on Gemma 4; they name no layer of the language model."""
    import_bitsandbytes(probe)
    base, adapter = checkpoint("gemma-4-e2b"), checkpoint("gemma-4-e2b-lora-linear")
    on_one_device(probe, base, adapter, reaches_text=False)


# --- steps ---------------------------------------------------------------------------------------------------------


def on_one_device(
    probe: Any, base: str, adapter: str, *, reaches_text: bool = True, double_quant: bool = False
) -> None:
    """Load base and adapter on one device; state that every weight of the adapter landed and what it changes."""
    with probe.phase("load"):
        model = load_in_4bit(base, {"": probe.device}, double_quant=double_quant)
    record_placement(probe, model, "load")
    keep_packed_layout(model)
    inputs = prompt(model)
    before = logits(model, inputs)
    with probe.phase("adapter"):
        adapted = PeftModel.from_pretrained(model, adapter).eval()
    expect_all_adapted(probe, adapted, adapter)
    with probe.phase("forward"):
        moved = distance(logits(adapted, inputs), before)
    probe.record("moved_by_adapter", moved)
    probe.expect("the adapter changes a text answer if it adapts text", (moved > MOVED) == reaches_text, moved)
    with probe.phase("generate"):
        probe.record("tokens", greedy(adapted, inputs))


def on_a_split_base(
    probe: Any,
    base: str,
    adapter: str,
    split: dict[str, Place],
    *,
    double_quant: bool = False,
    **keywords: Any,
) -> None:
    """Load the base on ``split`` and the adapter with ``keywords``; compare with the same weights on one device."""
    wanted = adapted_on_one_device(probe, base, adapter, split, double_quant=double_quant)
    with probe.phase("load"):
        model = load_in_4bit(base, split, double_quant=double_quant, cpu_offload=True)
    record_placement(probe, model, "load")
    expect_split(probe, model)
    keep_packed_layout(model)
    inputs = prompt(model)
    with probe.phase("adapter"):
        adapted = PeftModel.from_pretrained(model, adapter, **keywords).eval()
    record_placement(probe, adapted, "adapter")
    if probe.device != "cpu":
        expect_only_gpus(probe, {place for place in split.values() if isinstance(place, int)})
    if "max_memory" in keywords:
        expect_split(probe, adapted)
    expect_all_adapted(probe, adapted, adapter)
    with probe.phase("forward"):
        expect_same_logits(probe, adapted, inputs, wanted, "it answers as on one device")
    with probe.phase("generate"):
        probe.record("tokens", greedy(adapted, inputs))


def adapted_on_one_device(
    probe: Any, base: str, adapter: str, split: dict[str, Place], *, double_quant: bool
) -> torch.Tensor:
    """Return the control's logits: on one device, with the modules unquantized that the split keeps unquantized."""
    skip = [*away(split), *NEVER_QUANTIZED]
    model = load_in_4bit(base, {"": probe.device}, double_quant=double_quant, skip_modules=skip)
    keep_packed_layout(model)
    return logits(PeftModel.from_pretrained(model, adapter).eval(), prompt(model))


def expect_all_adapted(probe: Any, adapted: Any, adapter: str) -> None:
    """State that every pair of the adapter's weights sits on a module, tower by tower."""
    reached = Counter(tower(name) for name, _ in adapted.named_modules() if name.endswith(".lora_A"))
    stored = Counter(tower(name) for name in stored_tensors(adapter) if name.endswith(".lora_A.weight"))
    for part in ("text", "vision", "audio"):
        probe.record(f"adapted_{part}", reached[part])
    probe.expect("every adapter weight has its module", reached == stored, f"{dict(reached)} of {dict(stored)}")


def tower(name: str) -> str:
    """Return the part of the model that a module or tensor belongs to: ``text``, ``vision`` or ``audio``."""
    return next((part for segment, part in TOWERS.items() if segment in name.split(".")), "text")


def stored_tensors(adapter: str) -> list[str]:
    """List the names in an adapter's weight file."""
    from safetensors import safe_open

    with safe_open(f"{adapter}/adapter_model.safetensors", framework="pt") as file:
        return list(file.keys())


def plain_names() -> list[str]:
    """Return the broad target names of the reports."""
    return [f".{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")]
