"""Field reports, rows G17 and G18: a quantized model that is saved and loaded again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from device_maps import SAME, distance
from eight_bit import count_linear8bit, load_in_8bit
from quantized import (
    count_linear4bit,
    import_bitsandbytes,
    keep_packed_layout,
    load_in_4bit,
    load_plain,
    logits,
    prompt,
)

from harness.probe import scenario

EQUAL = 1e-3  # relative distance of logits from equal weights by an equal order of operations


@scenario(row="G17", tracker="bitsandbytes-foundation/bitsandbytes#1775", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("kind", ["4bit", "4bit-double-quant", "8bit", "bf16"])
def test_save_before_a_forward(probe, checkpoint, tmp_path, kind):
    """A model that is saved as it was loaded, quantized, comes back quantized and with equal logits.

    ``bf16`` is the control: nothing is quantized on the way.
    """
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_as(kind, checkpoint("qwen2.5-7b"), probe.device)
    layers = record_layers(probe, model, kind, "loaded")
    save(probe, model, tmp_path)
    keep_packed_layout(model)
    wanted = logits(model, prompt(model))
    again = load_saved(probe, tmp_path)
    probe.expect("as many layers come back quantized", record_layers(probe, again, kind, "again") == layers, layers)
    keep_packed_layout(again)
    expect_near(probe, again, wanted, EQUAL, "again", "it comes back with equal logits")


@scenario(row="G18", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("kind", ["4bit", "4bit-double-quant", "8bit", "bf16"])
def test_save_after_a_forward(probe, checkpoint, tmp_path, kind):
    """A model that has answered and is then saved comes back with equal logits, and goes on answering as before.

    On processors with AVX512-BF16 bitsandbytes repacks 4-bit weights in place at the first forward, and back for
    saving: that is left to happen here. On a GPU, in 8-bit and in bfloat16 nothing is repacked: the controls.
    """
    import_bitsandbytes(probe)
    with probe.phase("load"):
        model = load_as(kind, checkpoint("qwen2.5-7b"), probe.device)
    record_layers(probe, model, kind, "loaded")
    with probe.phase("forward"):
        wanted = logits(model, prompt(model))
    probe.record("repacked_layers", repacked_layers(model))
    save(probe, model, tmp_path)
    again = load_saved(probe, tmp_path)
    record_layers(probe, again, kind, "again")
    expect_near(probe, again, wanted, SAME, "again", "it comes back with equal logits")
    expect_near(probe, model, wanted, SAME, "saved", "the saved model answers as before")


# --- steps ---------------------------------------------------------------------------------------------------------


def load_as(kind: str, folder: str, device: str) -> Any:
    """Load a checkpoint on one device in 4-bit, 8-bit or bfloat16."""
    if kind == "8bit":
        return load_in_8bit(folder, {"": device})
    if kind == "bf16":
        return load_plain(folder, {"": device})
    return load_in_4bit(folder, {"": device}, double_quant=kind == "4bit-double-quant")


def record_layers(probe: Any, model: Any, kind: str, stage: str) -> int:
    """Record and return how many layers are quantized; state that some are, unless the control is to stay plain."""
    four, eight = count_linear4bit(model), count_linear8bit(model)
    probe.record(f"linear4bit_{stage}", four)
    probe.record(f"linear8bit_{stage}", eight)
    found = {"8bit": eight, "bf16": 0}.get(kind, four)
    probe.expect(f"quantized as asked for when {stage}", bool(found) == (kind != "bf16"), f"{four}, {eight}")
    return found


def save(probe: Any, model: Any, folder: Any) -> None:
    """Save the model, and record the bytes that it takes."""
    with probe.phase("save"):
        model.save_pretrained(str(folder))
    probe.record("saved_bytes", sum(file.stat().st_size for file in folder.glob("*.safetensors")))


def load_saved(probe: Any, folder: Any) -> Any:
    """Load what was saved with no word about quantization: the checkpoint says it itself."""
    with probe.phase("load"):
        return load_plain(str(folder), {"": probe.device})


def repacked_layers(model: Any) -> int:
    """Count the 4-bit weights that lie in the layout of the CPU kernels."""
    states = (getattr(parameter, "quant_state", None) for parameter in model.parameters())
    return sum(bool(getattr(state, "packing_format_for_cpu", False)) for state in states)


def expect_near(probe: Any, model: Any, wanted: torch.Tensor, allowed: float, stage: str, text: str) -> None:
    """State that the last logits are those that are wanted, and record how far they are."""
    with probe.phase("forward"):
        apart = distance(logits(model, prompt(model)), wanted)
    probe.record(f"distance_{stage}", apart)
    probe.expect(text, apart <= allowed, f"relative distance {apart:.5f}, allowed {allowed}")
