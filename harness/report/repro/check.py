"""The last look at a script before anybody gets it: it compiles, is short, stands alone, and names nothing unknown."""

from __future__ import annotations

import ast
import builtins
import re

from harness.errors import ConfigError
from harness.report.repro.scopes import bound, module_names

MOST_LINES = 200  # a script has fewer
MODULE_NAMES = {"__name__", "__file__", "__doc__"}


def check(text: str, scenario: str) -> None:
    """Look at a finished script.

    Raises:
        ConfigError: it is no Python, too long, imports the harness, or uses a name that it does not define.
    """
    try:
        compile(text, "repro.py", "exec")
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"the script for {scenario} would not be Python: {error}") from error
    lines = text.count("\n")
    if lines >= MOST_LINES:
        raise ConfigError(
            f"the script for {scenario} would have {lines} lines, and one that is read has fewer than 200"
        )
    if re.search(r"^\s*(?:from|import) harness\b", text, re.MULTILINE):
        raise ConfigError(f"the script for {scenario} would import the harness, which nobody else has")
    if unknown := unknown_names(tree):
        raise ConfigError(f"the script for {scenario} would use {unknown[0]}, which it does not define")


def unknown_names(tree: ast.Module) -> list[str]:
    """Return the names that a module looks up and neither binds nor finds among the builtins."""
    known = bound(tree.body) | set(dir(builtins)) | MODULE_NAMES
    return [name for name in module_names(tree) if name not in known]
