"""Field reports, row G12: a model that lies on the disk as a whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from device_maps import SAME, distance, places
from quantized import (
    count_linear4bit,
    devices_in_use,
    import_bitsandbytes,
    keep_packed_layout,
    load_in_4bit,
    load_plain,
    logits,
    prompt,
)
from transformers import AutoConfig

from harness.probe import scenario

NOTHING = {0: 0, "cpu": 0}  # memory limits that leave only the disk


@scenario(row="G12", checkpoints=["qwen2.5-7b"])
@pytest.mark.parametrize("asked", ["map", "limits"])
@pytest.mark.parametrize("kind", ["bf16", "4bit", "4bit-offload"])
def test_whole_model_on_disk(probe, checkpoint, tmp_path, kind, asked):
    """A model that is sent to the disk as a whole is refused in plain words, or answers as it does on one device.

    ``map`` says so by ``{"": "disk"}``, ``limits`` by memory limits of zero under ``device_map="auto"``. 4-bit without
    leave to offload must always be refused. Modules that a map sends to the disk stay unquantized by design, so the
    control is taken in the precision that was loaded.
    """
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    model, refusal = None, None
    with probe.phase("load"):
        try:
            model = load_on_disk(folder, kind, asked, str(tmp_path), probe.device)
        except (ValueError, NotImplementedError) as error:
            if not is_clear(error):
                raise  # "Cannot copy out of meta tensor" is no refusal but a crash
            refusal = f"{type(error).__name__}: {error}"
    probe.record("refused", int(model is None))
    if model is None:
        probe.record("refusal", refusal)
        return
    probe.expect("4-bit is refused where offloading was not allowed", kind != "4bit", devices_in_use(model))
    expect_it_answers(probe, model, folder)


@scenario(row="G12", checkpoints=["qwen2.5-7b"])
def test_all_but_the_ends_on_disk(probe, checkpoint, tmp_path):
    """Control: with embedding and head on one device, all layers of a bfloat16 model may lie on the disk."""
    folder = checkpoint("qwen2.5-7b")
    main = 0 if probe.device.startswith("cuda") else "cpu"
    count = AutoConfig.from_pretrained(folder).num_hidden_layers
    layers = {f"model.layers.{number}": "disk" for number in range(count)}
    split = {"model.embed_tokens": main, **layers, "model.norm": main, "model.rotary_emb": main, "lm_head": main}
    with probe.phase("load"):
        model = load_plain(folder, split, offload_folder=str(tmp_path))
    probe.expect("the model lies in two places", len(places(model)) > 1, places(model))
    expect_it_answers(probe, model, folder)


# --- steps ---------------------------------------------------------------------------------------------------------


def load_on_disk(folder: str, kind: str, asked: str, offload_folder: str, device: str) -> Any:
    """Load with nothing but the disk to put the model on."""
    limits = NOTHING if device.startswith("cuda") else {"cpu": 0}  # a limit for a GPU that is not there is an error
    keywords: dict[str, Any] = {"device_map": {"": "disk"}} if asked == "map" else {"device_map": "auto"}
    if asked == "limits":
        keywords["max_memory"] = dict(limits)  # some releases write into it
    if kind == "bf16":
        return load_plain(folder, offload_folder=offload_folder, **keywords)
    return load_in_4bit(folder, cpu_offload=kind == "4bit-offload", offload_folder=offload_folder, **keywords)


def is_clear(error: Exception) -> bool:
    """Tell whether an error says what the matter is: it names the disk, and not a placeholder without data."""
    text = str(error).lower()
    return "disk" in text and "meta" not in text


def expect_it_answers(probe: Any, model: Any, folder: str) -> None:
    """State that a loaded model answers as the same weights do, in the same precision, on one device."""
    count = count_linear4bit(model)
    probe.record("linear4bit", count)
    probe.record("devices", devices_in_use(model))
    probe.record("places", places(model))
    keep_packed_layout(model)
    with probe.phase("forward"):
        found = logits(model, prompt(model))
    wanted = logits_on_one_device(folder, probe.device, in_4bit=count > 0)
    apart = distance(found, wanted)
    probe.record("distance_to_control", apart)
    probe.expect("it answers as on one device", apart <= SAME, f"relative distance {apart:.4f}, allowed {SAME}")


def logits_on_one_device(folder: str, device: str, *, in_4bit: bool) -> torch.Tensor:
    """Return the control's logits."""
    model = load_in_4bit(folder, {"": device}) if in_4bit else load_plain(folder, {"": device})
    keep_packed_layout(model)
    return logits(model, prompt(model))
