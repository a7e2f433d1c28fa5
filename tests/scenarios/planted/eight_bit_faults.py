"""Planted failures for scenarios/eight_bit.py: every test of this file must come out red, in any release."""

import sys
from pathlib import Path

from harness.probe import scenario

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scenarios"))
import eight_bit


@scenario(row="G13", checkpoints=["qwen2.5-7b"])
def test_scales_do_not_come_back(probe, checkpoint, monkeypatch):
    """Lose the scales of every 8-bit weight that comes back from the CPU."""
    from accelerate.utils import modeling

    real = modeling.set_module_tensor_to_device

    def without_scales(*given, **keywords):
        keywords.pop("fp16_statistics", None)
        return real(*given, **keywords)

    for name in ("accelerate.utils.modeling", "accelerate.hooks", "accelerate.utils"):
        if hasattr(sys.modules[name], "set_module_tensor_to_device"):
            monkeypatch.setattr(sys.modules[name], "set_module_tensor_to_device", without_scales)
    eight_bit.test_auto_map_in_8bit(probe, checkpoint, "spills")


@scenario(row="G13", checkpoints=["qwen2.5-7b"])
def test_the_limit_is_ignored(probe, checkpoint, monkeypatch):
    """Load everything on device 0 whatever its limit: nothing is raised, and it is more than was allowed."""
    load = eight_bit.load_in_8bit

    def load_without_limit(folder, device_map, *, max_memory=None, cpu_offload=False):
        return load(folder, {"": probe.device})

    monkeypatch.setattr(eight_bit, "load_in_8bit", load_without_limit)
    eight_bit.test_auto_map_in_8bit(probe, checkpoint, "spills")


@scenario(row="G13", checkpoints=["qwen2.5-7b"])
def test_nothing_is_in_8bit(probe, checkpoint, monkeypatch):
    """Load without quantizing: the control notices."""
    monkeypatch.setattr(eight_bit, "load_in_8bit", eight_bit.load_plain)
    eight_bit.test_8bit_on_one_device(probe, checkpoint)
