"""Measure the structure of ``harness/`` from its code alone.

Run it as ``python -m tests.structure [--json] [--since COMMIT] [--flow NAME=FILE:FUNCTION:PARAMETER] [ROOT]``, for this
checkout or for another one at ROOT. ``tests/flows.py`` says what a flow is.

- Lines are those of the files; a module is a file. The share of import lines counts every line of an import statement.
- A module with one importer is named in the imports of exactly one other module, wherever in it they stand.
- The length of a function is from ``def`` to its last line; functions in classes and functions count.
- The length of a line is that of the lines that are not blank.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from tests.flows import Flow, Tree

PACKAGE = "harness"
REWRITE = "9004411"  # commit subjects are measured since the commit before the rebuild

# Each flow with the parameter at which it begins, or several joined by "+"; an older tree has it under a later name.
FLOWS: Mapping[str, Sequence[str]] = {
    "matrix → plan": ["harness/session/plan.py:make_plan:matrix"],
    "run folder → HTML": ["harness/report/write.py:write_views:folder"],
    "--good → answer of a bisect": ["harness/cli/bisect.py:bisect:options"],
    "new failure → claim → search → draft": [
        "harness/nightly/night.py:NightlyRun.complete:self",
        "harness/nightly/finish.py:Finish.night:night",
    ],
    "a whole nightly run": [
        "harness/nightly/night.py:begin:matrix+harness/nightly/night.py:NightlyRun.complete:self",
        "harness/cli/night.py:spend:asked",
    ],
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the measures of a tree."""
    parser = argparse.ArgumentParser(prog="python -m tests.structure", description="Measure the structure of harness/.")
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[1], metavar="ROOT")
    parser.add_argument("--json", action="store_true", help="write one JSON value")
    parser.add_argument("--since", default=REWRITE, metavar="COMMIT", help="measure the commit subjects after COMMIT")
    parser.add_argument(
        "--flow",
        action="append",
        default=[],
        metavar="NAME=FILE:FUNCTION:PARAMETER",
        help="count the modules of this flow instead of the table's (repeatable)",
    )
    options = parser.parse_args(arguments)
    flows = {name: [start] for name, _, start in (text.partition("=") for text in options.flow)} or FLOWS
    measures = {**measure(options.root), **subjects(options.root, options.since), "flows": follow(options.root, flows)}
    if options.json:
        print(json.dumps(measures, indent=1, ensure_ascii=False))
        return 0
    for name, value in measures.items():
        if name != "flows":
            print(f"{name}: {value}")
    for name, modules in measures["flows"].items():
        print(f"modules on the flow {name}: {'not in this tree' if modules is None else len(modules)}")
    return 0


def measure(root: Path) -> dict[str, Any]:
    """Return the measures of every file of the package."""
    files = {path: path.read_text(encoding="utf-8") for path in sorted((root / PACKAGE).rglob("*.py"))}
    trees = {path: ast.parse(text) for path, text in files.items()}
    lines = {path: text.splitlines() for path, text in files.items()}
    every = [line for own in lines.values() for line in own]
    importing = [
        node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    functions = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {
        "modules": len(files),
        "lines": len(every),
        "lines a module, mean": round(mean(map(len, lines.values()))),
        "lines a module, median": round(median(map(len, lines.values()))),
        "import lines, percent": _percent(sum(map(_length, importing)), len(every)),
        "modules with one importer": sum(number == 1 for number in importers(root, trees).values()),
        "lines a function, median": round(median(map(_length, functions))),
        "characters a line, median": round(median(len(line) for line in every if line.strip())),
        "blank lines, percent": _percent(sum(not line.strip() for line in every), len(every)),
    }


def importers(root: Path, trees: Mapping[Path, ast.Module]) -> dict[str, int]:
    """Return for each module by how many others it is imported."""
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in trees}
    known = set(names.values())
    using = {names[path]: {name for name in _imported(tree) if name in known} for path, tree in trees.items()}
    return {name: sum(name in used for other, used in using.items() if other != name) for name in known}


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module imports; ``from a import b`` may mean the modules ``a`` and ``a.b``."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                yield from (alias.name for alias in aliases)
            case ast.ImportFrom(module=str(origin), names=aliases):
                yield origin
                yield from (f"{origin}.{alias.name}" for alias in aliases)


def _length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 1)


def subjects(root: Path, since: str) -> dict[str, Any]:
    """Return the longest subject of the commits since one; a sentence where there are none to read."""
    name = f"longest commit subject since {since}"
    command = ["git", "-C", str(root), "log", "--format=%s", f"{since}..HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {name: f"not measured: {done.stderr.strip().splitlines()[0]}"}
    longest = max(done.stdout.splitlines(), key=len, default="")
    return {name: f"{len(longest)} characters: {longest}" if longest else "no commits"}


def follow(root: Path, flows: Mapping[str, Sequence[str]]) -> dict[str, list[str] | None]:
    """Return the modules on each flow; None where the tree has none of its beginnings."""
    tree = Tree(root, PACKAGE)
    found: dict[str, list[str] | None] = dict.fromkeys(flows)
    for name, starts in flows.items():
        for alternative in starts:
            parts = [part.split(":") for part in alternative.split("+")]
            begins = [(tree.function(file, function), parameter) for file, function, parameter in parts]
            if found[name] is None and all(start is not None for start, _ in begins):
                entered = (Flow(tree).follow(start, parameter) for start, parameter in begins if start is not None)
                found[name] = sorted({module for modules in entered for module in modules})
    return found


if __name__ == "__main__":
    sys.exit(main())
