"""How much of a checkpoint lies in memory as whole tensors when the first weight is quantized, and at worst."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass
class Materialized:
    """Bytes and tensors that a load holds unquantized: when the first weight is quantized, and the most at any."""

    first_bytes: int = 0
    first_tensors: int = 0
    most_bytes: int = 0
    quantized: int = 0  # weights


@contextmanager
def watch_quantization() -> Iterator[Materialized]:
    """Count what lives at each 4-bit quantization of bitsandbytes while the block runs, on top of what lived before.

    What lives is found through the garbage collector: every tensor with storage of its own, once per storage, without
    packed weights (uint8) and without those on the meta device.
    """
    from bitsandbytes import functional

    real, found = functional.quantize_4bit, Materialized()
    before = set(storages())

    def quantize_4bit(*arguments: object, **keywords: object) -> object:
        here = {place: size for place, size in storages().items() if place not in before}
        if not found.quantized:
            found.first_bytes, found.first_tensors = sum(here.values()), len(here)
        found.most_bytes = max(found.most_bytes, sum(here.values()))
        found.quantized += 1
        return real(*arguments, **keywords)

    functional.quantize_4bit = quantize_4bit
    try:
        yield found
    finally:
        functional.quantize_4bit = real


def storages() -> dict[tuple[str, int], int]:
    """Return (device, address) → bytes of the storages that floating tensors hold."""
    found = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), torch.Tensor) and thing.device.type != "meta" and thing.dtype.is_floating_point:
            storage = thing.untyped_storage()
            if storage.nbytes():
                found[str(thing.device), storage.data_ptr()] = storage.nbytes()
    return found
