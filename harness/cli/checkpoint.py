"""``harness checkpoint``: which checkpoints there are, and build some before a run needs them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.cli.arguments import add_actions, add_json
from harness.cli.progress import open_screen
from harness.envs.cache_dir import CacheDir
from harness.envs.usage_locks import UsageLocks
from harness.errors import ConfigError, ExitCode
from harness.matrix.paths import short_path
from harness.session.checkpoint_builder import VARIABLE, builder_python, named_python
from harness.session.checkpoints import (
    SIZES,
    CheckpointCopy,
    CheckpointStore,
    StoredCheckpoint,
    bytes_to_write,
    checkpoint_copies,
    format_bytes,
    free_bytes,
    open_store,
)

ACTIONS = {
    "list": "list all definitions, their sizes and what is built",
    "build": "build checkpoints, or resume an interrupted build",
}


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the actions of the verb and their arguments."""
    listing, building = add_actions(verb, ACTIONS)
    listing.set_defaults(verb=show)
    building.add_argument("names", nargs="*", metavar="NAME", help="checkpoints to build; an adapter includes its base")
    building.add_argument("--all", action="store_true", help="build every checkpoint that has this size")
    building.add_argument(
        "--size", choices=SIZES, default="tiny", help="tiny, or full for the real shape (default: tiny)"
    )
    building.add_argument(
        "--python",
        metavar="PATH",
        help="interpreter to build with; needs torch, transformers and safetensors "
        f"(default: ${VARIABLE}, else the pinned environment)",
    )
    building.set_defaults(verb=build)
    for action in (listing, building):
        action.add_argument(
            "--scenarios",
            action="append",
            default=[],
            type=Path,
            metavar="FILE",
            help="also use the definitions in checkpoints/ next to this file (repeatable)",
        )
        add_json(action)


def show(options: argparse.Namespace) -> ExitCode:
    """Print the definitions and their copies."""
    stores = [_store(options, size) for size in SIZES]
    found = checkpoint_copies(stores)
    if options.json:
        print(json.dumps([_row(entry) for entry in found], indent=1))
        return ExitCode.COMPLETE
    table = Table("name", "kind", *SIZES, "hub or base", box=None)
    for entry in found:
        one = entry.definition
        source = one.hub or (f"on {one.base}" if one.base else "")
        table.add_row(one.name, one.kind, *(_cell(copy) for copy in entry.copies), source)

    console = Console()
    console.print(table, highlight=False)
    where = f"✔ built, in {short_path(stores[0].root)}; without ✔: the size when built"
    console.print(where, highlight=False, soft_wrap=True)
    return ExitCode.COMPLETE


def _cell(copy: CheckpointCopy) -> str:
    size = "–" if copy.bytes is None else format_bytes(copy.bytes)
    return f"✔ {size}" if copy.built else f"  {size}"


def _row(entry: StoredCheckpoint) -> dict[str, Any]:
    one = entry.definition
    sizes = {
        copy.size: {
            "built": copy.built,
            "bytes": copy.bytes,
            "folder": str(copy.folder),
            "builder": dict(copy.builder),
        }
        for copy in entry.copies
    }
    return {
        "name": one.name,
        "kind": one.kind,
        "base": one.base,
        "hub": one.hub,
        "definition": str(one.file),
        "sizes": sizes,
    }


def build(options: argparse.Namespace) -> ExitCode:
    """Build missing checkpoints; print the needed space before, and the progress."""
    cache_dir, store = CacheDir.of_user(), _store(options, options.size)
    names = sorted(store.definitions) if options.all else list(dict.fromkeys(options.names))
    if not names or (options.all and options.names):
        raise ConfigError("give the names of checkpoints, or --all (harness checkpoint list shows them)")
    _, echo = open_screen(errors=options.json)
    missing, log = store.missing(names), cache_dir.root / "checkpoints.log"
    needed = bytes_to_write(store, names)
    if missing:
        stated = f", {format_bytes(needed)}" if needed else ""
        free = format_bytes(free_bytes(store.root))
        echo(f"to build ({store.size}): {', '.join(missing)}{stated}; {free} free in {short_path(store.root)}")

    given = named_python(options.python, store.builder, "--python") if options.python else None
    install = cache_dir.root / "checkpoints-install.log"
    with UsageLocks() as usage_locks:
        usage_locks.acquire(*map(store.folder, store.with_bases(names)))
        found = store.provide(
            names,
            lambda: given or builder_python(store.builder, cache_dir, install, usage_locks=usage_locks),
            log,
            echo,
        )

    if options.json:
        print(json.dumps(found, indent=1))
    else:
        for name, folder in found.items():
            echo(f"{name}  {short_path(Path(folder))}")

    return ExitCode.COMPLETE


def _store(options: argparse.Namespace, size: str) -> CheckpointStore:
    return open_store(CacheDir.of_user().checkpoints, {file.absolute().parent for file in options.scenarios}, size)
