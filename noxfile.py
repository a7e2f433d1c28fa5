# /// script
# requires-python = ">=3.11"
# dependencies = [ # the same list as in pyproject.toml: tests/test_project.py compares them
#   "filelock>=3.16",
#   "jinja2>=3.1",
#   "nox[uv]>=2025.5.1",
#   "nvidia-ml-py>=13",
#   "packaging>=26",
#   "pandas>=2.2",
#   "pip>=25.3",
#   "platformdirs>=4",
#   "psutil>=6",
#   "pyarrow>=17",
#   "pydantic>=2.11",
#   "pyyaml>=6",
#   "rich>=13",
#   "shtab>=1.13",
#   "tomli-w>=1.2",
# ]
#
# [tool.nox]
# script-venv-backend = "virtualenv" # pip reads the user's pip.conf, where company mirrors live; uv would not
# ///
"""The sessions: the matrix, each of its cells, and the tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nox

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # nox in its own environment does not look here

from harness.cli.arguments import default_matrix
from harness.envs.cache_dir import CacheDir
from harness.errors import HarnessError
from harness.matrix.plan import plan_cells
from harness.matrix.schema import load_matrix

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["matrix"]
nox.options.error_on_missing_interpreters = True

HARNESS = (sys.executable, "-m", "harness.cli.main")
# Two processes whatever the machine: each may run two cells, of 1 GB and more. Snapshots are compared, not renewed.
PAIR = ("-n", "2", "--inline-snapshot=disable", "--dist")
UNIT = ("-m", "not integration and not browser", *PAIR, "worksteal")
OLDEST = "/usr/bin/python3"  # the system's own; Debian 12 has 3.11.2


def cell_ids() -> tuple[list[str], str]:
    """Return the ids of the default matrix's cells, or none and the sentence that says why."""
    try:
        matrix = load_matrix(default_matrix())
        return [cell.id for cell in plan_cells(matrix, cache=CacheDir.of_user().releases).cells], ""
    except HarnessError as error:
        return [], str(error)


CELLS, WHY_NOT = cell_ids()


@nox.session(venv_backend="none")
def matrix(session: nox.Session) -> None:
    """Run a matrix: `nox -s matrix -- matrices/other.toml --scenarios FILE -k WORD` (default: $HARNESS_MATRIX)."""
    session.run(*HARNESS, "run", *session.posargs)


@nox.session(venv_backend="none")
@nox.parametrize("cell", [nox.param(cell, id=cell) for cell in CELLS] or [nox.param("", id="none")])
def cell(session: nox.Session, cell: str) -> None:
    """Build one cell of $HARNESS_MATRIX, run its scenarios and report it."""
    if not cell:
        session.error(WHY_NOT)
    session.run(*HARNESS, "run", default_matrix(), "--cells", cell, *session.posargs)


def install_for_tests(session: nox.Session) -> None:
    """Install the checkout and what its tests need."""
    session.install("-e", ".", *nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test"))


@nox.session(venv_backend="virtualenv", reuse_venv=True)
def snapshots(session: nox.Session) -> None:
    """Renew the screens that tests compare (help, tables, Markdown) after a change of words; read `git diff` then."""
    install_for_tests(session)
    tests = [str(path) for path in sorted(Path("tests").rglob("test_*.py")) if "inline_snapshot" in path.read_text()]
    session.run("pytest", "-q", "--inline-snapshot=create,fix", *tests, success_codes=[0, 1], silent=True)
    session.run("pytest", "-q", *tests)


@nox.session(venv_backend="virtualenv")  # pip honours pip.conf
def tests(session: nox.Session) -> None:
    """Lint, types, unit tests, then tests that install real releases, then the report in a browser."""
    install_for_tests(session)
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("pytest", *UNIT, "--durations=5")
    session.run("pytest", "-m", "integration", *PAIR, "loadfile", "--no-loadscope-reorder", "--durations=5")
    session.run("pytest", "-m", "browser", "--durations=5")


@nox.session(python=OLDEST, venv_backend="virtualenv")
def oldest(session: nox.Session) -> None:
    """Unit tests on the oldest Python that is promised, with few examples of each property."""
    found = session.run("python", "-c", "import sys; print(*sys.version_info[:3], sep='.')", silent=True)
    if not found or [int(part) for part in found.split(".")] < [3, 11]:
        session.error(f"{OLDEST} is Python {str(found).strip()}, and the harness needs 3.11 or later")
    install_for_tests(session)
    session.run("pytest", *UNIT, "--hypothesis-profile=few", *session.posargs)
