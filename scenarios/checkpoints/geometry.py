"""Names and shapes of what a checkpoint holds, taken from the model class without storage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
import transformers
from shardfile import Weight

Shapes = dict[str, tuple[int, ...]]


def meta_model(folder: Path) -> torch.nn.Module:
    """Return the model that ``config.json`` describes, without storage and with its embeddings tied."""
    config = transformers.AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model: torch.nn.Module = getattr(transformers, config.architectures[0])(config)
    model.tie_weights()
    return model


def model_weights(definition: dict[str, Any], std: float, folder: Path) -> dict[str, Weight]:
    """Return published name → tensor of a model whose ``config.json`` lies in ``folder``.

    ``[fill]`` and ``[spread]`` are looked up by the builder's own name of a tensor.
    """
    fill, spread, rename, unfuse = (definition.get(table, {}) for table in ("fill", "spread", "rename", "unfuse"))
    found = {}
    for name, shape in model_shapes(meta_model(folder)).items():
        constant = first_match(fill, name)
        for key, part in unfused(name, shape, unfuse).items():
            found[published(key, rename)] = Weight(part, std * first_match(spread, name, 1.0), constant)
    return found


def model_shapes(model: torch.nn.Module) -> Shapes:
    """Return name → shape of everything a checkpoint holds: tied weights once, non-persistent buffers not at all."""
    stored = set(model.state_dict())
    named = [*model.named_parameters(), *model.named_buffers()]
    shapes = {name: tuple(tensor.shape) for name, tensor in named if name in stored}
    return {**shapes, **shared_key_value_shapes(model, shapes)}


def shared_key_value_shapes(model: torch.nn.Module, shapes: Shapes) -> Shapes:
    """Add the key and value weights of Gemma 4's sharing layers, shaped like those of the same layer type.

    The published file has them. transformers 5.5 reads them; later releases neither hold nor miss them, so the
    builder's own model lacks them.
    """
    text = model.config.get_text_config()
    shared = getattr(text, "num_kv_shared_layers", 0) or 0
    added: Shapes = {}
    for layer in range(text.num_hidden_layers - shared, text.num_hidden_layers if shared else 0):
        model_layer = text.layer_types.index(text.layer_types[layer])
        for part in ("k_proj", "v_proj", "k_norm"):
            name = "model.language_model.layers.{}.self_attn." + part + ".weight"
            added[name.format(layer)] = shapes[name.format(model_layer)]
    return added


def unfused(name: str, shape: tuple[int, ...], unfuse: dict[str, list[str]]) -> Shapes:
    """Return the published weights of a parameter that holds all experts, one of each kind an expert; else itself.

    Such a parameter has the shape experts × rows × columns; where it holds several weights, they share the rows.
    """
    for pattern, texts in unfuse.items():
        if re.search(pattern, name):
            experts, rows, columns = shape
            return {
                re.sub(pattern, text.format(expert), name): (rows // len(texts), columns)
                for expert in range(experts)
                for text in texts
            }
    return {name: shape}


def published(name: str, rename: dict[str, str]) -> str:
    """Return the name under which the published checkpoint stores a tensor."""
    for pattern, text in rename.items():
        if re.search(pattern, name):
            return re.sub(pattern, text, name, count=1)
    return name


def first_match(table: dict[str, float], name: str, default: float | None = None) -> Any:
    """Return the value of the first pattern that is found in the name."""
    return next((value for pattern, value in table.items() if re.search(pattern, name)), default)


def adapter_weights(definition: dict[str, Any], size: dict[str, Any], base: Path) -> dict[str, Weight]:
    """Return name → tensor of a LoRA adapter: A and B of each linear layer that ``inject`` matches in full."""
    rank, inject = size["r"], re.compile(definition["inject"])
    found = {}
    for name, module in meta_model(base).named_modules():
        if isinstance(module, torch.nn.Linear) and inject.fullmatch(name):
            for part, shape in (("lora_A", (rank, module.in_features)), ("lora_B", (module.out_features, rank))):
                found[f"base_model.model.{name}.{part}.weight"] = Weight(shape, size["std"])
    return found
