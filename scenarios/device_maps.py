"""Device maps and memory limits that force a split, sized by the checkpoint so that they split it at any scale."""

from __future__ import annotations

import glob
import os
from typing import Any

import torch
from quantized import greedy, keep_packed_layout, linear4bit_names, logits, prompt
from transformers import AutoConfig

Place = int | str

TOWERS = ("model.vision_tower", "model.audio_tower")
CPU_ROOM = "24GiB"  # the reporters' limit for the CPU
OFFLOADED_LAYERS = 4  # one in so many, the last ones
MOVED = 0.02  # relative distance of logits from which an adapter counts as having an effect
SAME = 0.05  # relative distance of bfloat16 logits that were computed from equal weights in another order


def layers_split(folder: str, main: Place) -> dict[str, Place]:
    """Return an exhaustive map of a decoder: the last quarter of its layers on the CPU, all else on ``main``."""
    count = AutoConfig.from_pretrained(folder).num_hidden_layers
    first_away = count - max(1, count // OFFLOADED_LAYERS)
    layers: dict[str, Place] = {f"model.layers.{i}": main if i < first_away else "cpu" for i in range(count)}
    return {"model.embed_tokens": main, **layers, "model.norm": main, "model.rotary_emb": main, "lm_head": main}


def towers_split(main: Place) -> dict[str, Place]:
    """Return the reporters' map of a multimodal model: towers on the CPU, all else on ``main``."""
    return {**dict.fromkeys(TOWERS, "cpu"), "": main}


def away(device_map: dict[str, Place]) -> list[str]:
    """List the modules that a map puts elsewhere than on a GPU: loading keeps those unquantized."""
    return [name for name, place in device_map.items() if place in {"cpu", "disk"}]


def spilling(folder: str, share: float, rest: str = CPU_ROOM) -> dict[Place, Place]:
    """Return limits that give device 0 ``share`` of the checkpoint's bytes on disk, and the CPU ``rest``."""
    return {0: int(share * checkpoint_bytes(folder)), "cpu": rest}


def checkpoint_bytes(folder: str) -> int:
    """Sum the weight files of a checkpoint."""
    return sum(os.path.getsize(file) for file in glob.glob(os.path.join(folder, "*.safetensors")))


def places(model: Any) -> dict[str, int]:
    """Count the entries of the model's device map by place; empty where there is no map."""
    entries = [str(place) for place in (getattr(model, "hf_device_map", None) or {}).values()]
    return {place: entries.count(place) for place in sorted(set(entries))}


def record_placement(probe: Any, model: Any, stage: str) -> None:
    """Record where the model lies and how many layers are in 4-bit; state that some are."""
    names = linear4bit_names(model)
    probe.placement(model, stage)
    probe.record(f"linear4bit_{stage}", len(names))
    probe.record(f"places_{stage}", places(model))
    probe.record(f"meta_parameters_{stage}", sum(p.device.type == "meta" for p in model.parameters()))
    probe.expect(f"something is in 4-bit after {stage}", names, len(names))


def expect_split(probe: Any, model: Any) -> None:
    """State that the model really lies in two places: a split that did not happen proves nothing."""
    probe.expect("the model lies in two places", len(places(model)) > 1, places(model))


def expect_only_gpus(probe: Any, wanted: set[int]) -> None:
    """State that nothing was ever allocated on a GPU that the map does not name."""
    strays = {index: peak for index, peak in probe.cuda.highest.items() if index not in wanted}
    probe.record("gpus_outside_the_map", strays)
    probe.expect("nothing lands on a GPU outside the map", not strays, strays)


def distance(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the relative distance of two vectors of logits; infinite when one holds NaN."""
    value = float((found - wanted).norm() / wanted.norm())
    return value if value == value else float("inf")  # noqa: PLR0124  # NaN is what differs from itself


def expect_same_logits(probe: Any, model: Any, inputs: Any, wanted: torch.Tensor, text: str) -> None:
    """State that the last logits equal those of the control, within what the order of operations changes."""
    apart = distance(logits(model, inputs), wanted)
    probe.record("distance_to_control", apart)
    probe.expect(text, apart <= SAME, f"relative distance {apart:.4f}, allowed {SAME}")


def expect_it_answers(probe: Any, model: Any, wanted: torch.Tensor, *, split: bool = True) -> None:
    """State that the model is in 4-bit, lies where it should, answers as the control does, and generates."""
    record_placement(probe, model, "load")
    if split:
        expect_split(probe, model)
    keep_packed_layout(model)
    inputs = prompt(model)
    with probe.phase("forward"):
        expect_same_logits(probe, model, inputs, wanted, "it answers as on one device")
    with probe.phase("generate"):
        probe.record("tokens", greedy(model, inputs))
