"""The state of the host's GPUs, read from NVML by ``nvidia-ml-py`` outside any attempt.

Memory in use is that of NVML's second structure, without what the driver reserves for itself: the figure of
``nvidia-smi``. Without a driver there are no GPUs. A value that the driver does not report (a GPU that is divided by
MIG or fell off the bus, a container without permission) is left out and never an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

MILLIWATTS = 1000
UNKNOWN_PROGRAM = "unknown"


@dataclass(frozen=True)
class Gpu:
    """One GPU; ``index`` is its number in the order of the PCI bus, memory in bytes."""

    index: int
    uuid: str
    name: str
    total: int
    used: int
    driver: str


@dataclass(frozen=True)
class UnreadableGpu:
    """A GPU whose identity or memory the driver does not report, and the driver's reason."""

    index: int
    reason: str


@dataclass(frozen=True)
class GpuProcess:
    """A process that computes on a GPU: its program without folder, and its memory in bytes (None: not reported)."""

    uuid: str
    pid: int
    name: str
    used: int | None


def read_gpus() -> tuple[Gpu, ...]:
    """Return the GPUs whose memory the driver reports."""
    return tuple(gpu for gpu in list_gpus() if isinstance(gpu, Gpu))


def list_gpus() -> tuple[Gpu | UnreadableGpu, ...]:
    """Return all GPUs of the driver."""
    with _started_nvml() as nvml:
        if nvml is None:
            return ()
        driver = _reported(nvml, nvml.nvmlSystemGetDriverVersion) or "unknown"
        return tuple(_gpu(nvml, index, driver) for index in range(_count(nvml)))


def read_processes() -> tuple[GpuProcess, ...]:
    """Return the processes that compute on the GPUs; in a container the driver may report none."""
    with _started_nvml() as nvml:
        if nvml is None:
            return ()
        return tuple(process for uuid, handle in _handles(nvml) for process in _processes(nvml, uuid, handle))


def read_operating_states() -> dict[str, dict[str, str]]:
    """Return UUID → clocks (MHz), power limit (W), temperature (°C) and ECC mode.

    The names and forms are those of ``nvidia-smi --query-gpu``; a value that is not reported is left out.
    """
    with _started_nvml() as nvml:
        return {} if nvml is None else {uuid: _operating_state(nvml, handle) for uuid, handle in _handles(nvml)}


@contextlib.contextmanager
def _started_nvml() -> Iterator[ModuleType | None]:
    """Start NVML and stop it afterwards; None without a driver."""
    import pynvml  # 45 ms, which commands that read no GPU do not pay

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield None
        return

    try:
        yield pynvml
    finally:
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _gpu(nvml: ModuleType, index: int, driver: str) -> Gpu | UnreadableGpu:
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        memory = _memory(nvml, handle)
        uuid, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError as error:
        return UnreadableGpu(index, str(error))
    return Gpu(index, uuid, name, int(memory.total), int(memory.used), driver)


def _memory(nvml: ModuleType, handle: Any) -> Any:
    """Return total and used memory; before driver 510 ``used`` includes what the driver reserves."""
    try:
        return nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
    except nvml.NVMLError_FunctionNotFound:
        return nvml.nvmlDeviceGetMemoryInfo(handle)


def _handles(nvml: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield UUID and handle of every GPU that the driver can address."""
    for index in range(_count(nvml)):
        handle = _reported(nvml, nvml.nvmlDeviceGetHandleByIndex, index)
        uuid = None if handle is None else _reported(nvml, nvml.nvmlDeviceGetUUID, handle)
        if uuid is not None:
            yield uuid, handle


def _processes(nvml: ModuleType, uuid: str, handle: Any) -> Iterator[GpuProcess]:
    found = {}
    for ask in (nvml.nvmlDeviceGetComputeRunningProcesses_v3, nvml.nvmlDeviceGetMPSComputeRunningProcesses_v3):
        found.update({process.pid: process.usedGpuMemory for process in _reported(nvml, ask, handle) or ()})
    for pid, used in found.items():
        yield GpuProcess(uuid, pid, _program(nvml, pid), used)


def _program(nvml: ModuleType, pid: int) -> str:
    try:
        path = nvml.nvmlSystemGetProcessName(pid)
    except (nvml.NVMLError, UnicodeDecodeError):  # a process of another container; a name that is not UTF-8
        return UNKNOWN_PROGRAM
    return str(path).replace("\\", "/").rsplit("/", 1)[-1] or UNKNOWN_PROGRAM


def _operating_state(nvml: ModuleType, handle: Any) -> dict[str, str]:
    power = _reported(nvml, nvml.nvmlDeviceGetPowerManagementLimit, handle)
    ecc = _reported(nvml, nvml.nvmlDeviceGetEccMode, handle)  # current and pending
    values = {
        "clocks.max.sm": _reported(nvml, nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_SM),
        "clocks.sm": _reported(nvml, nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
        "power.limit": None if power is None else f"{power / MILLIWATTS:.2f}",
        "temperature.gpu": _temperature(nvml, handle),
        "ecc.mode.current": None if ecc is None else "Enabled" if ecc[0] else "Disabled",
    }
    return {name: str(value) for name, value in values.items() if value is not None}


def _temperature(nvml: ModuleType, handle: Any) -> int | None:
    for ask in (nvml.nvmlDeviceGetTemperatureV, nvml.nvmlDeviceGetTemperature):  # the second until driver 565
        found = _reported(nvml, ask, handle, nvml.NVML_TEMPERATURE_GPU)
        if found is not None:
            return int(found)
    return None


def _count(nvml: ModuleType) -> int:
    return _reported(nvml, nvml.nvmlDeviceGetCount) or 0


def _reported(nvml: ModuleType, ask: Callable[..., Any], *arguments: Any) -> Any | None:
    """Return the answer to one question, None where the driver does not report it."""
    try:
        return ask(*arguments)
    except nvml.NVMLError:
        return None
