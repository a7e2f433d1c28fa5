"""A small ``probe`` for a script: only what its scenario asks for, printed instead of measured."""

from __future__ import annotations

from collections.abc import Collection

from harness.errors import ConfigError

SUM = "return sum(map(torch.cuda.{}, range(torch.cuda.device_count())))"  # these say 0 before CUDA is initialized
CUDA = {
    "allocated": "memory_allocated",
    "allocated_peak": "max_memory_allocated",
    "reserved": "memory_reserved",
    "reserved_peak": "max_memory_reserved",
}
PHASE = """\
@contextlib.contextmanager
def phase(self, name):
    print(f"--- {name}", flush=True)
    yield
"""
PHASE_CUDA = """\
@contextlib.contextmanager
def phase(self, name):
    print(f"--- {name}", flush=True)
    self.settle({before})
    yield
    self.settle({after}torch.cuda.empty_cache)
def settle(self, *calls):
    [call() for call in (torch.cuda.synchronize, *calls) if torch.cuda.is_initialized()]
"""
PEAKS = """\
def keep_peaks(self):
    for n in range(torch.cuda.device_count()):
        self.cuda.highest[n] = max(torch.cuda.max_memory_allocated(n), self.cuda.highest.get(n, 0))
        torch.cuda.reset_peak_memory_stats(n)
"""
RESETS = """\
def keep_peaks(self):
    for n in range(torch.cuda.device_count()):
        torch.cuda.reset_peak_memory_stats(n)
"""
METHODS = {
    "record": """\
def record(self, name, value):
    print(f"{name}: {value}")
""",
    "expect": """\
def expect(self, text, condition, detail="", *, about=""):
    print(f"{'holds' if condition else 'DOES NOT HOLD'}: {text} ({detail})")
    self.failed += [] if condition else [text]
    return bool(condition)
""",
    "simulated": """\
def simulated(self, what):
    print(f"simulated: {what}")
""",
    "not_applicable": """\
def not_applicable(self, text, reason=""):
    end(2, f"this does not apply here: {text}")
""",
    "has": """\
def has(self, requirement):
    wanted = Requirement(requirement)
    found = [each.version for each in metadata.distributions(name=wanted.name)]
    return any(wanted.specifier.contains(version, prereleases=True) for version in found)
""",
    "placement": """\
def placement(self, model, stage, keys=()):
    return placement(model, keys)
""",
}
DEVICE = """\
@property
def device(self):
    return "cuda:0" if torch.cuda.is_available() else "cpu"
"""
IMPORTS = {
    "phase": ("import contextlib",),
    "has": ("from importlib import metadata", "from packaging.requirements import Requirement"),
}


def standin(attributes: Collection[str], of_probe: Collection[str], device: str | None) -> tuple[list[str], list[str]]:
    """Return the lines of a class ``Probe``, and the imports it needs.

    Args:
        attributes: every attribute that the scenario uses on anything.
        of_probe: those it uses on ``probe``.
        device: ``cpu`` where the script hides every GPU, ``cuda:0`` where it insists on one, None for either.

    Raises:
        ConfigError: the scenario asks for something that only the harness's own probe has.
    """
    known = {"failed", "device", "cuda", "phase", *METHODS}
    if strange := sorted(set(of_probe) - known):
        raise ConfigError(f"the scenario uses probe.{strange[0]}, which a script has no stand-in for")
    gpu = device != "cpu"
    body = ["failed = []"]
    if device is not None:
        body.append(f'device = "{device}"')
    cuda = [name for name in CUDA if name in attributes and "cuda" in attributes]
    if "devices" in attributes and "cuda" in of_probe and gpu:
        raise ConfigError("the scenario uses probe.cuda.devices, which a script has no stand-in for")
    peaks = ""
    if gpu and "cuda" in of_probe and {"allocated_peak", "reserved_peak", "highest"} & set(attributes):
        peaks = PEAKS if "highest" in attributes else RESETS
    body += ["cuda = Cuda()"] if "cuda" in of_probe else []
    body += _phase(peaks) if gpu and "phase" in of_probe else []
    body += PHASE.splitlines() if "phase" in attributes and not gpu else []
    body += DEVICE.splitlines() if device is None and "device" in of_probe else []
    for name, text in METHODS.items():
        body += text.splitlines() if name in of_probe else []
    lines = _cuda(cuda, gpu=gpu, highest="highest" in attributes) if "cuda = Cuda()" in body else []
    lines += ["class Probe:", *(f"    {line}" for line in body)]
    needed = [line for name, found in IMPORTS.items() if name in of_probe for line in found]
    return lines, needed


def _phase(peaks: str) -> list[str]:
    """Return the phase of a script that may use a GPU: it settles and empties the cache, as the harness's own does.

    ``peaks`` is the method that begins peaks anew, where any are asked for.
    """
    before, after = ("self.keep_peaks", "self.keep_peaks, ") if peaks else ("torch.cuda.empty_cache", "")
    text = PHASE_CUDA.replace("{before}", before).replace("{after}", after)
    return (text + peaks).splitlines()


def _cuda(names: Collection[str], *, gpu: bool, highest: bool) -> list[str]:
    """Return the class of ``probe.cuda``: the allocator's figures, or zeros where no GPU is seen."""
    held = ["    highest = {}"] if highest or not names else []
    if not gpu:
        return ["class Cuda:", *(f"    {name} = 0" for name in names), *held]
    lines = ["class Cuda:", *held]
    for name in names:
        lines += ["    @property", f"    def {name}(self):", f"        {SUM.format(CUDA[name])}"]
    return lines
