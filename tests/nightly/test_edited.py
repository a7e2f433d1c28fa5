"""A scenario whose source changed is said as that, and never as a release's doing alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from harness.nightly.claim import Kind
from harness.nightly.conclude import conclude, to_confirm
from harness.nightly.evidence import STEADY, NightEvidence
from harness.nightly.ledger import Ledger, remember
from harness.nightly.night import exit_code
from harness.store.records import Outcome
from harness.verdict.result import ResultKey, ScenarioResult

GREEN, RED = Outcome.parse("pass:check"), Outcome.parse("fail:check:assertion")
GIB = 1024**3
WAS = ScenarioResult(
    ResultKey("a=latest", "s::t"), "a=latest", "s::t", outcomes=(GREEN,), lock="l1", source="s1", versions={"a": "1"}
)
EDITED = replace(WAS, lock="l1", source="s2")
BROKEN = replace(EDITED, outcomes=(RED,), signatures=("E: x",))


def tonight(was: ScenarioResult, now: ScenarioResult) -> NightEvidence:
    ledger = Ledger(night="n0", epoch="n0", seen=(remember(was, "n0", "n0", same=True, level=True),))
    return NightEvidence(
        night="n1", today=dt.date(2026, 5, 1), results={now.key: now}, ledger=ledger, lines=frozenset({now.key.series})
    )


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        (WAS, BROKEN, "where it was green"),
        (WAS, replace(BROKEN, outcomes=(RED,) * 6), "where it was green"),
        (replace(WAS, outcomes=(RED,)), EDITED, "green, where it was red"),
        (replace(WAS, outcomes=(RED,), signatures=("E: y",)), BROKEN, "fail:check:assertion"),
        (
            replace(WAS, values={"cuda_reserved.load": (GIB,)}),
            replace(EDITED, values={"cuda_reserved.load": (3 * GIB,)}),
            "3",
        ),
    ],
)
def test_an_edited_scenario_alone_is_scenario_changed_quiet_and_not_seen_again(was, now, said):
    situation = tonight(was, now)
    (claim,) = conclude(situation).claims
    assert claim.kind is Kind.EDITED
    assert claim.detail.startswith("its source changed, nothing installed did: ")
    assert said in claim.detail
    assert to_confirm(situation) == {}
    assert (exit_code([claim], STEADY), claim.regression) == (0, False)


def test_what_an_edit_left_is_what_the_next_night_goes_by():
    left = conclude(tonight(WAS, BROKEN)).ledger
    assert left is not None
    assert left.last_results()[WAS.key].since == "n1"
    again = replace(tonight(WAS, BROKEN), ledger=left, night="n2")
    assert [one.kind for one in conclude(again).claims] == [Kind.STILL_RED]


def test_where_the_lock_changed_too_the_claim_stays_and_names_the_edit():
    now = replace(BROKEN, outcomes=(RED,) * 6, lock="l2", source="s2", versions={"a": "2"})
    (claim,) = conclude(tonight(WAS, now)).claims
    assert claim.kind is Kind.NEW
    assert claim.detail.endswith("the scenario's source changed too")
    fixed = replace(EDITED, lock="l2", source="s2")
    (claim,) = conclude(tonight(replace(WAS, outcomes=(RED,)), fixed)).claims
    assert (claim.kind, "source changed too" in claim.detail) == (Kind.FIXED, True)


def test_a_release_under_an_equal_source_says_nothing_of_an_edit():
    now = replace(BROKEN, outcomes=(RED,) * 6, lock="l2", source="s1", versions={"a": "2"})
    (claim,) = conclude(tonight(WAS, now)).claims
    assert (claim.kind, "source" in claim.detail) == (Kind.NEW, False)
