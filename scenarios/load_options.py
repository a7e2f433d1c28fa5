"""Field reports, rows A8 to A10: what makes no difference to a 4-bit load, torchao's int4 beside it, and its cost."""

from __future__ import annotations

import gc
import glob
import os
import time
from dataclasses import dataclass
from typing import Any

import torch
from caches import held_bytes
from device_maps import SAME, checkpoint_bytes, distance
from quantized import (
    bytes_by_dtype,
    count_linear4bit,
    greedy,
    import_bitsandbytes,
    keep_packed_layout,
    linear4bit_names,
    load_in_4bit,
    load_plain,
    logits,
    packed_bytes,
    prompt,
    quant_state_bytes,
)
from safetensors import safe_open
from torch import nn
from torchao_int4 import load_with, working_layout

from harness.probe import scenario
from harness.probe.memory import HostPeak, host

NEAR = 1.15  # both hold 4 bits a weight and 4 bytes for each 64 weights: scale and zero point here, one float32 there
COARSER = 2  # evenly spaced levels round coarser than NF4's do, which follow the weights' distribution
MIB = 2**20
ALLOWANCE = 64 * MIB  # host memory that a load may take besides the weights: objects, allocator arenas
THREADS = 4  # at most so many weights are on their way at the same time: transformers 5 loads with threads
WORKSPACE = 160  # bytes for each weight that is quantized on a CPU: twice its float32 distance to 16 levels, and copies
SPILL = 5  # times reading the weights; reporters saw 7 times their usual load where the driver spilled
AGAIN = 3  # times the first load
START = 2.0  # seconds that a load may take besides the weights


@scenario(row="A8", checkpoints=["qwen2.5-7b"])
def test_trust_remote_code_makes_no_difference(probe, checkpoint):
    """A model without code of its own loads the same whether remote code is trusted or not."""
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    one = loaded_facts(probe, folder, trust_remote_code=False)
    other = loaded_facts(probe, folder, trust_remote_code=True)
    probe.record("linear4bit", one["linear4bit"])
    probe.record("bytes_by_dtype", one["bytes_by_dtype"])
    probe.expect("something is in 4-bit", one["linear4bit"], one["linear4bit"])
    for fact in ("linear4bit", "bytes_by_dtype", "allocated"):
        probe.expect(f"equal {fact}", one[fact] == other[fact], f"{one[fact]}, trusted {other[fact]}")
    apart = distance(other["logits"], one["logits"])
    probe.record("distance_to_control", apart)
    probe.expect("equal logits", apart <= SAME, f"relative distance {apart:.4f}, allowed {SAME}")


@scenario(row="A9", needs=["torchao"], checkpoints=["qwen2.5-7b"])
def test_torchao_int4(probe, checkpoint):
    """Int4 of torchao loads, generates, takes the memory of bitsandbytes' NF4 and strays from bfloat16 about as far."""
    import_bitsandbytes(probe)
    layout = working_layout(probe)
    probe.record("layout", layout.name)
    folder = checkpoint("qwen2.5-7b")
    plain = load_plain(folder, {"": probe.device})
    inputs = prompt(plain)
    wanted = logits(plain, inputs)
    nf4 = load_in_4bit(folder, {"": probe.device})
    keep_packed_layout(nf4)
    names, expected = linear4bit_names(nf4), packed_bytes(nf4) + quant_state_bytes(nf4)
    grown = [layout.growth(nf4.get_submodule(name).in_features) for name in names]
    by_nf4 = distance(logits(nf4, inputs), wanted)
    del plain, nf4
    gc.collect()
    with probe.phase("load"):
        model = load_with(layout, folder, probe.device)
    weights = [model.get_submodule(name).weight for name in names]
    quantized = sum(hasattr(weight, "__tensor_flatten__") for weight in weights)
    held = sum(held_bytes(weight) for weight in weights)
    probe.record("linear4bit", len(names))
    probe.record("torchao_layers", quantized)
    probe.record("torchao_bytes", held)
    probe.record("bitsandbytes_bytes", expected)
    probe.expect("the same layers are quantized", quantized == len(names) > 0, f"{quantized} of {len(names)}")
    probe.record("padding_grows_rows", max(grown))
    most = NEAR * expected * layout.bits / 4 * max(grown)
    probe.expect(f"memory near NF4's, at {layout.bits} bits stored", held <= most, f"{held} bytes, allowed {most:.0f}")
    with probe.phase("forward"):
        apart = distance(logits(model, inputs), wanted)
    probe.record("distance_to_bf16", apart)
    probe.record("distance_to_bf16_nf4", by_nf4)
    probe.expect("it strays no further than NF4", apart <= COARSER * by_nf4, f"{apart:.4f}, NF4 {by_nf4:.4f}")
    with probe.phase("generate"):
        probe.record("tokens", greedy(model, inputs))


@scenario(row="A10", checkpoints=["qwen2.5-7b"])
def test_what_a_load_costs(probe, checkpoint):
    """A load takes about as long as reading the weights, and never holds a copy of the model in host memory.

    The first load warms everything up; the second is judged. Mapped files are not counted: the kernel may drop them.
    """
    import_bitsandbytes(probe)
    folder = checkpoint("qwen2.5-7b")
    model, first = measured_load(probe, "warm_up", folder)
    largest = max(m.in_features * m.out_features for m in model.modules() if isinstance(m, nn.Linear))
    del model
    gc.collect()
    with probe.phase("read"):
        reading = read(folder, probe.device)
    model, second = measured_load(probe, "load", folder)
    count = count_linear4bit(model)
    probe.record("linear4bit", count)
    probe.record("read_seconds", reading)
    probe.record("load_seconds", second.seconds)
    probe.record("host_growth_bytes", second.growth)
    probe.expect("something is in 4-bit", count, count)
    allowed = most_host_memory(checkpoint_bytes(folder), THREADS * WORKSPACE * largest, probe.device)
    probe.expect("no copy stays in host memory", second.growth <= allowed, f"{second.growth} bytes, allowed {allowed}")
    later = AGAIN * first.seconds + START
    probe.expect("loading again is no slower", second.seconds <= later, f"{second.seconds:.1f} s, allowed {later:.1f}")
    if probe.device != "cpu":
        expect_no_spill(probe, second.seconds, SPILL * reading + START)


# --- steps ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What one load took: ``seconds``, and ``growth`` of anonymous host memory at its peak, in bytes."""

    seconds: float
    growth: int


def loaded_facts(probe: Any, folder: str, **keywords: Any) -> dict[str, Any]:
    """Load in 4-bit and return what two loads are compared by; the model is gone afterwards."""
    gc.collect()
    before = probe.cuda.allocated
    with probe.phase("load"):
        model = load_in_4bit(folder, {"": probe.device}, **keywords)
    facts = {
        "linear4bit": count_linear4bit(model),
        "bytes_by_dtype": bytes_by_dtype(model),
        "allocated": probe.cuda.allocated - before,
    }
    keep_packed_layout(model)
    return {**facts, "logits": logits(model, prompt(model))}


def measured_load(probe: Any, phase: str, folder: str) -> tuple[Any, Cost]:
    """Load in 4-bit on one device in a phase; return the model and what it took."""
    with probe.phase(phase):
        before, peak, started = host().get("anon", 0), HostPeak(), time.perf_counter()
        try:
            model = load_in_4bit(folder, {"": probe.device})
        finally:
            highest = peak.stop()
        if probe.device != "cpu":
            torch.cuda.synchronize()
        return model, Cost(time.perf_counter() - started, highest - before)


def read(folder: str, device: str) -> float:
    """Read every tensor of a checkpoint to the device, one at a time; return the seconds that took."""
    started = time.perf_counter()
    for file in sorted(glob.glob(os.path.join(folder, "*.safetensors"))):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is a file, not a dict
                tensors.get_tensor(name).to(device, copy=True)
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def most_host_memory(weights: int, workspace: int, device: str) -> int:
    """Return by how many bytes anonymous host memory may grow in a load of ``weights`` bytes of bfloat16.

    On their way to a GPU weights pass through the host a few at a time: less than half of them lie there together. On
    a CPU they are there before and after they are quantized (a quarter), with the workspace of those being quantized.
    """
    return ALLOWANCE + (weights // 2 if device != "cpu" else weights + weights // 4 + workspace)


def expect_no_spill(probe: Any, seconds: float, most: float) -> None:
    """State that the driver did not move GPU memory to the host: it is slow, and less is in use than is reserved."""
    probe.expect("a load takes about as long as reading", seconds <= most, f"{seconds:.1f} s, allowed {most:.1f}")
    card = probe.cuda.devices()[0]
    probe.record("driver_tells_process_use", int("process_used" in card))
    if "process_used" in card:
        detail = f"{card['process_used']} in use ({card['process_used_source']}), {card['reserved']} reserved"
        lies_there = card["process_used"] >= card["reserved"]
        probe.expect("what is reserved lies on the card", lies_there, detail, about="memory")
