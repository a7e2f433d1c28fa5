"""The placement of a model: bytes by device and dtype, largest parameters, device map, hooks on its modules.

Uses the methods of ``torch.nn.Module`` only, so that nothing has to be imported here. Bytes are those of a tensor's
elements; tensors on ``meta`` are offloaded and take none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

HOOK = "_hf_hook"  # the attribute in which accelerate stores the hook of a module
LARGEST = 5


def placement(model: Any, keys: Iterable[str] = ()) -> dict[str, Any]:
    """Describe the placement of a ``torch.nn.Module``.

    Args:
        model: the module.
        keys: names passed by the user (keys of a device map, a skip list), to be matched with its modules.

    Returns:
        ``bytes`` (device → dtype → bytes of parameters and buffers, tied ones once), ``largest`` (the five largest
        parameters with dtype, device, bytes), ``hf_device_map`` of the model (None without one),
        ``keys_without_module`` (keys of ``keys`` and of the map that match no module), ``hooks`` (class → count).
    """
    named = dict(model.named_modules())
    found = getattr(model, "hf_device_map", None)
    mapped = {str(key): str(device) for key, device in found.items()} if isinstance(found, Mapping) else None
    wanted = dict.fromkeys([*keys, *(mapped or {})])
    parameters = {name for name, _ in model.named_parameters()}
    return {
        "bytes": histogram(model),
        "largest": largest_parameters(model),
        "hf_device_map": mapped if mapped is not None or found is None else str(found),
        "keys_without_module": [key for key in wanted if key and key not in named and key not in parameters],
        "hooks": dict(Counter(name for module in named.values() for name in _hooks(getattr(module, HOOK, None)))),
    }


def histogram(model: Any) -> dict[str, dict[str, int]]:
    """Return device → dtype → bytes of all parameters and buffers, tied ones counted once."""
    total: dict[str, Counter[str]] = {}
    for _, tensor in [*model.named_parameters(), *model.named_buffers()]:
        row = total.setdefault(str(tensor.device), Counter())
        row[str(tensor.dtype).removeprefix("torch.")] += tensor.numel() * tensor.element_size()
    return {device: dict(row.most_common()) for device, row in sorted(total.items())}


def largest_parameters(model: Any, count: int = LARGEST) -> list[dict[str, Any]]:
    """Return name, dtype, device and bytes of the largest parameters."""
    rows = [
        {
            "name": name,
            "dtype": str(tensor.dtype).removeprefix("torch."),
            "device": str(tensor.device),
            "bytes": tensor.numel() * tensor.element_size(),
        }
        for name, tensor in model.named_parameters()
    ]
    return sorted(rows, key=lambda row: (-row["bytes"], row["name"]))[:count]


def _hooks(hook: Any) -> list[str]:
    """Return the class of a hook, or the classes of a sequence of hooks."""
    if hook is None:
        return []
    members = getattr(hook, "hooks", None)
    return [name for each in members for name in _hooks(each)] if members is not None else [type(hook).__name__]
