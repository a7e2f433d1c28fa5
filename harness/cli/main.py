"""Read the command line, call the verb, turn errors into one sentence and an exit code."""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from itertools import chain, pairwise, takewhile
from typing import Any, NoReturn

from harness.errors import ConfigError, ExitCode, HarnessError
from harness.matrix.paths import nearest
from harness.version import harness_version

# The verbs by task. Each is a module of this package with ``add_arguments(parser)``; it is imported when it is called.
GROUPS = {
    "run a matrix": {
        "plan": "show cells, locks, what is reused and what cannot be resolved",
        "run": "install, run and report a matrix, or resume a run",
        "report": "rebuild the table, HTML and Markdown of a run",
    },
    "find what broke it": {
        "compare": "compare two runs, or two cells, scenario by scenario",
        "bisect": "find the release or commit that broke a scenario, or fixed it",
        "blame": "find the smallest set of package changes that breaks a scenario",
        "probe": "run one scenario in one cell, with the exit codes of git bisect run",
    },
    "show it to others": {
        "repro": "write a script that shows a failure without the harness",
        "issue": "draft an upstream issue about a failure",
    },
    "every night": {
        "nightly": "run what changed since the last nightly run and report what is new",
        "baseline": "set the run that later runs are compared with, or accept a difference",
        "history": "show outcomes and figures over nightly runs",
    },
    "several machines": {
        "bundle": "pack a matrix for a machine without a package index",
        "merge": "join runs that executed parts of one matrix",
    },
    "environments, disk and shell": {
        "env": "open a shell, or run a command, in the environment of a cell",
        "checkpoint": "list or build the models and adapters that scenarios load",
        "doctor": "check uv, package index, driver, GPU and disk of this machine",
        "gc": "list or remove environments, checkpoints and locks by size and age",
        "completion": "print the completion script of bash, zsh or fish",
    },
}
VERBS = {name: summary for verbs in GROUPS.values() for name, summary in verbs.items()}
USAGE = "usage: harness COMMAND [ARGUMENT...]\n       harness [COMMAND] --help\n       harness --version"
EXIT_CODES = """\
exit codes: 0 complete · 1 a regression or failure where --fail-on asked for it · 2 usage or configuration ·
3 nothing selected · 4 results missing or infrastructure · 130 interrupted"""
EMPTY_ALLOWED = {"-k", "-m", "--gpu"}  # no selection; no GPU
NO_PATH = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR}


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Prints descriptions as they are, and options as Python 3.13 does: ``-o, --output FILE``."""

    def __init__(self, prog: str, **options: Any) -> None:
        """Leave more room for options than argparse does."""
        super().__init__(prog, **{"max_help_position": 30, **options})

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


class Parser(argparse.ArgumentParser):
    """Parser of a verb: has a short usage, and answers an unknown option or choice with the nearest one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Make the parser as argparse does."""
        super().__init__(*arguments, **{"formatter_class": HelpFormatter, **options})
        self._words: list[str] = []

    def format_usage(self) -> str:
        """Return the usage with what is required, without every option."""
        self.usage = self._short_usage()
        return super().format_usage()

    def format_help(self) -> str:
        """Return the help under the short usage."""
        self.usage = self._short_usage()
        return super().format_help()

    def _short_usage(self) -> str:
        words = [self.prog, "[OPTIONS]"]
        for action in self._actions:
            name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
            if action.option_strings:
                words += [f"{action.option_strings[0]} {name}"] if action.required else []
            elif action.nargs in {argparse.OPTIONAL, argparse.ZERO_OR_MORE, argparse.REMAINDER}:
                words.append(name if name.startswith("[") else f"[{name}]")
            else:
                words.append(f"{name}..." if action.nargs == argparse.ONE_OR_MORE else name)

        return " ".join(words)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse, but refuse unknown words here, where the options of the verb are known."""
        self._words = list(args or ())
        found, extra = super().parse_known_args(args, namespace)
        if extra:
            self.error(f"unrecognized arguments: {' '.join(extra)}")
        return found, extra

    def error(self, message: str) -> NoReturn:
        """Print the usage and the mistake, and exit with 2, or with the default that a verb sets for ``usage_code``.

        argparse looks for what is required before it looks for what is unknown, but a mistyped option explains both.
        """
        if message.startswith(("unrecognized arguments", "the following arguments are required")):
            message = self._unknown_option() or message
        self.print_usage(sys.stderr)
        self.exit(self.get_default("usage_code") or ExitCode.USAGE, f"{self.prog}: error: {message}\n")

    def _unknown_option(self) -> str | None:
        known = [option for argument in arguments_of(self) for option in argument.option_strings]
        words = takewhile(lambda word: word != "--", self._words)
        for name in (word.partition("=")[0] for word in words if word.startswith("--")):
            if not any(option.startswith(name) for option in known):
                return f"unknown option {name}{did_you_mean(name, known)}"
        return None

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            hint = did_you_mean(str(value), map(str, action.choices or ()))
            raise argparse.ArgumentError(action, f"{error.message}{hint}") from None


def arguments_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments of a parser and of the parsers below it."""
    for argument in parser._actions:  # noqa: SLF001 - argparse has no public way to list them
        yield argument
        if isinstance(argument, argparse._SubParsersAction):  # noqa: SLF001
            for below in argument.choices.values():
                yield from arguments_of(below)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that names the nearest known name; empty where none is near."""
    names = {name.lstrip("-"): name for name in known}
    near = nearest(word.lstrip("-"), names)
    return f"; did you mean {names[near]}?" if near else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        return _run(words)
    except HarnessError as error:
        sys.stderr.write(f"harness: {error}\n")
        return int(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("harness: interrupted\n")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output went away: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.INCOMPLETE)
    except OSError as error:  # a full disk, a folder that cannot be written, a path that cannot be
        sys.stderr.write(f"harness: {error.strerror or error}{f': {error.filename}' if error.filename else ''}\n")
        return int(ExitCode.USAGE if error.errno in NO_PATH else ExitCode.INCOMPLETE)


def _run(words: list[str]) -> int:
    """Call the verb that the first word names."""
    match words:
        case []:
            sys.stderr.write(overview())
            return int(ExitCode.USAGE)
        case ["-h" | "--help", *_]:
            sys.stdout.write(overview())
        case ["--version", *_]:
            sys.stdout.write(f"harness {harness_version()}\n")
        case [name, *rest] if name in VERBS:
            _refuse_empty(words)
            options = parser(name).parse_args(rest)
            return int(options.verb(options))
        case [name, *_]:
            kind = "option" if name.startswith("-") else "command"
            known = ("--help", "--version") if kind == "option" else VERBS
            raise ConfigError(f"unknown {kind} {name}{did_you_mean(name, known) or '; see harness --help'}")

    return int(ExitCode.COMPLETE)


def _refuse_empty(words: list[str]) -> None:
    """Refuse an empty argument, such as that of an unset variable."""
    own = takewhile(lambda word: word != "--", words)
    split = ([one[:-1], ""] if re.fullmatch(r"--[\w-]+=", one) else [one] for one in own)
    for before, word in pairwise(chain.from_iterable(split)):
        if word == "" and before not in EMPTY_ALLOWED:
            raise ConfigError(f"the argument after {before} is empty")


def overview() -> str:
    """Return the text of ``harness --help``."""
    width = max(map(len, VERBS))
    lines = [USAGE, "", "Run the same scenarios against pinned releases and see which release broke them."]
    for title, verbs in GROUPS.items():
        lines += ["", title, *(f"  {name:{width}}  {summary}" for name, summary in verbs.items())]
    return "\n".join([*lines, "", EXIT_CODES, ""])


def parser(verb: str) -> Parser:
    """Return the parser of a verb."""
    made = Parser(prog=f"harness {verb}", description=f"{VERBS[verb][:1].upper()}{VERBS[verb][1:]}.")
    import_module(f"harness.cli.{verb}").add_arguments(made)
    return made


if __name__ == "__main__":
    sys.exit(main())
