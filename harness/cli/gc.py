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
from harness.envs.disk_usage import (
    CacheEntry,
    list_checkpoints,
    list_environments,
    list_locks,
    list_repositories,
    remove,
)
from harness.errors import ExitCode, InfrastructureError

DAY = 86_400.0


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
    cache_dir = CacheDir.of_user()
    entries = [
        *list_environments(cache_dir.envs),
        *list_checkpoints(cache_dir.checkpoints),
        *list_locks(cache_dir.locks),
        *list_repositories(cache_dir.repositories),
    ]
    entries.sort(key=lambda entry: entry.last_used)
    removable = choose(entries, now=time.time(), older_than=options.older_than, keep=options.keep)
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


def choose(
    entries: Sequence[CacheEntry], *, now: float, older_than: float | None = None, keep: int | None = None
) -> list[CacheEntry]:
    """Return the entries to remove, the longest unused first.

    Entries in use are never removed. If there is a limit, incomplete entries are always removed.

    Args:
        entries: all entries, the longest unused first.
        now: seconds since 1970.
        older_than: days without use after which an entry is removed.
        keep: bytes to keep; the longest unused entries are removed until no more is left.
    """
    if older_than is None and keep is None:
        return []
    unused = [entry for entry in entries if not entry.in_use]
    removable = [
        entry
        for entry in unused
        if not entry.whole or (older_than is not None and now - entry.last_used > older_than * DAY)
    ]
    left = sum(entry.size for entry in entries) - sum(entry.size for entry in removable)
    for entry in unused:
        if keep is None or left <= keep:
            break
        if entry not in removable:
            removable.append(entry)
            left -= entry.size
    return removable


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
