"""What reports are made of, for a run and its attempts without a run folder."""

from harness.report import context
from harness.store.journal import JournalContent


def build(run, attempts, issues=()):
    """Make the context of a run whose journal has these attempts and nothing else."""
    return context.build(run, JournalContent(attempts=tuple(attempts)), issues)


def lookup(run, attempts):
    """Return the results of such a run by scenario and cell id."""
    return context.lookup(run, JournalContent(attempts=tuple(attempts)))
