"""A second device on a host without CUDA: ``cpu:0`` beside ``cpu``, so that splits take accelerate's real code paths.

accelerate and transformers compare device *names*: to their planner and hooks ``cpu:0`` is a main device, ``cpu`` the
place to offload to. Offloaded weights really become meta placeholders and really come back at each forward. torch knows
only one CPU, so four places that would notice are directed: moves to ``cpu:0``, the safetensors reader, the planner's
question how much memory device 0 has, and its answer 0. Nothing is patched where there is a GPU. What is patched stays
so: an attempt has its process to itself. Every user is labelled through ``probe.simulated``.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch

MAIN = "cpu:0"
PATCHED_PACKAGES = ("accelerate", "peft", "transformers")
ROOM = 8 * 2**30  # bytes that the simulated device 0, and the CPU beside it, claim to have when nobody limits them

Device = int | str | torch.device


def main_device(probe: Any) -> int | str:
    """Return the device that stands for "GPU 0" in a device map: 0 on CUDA, else ``cpu:0``, simulated and labelled."""
    if probe.device.startswith("cuda"):
        return 0
    probe.simulated("a second device: cpu:0 beside cpu, both this host's memory")
    _direct_moves()
    _direct_safetensors()
    _simulate_planner()
    return MAIN


def torch_device(device: Device) -> Device:
    """Return what torch can use: the simulated device is the CPU, everything else is itself."""
    return "cpu" if not isinstance(device, int) and str(device) == MAIN else device


def _direct_moves() -> None:
    from accelerate.utils import modeling

    real = modeling.set_module_tensor_to_device

    @functools.wraps(real)
    def set_module_tensor_to_device(module: Any, tensor_name: str, device: Device, *rest: Any, **keywords: Any) -> Any:
        return real(module, tensor_name, torch_device(device), *rest, **keywords)

    _replace_everywhere(real, set_module_tensor_to_device)


def _direct_safetensors() -> None:
    from transformers import modeling_utils

    real = modeling_utils.safe_open

    def safe_open(*arguments: Any, device: Device = "cpu", **keywords: Any) -> Any:
        return real(*arguments, device=torch_device(device), **keywords)

    modeling_utils.safe_open = safe_open


def _simulate_planner() -> None:
    """Give every copy of accelerate's planner (transformers 5 has its own) a device 0, and call that ``cpu:0``."""
    import peft.peft_model  # noqa: F401  # it holds names of the planner too: load it before they are replaced
    from accelerate.utils import modeling

    convert_limits = modeling.get_max_memory  # turns "1GiB" into bytes, in the caller's mapping too

    def get_balanced_memory(model: Any, max_memory: Any = None, *rest: Any, **keywords: Any) -> Any:
        return {0: ROOM, "cpu": ROOM} if max_memory is None else convert_limits(max_memory)

    for function in _functions_named("get_balanced_memory"):
        _replace_everywhere(function, get_balanced_memory)
    for function in _functions_named("infer_auto_device_map"):
        _replace_everywhere(function, _naming_device_0(function))


def _naming_device_0(infer: Callable[..., Mapping[str, Device]]) -> Callable[..., Mapping[str, Device]]:
    @functools.wraps(infer)
    def infer_auto_device_map(*arguments: Any, **keywords: Any) -> Mapping[str, Device]:
        planned = infer(*arguments, **keywords)
        return type(planned)((name, MAIN if device == 0 else device) for name, device in planned.items())

    return infer_auto_device_map


def _functions_named(name: str) -> list[Callable[..., Any]]:
    found = (vars(module).get(name) for module in _patched_modules())
    return list({id(function): function for function in found if function is not None}.values())


def _replace_everywhere(old: Callable[..., Any], new: Callable[..., Any]) -> None:
    for module in _patched_modules():
        for name in [name for name, value in vars(module).items() if value is old]:
            setattr(module, name, new)


def _patched_modules() -> list[Any]:
    return [
        module
        for name, module in list(sys.modules.items())
        if module is not None and name.partition(".")[0] in PATCHED_PACKAGES
    ]
