"""``harness gc``: old environments and checkpoints, by size and age."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from harness.cli.arguments import add_json, age, size
from harness.envs.cache_dir import CacheDir
from harness.envs.disk_usage import DAY, CacheEntry, list_cache, remove, select_removable
from harness.errors import ExitCode, InfrastructureError


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.add_argument(
        "--older-than", type=age, metavar="AGE", help="remove what was not used for AGE, such as 14d or 2w"
    )
    verb.add_argument(
        "--keep",
        type=size,
        metavar="SIZE",
        help="remove the least recently used until at most SIZE is left, such as 20GB",
    )
    verb.add_argument("--dry-run", action="store_true", help="only show what would be removed")
    add_json(verb)
    verb.set_defaults(verb=collect)


def collect(options: argparse.Namespace) -> ExitCode:
    """List the cache and remove what exceeds the limits; without a limit nothing is removed."""
    entries = list_cache(CacheDir.of_user())
    removable = select_removable(
        entries,
        now=time.time(),
        older_than=options.older_than,
        keep=options.keep,
    )
    if not options.dry_run:
        removable = [entry for entry in removable if _removed(entry)]
    if options.json:
        rows = [
            {
                "path": str(entry.path),
                "size": entry.size,
                "last_used": entry.last_used,
                "in_use": entry.in_use,
                "removed": entry in removable,
            }
            for entry in entries
        ]
        print(json.dumps(rows, indent=1))
    else:
        _print(entries, removable, dry=options.dry_run)

    return ExitCode.COMPLETE


def _removed(entry: CacheEntry) -> bool:
    """Remove an entry; return False if a harness has begun to use it since it was listed."""
    try:
        remove(entry)
    except InfrastructureError as error:
        sys.stderr.write(f"{error}\n")
        return False
    return True


def _print(entries: Sequence[CacheEntry], removed: Sequence[CacheEntry], *, dry: bool) -> None:
    console = Console()
    table = Table("what", "size", "unused for", "", box=None)
    for entry in entries:
        days = (time.time() - entry.last_used) / DAY
        state = "in use" if entry.in_use else "" if entry.whole else "incomplete"
        if entry in removed:
            state = "would be removed" if dry else "removed"
        name = f"{entry.path.parent.name}/{entry.path.name}"
        table.add_row(name, f"{entry.size / 1e6:.1f} MB", f"{days:.1f} d", state)

    console.print(table, highlight=False)
    total, freed = (sum(entry.size for entry in part) / 1e6 for part in (entries, removed))
    console.print(f"{total:.0f} MB stored, {freed:.0f} MB {'would be ' if dry else ''}freed", highlight=False)
