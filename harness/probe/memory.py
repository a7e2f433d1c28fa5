"""Read memory from inside an attempt: host pages from the kernel, CUDA bytes from torch's allocator and the driver.

All figures are bytes. Host figures come from ``/proc/self/status`` (Linux; elsewhere there are none): ``RssAnon`` is
what the process really holds, ``RssFile`` are mapped files that the kernel may drop. Device use is the driver's
total minus free (``cudaMemGetInfo``): it counts every process on the card.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

SAMPLE_SECONDS = 0.01


def host() -> dict[str, int]:
    """Return ``anon``, ``file`` and ``shmem`` resident bytes of this process; empty where the kernel does not tell."""
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
        """Take the first sample at once."""
        self.anon = host().get("anon", 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="harness-host-peak", daemon=True)
        self._thread.start()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self.anon = max(self.anon, host().get("anon", 0))

    def stop(self) -> int:
        """End the thread and return the highest value seen, in bytes."""
        self._stop.set()
        self._thread.join()
        self.anon = max(self.anon, host().get("anon", 0))
        return self.anon


def initialized_torch() -> Any | None:
    """Return the torch module when it is loaded and its CUDA context exists, else None: reading must not create one."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None


class Cuda:
    """Allocator and device figures, in bytes; sums over the visible devices, zero before CUDA is initialized."""

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
        """Bytes the caching allocator holds from the driver."""
        return self._sum("memory_reserved")

    @property
    def reserved_peak(self) -> int:
        """Highest ``reserved`` since the phase began."""
        return self._sum("max_memory_reserved")

    def devices(self) -> list[dict[str, Any]]:
        """Return one mapping a device: index, name, allocator figures, ``device_used`` with its source."""
        torch = initialized_torch()
        if torch is None:
            return []
        rows = []
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            rows.append(
                {
                    "index": index,
                    "name": torch.cuda.get_device_name(index),
                    "allocated": torch.cuda.memory_allocated(index),
                    "allocated_peak": torch.cuda.max_memory_allocated(index),
                    "reserved": torch.cuda.memory_reserved(index),
                    "reserved_peak": torch.cuda.max_memory_reserved(index),
                    "device_used": total - free,
                    "device_used_source": "cudaMemGetInfo",
                }
            )
        return rows

    def reset_peaks(self) -> None:
        """Start counting peaks anew on every device."""
        torch = initialized_torch()
        if torch is not None:
            for index in range(torch.cuda.device_count()):
                torch.cuda.reset_peak_memory_stats(index)

    def settle(self) -> None:
        """Wait for the device, so that what is freed is freed."""
        torch = initialized_torch()
        if torch is not None:
            torch.cuda.synchronize()

    def empty_cache(self) -> None:
        """Give unused cached blocks back to the driver."""
        torch = initialized_torch()
        if torch is not None:
            torch.cuda.empty_cache()
