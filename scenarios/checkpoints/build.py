"""Write one checkpoint or adapter of random weights: ``python build.py --definition X.toml --size tiny --out DIR``.

Run by the interpreter of ``builder.txt``, never by a release under test. A definition (``<name>.toml``, beside this
file) says ``kind = "model"`` or ``"adapter"``:

- a model names ``model_type`` and ``architecture``; ``[tiny.config]`` and ``[full.config]`` become ``config.json`` word
  for word, so that no release's defaults leak into it; ``std`` is the spread of the random weights; ``[fill]`` lists
  the tensors that are constant, ``[spread]`` those whose ``std`` is multiplied, ``[rename]`` the names that the
  published checkpoint spells differently;
- an adapter names its ``base`` (pass the built base with ``--base``), ``inject`` (a regex over full module paths: where
  the LoRA weights sit) and ``target_modules`` (what ``adapter_config.json`` says, if that differs).

Shapes come from the model class on the meta device; every tensor has a random generator of its own, seeded by its name.
So the bytes depend on nothing but the definition, and a full-size model never lies in memory as a whole.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

SEED = 20260
SHARD_BYTES = 4 * 2**30
THREADS = 8  # generators release the lock; the bytes do not depend on their number

Shapes = dict[str, tuple[int, ...]]


def main() -> None:
    """Write one folder, or all folders of a plan: the imports cost more than a tiny model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--definition", type=Path)
    parser.add_argument("--size", choices=["tiny", "full"], default="tiny")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--base", type=Path, help="the built base checkpoint of an adapter")
    parser.add_argument("--plan", type=Path, help="a JSON list of {definition, size, out, base}, built in order")
    arguments = parser.parse_args()
    if arguments.plan is not None:
        orders = json.loads(arguments.plan.read_text(encoding="utf-8"))
    elif arguments.definition is None or arguments.out is None:
        parser.error("--definition and --out, or --plan, are needed")
    else:
        orders = [{name: getattr(arguments, name) for name in ("definition", "size", "out", "base")}]
    for order in orders:
        base = None if order["base"] is None else Path(order["base"])
        build(Path(order["definition"]), order["size"], Path(order["out"]), base)


def build(file: Path, size: str, out: Path, base: Path | None) -> None:
    """Write the folder of one definition."""
    definition = tomllib.loads(file.read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    if size not in definition:
        raise SystemExit(f"{file.name} has no [{size}] table")
    if definition["kind"] == "model":
        build_model(definition, definition[size], out)
    elif base is None:
        raise SystemExit(f"{file.name} is an adapter: --base must name its built base, {definition['base']}")
    else:
        build_adapter(definition, definition[size], base, out)
    print(f"built {file.stem} ({size})", flush=True)


# --- models --------------------------------------------------------------------------------------------------------


def build_model(definition: dict[str, Any], size: dict[str, Any], out: Path) -> None:
    """Write ``config.json``, ``generation_config.json`` and the weights of a model."""
    config = {
        "architectures": [definition["architecture"]],
        "model_type": definition["model_type"],
        "torch_dtype": "bfloat16",  # the old name of the field: every release reads it
        **size["config"],
    }
    write_json(out / "config.json", config)
    eos, bos = config.get("eos_token_id", 1), config.get("bos_token_id", 2)
    write_json(out / "generation_config.json", {"bos_token_id": bos, "eos_token_id": eos, "pad_token_id": 0})
    shapes = model_shapes(meta_model(out))
    fill, spread, rename = (definition.get(table, {}) for table in ("fill", "spread", "rename"))
    tensors = {
        key: (name, part)
        for name, shape in shapes.items()
        for key, part in unfused(name, shape, definition.get("unfuse", {})).items()
    }
    tensors = {published(key, rename): found for key, found in tensors.items()}

    def make(name: str, shape: tuple[int, ...]) -> torch.Tensor:
        constant = first_match(fill, name)
        return (
            draw(name, shape, size["std"] * first_match(spread, name, 1.0))
            if constant is None
            else full(shape, constant)
        )

    write_shards(out, tensors, make)


def meta_model(folder: Path) -> torch.nn.Module:
    """Return the model that ``config.json`` describes, without storage and with its embeddings tied."""
    config = transformers.AutoConfig.from_pretrained(folder)
    with torch.device("meta"):
        model: torch.nn.Module = getattr(transformers, config.architectures[0])(config)
    model.tie_weights()
    return model


def model_shapes(model: torch.nn.Module) -> Shapes:
    """Return name → shape of everything a checkpoint holds: tied weights once, non-persistent buffers not at all."""
    stored = set(model.state_dict())
    named = [*model.named_parameters(), *model.named_buffers()]
    shapes = {name: tuple(tensor.shape) for name, tensor in named if name in stored}
    return {**shapes, **shared_key_value_shapes(model, shapes)}


def shared_key_value_shapes(model: torch.nn.Module, shapes: Shapes) -> Shapes:
    """Add the key and value weights of Gemma 4's sharing layers, shaped like those of the same layer type.

    transformers 5.5 reads them; later releases neither hold nor miss them, so the builder's own model lacks them.
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


def published(name: str, rename: dict[str, str]) -> str:
    """Return the name under which the published checkpoint stores a tensor."""
    for pattern, text in rename.items():
        if re.search(pattern, name):
            return re.sub(pattern, text, name, count=1)
    return name


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


def first_match(table: dict[str, float], name: str, default: float | None = None) -> Any:
    """Return the value of the first pattern that is found in the name."""
    return next((value for pattern, value in table.items() if re.search(pattern, name)), default)


# --- adapters ------------------------------------------------------------------------------------------------------


def build_adapter(definition: dict[str, Any], size: dict[str, Any], base: Path, out: Path) -> None:
    """Write a LoRA adapter with non-zero A and B for every linear layer of ``base`` that ``inject`` matches in full."""
    rank, inject = size["r"], re.compile(definition["inject"])
    tensors: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, module in meta_model(base).named_modules():
        if isinstance(module, torch.nn.Linear) and inject.fullmatch(name):
            for part, shape in (("lora_A", (rank, module.in_features)), ("lora_B", (module.out_features, rank))):
                key = f"base_model.model.{name}.{part}.weight"
                tensors[key] = (key, shape)
    if not tensors:
        raise SystemExit(f"inject = {definition['inject']!r} matches no linear layer of {definition['base']}")
    write_json(out / "adapter_config.json", adapter_config(definition, size))
    save_file(
        {key: draw(name, shape, size["std"]) for key, (name, shape) in tensors.items()},
        out / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )


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


# --- tensors and files ---------------------------------------------------------------------------------------------


def full(shape: tuple[int, ...], value: float) -> torch.Tensor:
    """Return a constant bfloat16 tensor."""
    return torch.full(shape, value, dtype=torch.bfloat16)


def draw(name: str, shape: tuple[int, ...], std: float) -> torch.Tensor:
    """Return the bfloat16 tensor of that name: normal values around zero, the same for the same name."""
    generator = torch.Generator().manual_seed(SEED ^ zlib.crc32(name.encode()))
    return torch.empty(shape).normal_(0.0, std, generator=generator).to(torch.bfloat16)


def write_shards(out: Path, tensors: dict[str, tuple[str, tuple[int, ...]]], make: Any) -> None:
    """Write safetensors files of at most ``SHARD_BYTES``, and their index where there are several."""
    shards = list(split(tensors))
    index: dict[str, str] = {}
    total = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for number, keys in enumerate(shards, start=1):
            one = len(shards) == 1
            file = "model.safetensors" if one else f"model-{number:05}-of-{len(shards):05}.safetensors"
            content = dict(zip(keys, pool.map(lambda key: make(*tensors[key]), keys), strict=True))
            save_file(content, out / file, metadata={"format": "pt"})
            index.update(dict.fromkeys(keys, file))
            total += sum(tensor.nbytes for tensor in content.values())
    if len(shards) > 1:
        write_json(out / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": index})


def split(tensors: dict[str, tuple[str, tuple[int, ...]]]) -> Iterator[list[str]]:
    """Yield the keys of each shard, in order."""
    keys: list[str] = []
    size = 0
    for key, (_, shape) in tensors.items():
        nbytes = 2 * torch.Size(shape).numel()
        if keys and size + nbytes > SHARD_BYTES:
            yield keys
            keys, size = [], 0
        keys.append(key)
        size += nbytes
    yield keys


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON with sorted keys and a newline at its end, the same on every platform."""
    path.write_bytes((json.dumps(content, indent=2, sort_keys=True) + "\n").encode())


if __name__ == "__main__":
    main()
