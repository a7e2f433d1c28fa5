"""Write safetensors files of random weights block by block: a few megabytes in memory, and no half-written file.

The layout is that of https://github.com/huggingface/safetensors: eight bytes with the length of the header, the header
as JSON, then the tensors one after the other. A file is written under ``<name>.part`` by several threads at once,
synced to the disk and renamed; whoever finds it under its own name finds it whole.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

SEED = 20260
SHARD_BYTES = 4 * 2**30
BLOCK = 2**21  # elements that one thread draws at a time: 8 MiB in float32 and 4 MiB in bfloat16
PART = ".part"


@dataclass(frozen=True)
class Weight:
    """One bfloat16 tensor of a file: random around zero with the spread ``std``, or ``constant`` throughout."""

    shape: tuple[int, ...]
    std: float
    constant: float | None = None

    @property
    def count(self) -> int:
        """Return the number of its elements."""
        return torch.Size(self.shape).numel()

    @property
    def nbytes(self) -> int:
        """Return its size in the file."""
        return 2 * self.count


Weights = Mapping[str, Weight]


def split(weights: Weights, shard_bytes: int = SHARD_BYTES) -> list[dict[str, Weight]]:
    """Return the weights of each shard, in order: at most ``shard_bytes``, but at least one tensor."""
    shards: list[dict[str, Weight]] = [{}]
    size = 0
    for key, weight in weights.items():
        if shards[-1] and size + weight.nbytes > shard_bytes:
            shards.append({})
            size = 0
        shards[-1][key] = weight
        size += weight.nbytes
    return shards


def is_whole(path: Path, weights: Weights) -> bool:
    """Say whether the file holds exactly these tensors by name and shape, and all of their bytes."""
    head = header(weights)
    if not path.is_file() or path.stat().st_size != len(head) + sum(weight.nbytes for weight in weights.values()):
        return False
    with path.open("rb") as file:
        return file.read(len(head)) == head


def write(path: Path, weights: Weights, pool: ThreadPoolExecutor) -> None:
    """Write the bytes of one file under its temporary name; :func:`finish` gives it its own.

    Raises:
        OSError: the disk is full, or cannot be written.
    """
    head = header(weights)
    part = part_of(path)
    with part.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + sum(weight.nbytes for weight in weights.values()))
    for _ in pool.map(lambda job: _write_block(part, *job), list(_blocks(weights, len(head)))):
        pass


def finish(path: Path) -> None:
    """Sync the temporary file to the disk and give it its own name."""
    part = part_of(path)
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(path)


def part_of(path: Path) -> Path:
    """Return the name under which a file is written."""
    return path.with_name(path.name + PART)


def header(weights: Weights) -> bytes:
    """Return what stands before the tensors, a multiple of eight bytes long."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for key, weight in weights.items():
        end = offset + weight.nbytes
        entries[key] = {"dtype": "BF16", "shape": list(weight.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def draw(key: str, weight: Weight, index: int, count: int) -> torch.Tensor:
    """Return ``count`` elements of a tensor, its block number ``index``: the same for the same name and number."""
    if weight.constant is not None:
        return torch.full((count,), weight.constant, dtype=torch.bfloat16)
    generator = torch.Generator().manual_seed(zlib.crc32(f"{SEED} {key} {index}".encode()))
    return torch.empty(count).normal_(0.0, weight.std, generator=generator).to(torch.bfloat16)


def _blocks(weights: Weights, offset: int) -> Iterator[tuple[int, str, Weight, int, int]]:
    """Yield place in the file, name, tensor, number and element count of every block."""
    for key, weight in weights.items():
        for index, start in enumerate(range(0, weight.count, BLOCK)):
            count = min(BLOCK, weight.count - start)
            yield offset, key, weight, index, count
            offset += 2 * count


def _write_block(part: Path, offset: int, key: str, weight: Weight, index: int, count: int) -> None:
    content = draw(key, weight, index, count).view(torch.uint8).numpy()
    with part.open("rb+") as file:
        file.seek(offset)
        file.write(memoryview(content))


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder to the disk, where the system can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def files_of(shards: Sequence[Weights], stem: str = "model") -> list[str]:
    """Return the file name of each shard, as the hub's checkpoints spell it."""
    if len(shards) == 1:
        return [f"{stem}.safetensors"]
    return [f"{stem}-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
