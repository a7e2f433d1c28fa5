"""Read the memory of a GPU from NVML through ctypes: a cell has no binding of the library.

The calls and structures are those of NVML's C interface (``nvml.h``): ``nvmlDeviceGetMemoryInfo`` (total, free, used)
and ``nvmlDeviceGetComputeRunningProcesses_v3`` (process id, bytes). All figures are bytes. Nothing here raises: a value
that cannot be read is None, and the caller names its other source. In a container the process ids of the driver often
differ from those that the process sees; then there is no figure for the process.
"""

from __future__ import annotations

import ctypes
import functools
import os
from typing import Any

LIBRARY = "libnvidia-ml.so.1"
NOT_AVAILABLE = 2**64 - 1  # NVML's value for unknown memory of a process
MAX_PROCESSES = 256
TOTAL_TOLERANCE = 0.1  # NVML's total includes memory that the driver reserves, CUDA's does not


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class _Process(ctypes.Structure):
    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


def device_used(uuid: str, total: int) -> int | None:
    """Return the bytes in use on the GPU with this UUID, by all processes; None where NVML does not report them.

    ``total`` is the memory in bytes that CUDA reports. A very different total of NVML means that it reports the whole
    GPU for a part of it (MIG); that figure is not used.
    """
    library, handle, memory = _library(), _handle(uuid), _Memory()
    if library is None or handle is None or library.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) != 0:
        return None
    return int(memory.used) if abs(memory.total - total) <= TOTAL_TOLERANCE * total else None


def process_used(uuid: str, pid: int | None = None) -> int | None:
    """Return the bytes that one process (default: this one) uses on the GPU, its CUDA context included.

    None where NVML does not report them, or does not know the process by this id.
    """
    handle = _handle(uuid)
    ask = getattr(_library(), "nvmlDeviceGetComputeRunningProcesses_v3", None)
    if handle is None or ask is None:
        return None
    count, found = ctypes.c_uint(MAX_PROCESSES), (_Process * MAX_PROCESSES)()
    if ask(handle, ctypes.byref(count), found) != 0:
        return None
    wanted = os.getpid() if pid is None else pid
    used = [int(one.used) for one in found[: count.value] if one.pid == wanted and one.used != NOT_AVAILABLE]
    return sum(used) if used else None


@functools.cache
def _library() -> Any | None:
    """Load and start NVML, once a process; None where there is no driver."""
    try:
        library = ctypes.CDLL(LIBRARY)
        started = library.nvmlInit_v2()
    except (OSError, AttributeError):
        return None
    return library if started == 0 else None


@functools.cache
def _handle(uuid: str) -> ctypes.c_void_p | None:
    library, handle = _library(), ctypes.c_void_p()
    if library is None or not uuid:
        return None
    for name in (uuid, uuid.replace("GPU-", "MIG-", 1)):  # torch does not report which of the two it is
        if library.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(handle)) == 0:
            return handle
    return None
