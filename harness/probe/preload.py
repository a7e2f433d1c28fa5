"""Import before the attempt what every attempt imports, so that no phase pays for it."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from harness.probe.exceptions import describe
from harness.probe.plugin import versions


def preload(modules: Sequence[str], broken: Callable[[], list[str]] = list) -> dict[str, Any]:
    """Import ``modules``; one that fails is reported and left to the attempts, which fail with their own frames.

    ``broken`` is asked after each: the first module after which it answers is named as ``broken_by``, and no other is
    imported.
    """
    seconds, failures = {}, {}
    broken_by, promises = "", broken()
    for module in modules:
        started = time.perf_counter()
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001  # whatever an import raises is a finding, not our error
            failures[module] = describe(error, "import", "")
        seconds[module] = round(time.perf_counter() - started, 3)
        promises = broken()
        if promises:
            broken_by = module
            break
    return {
        "seconds": seconds,
        "failures": failures,
        "versions": versions(),
        "broken_by": broken_by,
        "broken_promises": promises,
    }
