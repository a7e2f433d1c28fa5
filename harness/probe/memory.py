"""Read memory from inside an attempt: host pages from the kernel, CUDA bytes from torch's allocator and the driver.

All figures are bytes. Host figures come from ``/proc/self/status`` (Linux only): ``RssAnon`` is private memory of the
process, ``RssFile`` are mapped files that the kernel may drop. Device use covers every process on the GPU. It comes
from NVML, else it is total minus free of ``cudaMemGetInfo``; each figure names its source. Unknown figures are left
out.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

from harness.probe import nvml

SAMPLE_SECONDS = 0.01


def host() -> dict[str, int]:
    """Return ``anon``, ``file`` and ``shmem`` resident bytes of this process; empty where the kernel reports none."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            lines = dict(line.split(":", 1) for line in status if line.startswith("Rss"))
    except OSError:
        return {}
    names = {"anon": "RssAnon", "file": "RssFile", "shmem": "RssShmem"}
    return {name: int(lines[key].split()[0]) * 1024 for name, key in names.items() if key in lines}


class HostPeak:
    """Sample the anonymous memory of this process in a thread while a phase runs."""

    def __init__(self) -> None:
        """Take the first sample and start the thread."""
        self.anon = host().get("anon", 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="harness-host-peak", daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.anon = max(self.anon, host().get("anon", 0))

    def stop(self) -> int:
        """End the thread and return the peak in bytes."""
        self._stop.set()
        self._thread.join()
        self.anon = max(self.anon, host().get("anon", 0))
        return self.anon


def initialized_torch() -> Any | None:
    """Return the torch module if it has a CUDA context, else None: a reading must not create a context."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None


class Cuda:
    """Allocator and device figures, in bytes; sums over the visible devices, zero before CUDA is initialized."""

    def __init__(self) -> None:
        """Start without figures of before the attempt."""
        self._used_before: dict[str, int] = {}
        self.highest: dict[int, int] = {}  # device index -> peak of allocated bytes over all phases, zero left out

    def _sum(self, function: str) -> int:
        torch = initialized_torch()
        if torch is None:
            return 0
        return sum(int(getattr(torch.cuda, function)(index)) for index in range(torch.cuda.device_count()))

    @property
    def allocated(self) -> int:
        """Bytes in live tensors."""
        return self._sum("memory_allocated")

    @property
    def allocated_peak(self) -> int:
        """Highest ``allocated`` since the phase began."""
        return self._sum("max_memory_allocated")

    @property
    def reserved(self) -> int:
        """Bytes that the caching allocator has reserved from the driver."""
        return self._sum("memory_reserved")

    @property
    def reserved_peak(self) -> int:
        """Highest ``reserved`` since the phase began."""
        return self._sum("max_memory_reserved")

    def devices(self) -> list[dict[str, Any]]:
        """Return one mapping a device: index, name, allocator figures, device and process use with their sources.

        ``retries`` counts requests for which the allocator had to return its cache to the driver, ``ooms`` those that
        failed nevertheless; both since the process started.
        """
        torch = initialized_torch()
        if torch is None:
            return []
        self._remember_peaks(torch)
        rows = []
        for index in range(torch.cuda.device_count()):
            stats = torch.cuda.memory_stats(index)
            rows.append(
                {
                    "index": index,
                    "name": torch.cuda.get_device_name(index),
                    "allocated": torch.cuda.memory_allocated(index),
                    "allocated_peak": torch.cuda.max_memory_allocated(index),
                    "reserved": torch.cuda.memory_reserved(index),
                    "reserved_peak": torch.cuda.max_memory_reserved(index),
                    "active": stats.get("active_bytes.all.current", 0),
                    "active_peak": stats.get("active_bytes.all.peak", 0),
                    "retries": stats.get("num_alloc_retries", 0),
                    "ooms": stats.get("num_ooms", 0),
                    **self._driver(torch, index),
                }
            )

        return rows

    def _remember_peaks(self, torch: Any) -> None:
        for index in range(torch.cuda.device_count()):
            peak = int(torch.cuda.max_memory_allocated(index))
            if peak:
                self.highest[index] = max(peak, self.highest.get(index, 0))

    def _driver(self, torch: Any, index: int) -> dict[str, Any]:
        """Return the bytes in use on the GPU and by this process, each with its source; empty if unknown."""
        uuid, reserved = gpu_uuid(torch, index), int(torch.cuda.memory_reserved(index))
        used, source = nvml.device_used(uuid, _total(torch, index)), "nvml"
        if used is None:
            if not reserved and index != torch.cuda.current_device():
                return {}  # this question to CUDA would create a context on the GPU, which takes memory
            free, total = torch.cuda.mem_get_info(index)
            used, source = total - free, "cudaMemGetInfo"

        found = {"device_used": used, "device_used_source": source}
        own, own_source = nvml.process_used(uuid), "nvml"
        if own is None or own < reserved:  # a process outside this container may have the same id
            if uuid not in self._used_before:
                return found
            own, own_source = max(0, used - self._used_before[uuid]), f"{source} minus what was in use before"

        return {**found, "process_used": own, "process_used_source": own_source}

    def set_used_before(self, used: dict[str, int]) -> None:
        """Set UUID → bytes in use before the attempt; the process is charged with the difference."""
        self._used_before = dict(used)

    def allocator_settings(self) -> dict[str, Any] | None:
        """Return the effective settings of the caching allocator, from whichever variable; None if unknown."""
        torch = initialized_torch()
        if torch is None:
            return None
        try:
            return dict(torch.cuda.memory._snapshot()["allocator_settings"])  # noqa: SLF001 - no public function
        except (AttributeError, TypeError, KeyError, RuntimeError):  # not public: may change in any release
            return None

    def reset_peaks(self) -> None:
        """Reset the peaks of every device; ``highest`` keeps the earlier ones."""
        torch = initialized_torch()
        if torch is not None:
            self._remember_peaks(torch)
            for index in range(torch.cuda.device_count()):
                torch.cuda.reset_peak_memory_stats(index)

    def synchronize(self) -> None:
        """Wait for the device, so that pending frees are done."""
        torch = initialized_torch()
        if torch is not None:
            torch.cuda.synchronize()

    def empty_cache(self) -> None:
        """Return unused cached blocks to the driver."""
        torch = initialized_torch()
        if torch is not None:
            torch.cuda.empty_cache()


def gpu_uuid(torch: Any, index: int) -> str:
    """Return a device's UUID as the driver writes it (``GPU-…``); empty where torch does not report it."""
    uuid = str(getattr(torch.cuda.get_device_properties(index), "uuid", ""))
    return uuid if not uuid or uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"


def _total(torch: Any, index: int) -> int:
    return int(torch.cuda.get_device_properties(index).total_memory)
