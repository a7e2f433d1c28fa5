"""The cards that an attempt may use, as they are before it begins."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from harness.runner.gpus import Gpu, read_processes
from harness.store.records import GpuBefore


def visible_gpus(gpus: Sequence[Gpu], variables: Mapping[str, str]) -> list[Gpu]:
    """Return the GPUs that attempts with these variables may use, by index or beginning of their UUID."""
    chosen = variables.get("CUDA_VISIBLE_DEVICES", os.environ.get("CUDA_VISIBLE_DEVICES"))
    if chosen is None:
        return list(gpus)
    names = [name for name in chosen.split(",") if name]
    return [gpu for gpu in gpus if any(name == str(gpu.index) or gpu.uuid.startswith(name) for name in names)]


def gpus_before(gpus: Sequence[Gpu]) -> tuple[GpuBefore, ...]:
    """Write down what is in use on the cards, and by whom as far as the driver tells."""
    processes = read_processes() if any(gpu.used for gpu in gpus) else ()
    return tuple(
        GpuBefore(
            uuid=gpu.uuid,
            total=gpu.total,
            used=gpu.used,
            processes=tuple(
                {"pid": one.pid, "name": one.name, "used": one.used} for one in processes if one.uuid == gpu.uuid
            ),
        )
        for gpu in gpus
    )


def device_used_before(gpus: Sequence[GpuBefore]) -> dict[str, int]:
    """Return the figure of the cards as they were: bytes in use, over all of them; none where there is no card."""
    return {"cuda_device_used.before": sum(gpu.used for gpu in gpus)} if gpus else {}
