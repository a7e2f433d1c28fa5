"""``harness completion``: the completion script of a shell."""

from __future__ import annotations

import argparse
from importlib import import_module

import shtab

from harness.cli.main import VERBS, Parser, arguments_of
from harness.errors import ExitCode
from harness.matrix.paths import install_root

SHELLS = ("bash", "zsh", "fish")
EPILOG = """\
bash  harness completion bash > ~/.local/share/bash-completion/completions/harness
zsh   harness completion zsh > DIR/_harness   (DIR: a directory of $fpath)
fish  harness completion fish > ~/.config/fish/completions/harness.fish"""


def add_arguments(verb: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    verb.epilog = EPILOG
    verb.add_argument("shell", choices=SHELLS, help="shell to complete in")
    verb.set_defaults(verb=print_script)


def print_script(options: argparse.Namespace) -> ExitCode:
    """Print the script."""
    print(completion_script(options.shell))
    return ExitCode.COMPLETE


def completion_script(shell: str) -> str:
    """Return the script that completes verbs, options, choices, files, matrices and runs in a shell."""
    top = Parser(prog="harness")
    top.add_argument("--version", action="store_true", help="show the version")
    verbs = top.add_subparsers()
    for name, summary in VERBS.items():
        verb = verbs.add_parser(name, help=summary)
        import_module(f"harness.cli.{name}").add_arguments(verb)
    files, runs = shtab.FILE, shtab.cmd("command ls reports 2>/dev/null; echo latest")
    by_metavar = {"DIR": shtab.DIRECTORY, "MATRIX": _matrices(), "OLD": runs, "NEW": runs, "RUN": runs}
    by_metavar |= dict.fromkeys(("FILE", "FILE[::TEST]", "FILE::TEST", "PATH"), files)
    for argument in arguments_of(top):
        value = argument.metavar or argument.dest.upper()
        if isinstance(value, str) and value in by_metavar and argument.nargs != 0:
            argument.complete = by_metavar[value]  # type: ignore[attr-defined] # shtab reads it
    return str(shtab.complete(top, shell))


def _matrices() -> dict[str, object]:
    """Return how a matrix is completed: the names of those that come with the harness, and files."""
    names = " ".join(sorted(path.stem for path in (install_root() / "matrices").glob("*.toml")))
    return {
        "bash": "_harness_matrices",
        "zsh": "_harness_matrices",
        "fish": f"(printf '%s\\n' {names}; __fish_complete_path (commandline -ct))",
        "preamble": {
            "bash": f'_harness_matrices() {{\n  compgen -W "{names}" -- "$1"\n  compgen -f -- "$1"\n}}',
            "zsh": f"_harness_matrices() {{\n  _alternative 'names:matrix:({names})' 'files:file:_files'\n}}",
        },
    }
