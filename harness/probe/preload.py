"""Import modules before the attempt, so that no phase measures the import."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from harness.probe.exceptions import describe
from harness.probe.plugin import versions


def preload(modules: Sequence[str], broken: Callable[[], list[str]] = list) -> dict[str, Any]:
    """Import ``modules``; a module that fails is reported, and the attempts fail by their own import of it.

    ``broken`` is called after each import. The first module after which it returns a reason is ``broken_by``, and no
    further module is imported.
    """
    seconds, failures = {}, {}
    broken_by, promises = "", broken()
    for module in modules:
        started = time.perf_counter()
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001  # an import of a package under test may raise anything
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
