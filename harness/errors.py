"""The errors that a user can cause or meet, each with its exit code."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command of the harness returns to its caller."""

    COMPLETE = 0
    REGRESSION = 1
    USAGE = 2
    NOTHING_SELECTED = 3
    INCOMPLETE = 4
    INTERRUPTED = 130


class HarnessError(Exception):
    """One clear sentence for the user, and the exit code that goes with it."""

    exit_code = ExitCode.INCOMPLETE


class ConfigError(HarnessError):
    """The user asked for something that cannot be: usage or configuration."""

    exit_code = ExitCode.USAGE


class NothingSelectedError(HarnessError):
    """The selection is valid and matches nothing."""

    exit_code = ExitCode.NOTHING_SELECTED


class InfrastructureError(HarnessError):
    """The machine, the network or the disk stood in the way."""

    exit_code = ExitCode.INCOMPLETE


class Interrupted(Exception):
    """The user stopped a run, or its deadline passed; what was finished is kept, and the run can be resumed."""
