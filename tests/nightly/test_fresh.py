"""What is new tonight, and why a place is run, where the same is said night after night."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from harness.nightly.claim import Claim, Kind
from harness.nightly.conclude import conclude
from harness.nightly.evidence import STEADY, NightEvidence
from harness.nightly.ledger import Ledger, remember
from harness.nightly.night import exit_code
from harness.nightly.selection import NEVER, Wanted, select_cells
from harness.store.records import Outcome
from harness.verdict.known_issues import KnownIssue
from harness.verdict.result import ResultKey, ScenarioResult

GREEN, RED, BUSY = map(Outcome.parse, ("pass:check", "fail:run:exception", "error:run:gpu_busy"))
WAS = ScenarioResult(
    ResultKey("a=1", "s::t"), "c", "s::t", outcomes=(GREEN,), lock="l1", source="s1", versions={"a": "1"}
)
BROKEN = replace(WAS, outcomes=(RED,) * 6, signatures=("E: other",))
ISSUE = KnownIssue(scenario="s::t", signature="E: written", versions={"a": ">=1"}, tracker="owner/name#1")


def spend(ledger: Ledger, night: str, look: ScenarioResult, *issues: KnownIssue) -> tuple[Claim, Ledger]:
    now = NightEvidence(
        night=night,
        today=dt.date(2026, 5, 1),
        results={look.key: look},
        ledger=ledger,
        lines=frozenset({"a=1"}),
        issues=issues,
    )
    night_of = conclude(now)
    assert night_of.ledger is not None
    (claim,) = night_of.claims
    return claim, Ledger.model_validate_json(night_of.ledger.model_dump_json())


def began(look: ScenarioResult) -> Ledger:
    return Ledger(night="n0", epoch="n0", seen=(remember(look, "n0", "n0", same=True, level=True),))


def test_a_known_issue_that_changed_is_fresh_in_its_first_night_alone_though_the_red_was_there_before():
    first, ledger = spend(began(BROKEN), "n1", BROKEN, ISSUE)
    again, ledger = spend(ledger, "n2", BROKEN, ISSUE)
    assert [(one.kind, one.fresh) for one in (first, again)] == [
        (Kind.KNOWN_CHANGED, True),
        (Kind.KNOWN_CHANGED, False),
    ]
    gone, ledger = spend(ledger, "n3", BROKEN)
    assert gone.kind is Kind.STILL_RED
    back, _ = spend(ledger, "n4", BROKEN, ISSUE)
    assert (back.kind, back.fresh) == (Kind.KNOWN_CHANGED, True)


@pytest.mark.parametrize(
    ("open_", "kind"),
    [
        (replace(WAS, outcomes=(BUSY,), lock="l2", source="s1"), Kind.UNKNOWN),
        (replace(WAS, outcomes=(), reason="killed", lock="l2", source="s1"), Kind.MISSING),
    ],
)
def test_an_answer_that_lacks_again_is_open_but_not_new_and_its_lock_did_not_change_again(open_, kind):
    wanted = Wanted("c", "a=1", "l2", {"s::t": "s1"})
    assert select_cells([wanted], began(WAS)).why == {"c": "its lock changed"}
    first, ledger = spend(began(WAS), "n1", open_)
    assert select_cells([wanted], ledger).why == {"c": "without an answer last night"}
    assert select_cells([replace(wanted, lock="l3")], ledger).why == {"c": "its lock changed"}
    again, _ = spend(ledger, "n2", open_)
    assert [(one.kind, one.fresh) for one in (first, again)] == [(kind, True), (kind, False)]
    assert exit_code([again], STEADY) == 4


@pytest.mark.parametrize("asked", ["s::t", "s", "*"])
def test_a_place_that_never_had_an_answer_is_run_as_that_and_not_as_new(asked):
    """Where its file or its whole cell spoke for it, too; once it had an answer it is carried."""
    wanted = Wanted("c", "a=1", "l1", {"s::t": "s1"})
    without = replace(WAS, key=ResultKey(WAS.key.series, asked), recorded_as=asked, outcomes=(BUSY,))
    empty = Ledger(night="n0", epoch="n0")
    assert select_cells([wanted], empty).why == {"c": "new"}
    _, ledger = spend(empty, "n1", without)
    assert select_cells([wanted], ledger).why == {"c": NEVER}
    assert select_cells([replace(wanted, line="a=2")], ledger).why == {"c": "new"}
    _, ledger = spend(ledger, "n2", without)
    assert select_cells([wanted], ledger).why == {"c": NEVER}
    _, ledger = spend(ledger, "n3", WAS)
    assert (select_cells([wanted], ledger).why, ledger.unanswered) == ({}, ())


def test_a_scenario_that_never_had_an_answer_is_told_from_one_that_is_new_beside_it():
    """It is so still while its whole cell has none, and no more once it left the matrix."""
    wanted = Wanted("c", "a=1", "l1", {"s::t": "s1", "s::u": "s1"})
    other = replace(WAS, key=ResultKey(WAS.key.series, "s::u[x]"), recorded_as="s::u[x]", outcomes=())
    now = NightEvidence(
        night="n1",
        today=dt.date(2026, 5, 1),
        results={one.key: one for one in (WAS, other)},
        lines=frozenset({"a=1"}),
    )
    left = conclude(now).ledger
    assert select_cells([wanted], left).why == {"c": NEVER}
    assert select_cells([replace(wanted, sources={"s::t": "s1", "s::v": "s1"})], left).why == {"c": "a new scenario"}
    cell = replace(WAS, key=ResultKey(WAS.key.series, "*"), recorded_as="*", outcomes=(BUSY,))
    hidden = conclude(replace(now, results={cell.key: cell}, ledger=left)).ledger
    assert select_cells([wanted], hidden).why == {"c": f"without an answer last night; {NEVER}"}
    gone = conclude(replace(now, results={WAS.key: WAS}, ledger=hidden)).ledger
    assert select_cells([wanted], gone).why == {"c": "a new scenario"}


def test_an_answer_that_came_back_under_the_new_lock_is_carried_under_it():
    wanted = Wanted("c", "a=1", "l2", {"s::t": "s1"})
    _, ledger = spend(began(WAS), "n1", replace(WAS, outcomes=(BUSY,), lock="l2", source="s1"))
    now = NightEvidence(
        night="n2",
        today=dt.date(2026, 5, 1),
        results={WAS.key: replace(WAS, lock="l2", source="s1")},
        ledger=ledger,
        lines=frozenset({"a=1"}),
    )
    left = conclude(now).ledger
    assert select_cells([wanted], left).why == {}
    assert select_cells([replace(wanted, lock="l1")], left).why == {"c": "its lock changed"}
