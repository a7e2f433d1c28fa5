"""torchao's int4 weights: which of its layouts this host can run, and a load with it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from quantized import load_plain
from torch import nn

GROUP = 64  # weights to a scale, as bitsandbytes has it
WIDTH = 256  # of the layer that a layout is tried on
# since torchao 0.17 the packed layout for CPUs is a configuration of its own
OPAQUE_MODULE = "torchao.prototype.quantization.int4.inference_workflow"


@dataclass(frozen=True)
class Layout:
    """One way to hold int4 weights: name, configuration, bits a weight takes, and the multiple that rows are padded to.

    Padding costs nothing at full size and most of the memory in tiny models.
    """

    name: str
    make: Callable[[], Any]
    bits: int = 4
    padded_columns: int = 1

    def growth(self, columns: int) -> float:
        """Return how many times larger a row of so many weights becomes by padding."""
        return -(-columns // self.padded_columns) * self.padded_columns / columns


def layouts() -> tuple[Layout, ...]:
    """Return the layouts in the order of preference: torchao's default, packed ones, and one byte a weight."""
    return (
        Layout("default", int4_config),
        Layout("tile_packed_to_4d", lambda: int4_config(int4_packing_format="tile_packed_to_4d"), padded_columns=1024),
        Layout("opaque", lambda: int4_config(int4_packing_format="opaque")),
        Layout("opaque, prototype", opaque_config),
        Layout("unpacked to int8", unpacked_config, bits=8),
    )


def int4_config(**keywords: Any) -> Any:
    """Return ``Int4WeightOnlyConfig`` of this torchao."""
    from torchao.quantization import Int4WeightOnlyConfig

    return Int4WeightOnlyConfig(group_size=GROUP, **keywords)


def opaque_config() -> Any:
    """Return the configuration of the packed layout for CPUs."""
    return importlib.import_module(OPAQUE_MODULE).Int4WeightOnlyOpaqueTensorConfig(group_size=GROUP)


def unpacked_config() -> Any:
    """Return the configuration that keeps each 4-bit weight in a byte: it needs no kernel of its own."""
    from torchao.quantization import IntxWeightOnlyConfig, PerGroup

    return IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(GROUP))


def working_layout(probe: Any) -> Layout:
    """Return the first layout that quantizes and runs a single layer here; skip where none does, with their reasons.

    Some need kernels of another package, some a GPU. It is torchao alone that is tried, without transformers.

    Raises:
        ImportError: torchao itself does not import beside this torch.
    """
    importlib.import_module("torchao.quantization")
    reasons = {}
    for layout in layouts():
        try:
            run_one_layer(layout, probe.device)
        except Exception as error:  # noqa: BLE001 - a layout that cannot run raises whatever its kernel raises
            reasons[layout.name] = f"{type(error).__name__}: {str(error)[:120]}"
        else:
            probe.record("layouts_that_do_not_run", reasons)
            return layout
    probe.not_applicable(f"no int4 layout of the installed torchao runs on {probe.device}: {reasons}")
    raise AssertionError  # not_applicable never returns


@torch.inference_mode()
def run_one_layer(layout: Layout, device: str) -> None:
    """Quantize one linear layer and run it."""
    from torchao.quantization import quantize_

    layer = nn.Sequential(nn.Linear(WIDTH, WIDTH, bias=False)).to(device=device, dtype=torch.bfloat16)
    quantize_(layer, layout.make())
    layer(torch.ones(1, WIDTH, device=device, dtype=torch.bfloat16))


def load_with(layout: Layout, folder: str, device: str) -> Any:
    """Load a checkpoint in int4 through transformers."""
    config = transformers.TorchAoConfig(layout.make())
    return load_plain(folder, {"": device}, quantization_config=config)
