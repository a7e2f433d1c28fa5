"""``harness issue``: draft an upstream issue about one failure of a run."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from harness.cli.arguments import RUN, add_json, add_reports
from harness.envs.cache_dir import CacheDir
from harness.errors import ConfigError, ExitCode
from harness.matrix.paths import short_path
from harness.report.issue.draft import Draft, draft
from harness.store.files import write_text
from harness.store.run_folder import RunFolder
from harness.store.runs import find_run

EPILOG = "exit codes: 0 drafted · 2 usage or configuration · 3 the run has no such failure"


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.epilog = EPILOG
    verb.add_argument("run", metavar="RUN", nargs="?", default="latest", help=f"{RUN} (default: latest)")
    verb.add_argument("--signature", metavar="S", help="failure to report: name of a rule, signature, or part of one")
    verb.add_argument(
        "--bisect",
        "--blame",
        dest="bisect",
        metavar="RESULT",
        help="add the result of a bisect or blame: its run, or the file of its result",
    )
    verb.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="draft to write (default: issue-….md in the run folder; - for standard output)",
    )
    verb.add_argument("--no-redact", action="store_true", help="keep paths, names, addresses and tokens in the draft")
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=issue)


def issue(options: argparse.Namespace) -> ExitCode:
    """Write the draft, and print its path, title and repository."""
    if options.json and options.output == "-":
        raise ConfigError("--json and -o - both write to standard output; use one of them")
    folder = find_run(options.run, options.reports)
    search = _search(options.bisect, options.reports) if options.bisect else None
    if options.no_redact:
        sys.stderr.write("note: paths, names, addresses and tokens of this machine are not redacted (--no-redact)\n")
    made = draft(folder, options.signature, CacheDir.of_user(), search=search, redact=not options.no_redact)
    path = None if options.output == "-" else Path(options.output or folder.path / made.name)
    if path is not None:
        _write(path, made.text)
    if options.json:
        print(json.dumps(_summary(made, path), indent=1))
    elif path is None:
        sys.stdout.write(made.text)
    else:
        print("\n".join(_lines(made, path)))

    return ExitCode.COMPLETE


def _search(text: str, reports: Path) -> RunFolder:
    path = Path(text)
    return RunFolder(path.absolute().parent) if path.is_file() else find_run(text, reports)


def _write(path: Path, text: str) -> None:
    try:
        write_text(path, text)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def _summary(made: Draft, path: Path | None) -> dict[str, object]:
    return {
        "path": str(path.absolute()) if path else None,
        "title": made.issue.posting.title,
        "repository": made.issue.posting.target.repository or None,
        "labels": list(made.issue.posting.labels),
        "known_trackers": [each.name for each in made.issue.posting.trackers if each.same],
        "characters": len(made.text),
        "left_out": list(made.left_out),
    }


def _lines(made: Draft, path: Path) -> list[str]:
    posting = made.issue.posting
    same = [each.name for each in posting.trackers if each.same]
    lines = [f"Draft       {short_path(path)}", f"Title       {posting.title}"]
    lines += [f"Repository  {posting.target.repository or 'unknown'} ({posting.target.reason})"]
    lines += [f"Known as    {', '.join(same)}: comment there instead"] if same else []
    lines += [f"Left out    {'; '.join(made.left_out)}"] if made.left_out else []
    return [*lines, "Read it before you post it."]
