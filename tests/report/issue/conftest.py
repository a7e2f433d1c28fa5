"""Drafts of the run that the other report tests use."""

import pytest

from harness.report.issue.build import Material, build
from harness.report.issue.draft import select_failure
from harness.report.issue.evidence import failures
from tests.contexts import build as build_report
from tests.contexts import lookup


def draft(run, attempts, key, issues=(), searched=None):
    report = build_report(run, attempts, issues)
    group = select_failure(failures(report.groups, report.rows), key)
    return build(
        Material(run, lookup(run, attempts), report, {info.id: info for info in run.scenarios}), group, searched
    )


@pytest.fixture
def issue_of():
    """Return a function from a run, its attempts and a failure to the draft."""
    return draft


@pytest.fixture
def draft_of(make_run, attempts):
    """Return a function from a failure of the made-up run to its draft."""

    def make(key, **rest):
        return draft(make_run(), attempts, key, **rest)

    return make
