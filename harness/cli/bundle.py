"""``harness bundle``: pack a matrix for a machine without a package index."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from packaging.utils import canonicalize_name

from harness.cli.arguments import add_json, add_matrix, read_matrix
from harness.cli.progress import open_screen
from harness.envs.bundle.manifest import read_freeze
from harness.envs.bundle.resolve import Target
from harness.envs.bundle.wheels import cuda_version
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, ExitCode
from harness.matrix.paths import short_path
from harness.session.bundle import BundleOptions, make_bundle

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    add_matrix(verb)
    verb.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("bundle.tar.xz"),
        metavar="FILE",
        help="bundle to write (default: bundle.tar.xz)",
    )
    verb.add_argument(
        "--python", metavar="X.Y", help="Python version of the target machine (default: the matrix's, else this one's)"
    )
    verb.add_argument(
        "--platform",
        default="linux-x86_64",
        metavar="NAME",
        help="platform of the target machine: linux-x86_64 (default) or linux-aarch64",
    )
    verb.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="leave out a package that the target machine provides, as a pinned torch always is (repeatable)",
    )
    verb.add_argument(
        "--base-freeze",
        type=Path,
        metavar="FILE",
        help="packages of the target machine, as written by 'pip list --format=freeze'",
    )
    verb.add_argument(
        "--cuda",
        type=_cuda,
        metavar="VERSION",
        help="keep only the bitsandbytes libraries for this CUDA version, such as 130, and the CPU",
    )
    verb.add_argument("--checkpoints", action="store_true", help="build the checkpoints here and include them")
    verb.add_argument(
        "--with-report",
        action="store_true",
        help="include pandas and pyarrow, so that the target machine can write tables",
    )
    verb.add_argument(
        "--with-torch",
        action="store_true",
        help="include torch from the package index instead of using the target machine's",
    )
    add_json(verb)
    verb.set_defaults(verb=bundle)


def bundle(options: argparse.Namespace) -> ExitCode:
    """Write the bundle and print the command that runs it."""
    _, report = open_screen(errors=True)
    matrix = read_matrix(options)
    if options.output.is_dir() or not options.output.name.endswith(".tar.xz"):
        raise ConfigError(f"--output {options.output} must be a file that ends with .tar.xz")
    bundle_options = BundleOptions(
        target=Target(options.python or matrix.python or HERE, options.platform),
        base=read_freeze(options.base_freeze) if options.base_freeze else {},
        exclude=tuple(dict.fromkeys(str(canonicalize_name(name)) for name in options.exclude)),
        cuda=options.cuda,
        scenarios=tuple(options.scenarios),
        cells=tuple(options.cells),
        tables=options.with_report,
        torch=options.with_torch,
        checkpoints=options.checkpoints,
    )
    out = options.output.absolute()
    result = make_bundle(matrix, bundle_options, out, CacheDir.of_user(), report)
    for note in result.notes:
        report(f"note: {note}")
    if options.json:
        content = {"bundle": str(out), "bytes": result.size, "cells": result.cells, "wheels": result.wheels}
        print(json.dumps({**content, "notes": result.notes}, indent=1))
        return ExitCode.COMPLETE

    report(f"{result.cells} cells, {result.wheels} wheels, {result.size / 1e6:.1f} MB → {short_path(out)}")
    report(f"on the other machine: mkdir b && tar -xJf {out.name} -C b && b/run")
    return ExitCode.COMPLETE


def _cuda(text: str) -> str:
    try:
        return cuda_version(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a CUDA version (for example 130)") from None
