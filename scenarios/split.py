"""Field reports, family C: a 4-bit model that does not lie on one device as a whole."""

from __future__ import annotations

import glob
import math
import os
from typing import Any

import pytest
import torch
from device_maps import (
    away,
    checkpoint_bytes,
    expect_it_answers,
    layers_split,
    spilling,
    towers_split,
)
from quantized import (
    NEVER_QUANTIZED,
    import_bitsandbytes,
    keep_packed_layout,
    load_in_4bit,
    logits,
    map_keys_without_module,
    prompt,
)
from safetensors import safe_open
from simulated_devices import main_device

from harness.probe import scenario

DECODER_SHARE = 0.22  # of the bfloat16 bytes: more than the largest layer needs, less than the model in 4-bit
MULTIMODAL_SHARE = 0.3
# the planner keeps room for the largest weight free and takes a tenth off the limit: in the full Gemma 4 one table of
# embeddings is 0.46 of the bytes, the model in 4-bit about 0.67
LARGEST_AND_MORE = 1.4
ROOMY = "24GiB"


@scenario(row="C1", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("double_quant", [False, True])
def test_towers_on_the_cpu(probe, checkpoint, double_quant):
    """Gemma 4 with its towers on the CPU and the rest in 4-bit loads and answers as on one device."""
    import_bitsandbytes(probe)
    folder, split = checkpoint("gemma-4-e2b"), towers_split(main_device(probe))
    wanted = logits_on_one_device(probe, folder, double_quant=double_quant)
    with probe.phase("load"):
        model = load_in_4bit(folder, split, double_quant=double_quant, cpu_offload=True)
    probe.record("map_keys_without_module", map_keys_without_module(model, list(split)))
    expect_it_answers(probe, model, wanted)


@scenario(row="C2", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("double_quant", [False, True])
def test_auto_map_spills_to_the_cpu(probe, checkpoint, double_quant):
    """device_map="auto" with less memory than the 4-bit model needs offloads to the CPU and still answers right."""
    import_bitsandbytes(probe)
    main_device(probe)
    folder = checkpoint("qwen2.5-7b")
    load_auto(probe, folder, spilling(folder, DECODER_SHARE), double_quant=double_quant)


@scenario(row="C2", checkpoints=["qwen2.5-7b"])
def test_auto_map_spills_to_the_disk(probe, checkpoint, tmp_path):
    """device_map="auto" with less memory than the 4-bit model needs offloads to the disk and still answers right."""
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    limits = spilling(folder, DECODER_SHARE, rest="0GiB")
    if probe.device == "cpu":  # the CPU is the only device here: limit it instead, nothing is simulated
        limits = {"cpu": limits[0]}
    load_auto(probe, folder, limits, offload_folder=str(tmp_path))


@scenario(row="C2", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("double_quant", [False, True])
def test_auto_map_with_room(probe, checkpoint, double_quant):
    """Control: the same call with enough memory keeps everything on one device and answers right."""
    import_bitsandbytes(probe)
    main_device(probe)
    folder = checkpoint("qwen2.5-7b")
    wanted = logits_on_one_device(probe, folder, double_quant=double_quant)
    with probe.phase("load"):
        model = load_in_4bit(
            folder, "auto", double_quant=double_quant, cpu_offload=True, max_memory={0: ROOMY, "cpu": ROOMY}
        )
    expect_it_answers(probe, model, wanted, split=False)


@scenario(row="C3", tracker="huggingface/transformers#45482", checkpoints=["qwen2.5-7b"])
def test_layers_on_the_cpu(probe, checkpoint):
    """A decoder whose last layers lie on the CPU, unquantized, answers as one device does with those unquantized."""
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    split = layers_split(folder, main_device(probe))
    wanted = logits_on_one_device(probe, folder, skip_modules=[*away(split), *NEVER_QUANTIZED])
    with probe.phase("load"):
        model = load_in_4bit(folder, split, cpu_offload=True)
    expect_it_answers(probe, model, wanted)


@scenario(
    row="C4",
    tracker="huggingface/transformers#45347",
    needs=["transformers>=5.5"],
    checkpoints=["gemma-4-e2b"],
)
def test_auto_map_spills_on_gemma4(probe, checkpoint):
    """Gemma 4 with device_map="auto" and too little memory offloads and still answers right."""
    import_bitsandbytes(probe)
    main_device(probe)
    folder = checkpoint("gemma-4-e2b")
    share = max(MULTIMODAL_SHARE, LARGEST_AND_MORE * largest_weight(folder) / checkpoint_bytes(folder))
    load_auto(probe, folder, spilling(folder, share))


# --- steps ---------------------------------------------------------------------------------------------------------


def largest_weight(folder: str) -> int:
    """Return the bytes of a checkpoint's largest tensor, all of them being bfloat16."""
    largest = 0
    for file in glob.glob(os.path.join(folder, "*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            shapes = [tensors.get_slice(name).get_shape() for name in tensors.keys()]  # noqa: SIM118 - not a dict
        largest = max(largest, *(2 * math.prod(shape) for shape in shapes))
    return largest


def logits_on_one_device(probe: Any, folder: str, **keywords: Any) -> torch.Tensor:
    """Return the control's logits: the same weights in 4-bit, all on one device."""
    model = load_in_4bit(folder, {"": probe.device}, **keywords)
    keep_packed_layout(model)
    return logits(model, prompt(model))


def load_auto(probe: Any, folder: str, limits: dict[Any, Any], *, double_quant: bool = False, **keywords: Any) -> None:
    """Load with ``device_map="auto"`` within ``limits``, and compare with one device without limits."""
    wanted = logits_on_one_device(probe, folder, double_quant=double_quant)
    probe.record("limits", {str(place): limit for place, limit in limits.items()})
    with probe.phase("load"):
        model = load_in_4bit(folder, "auto", double_quant=double_quant, cpu_offload=True, max_memory=limits, **keywords)
    expect_it_answers(probe, model, wanted)
