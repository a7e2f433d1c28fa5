"""The part of a script that writes its checkpoints: their files, and the program that draws the weights."""

from __future__ import annotations

import base64
import json
import lzma
import math
from collections.abc import Mapping
from typing import Any

from harness.report.repro.lines import WIDTH, source
from harness.report.repro.literals import assignment
from harness.report.repro.tensors import groups, table

EXPAND = '''\
def expand(pattern):
    """Return the names that braces stand for: {a,b} and {0..3}."""
    head, brace, rest = pattern.partition("{")
    inside, _, tail = rest.partition("}")
    ends = [part.partition("..") for part in inside.split(",")]
    parts = [str(n) for a, _, b in ends if b for n in range(int(a), int(b) + 1)] + [a for a, _, b in ends if not b]
    return [head + part + end for part in parts for end in expand(tail)] if brace else [pattern]

def tensors(layout, std):
    """Yield name, shape, standard deviation and constant of every tensor that a layout stands for."""
    start = ""
    for word in layout.split():
        name, colon, form = word.partition(":")
        if not colon:
            start = word.strip("/")
            continue
        sizes, equals, constant = form.partition("=")
        sizes, _, other = sizes.partition("~")
        how = float(other or std), float(constant) if equals else None
        shape = [int(n) for n in sizes.split("x") if n]
        for key in expand(start + name):
'''
NAMED = """\
            yield key[:-1] if key.endswith("!") else f"{key}.weight", shape, *how
"""
NAMED_LORA = """\
            lora = [(f"{key}_A.weight", shape[1:], *how), (f"{key}_B.weight", shape[:2], *how)]
            one = [(key[:-1] if key.endswith("!") else f"{key}.weight", shape, *how)]
            yield from lora if key.endswith(".lora") else one
"""
DRAW_SMALL = '''\
def draw(name, shape, std, constant):
    """Return one bfloat16 tensor."""
    seed = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    drawn = torch.empty(shape).normal_(0, std, generator=seed) if constant is None else torch.full(shape, constant)
    return drawn.bfloat16()
'''
DRAW = '''\
def draw(name, shape, std, constant):
    """Return one bfloat16 tensor; a block of odd length fills what is larger, so that no two rows are the same."""
    count, block = math.prod(shape), min(math.prod(shape), 4_000_037)
    seed = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    drawn = torch.empty(block).normal_(0, std, generator=seed) if constant is None else torch.full((block,), constant)
    return drawn.bfloat16().repeat(-(-count // block))[:count].view(shape)
'''
WRITE_ONE = '''\
def write_checkpoint(folder, files, tensors):
    """Write the JSON files and the weights."""
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content, indent=2, sort_keys=True) + "\\n")
    file = "adapter_model.safetensors" if "adapter_config.json" in files else "model.safetensors"
    save_file({name: draw(name, *how) for name, *how in tensors}, folder / file, {"format": "pt"})
'''
WRITE = '''\
def write_checkpoint(folder, files, tensors):
    """Write the JSON files, and the weights in safetensors files of at most 4 GiB."""
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_text(json.dumps(content, indent=2, sort_keys=True) + "\\n")
    shards, size, total, index = [[]], 0, 0, {}
    for tensor in tensors:
        took = 2 * math.prod(tensor[1])
        shards, size = (shards, size) if not shards[-1] or size + took <= 4 * 2**30 else ([*shards, []], 0)
        size, total = size + took, total + took
        shards[-1].append(tensor)
    stem = "adapter_model" if "adapter_config.json" in files else "model"
    for number, shard in enumerate(shards, 1):
        file = f"{stem}-{number:05}-of-{len(shards):05}.safetensors" if shards[1:] else f"{stem}.safetensors"
        save_file({name: draw(name, *how) for name, *how in shard}, folder / file, {"format": "pt"})
        index |= {name: file for name, *_ in shard}
    if shards[1:]:
        content = json.dumps({"metadata": {"total_size": total}, "weight_map": index}, indent=2)
        (folder / f"{stem}.safetensors.index.json").write_text(content)
'''
SMALL = 2**22  # elements of a tensor that is drawn in one go
SHARD = 4 * 2**30
UNPACK = '''\
def unpack(text):
    """Return name → JSON files, and name, shape, standard deviation and constant of every weight."""
    held = json.loads(lzma.decompress(base64.b85decode("".join(text.split()))))
    return {
        name: (files, [(".".join(key), *how) for parts, *how in groups for key in itertools.product(*parts)])
        for name, (files, groups) in held.items()
    }
'''
PACKED_COMMENT = (
    "# JSON files, and names, shapes and spreads of random weights: packed, unpack(CHECKPOINTS) shows them."
)
PACKED_IMPORTS = ("import base64", "import itertools", "import lzma")
IMPORTS = ("import json", "import math", "import zlib", "import torch", "from safetensors.torch import save_file")
COMMENT = (
    "# Random weights: names, shapes and spreads are those of the run, the bytes are not. A word without a colon",
    "# begins the names behind it; {a,b} and {0..3} are alternatives; names end with .weight or at !; =1: a constant.",
)


def program(layouts: Mapping[str, Mapping[str, Any]], *, packed: bool) -> list[str]:
    """Return the functions that write checkpoints of these layouts, and nothing for what none of them has."""
    counts = [[math.prod(shape) for shape, *_ in each["tensors"].values()] for each in layouts.values()]
    lora = any("adapter_config.json" in each["configs"] for each in layouts.values())
    parts = (
        UNPACK if packed else EXPAND + (NAMED_LORA if lora else NAMED),
        DRAW_SMALL if max(map(max, counts)) <= SMALL else DRAW,
        WRITE_ONE if max(map(sum, counts)) * 2 <= SHARD else WRITE,
    )
    return "\n".join(parts).splitlines()


def checkpoints(layouts: Mapping[str, Mapping[str, Any]], *, packed: bool) -> tuple[list[str], list[str]]:
    """Return the lines that hold each checkpoint's files and layout, and those of ``main`` that write them.

    Args:
        layouts: name → what :meth:`harness.session.checkpoints.CheckpointStore.layouts` returns.
        packed: compress them, where there is no room for them as they are.
    """
    if packed:
        calls = ["for name, (files, weights) in unpack(CHECKPOINTS).items():"]
        return _packed(layouts), [*calls, "    write_checkpoint(WORK / name, files, weights)"]
    held, calls = list(COMMENT), []
    for number, (name, layout) in enumerate(layouts.items(), start=1):
        suffix = "" if len(layouts) == 1 else f"_{number}"
        words = table(layout["tensors"])
        held += source([assignment(f"FILES{suffix}", layout["configs"])])
        held += [f'LAYOUT{suffix} = """', *words.lines, '"""']
        calls.append(f'write_checkpoint(WORK / "{name}", FILES{suffix}, tensors(LAYOUT{suffix}, {words.std!r}))')
    return held, calls


def _packed(layouts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Write files and groups of tensors as LZMA in base 85."""
    content = {
        name: [layout["configs"], [[pattern, *how] for pattern, how in groups(layout["tensors"])]]
        for name, layout in layouts.items()
    }
    text = json.dumps(content, separators=(",", ":"))
    code = base64.b85encode(lzma.compress(text.encode(), lzma.FORMAT_ALONE, preset=9 | lzma.PRESET_EXTREME)).decode()
    text = f'CHECKPOINTS = """{code}"""'
    return [PACKED_COMMENT, *(text[place : place + WIDTH] for place in range(0, len(text), WIDTH))]
