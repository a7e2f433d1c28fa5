"""``harness doctor``: what is wrong with this machine."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from harness.cli.arguments import add_json
from harness.envs.cache_dir import CacheDir
from harness.errors import ExitCode
from harness.session.doctor import Level, examine_machine

GLYPHS = {Level.OK: "[green]✔ ok  [/]", Level.WARN: "[yellow]⚠ warn[/]", Level.BAD: "[red]✘ bad [/]"}


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    add_json(verb)
    verb.set_defaults(verb=diagnose)


def diagnose(options: argparse.Namespace) -> ExitCode:
    """Print the findings; exit with 4 if one prevents a run."""
    findings = examine_machine(CacheDir.of_user().root)
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        console = Console()
        for finding in findings:
            advice = f"\n       → {escape(finding.advice)}" if finding.advice else ""
            console.print(f"{GLYPHS[finding.level]} {escape(finding.what)}{advice}", highlight=False, soft_wrap=True)

    bad = any(finding.level is Level.BAD for finding in findings)
    return ExitCode.INCOMPLETE if bad else ExitCode.COMPLETE
