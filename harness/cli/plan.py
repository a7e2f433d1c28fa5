"""``harness plan``: cells, locks, what is reused, what cannot be resolved and why."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.cli.arguments import add_json, add_matrix, positive, read_matrix
from harness.envs.build import STAMP
from harness.envs.cache_dir import CacheDir
from harness.envs.lock import Lock
from harness.errors import ConfigError, ExitCode
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
    plan = make_plan(read_matrix(options), cache_dir, scenarios=options.scenarios, cells=options.cells)
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
    console = Console()
    table = Table("cell", "lock", "environment", title=plan.matrix.title or plan.matrix.name, title_justify="left")
    for row in rows:
        name = row["id"] + ("  (reference)" if row["reference"] else "")
        table.add_row(name, row["lock"] or "–", row.get("why") or row["environment"])
    console.print(table, highlight=False)
    locks = {row["lock"] for row in rows if row["lock"]}
    files = {file.path for file in plan.files}
    count = f"{len(rows)} cells, {len(locks)} environments, {len(plan.scenarios)} scenarios in {len(files)} files"
    console.print(count, highlight=False)
    for warning in plan.warnings:
        console.print(f"note: {warning}", highlight=False, markup=False)
