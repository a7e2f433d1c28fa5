"""``harness bisect``: which release of a package is the first bad one, or the first that is good again."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

from packaging.utils import canonicalize_name
from rich.console import Console

from harness.cli.arguments import Verbs, add_json, add_reports, default_matrix, positive, size
from harness.cli.progress import Show
from harness.envs.places import Places
from harness.errors import ConfigError, ExitCode
from harness.matrix.model import load_matrix
from harness.matrix.places import short
from harness.report.write import write_views
from harness.search.criterion import is_factor
from harness.search.drive import Bisect, start, take_up
from harness.search.first_bad import Search
from harness.search.listing import released
from harness.search.question import Question
from harness.search.releases import between
from harness.search.result import Ending, Result
from harness.session.context import Options
from harness.store.folder import find

CODES = {
    Ending.FOUND: ExitCode.COMPLETE,
    Ending.NOT_REPRODUCED: ExitCode.REGRESSION,
    Ending.INCONCLUSIVE: ExitCode.INCOMPLETE,
    Ending.INTERRUPTED: ExitCode.INTERRUPTED,
}
EPILOG = """\
exit codes: 0 found · 1 not reproduced at the bad end · 2 usage or configuration · 4 inconclusive, the releases that are
left are named · 130 interrupted"""


def register(verbs: Verbs) -> None:
    """Add the verb."""
    verb = verbs.add_parser(
        "bisect",
        help="find the release that broke a scenario, or the one that fixed it",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb.add_argument("package", nargs="?", metavar="PACKAGE", help="whose releases to search")
    verb.add_argument("--good", metavar="VERSION", help="a release where the scenario is green")
    verb.add_argument("--bad", metavar="VERSION", help="a release where it is red")
    verb.add_argument("--scenario", metavar="FILE::TEST", help="what tells good from bad")
    verb.add_argument(
        "--matrix",
        default=default_matrix(),
        help="what the other packages are pinned to: its reference cell, else its first (quickstart)",
    )
    verb.add_argument("--signature", metavar="S", help="only this failure is bad (a rule's name or a whole signature)")
    verb.add_argument("--good-signature", metavar="S", help="this failure counts as good: another one stands behind it")
    verb.add_argument("--metric", metavar="FIGURE", help="bad is what has more of this figure than --above")
    verb.add_argument("--above", metavar="1.5x|8GiB", help="times the figure of the good end, or an absolute size")
    verb.add_argument("--find-fix", action="store_true", help="the good release is the newer one: find the fix")
    verb.add_argument("--assume-ends", action="store_true", help="do not run the two ends first")
    verb.add_argument("--confirm", type=positive, default=1, metavar="N", help="attempts at the two releases found")
    verb.add_argument("--jobs", type=positive, default=1, metavar="K", help="releases at once (1)")
    verb.add_argument("--resume", metavar="RUN", help="go on with an interrupted bisect; needs nothing else")
    add_reports(verb)
    add_json(verb)
    verb.set_defaults(verb=bisect)


def bisect(options: argparse.Namespace) -> ExitCode:
    """Search, saying each step; the last line is the answer or how to go on."""
    console = Console(stderr=True) if options.json else Console()
    places = Places.of_user()

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    if options.resume:
        search = take_up(find(options.resume, options.reports), places, Options())
    else:
        question, notes = _question(options, places)
        for note in notes:
            say(f"note: {note}")
        search = start(question, load_matrix(options.matrix), places, options.reports, Options(jobs=question.jobs))
    asked = search.question
    say(f"{len(asked.releases)} releases of {asked.package}, {asked.scenario} → {short(search.folder.path)}")
    ends = 0 if asked.assume_ends else 2
    with Show(console, ends + Search(len(asked.releases)).rounds_left(asked.jobs) * asked.jobs) as show:
        try:
            result = search.run(show, say)
        except KeyboardInterrupt:  # while locking, where no cell runs
            result = search.result(Ending.INTERRUPTED, asked.releases[0], asked.releases[1:])
    views = write_views(search.folder)
    code = CODES[result.ending]
    lines = _last_lines(search, result)
    if options.json:
        paths = {"run": str(search.folder.path), "html": str(views.html)}
        print(json.dumps({**paths, "exit_code": code, **result.model_dump(), "answer": lines[-1]}, indent=1))
        return code
    say(f"HTML  {short(views.html)}")
    for line in lines:
        say(line)
    return code


def _question(options: argparse.Namespace, places: Places) -> tuple[Question, tuple[str, ...]]:
    """Read the arguments and ask the index for the releases between the ends."""
    missing = [name for name in ("package", "good", "bad", "scenario") if getattr(options, name) is None]
    if missing:
        flags = ", ".join("PACKAGE" if name == "package" else f"--{name}" for name in missing)
        raise ConfigError(f"bisect needs {flags}")
    if (options.metric is None) != (options.above is None):
        raise ConfigError("--metric and --above belong together")
    if options.metric is not None and options.signature is not None:
        raise ConfigError("--signature and --metric are two different questions; keep one")
    factor = is_factor(options.above) if options.above else None
    if factor is not None and options.assume_ends:
        raise ConfigError(f"--above {options.above} is measured at the good end, which --assume-ends leaves out")
    package = canonicalize_name(options.package)
    listing = released(package, places)
    found = between(package, listing.releases[package], options.good, options.bad, find_fix=options.find_fix)
    question = Question(
        package=package,
        releases=found.releases,
        scenario=options.scenario,
        matrix=options.matrix,
        find_fix=options.find_fix,
        signature=options.signature,
        good_signature=options.good_signature,
        metric=options.metric,
        factor=factor,
        limit=_limit(options.above) if options.above and factor is None else None,
        assume_ends=options.assume_ends,
        confirm=options.confirm,
        jobs=options.jobs,
    )
    return question, (*listing.warnings, *found.notes)


def _limit(text: str) -> int:
    try:
        return size(text)
    except argparse.ArgumentTypeError:
        raise ConfigError(f"--above {text} is neither a factor (1.5x) nor a size (8GiB)") from None


def _last_lines(search: Bisect, result: Result) -> list[str]:
    """Return what is said last: the evidence or the command first, the answer at the end."""
    asked, package = search.question, search.question.package
    before, after = ("bad", "good") if asked.find_fix else ("good", "bad")
    names = ", ".join(result.suspects)
    match result.ending:
        case Ending.FOUND:
            good, bad = (names, result.before) if asked.find_fix else (result.before, names)
            return [
                f"to see it again: {shlex.join(asked.command(good, bad))}",
                f"{package} {names} is the first {after} release, {result.before} the last {before} one",
            ]
        case Ending.NOT_REPRODUCED:
            verb = "is not bad" if result.releases[asked.bad].bad is False else "cannot be judged"
            return [f"not reproduced: {package} {asked.bad} {verb} here ({result.reason})"]
        case Ending.INCONCLUSIVE if result.reason:
            return [f"inconclusive, one of {names} is the first {after} release: {package} {result.reason}"]
        case Ending.INCONCLUSIVE:
            return [f"inconclusive: the first {after} {package} is one of {names}; {result.before} is {before}"]
        case Ending.INTERRUPTED:
            return [f"interrupted; to go on: harness bisect --resume {_place(search.folder.path)}"]


def _place(path: Path) -> str:
    return shlex.quote(str(short(path)))
