"""Write one checkpoint or adapter of random weights: ``python build.py --definition X.toml --size tiny --out DIR``.

Run by the interpreter of ``builder.txt``, or by one that you name, never by a release under test. A definition
(``<name>.toml``, beside this file) says ``kind = "model"`` or ``"adapter"``:

- a model names ``model_type`` and ``architecture``; ``[tiny.config]`` and ``[full.config]`` become ``config.json`` word
  for word, so that no release's defaults leak into it; ``std`` is the spread of the random weights; ``[fill]`` lists
  the tensors that are constant, ``[spread]`` those whose ``std`` is multiplied, ``[unfuse]`` the parameters that hold
  all experts, ``[rename]`` the names that the published checkpoint spells differently; ``bytes``, where it is given,
  is what the weights take, and is checked;
- an adapter names its ``base`` (pass the built base with ``--base``), ``inject`` (a regex over full module paths: where
  the LoRA weights sit) and ``target_modules`` (what ``adapter_config.json`` says, if that differs).

Shapes come from the model class on the meta device; every block of a tensor has a random generator of its own, seeded
by the tensor's published name. So the bytes depend on nothing but the definition and on how this torch draws, and a
model never lies in memory as a whole. Everything is written into ``building-<DIR>`` beside DIR, which gets its name at
the end: an interrupted build goes on with the shards that are whole.

``--layout FILE`` writes no weights, but what they would be: see :func:`configuration.layout`. There ``--base``
(``base`` in a plan) is the definition of an adapter's base, not its folder.
"""

from __future__ import annotations

import argparse
import errno
import hashlib
import json
import os
import platform
import shutil
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import torch
from configuration import adapter_config, generation_config, layout, model_config, read, write_json
from geometry import adapter_weights, model_weights
from shardfile import PART, SHARD_BYTES, Weights, files_of, finish, is_whole, split, sync_folder, write

RECORD = "builder.json"
PACKAGES = ("torch", "transformers", "safetensors")
GIB, MB = 2**30, 10**6
THREADS = 32  # at most: each holds a block


def main() -> None:
    """Write one folder, or all folders of a plan: the imports cost more than a tiny model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--definition", type=Path)
    parser.add_argument("--size", choices=["tiny", "full"], default="tiny")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--base", type=Path, help="the built base checkpoint of an adapter")
    parser.add_argument("--plan", type=Path, help="a JSON list of {definition, size, out, base}, built in order")
    parser.add_argument("--shard-bytes", type=int, default=SHARD_BYTES, help="the most that one file holds (4 GiB)")
    parser.add_argument("--layout", type=Path, metavar="FILE", help="write only this JSON of configs, names and shapes")
    arguments = parser.parse_args()
    if arguments.plan is not None:
        orders = json.loads(arguments.plan.read_text(encoding="utf-8"))
    elif arguments.definition is None or (arguments.out is None and arguments.layout is None):
        parser.error("--definition and --out, or --plan, are needed")
    else:
        orders = [{name: getattr(arguments, name) for name in ("definition", "size", "out", "base")}]
    if arguments.layout is not None:
        write_json(arguments.layout, {Path(order["definition"]).stem: layout(order) for order in orders})
        return
    torch.set_num_threads(1)  # the threads are here, one a block
    try:
        for order in orders:
            base = None if order["base"] is None else Path(order["base"])
            build(Path(order["definition"]), order["size"], Path(order["out"]), base, arguments.shard_bytes)
    except KeyboardInterrupt:
        sys.exit("interrupted: the shards that are whole are kept, and the same command goes on with them")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        sys.exit("the disk is full: the shards that are whole are kept, and the same command goes on with them")


def build(file: Path, size: str, out: Path, base: Path | None, shard_bytes: int = SHARD_BYTES) -> None:
    """Write the folder of one definition, or go on with it."""
    definition = read(file, size)
    if definition["kind"] == "adapter" and base is None:
        raise SystemExit(f"{file.name} is an adapter: --base must name its built base, {definition['base']}")
    scratch = open_scratch(out, record(file, size))
    if base is None:
        write_json(scratch / "config.json", model_config(definition, definition[size]))
        write_json(scratch / "generation_config.json", generation_config(definition[size]))
        weights = model_weights(definition, definition[size]["std"], scratch)
    else:
        weights = adapter_weights(definition, definition[size], base)
        if not weights:
            raise SystemExit(f"inject = {definition['inject']!r} matches no linear layer of {definition['base']}")
        write_json(scratch / "adapter_config.json", adapter_config(definition, definition[size]))
    total = size_of(weights)
    stated = definition[size].get("bytes", total)
    if stated != total:
        raise SystemExit(f"{file.name} says bytes = {stated} in [{size}], but the weights take {total}")
    shards = split(weights, shard_bytes)
    files = files_of(shards, "model" if base is None else "adapter_model")
    write_shards(scratch, dict(zip(files, shards, strict=True)), file.stem)
    if len(shards) > 1:
        index = {key: name for name, shard in zip(files, shards, strict=True) for key in shard}
        write_json(scratch / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": index})
    sync_folder(scratch)
    scratch.rename(out)
    say(file.stem, f"built ({size}, {human(total)})")


def open_scratch(out: Path, made_by: dict[str, str]) -> Path:
    """Return the folder to build in: what an earlier build left there is kept if the same builder made it."""
    scratch = out.with_name(f"building-{out.name}")
    if out.exists():  # half removed, or never marked as used: what is whole in it is taken over
        shutil.rmtree(scratch, ignore_errors=True)
        out.rename(scratch)
    path = scratch / RECORD
    if scratch.exists() and (not path.exists() or json.loads(path.read_text(encoding="utf-8")) != made_by):
        shutil.rmtree(scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    write_json(path, made_by)
    return scratch


def record(file: Path, size: str) -> dict[str, str]:
    """Return what made a folder: versions of the builder, and a hash over the definition and these programs."""
    digest = hashlib.sha256()
    for path in (file, *sorted(Path(__file__).parent.glob("*.py"))):
        digest.update(path.read_bytes() + b"\0")
    made_by = {name: version(name) for name in PACKAGES}
    return {**made_by, "python": platform.python_version(), "definition": digest.hexdigest(), "size": size}


# --- files ---------------------------------------------------------------------------------------------------------


def write_shards(out: Path, shards: dict[str, Weights], name: str) -> None:
    """Write the files that are not there yet; one is synced to the disk while the next one is drawn."""
    total = sum(map(size_of, shards.values()))
    kept = {file for file, weights in shards.items() if is_whole(out / file, weights)}
    remove_strangers(out, {*shards})
    check_space(out, name, sum(size_of(weights) for file, weights in shards.items() if file not in kept), total)
    written = 0
    syncing: Future[None] | None = None
    with ThreadPoolExecutor(min(os.cpu_count() or 1, THREADS)) as pool, ThreadPoolExecutor(1) as disk:
        for number, (file, weights) in enumerate(shards.items(), start=1):
            if file not in kept:
                write(out / file, weights, pool)
                if syncing is not None:
                    syncing.result()
                syncing = disk.submit(finish, out / file)
            written += size_of(weights)
            if len(shards) > 1:
                how = " (kept)" if file in kept else ""
                say(name, f"shard {number} of {len(shards)}, {written / GIB:.1f} of {total / GIB:.1f} GiB{how}")
        if syncing is not None:
            syncing.result()


def remove_strangers(out: Path, files: set[str]) -> None:
    """Remove weights of other names, and what was being written when a build stopped."""
    for path in out.iterdir():
        if path.suffix == PART or (path.suffix == ".safetensors" and path.name not in files):
            path.unlink()


def check_space(out: Path, name: str, needed: int, total: int) -> None:
    """State the size, and stop when the disk has no room for what is still to be written."""
    free = shutil.disk_usage(out).free
    if needed > free:
        raise SystemExit(f"{name} needs {human(needed)} more and the disk of {out.parent} has {human(free)} free")
    kept = "" if needed == total else f", {human(total - needed)} of it there already"
    say(name, f"{human(total)}{kept}, {human(free)} free")


def size_of(weights: Weights) -> int:
    """Return the bytes of some tensors."""
    return sum(weight.nbytes for weight in weights.values())


def human(size: int) -> str:
    """Write bytes for a person: ``7.0 MB``, ``14.2 GiB``."""
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MB:.1f} MB"


def say(name: str, text: str) -> None:
    """Say one line of progress, to be read as it comes."""
    print(f"{name}: {text}", flush=True)


if __name__ == "__main__":
    main()
