"""What a definition says: the JSON files of a checkpoint, and its layout without any weights."""

from __future__ import annotations

import json
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from geometry import adapter_weights, model_weights


def read(file: Path, size: str) -> dict[str, Any]:
    """Return a definition that has this size."""
    definition = tomllib.loads(file.read_text(encoding="utf-8"))
    if size not in definition:
        raise SystemExit(f"{file.name} has no [{size}] table")
    return definition


def model_config(definition: dict[str, Any], size: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a model's ``config.json``."""
    return {
        "architectures": [definition["architecture"]],
        "model_type": definition["model_type"],
        "torch_dtype": "bfloat16",  # the old name of the field: every release reads it
        **size["config"],
    }


def generation_config(size: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a model's ``generation_config.json``."""
    eos, bos = size["config"].get("eos_token_id", 1), size["config"].get("bos_token_id", 2)
    return {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": 0}


def adapter_config(definition: dict[str, Any], size: dict[str, Any]) -> dict[str, Any]:
    """Return the content of ``adapter_config.json``, with fields that every PEFT release reads."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": definition["base"],
        "inference_mode": True,
        "r": size["r"],
        "lora_alpha": size["lora_alpha"],
        "lora_dropout": size["lora_dropout"],
        "bias": "none",
        "target_modules": definition.get("target_modules", definition["inject"]),
    }


def layout(order: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint would hold, without drawing a weight.

    Args:
        order: ``definition``, ``size`` and, for an adapter, ``base``: the definition of its base.

    Returns:
        ``configs`` (file name → content) and ``tensors`` (name → shape, standard deviation, constant or None), all of
        them bfloat16.
    """
    file, size = Path(order["definition"]), order["size"]
    definition = read(file, size)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if definition["kind"] == "adapter":
            base = read(Path(order["base"]), size)
            write_json(folder / "config.json", model_config(base, base[size]))
            weights = adapter_weights(definition, definition[size], folder)
            configs = {"adapter_config.json": adapter_config(definition, definition[size])}
        else:
            config = model_config(definition, definition[size])
            write_json(folder / "config.json", config)
            weights = model_weights(definition, definition[size]["std"], folder)
            configs = {"config.json": config, "generation_config.json": generation_config(definition[size])}
    tensors = {name: [list(weight.shape), weight.std, weight.constant] for name, weight in weights.items()}
    return {"configs": configs, "tensors": tensors}


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON with sorted keys and a newline at its end, the same on every platform."""
    path.write_bytes((json.dumps(content, indent=2, sort_keys=True) + "\n").encode())
