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
    """List what is stored and remove what the limits name; without a limit nothing is removed."""
    cache_dir = CacheDir.of_user()
    stored = [
        *list_environments(cache_dir.envs),
        *list_checkpoints(cache_dir.checkpoints),
        *list_locks(cache_dir.locks),
    ]
    stored += list_repositories(cache_dir.repositories)
    stored.sort(key=lambda one: one.last_used)
    doomed = choose(stored, now=time.time(), older_than=options.older_than, keep=options.keep)
    if not options.dry_run:
        doomed = [one for one in doomed if _removed(one)]
    if options.json:
        rows = [
            {
                "path": str(one.path),
                "size": one.size,
                "last_used": one.last_used,
                "in_use": one.in_use,
                "removed": one in doomed,
            }
            for one in stored
        ]
        print(json.dumps(rows, indent=1))
    else:
        _print(stored, doomed, dry=options.dry_run)
    return ExitCode.COMPLETE


def _removed(one: CacheEntry) -> bool:
    """Remove one thing; tell whether it is gone, for a harness may have begun to use it since it was listed."""
    try:
        remove(one)
    except InfrastructureError as error:
        sys.stderr.write(f"{error}\n")
        return False
    return True


def choose(
    stored: Sequence[CacheEntry], *, now: float, older_than: float | None = None, keep: int | None = None
) -> list[CacheEntry]:
    """Return what to remove, the longest unused first.

    Args:
        stored: what there is, the longest unused first; half-built things always go where there is a limit, what a
            running harness uses never does.
        now: seconds since 1970.
        older_than: days without use after which a thing goes.
        keep: bytes that may stay; the longest unused go until no more is left.
    """
    if older_than is None and keep is None:
        return []
    free = [one for one in stored if not one.in_use]
    doomed = [
        one for one in free if not one.whole or (older_than is not None and now - one.last_used > older_than * DAY)
    ]
    left = sum(one.size for one in stored) - sum(one.size for one in doomed)
    for one in free:
        if keep is None or left <= keep:
            break
        if one not in doomed:
            doomed.append(one)
            left -= one.size
    return doomed


def _print(stored: Sequence[CacheEntry], doomed: Sequence[CacheEntry], *, dry: bool) -> None:
    console = Console()
    table = Table("what", "size", "unused for", "", box=None)
    for one in stored:
        days = (time.time() - one.last_used) / DAY
        fate = "in use" if one.in_use else "" if one.whole else "half-built"
        if one in doomed:
            fate = "would be removed" if dry else "removed"
        table.add_row(f"{one.path.parent.name}/{one.path.name}", f"{one.size / 1e6:.1f} MB", f"{days:.1f} d", fate)
    console.print(table, highlight=False)
    total, freed = (sum(one.size for one in part) / 1e6 for part in (stored, doomed))
    console.print(f"{total:.0f} MB stored, {freed:.0f} MB {'would be ' if dry else ''}freed", highlight=False)
