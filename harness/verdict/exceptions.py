"""Whose exception is it: the software under test's, or the scenario script's?"""

from __future__ import annotations

import builtins
import re
from collections.abc import Collection
from enum import StrEnum

from harness.store.records import Failure, Frame
from harness.verdict.signature import import_names, short_type

GPU_OOM_TYPES = {"OutOfMemoryError"}
GPU_OOM_TEXT = re.compile(r"CUDA out of memory|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY")
HOST_OOM_TEXT = re.compile(
    r"DefaultCPUAllocator: (can't allocate|not enough) memory|std::bad_alloc|\[Errno 12\] Cannot allocate memory"
)
NETWORK_TYPES = {
    "ConnectError",
    "ConnectTimeout",
    "ConnectionAbortedError",
    "ConnectionError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "LocalEntryNotFoundError",
    "MaxRetryError",
    "NameResolutionError",
    "OfflineModeIsEnabled",
    "ProxyError",
    "ReadTimeout",
    "SSLError",
    "gaierror",
}
NETWORK_TEXT = re.compile(
    r"couldn't connect to 'https?://|[Oo]ffline mode is enabled|name resolution|Name or service not known|"
    r"Max retries exceeded|Network is unreachable"
)
CHECK_TYPES = {"AssertionError", "Failed"}  # `Failed` is pytest.fail and a pytest.raises that saw nothing
CHECK_MODULES = ("torch/testing/", "numpy/testing/", "transformers/testing_utils.py")  # their asserts are the caller's
PASS_THROUGH = ("torch/utils/_contextlib.py",)  # decorators such as no_grad add frames between those of the scenario


class Kind(StrEnum):
    """What sort of exception it is, whoever raised it."""

    INTERRUPT = "interrupt"
    GPU_OOM = "gpu_oom"
    HOST_OOM = "host_oom"
    NETWORK = "network"
    IMPORT = "import"
    CHECK = "check"
    OTHER = "other"


def kind(failure: Failure) -> Kind:
    """Sort an exception by its type and message; an assertion inside a package is no check but a failure of it."""
    name, message = short_type(failure), failure.message
    asserted = name == "ExpectationFailed" or (name in CHECK_TYPES and not _raised_in_package(failure))
    tests = {
        Kind.INTERRUPT: name == "KeyboardInterrupt",
        Kind.CHECK: asserted,  # before the texts below: an expectation may quote anything
        Kind.GPU_OOM: name in GPU_OOM_TYPES or GPU_OOM_TEXT.search(message),
        Kind.HOST_OOM: name == "MemoryError" or HOST_OOM_TEXT.search(message),
        Kind.IMPORT: name in {"ImportError", "ModuleNotFoundError"},
        Kind.NETWORK: name in NETWORK_TYPES or NETWORK_TEXT.search(message),
    }
    return next((each for each, fits in tests.items() if fits), Kind.OTHER)


def is_import_upstream(failure: Failure, under_test: Collection[str]) -> bool:
    """Tell whether a failed import is the packages' doing: raised in one, of one, or out of an installed one."""
    if package_frames(failure):
        return True
    if re.search(r"[\\/](site|dist)-packages[\\/]", failure.message):
        return True  # "cannot import name 'X' from 'torchao.y' (…/site-packages/…)": there, but without that name
    missing = re.search(r"(?:No module named|from|import of) '?\"?([A-Za-z_]\w*)", failure.message)
    return missing is not None and missing.group(1).lower() in import_names(under_test)


def is_upstream(failure: Failure, own_names: frozenset[str] = frozenset()) -> bool:
    """Tell whether an exception is the software under test's.

    One with a frame in an installed package is. One whose frames lie in the scenario alone is the script's, with one
    exception: Python reports a call that does not fit the callee, and a name that is not there, at the line of the
    caller. There the message is read: what it names is upstream's unless it is the scenario's own or a builtin.
    """
    return bool(package_frames(failure)) or _names_upstream(failure, own_names)


def package_frames(failure: Failure) -> list[Frame]:
    """Return the frames inside installed packages, decorators that only pass a call on left out."""
    return [each for each in failure.frames if each.package is not None and not each.path.startswith(PASS_THROUGH)]


def _raised_in_package(failure: Failure) -> bool:
    innermost = failure.frames[-1] if failure.frames else None
    return innermost is not None and innermost.package is not None and not innermost.path.startswith(CHECK_MODULES)


_CALL = re.compile(
    r"^(?P<name>[\w.<>]+)\(\) (?:got an unexpected keyword argument|got multiple values for|"
    r"missing \d+ required|takes \d+ |takes from \d+ |got some positional-only)"
)
_ATTRIBUTE = re.compile(
    r"^(?:module '(?P<module>[\w.]+)'|type object '(?P<type>\w+)'|'(?P<object>[\w.]+)' object) has no attribute"
)


def _names_upstream(failure: Failure, own_names: frozenset[str]) -> bool:
    pattern = {"TypeError": _CALL, "AttributeError": _ATTRIBUTE}.get(short_type(failure))
    found = pattern.search(failure.message) if pattern else None
    if found is None:
        return False
    named = next(value for value in found.groupdict().values() if value)
    parts = {part for part in named.split(".") if part != "<locals>"}
    scripts = own_names | {frame.function for frame in failure.frames if frame.package is None}
    return parts.isdisjoint(scripts | _BUILTIN)


_BUILTIN = frozenset(dir(builtins)) | {"NoneType", "function", "method", "module", "generator", "dict_keys", "ellipsis"}
