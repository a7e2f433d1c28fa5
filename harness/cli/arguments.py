"""Arguments that several verbs take, and their conversion."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.matrix.expand import override_versions
from harness.matrix.paths import nearest, short_path
from harness.matrix.schema import Matrix, load_matrix
from harness.runner.gpus import read_gpus
from harness.runner.isolation import Isolation
from harness.search.criterion import Criterion, read_factor
from harness.session.context import BUSY_BYTES

DEFAULT_MATRIX = "quickstart"
REPORTS = Path("reports")
RUN = "path, name, unique beginning or end of a name, latest or latest~N"
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
LIKELY_MISTYPED = 0.85
DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0}


def default_matrix() -> str:
    """Return the matrix that ``HARNESS_MATRIX`` names, else the quickstart."""
    return os.environ.get("HARNESS_MATRIX") or DEFAULT_MATRIX


def add_actions(verb: argparse.ArgumentParser, actions: Mapping[str, str]) -> list[argparse.ArgumentParser]:
    """Add the actions of a verb, each with its summary, and return their parsers."""
    below = verb.add_subparsers(title="actions", metavar="ACTION", required=True)
    return [
        below.add_parser(name, help=summary, description=f"{summary[:1].upper()}{summary[1:]}.")
        for name, summary in actions.items()
    ]


def add_matrix(verb: argparse.ArgumentParser) -> None:
    """Add the matrix and the selection of cells and scenarios."""
    verb.add_argument(
        "matrix",
        nargs="?",
        default=default_matrix(),
        metavar="MATRIX",
        help="matrix file, or name of one in matrices/ (default: $HARNESS_MATRIX, else quickstart)",
    )
    verb.add_argument(
        "--scenarios",
        action="append",
        default=[],
        metavar="FILE[::TEST]",
        help="run these scenarios instead of the matrix's own (repeatable)",
    )
    verb.add_argument(
        "--with",
        dest="instead",
        action="append",
        default=[],
        metavar="PACKAGE=VERSION",
        help="override a package version; the reference cell keeps its own (repeatable)",
    )
    verb.add_argument(
        "--cells",
        action="append",
        default=[],
        metavar="CELL",
        help="select cells by id or pattern, such as '*4.57*' (repeatable)",
    )


def read_matrix(options: argparse.Namespace) -> Matrix:
    """Return the matrix with the versions of ``--with``; note a package that looks mistyped, for any may be added."""
    matrix = load_matrix(options.matrix)
    found = override_versions(matrix, options.instead)
    for package in found.packages:
        near = nearest(package, matrix.packages, likeness=LIKELY_MISTYPED)
        if near is not None and package not in matrix.packages:
            sys.stderr.write(f"note: {short_path(matrix.path)} has no package {package}; did you mean {near}?\n")
    return found


def add_reports(verb: argparse.ArgumentParser) -> None:
    """Add the folder of run folders."""
    verb.add_argument(
        "--reports", type=Path, default=REPORTS, metavar="DIR", help="directory of run folders (default: reports)"
    )


def add_jobs(verb: argparse.ArgumentParser) -> None:
    """Add how many cells run at once."""
    verb.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help="number of cells to run at once (default: one per GPU; 2 without a GPU)",
    )


def add_isolation(verb: argparse.ArgumentParser, default: Isolation | None = None) -> None:
    """Add how attempts are isolated from each other."""
    verb.add_argument(
        "--isolation",
        choices=[str(one) for one in Isolation],
        default=default,
        help="run each attempt in a fork of a prepared interpreter, or in a fresh one (default: fork)",
    )


def add_timeout(verb: argparse.ArgumentParser) -> None:
    """Add the time limit of an attempt."""
    verb.add_argument(
        "--timeout", type=seconds, metavar="SECONDS", help="time limit of an attempt (default: the matrix's)"
    )


def add_gpu_busy(verb: argparse.ArgumentParser) -> None:
    """Add the memory in use from which a GPU counts as busy."""
    verb.add_argument(
        "--gpu-busy",
        type=size,
        default=BUSY_BYTES,
        metavar="SIZE",
        help="ignore memory results if the GPU already uses more than SIZE before an attempt (default: 1GiB)",
    )


def add_json(verb: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    verb.add_argument("--json", action="store_true", help="write one JSON value to standard output")


def positive(text: str) -> int:
    """Read a whole number above zero."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def seconds(text: str) -> float:
    """Read a number of seconds above zero."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above zero")
    return number


def size(text: str) -> int:
    """Read bytes: ``500M``, ``20GB``, ``1.5GiB``, ``1000``."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d+)?)\s*([KMGT]?|[KMGT]i)B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is not a size (for example 20GB)")
    return int(float(match[1]) * UNITS[match[2].upper()])


def age(text: str) -> float:
    """Read days: ``14d``, ``2w``, ``12h``."""
    match = re.fullmatch(r"(\d{1,5}(?:\.\d+)?)([hdw])", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is not an age (for example 14d)")
    return float(match[1]) * DAYS[match[2]]


def duration(text: str) -> float:
    """Read seconds: ``40m``, ``2h``, ``90s``, ``0``."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smh])|0", text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text} is not a time (for example 40m)")
    return float(match[1]) * SECONDS[match[2]] if match[1] else 0.0


def day(text: str) -> dt.date:
    """Read a day: ``2026-05-01``."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a day (2026-05-01)") from None


def default_jobs() -> int:
    """Return how many cells run at once: one a GPU; on the CPU as many as there are cores, two at most."""
    return len(read_gpus()) or min(2, os.cpu_count() or 1)


def add_criterion(verb: argparse.ArgumentParser, *, factor: bool = True) -> None:
    """Add what counts as bad; ``factor``: a bound may be a multiple of the metric at the good end."""
    bound = "the bound: a multiple of the metric at the good end, or a size" if factor else "the bound: a size"
    verb.add_argument("--signature", metavar="S", help="only this failure is bad: a rule's name or a whole signature")
    verb.add_argument(
        "--good-signature", metavar="S", help="treat this failure as good (use when it masks a different bug)"
    )
    verb.add_argument("--metric", metavar="FIGURE", help="judge by this metric: bad if it exceeds --above")
    verb.add_argument("--above", metavar="1.5x|8GiB" if factor else "8GiB", help=bound)


def add_search(verb: argparse.ArgumentParser, name: str, candidates: str, confirm: str) -> None:
    """Add what the searches share: the question, how it is run, and how to resume.

    Args:
        verb: The parser.
        name: The verb.
        candidates: What is probed, as its help names them.
        confirm: What ``--confirm`` re-runs.
    """
    verb.add_argument("--scenario", metavar="FILE::TEST", help="the test that is good or bad")
    add_criterion(verb)
    verb.add_argument("--assume-ends", action="store_true", help="do not run the good and the bad end first")
    verb.add_argument("--confirm", type=positive, default=1, metavar="N", help=confirm)
    verb.add_argument("--jobs", type=positive, default=1, metavar="K", help=f"{candidates} to run at once (default: 1)")
    add_timeout(verb)
    add_gpu_busy(verb)
    verb.add_argument("--no-reuse", action="store_true", help="run again what an earlier run below --reports answers")
    verb.add_argument("--resume", metavar="RUN", help=f"continue an interrupted {name}; no other argument is needed")
    add_reports(verb)
    add_json(verb)


def read_search_options(options: argparse.Namespace, *, bound: bool = True) -> dict[str, Any]:
    """Return the fields of a search's question that all searches share; ``bound``: a metric needs a bound.

    Raises:
        ConfigError: Two options exclude each other, or one means nothing.
    """
    return {
        "scenario": options.scenario,
        "matrix": options.matrix,
        **read_criterion(options, bound=bound, ends=not options.assume_ends).model_dump(),
        "assume_ends": options.assume_ends,
        "confirm": options.confirm,
        "jobs": options.jobs,
        "timeout": options.timeout,
        "busy_bytes": options.gpu_busy,
        "reuse": not options.no_reuse,
    }


def require(options: argparse.Namespace, verb: str, *names: str) -> None:
    """Refuse a command line without these arguments.

    Raises:
        ConfigError: One is missing.
    """
    missing = [name for name in names if getattr(options, name) is None]
    if missing:
        flags = ", ".join("PACKAGE" if name == "package" else f"--{name}" for name in missing)
        raise ConfigError(f"{verb} needs {flags}")


def read_criterion(options: argparse.Namespace, *, bound: bool = True, ends: bool = True) -> Criterion:
    """Return what counts as bad.

    Args:
        options: The command line.
        bound: A metric needs a bound; a scan does without.
        ends: The good end is run, so that the bound may be a multiple of its metric.

    Raises:
        ConfigError: Two options exclude each other, or one means nothing.
    """
    metric, above = options.metric, options.above
    if (above is not None and metric is None) or (metric is not None and above is None and bound):
        raise ConfigError("--metric and --above belong together")
    if metric is not None and (options.signature or options.good_signature):
        raise ConfigError("a signature and --metric are two different questions; keep one")
    factor = read_factor(above) if above else None
    if factor is not None and not ends:
        raise ConfigError(f"--above {above} is measured at the good end, which is not run here")
    return Criterion(
        signature=options.signature,
        good_signature=options.good_signature,
        metric=metric,
        factor=factor,
        limit=_limit(above) if above and factor is None else None,
    )


def _limit(text: str) -> int:
    try:
        return size(text)
    except argparse.ArgumentTypeError:
        raise ConfigError(f"--above {text} is neither a factor (1.5x) nor a size (8GiB)") from None
