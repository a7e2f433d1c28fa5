"""``harness plan``: cells, locks, what is reused, what cannot be resolved and why."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich import box
from rich.table import Table

from harness.cli.arguments import add_json, add_matrix, positive, read_matrix
from harness.cli.progress import open_screen
from harness.envs.build import STAMP
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock
from harness.errors import ConfigError, ExitCode
from harness.reporter import counted
from harness.session.plan import Plan, PlannedCell, make_plan, shards


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    add_matrix(verb)
    verb.add_argument("--shards", type=positive, metavar="N", help="with --json: distribute the cells over N machines")
    add_json(verb)
    verb.set_defaults(verb=show_plan)


def show_plan(options: argparse.Namespace) -> ExitCode:
    """Print the plan; exit with 4 if the index did not answer for a cell."""
    if options.shards and not options.json:
        raise ConfigError("--shards needs --json")
    cache_dir = CacheDir.of_user()
    plan = make_plan(
        read_matrix(options),
        cache_dir,
        scenarios=options.scenarios,
        cells=options.cells,
    )
    rows = [_describe(planned, cache_dir) for planned in plan.cells]
    if options.json:
        scenarios = [info.model_dump(mode="json", exclude={"nodeid"}) for info in plan.scenarios]
        answer = {"matrix": plan.matrix.name, "cells": rows, "scenarios": scenarios, "warnings": plan.warnings}
        if options.shards:
            answer["shards"] = shards(plan.cells, options.shards)
        print(json.dumps(answer, indent=1))
    else:
        _print(plan, rows)

    offline = any(getattr(planned.lock, "network", False) for planned in plan.cells)
    return ExitCode.INCOMPLETE if offline else ExitCode.COMPLETE


def _describe(planned: PlannedCell, cache_dir: CacheDir) -> dict[str, Any]:
    cell, lock = planned.cell, planned.lock
    row: dict[str, Any] = {
        "id": cell.id,
        "reference": cell.reference,
        "python": cell.python,
        "pins": {pin.package: pin.label for pin in cell.pins},
        "variables": dict(cell.variables),
    }
    if not isinstance(lock, Lock):
        return {**row, "lock": None, "environment": "unsolvable", "why": lock.sentence}
    built = (cache_dir.envs / lock.hash / STAMP).exists()
    return {**row, "lock": lock.hash, "packages": lock.packages, "environment": "reused" if built else "to be built"}


def _print(plan: Plan, rows: list[dict[str, Any]]) -> None:
    console, report = open_screen(errors=False)
    title = plan.matrix.title or plan.matrix.name
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("cell", overflow="fold")
    table.add_column("lock", no_wrap=True)
    table.add_column("environment", no_wrap=True)
    for row in rows:
        name = row["id"] + (" (reference)" if row["reference"] else "")
        table.add_row(name, row["lock"] or "–", "unavailable" if "why" in row else row["environment"])
    console.print(table, highlight=False)

    for row in rows:
        if "why" in row:
            report(f"{row['id']} is unavailable: {row['why']}")

    locks = {row["lock"] for row in rows if row["lock"]}
    files = {file.path for file in plan.files}
    sizes = {"cell": rows, "environment": locks, "scenario": plan.scenarios}
    counts = ", ".join(counted(len(things), noun) for noun, things in sizes.items())
    report(f"{counts} in {counted(len(files), 'file')}")

    for warning in plan.warnings:
        report(f"note: {warning}")
