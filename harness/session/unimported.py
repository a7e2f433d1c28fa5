"""Say that a module which the matrix wants imported before the attempts is not there in a cell."""

from __future__ import annotations

from collections.abc import Mapping

from harness.session.context import RunContext


def journal_unimported(context: RunContext, cell: str, failures: Mapping[str, str]) -> None:
    """Journal each module that the matrix file names and that could not be imported; ``failures`` maps it to why.

    The attempts run all the same: those that need it fail with their own frames, the others do without.
    """
    for module, why in failures.items():
        if module in context.named:
            text = f"{context.named[module]} could not be imported in {cell}: {why}"
            context.journal.write("preload_failed", cell=cell, module=module, text=text)
