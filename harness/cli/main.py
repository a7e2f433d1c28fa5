"""Read the command line, call the verb, turn errors into one sentence and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from harness.cli import (
    baseline,
    bisect,
    blame,
    bundle,
    checkpoint,
    compare,
    doctor,
    env,
    gc,
    history,
    issue,
    merge,
    nightly,
    plan,
    probe,
    report,
    repro,
    run,
)
from harness.errors import ExitCode, HarnessError

VERBS = (
    plan,
    run,
    nightly,
    compare,
    baseline,
    bisect,
    blame,
    probe,
    report,
    repro,
    issue,
    history,
    merge,
    bundle,
    env,
    doctor,
    checkpoint,
    gc,
)
EXIT_CODES = """\
exit codes: 0 complete · 1 a regression or failure where --fail-on asked for it · 2 usage or configuration ·
3 nothing selected · 4 results missing or infrastructure · 130 interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(options.verb(options))
    except HarnessError as error:
        sys.stderr.write(f"harness: {error}\n")
        return int(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("harness: interrupted\n")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:  # the reader of our output went away: nobody is left to tell
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitCode.INCOMPLETE)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    top = argparse.ArgumentParser(
        prog="harness",
        description="Run the same scenarios against pinned releases and see which release broke them.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for verb in VERBS:
        verb.register(verbs)
    return top


if __name__ == "__main__":
    sys.exit(main())
