"""Planted failures for scenarios/adapters.py: every test of this file must come out red."""

import sys
from pathlib import Path

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import adapters
from device_maps import expect_only_gpus


@scenario(row="D3", checkpoints=["qwen2.5-7b", "qwen2.5-7b-lora"])
def test_something_lands_on_a_mocked_second_gpu(probe, checkpoint, tmp_path, monkeypatch):
    """The adapter load allocates on a GPU that no map names."""

    def on_a_split_base(*given, **keywords):
        probe.simulated("two GPUs, and an adapter load that allocates on both")
        probe.cuda.highest.update({0: 4096, 1: 512})
        expect_only_gpus(probe, {0})

    monkeypatch.setattr(adapters, "on_a_split_base", on_a_split_base)
    adapters.test_split_decoder_beside_another_gpu(probe, checkpoint, tmp_path, offload=False)
