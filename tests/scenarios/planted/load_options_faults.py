"""Planted failures for scenarios/load_options.py: every test must come out red, or skipped for what is missing."""

import functools
import sys
import time
from pathlib import Path

import torch

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import device_maps
import load_options
import torchao_int4


@scenario(row="A8", checkpoints=["qwen2.5-7b"])
def test_trusted_code_loads_without_its_configuration(probe, checkpoint, monkeypatch):
    """Let a load that trusts remote code forget that it should quantize."""
    right = load_options.load_in_4bit

    def load_in_4bit(folder, device_map, *, trust_remote_code):
        load = load_options.load_plain if trust_remote_code else right
        return load(folder, device_map, trust_remote_code=trust_remote_code)

    monkeypatch.setattr(load_options, "load_in_4bit", load_in_4bit)
    load_options.test_trust_remote_code_makes_no_difference(probe, checkpoint)


@scenario(row="A9", needs=["torchao"], checkpoints=["qwen2.5-7b"])
def test_torchao_quantizes_nothing(probe, checkpoint, monkeypatch):
    """Let the load with torchao's configuration keep bfloat16."""
    monkeypatch.setattr(
        load_options, "load_with", lambda layout, folder, device: torchao_int4.load_plain(folder, {"": device})
    )
    load_options.test_torchao_int4(probe, checkpoint)


@scenario(row="A9", needs=["torchao"], checkpoints=["qwen2.5-7b"])
def test_torchao_holds_a_byte_for_each_weight(probe, checkpoint, monkeypatch):
    """Let a layout that is said to hold 4 bits hold 8."""
    wide = torchao_int4.Layout("said to be packed", torchao_int4.unpacked_config, bits=4)
    monkeypatch.setattr(load_options, "working_layout", lambda probe: wide)
    load_options.test_torchao_int4(probe, checkpoint)


@scenario(row="A10", checkpoints=["qwen2.5-7b"])
def test_a_copy_of_the_model_stays_in_host_memory(probe, checkpoint, monkeypatch):
    """Let a load hold the model's bfloat16 weights in host memory, beside twice what the rest may take."""
    right = load_options.load_in_4bit
    size = 3 * device_maps.checkpoint_bytes(checkpoint("qwen2.5-7b")) + 512 * load_options.MIB

    @functools.wraps(right)
    def load_in_4bit(*rest, **keywords):
        copy = torch.ones(size, dtype=torch.uint8)  # written to, or the kernel gives no page
        model = right(*rest, **keywords)
        del copy
        return model

    monkeypatch.setattr(load_options, "load_in_4bit", load_in_4bit)
    load_options.test_what_a_load_costs(probe, checkpoint)


@scenario(row="A10", checkpoints=["qwen2.5-7b"])
def test_a_load_becomes_slow(probe, checkpoint, monkeypatch):
    """Let every load after the first be slower by more than any first one is."""
    right, started = load_options.load_in_4bit, []

    @functools.wraps(right)
    def load_in_4bit(*rest, **keywords):
        began = time.perf_counter()
        model = right(*rest, **keywords)
        if started:
            time.sleep(load_options.AGAIN * started[0] + load_options.START)
        started.append(time.perf_counter() - began)
        return model

    monkeypatch.setattr(load_options, "load_in_4bit", load_in_4bit)
    load_options.test_what_a_load_costs(probe, checkpoint)
