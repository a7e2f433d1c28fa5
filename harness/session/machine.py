"""Describe the machine of a run without naming it."""

from __future__ import annotations

import os
import platform

import psutil

from harness.runner.gpus import read_gpus
from harness.store.records import GpuRecord, HostRecord


def describe_host() -> HostRecord:
    """Return platform, cores, memory (bytes) and GPUs; nothing that identifies the machine or its user."""
    gpus = tuple(
        GpuRecord(uuid=gpu.uuid, name=gpu.name, memory_bytes=gpu.total, driver=gpu.driver) for gpu in read_gpus()
    )
    return HostRecord(
        platform=f"{platform.system()} {platform.machine()}",
        cpus=os.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        gpus=gpus,
    )
