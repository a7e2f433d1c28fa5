"""Field reports, rows G3 to G5: which modules a skip list, or a CPU key of a device map, keeps out of 4-bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from device_maps import distance, expect_same_logits, expect_split, record_placement
from multimodal_inputs import expect_it_runs, gemma3_image_prompt, gemma4_image_prompt
from quantized import (
    NEVER_QUANTIZED,
    count_linear4bit,
    greedy,
    import_bitsandbytes,
    keep_packed_layout,
    linear4bit_names,
    load_in_4bit,
    load_plain,
    logits,
    plain_linear_names,
    prompt,
)
from simulated_devices import main_device
from transformers import AutoConfig

from harness.probe import scenario

TOWER = "vision_tower"
NAMES = {"full": f"model.{TOWER}", "bare": TOWER}
OWN_LISTS = {  # one module each, and no head; the head of the first is its own, of the others tied to the embedding
    "qwen2.5-7b": ["model.layers.0"],
    "qwen2.5-1.5b": ["model.layers.0"],
    "gemma-3-4b": ["model.vision_tower"],
}
HEAD_ROUNDED = 0.2  # relative distance of logits: NF4 moves those of a rounded head by a tenth


@scenario(row="G3", checkpoints=["gemma-3-4b"])
@pytest.mark.parametrize("name", ["full", "bare"])
def test_gemma3_tower_is_skipped_by_name(probe, checkpoint, name):
    """A skip list keeps Gemma 3's vision tower out of 4-bit by full path, and by bare name or refuses that."""
    expect_tower_skipped(probe, checkpoint("gemma-3-4b"), NAMES[name], gemma3_image_prompt)


@scenario(row="G3", needs=["transformers>=5.5"], checkpoints=["gemma-4-e2b"])
@pytest.mark.parametrize("name", ["full", "bare"])
def test_gemma4_tower_is_skipped_by_name(probe, checkpoint, name):
    """A skip list keeps Gemma 4's vision tower out of 4-bit by full path, and by bare name or refuses that."""
    expect_tower_skipped(probe, checkpoint("gemma-4-e2b"), NAMES[name], gemma4_image_prompt)


@scenario(row="G4", checkpoints=["qwen2.5-1.5b"])
@pytest.mark.parametrize("number", [1, 11])
def test_one_layer_is_skipped(probe, checkpoint, number):
    """Layer 1 in a skip list is layer 1, not 10 and 11 too; a number that begins no other is the control."""
    import_bitsandbytes(probe)
    folder, layer = checkpoint("qwen2.5-1.5b"), f"model.layers.{number}"
    wanted = logits_with_layer_plain(probe, folder, layer)
    with probe.phase("load"):
        model = load_in_4bit(folder, {"": probe.device}, skip_modules=[layer, *NEVER_QUANTIZED])
    expect_only(probe, model, layer)
    keep_packed_layout(model)
    expect_same_logits(probe, model, prompt(model), wanted, "it answers as with that one layer in bfloat16")


@scenario(row="G4", checkpoints=["qwen2.5-1.5b"])
@pytest.mark.parametrize("number", [1, 11])
def test_one_layer_is_on_the_cpu(probe, checkpoint, number):
    """Layer 1 on the CPU leaves 10 and 11 in 4-bit where they are; a number that begins no other is the control."""
    import_bitsandbytes(probe)
    folder, layer = checkpoint("qwen2.5-1.5b"), f"model.layers.{number}"
    main = main_device(probe)
    layers = {f"model.layers.{each}": main for each in range(AutoConfig.from_pretrained(folder).num_hidden_layers)}
    ends = dict.fromkeys(["model.embed_tokens", "model.norm", "model.rotary_emb", "lm_head"], main)
    wanted = logits_with_layer_plain(probe, folder, layer)
    with probe.phase("load"):
        model = load_in_4bit(folder, {**ends, **layers, layer: "cpu"}, cpu_offload=True)
    record_placement(probe, model, "load")
    expect_split(probe, model)
    away = {name.rpartition(".layers.")[2].split(".")[0] for name in parameters_away(model, probe.device)}
    probe.expect("only that layer lies on the CPU", away == {str(number)}, sorted(away))
    expect_only(probe, model, layer)
    keep_packed_layout(model)
    expect_same_logits(probe, model, prompt(model), wanted, "it answers as with that one layer in bfloat16")


@scenario(row="G5", tracker="huggingface/transformers#45674", checkpoints=["qwen2.5-7b", "qwen2.5-1.5b", "gemma-3-4b"])
@pytest.mark.parametrize("head", ["unnamed", "named"])
@pytest.mark.parametrize("name", list(OWN_LISTS))
def test_own_skip_list(probe, checkpoint, name, head):
    """A skip list of one's own that does not name the head loads and answers; one that names it is the control."""
    import_bitsandbytes(probe)
    folder, skip = checkpoint(name), OWN_LISTS[name]
    with probe.phase("load"):
        model = load_in_4bit(folder, {"": probe.device}, skip_modules=[*skip, *NEVER_QUANTIZED])
    if head == "unnamed":
        keep_packed_layout(model)
        wanted = logits(model, prompt(model))
        with probe.phase("load"):
            model = load_in_4bit(folder, {"": probe.device}, skip_modules=skip)
    record_head(probe, model)
    probe.expect("nothing named is in 4-bit", not below(linear4bit_names(model), skip[0]))
    keep_packed_layout(model)
    with probe.phase("forward"):
        found = logits(model, prompt(model))
    probe.expect("logits are finite", torch.isfinite(found).all())
    if head == "unnamed":
        apart = distance(found, wanted)
        probe.record("distance_to_control", apart)
        probe.expect("it answers as with the head named", apart <= HEAD_ROUNDED, f"relative distance {apart:.4f}")
    with probe.phase("generate"):
        probe.record("tokens", greedy(model, prompt(model)))


# --- steps ---------------------------------------------------------------------------------------------------------


def expect_tower_skipped(probe: Any, folder: str, name: str, make_prompt: Any) -> None:
    """State that ``name`` in a skip list keeps 4-bit out of the vision tower alone; a bare name may be refused."""
    import_bitsandbytes(probe)
    refusal = None
    with probe.phase("load"):
        try:
            model = load_in_4bit(folder, {"": probe.device}, skip_modules=[name, *NEVER_QUANTIZED])
        except ValueError as error:
            if name not in str(error):
                raise  # a refusal says what it refuses
            refusal = str(error)
    probe.record("refused", int(refusal is not None))
    if refusal is not None:
        probe.record("refusal", refusal)
        probe.expect("only a bare name is refused", name == TOWER, refusal)
        return
    inside = linear4bit_names(model, (TOWER,))
    left = plain_linear_names(model, but=(TOWER, *NEVER_QUANTIZED))
    probe.record("linear4bit_in_tower", len(inside))
    probe.expect("no Linear4bit under the tower", not inside, f"{len(inside)}: {inside[:3]}")
    probe.expect("everything else is in 4-bit", not left, left[:3])
    keep_packed_layout(model)
    expect_it_runs(probe, model, make_prompt)


def logits_with_layer_plain(probe: Any, folder: str, layer: str) -> torch.Tensor:
    """Return the control's logits: one device, and every linear layer of ``layer`` named by its whole path."""
    parts = below(plain_linear_names(load_plain(folder, {"": probe.device})), layer)
    model = load_in_4bit(folder, {"": probe.device}, skip_modules=[*parts, *NEVER_QUANTIZED])
    probe.record("linear4bit_of_control", count_linear4bit(model))
    probe.expect("the control keeps that one layer plain", plain_linear_names(model) == parts, len(parts))
    keep_packed_layout(model)
    return logits(model, prompt(model))


def expect_only(probe: Any, model: Any, layer: str) -> None:
    """State that the linear layers below ``layer`` are plain, and all others of the decoder in 4-bit."""
    plain, packed = plain_linear_names(model), linear4bit_names(model)
    others = [name for name in plain if not name.startswith(f"{layer}.")]
    probe.record("linear4bit", len(packed))
    probe.record("plain", len(plain))
    probe.expect("something is in 4-bit", packed)
    probe.expect("the named layer is plain", below(plain, layer) and not below(packed, layer), layer)
    probe.expect("no other layer is plain", not others, f"{len(others)}: {others[:3]}")


def record_head(probe: Any, model: Any) -> None:
    """Record whether the head is in 4-bit; state that layers are, and that the embedding stayed in floats."""
    packed = linear4bit_names(model)
    probe.record("linear4bit", len(packed))
    probe.record("head_in_4bit", int("lm_head" in packed))
    probe.expect("something is in 4-bit", len(packed) > ("lm_head" in packed))
    embedding = model.get_input_embeddings().weight
    probe.expect("the embedding stayed in floats", embedding.is_floating_point(), embedding.dtype)


def below(names: list[str], module: str) -> list[str]:
    """Return the names that lie below ``module``."""
    return [name for name in names if name.startswith(f"{module}.")]


def parameters_away(model: Any, device: str) -> list[str]:
    """List the parameters that do not lie on the main device: offloaded ones are placeholders."""
    return [name for name, each in model.named_parameters() if each.device != torch.device(device)]
