"""A place that disagreed with itself is run again until it passed often enough, and is then carried."""

from __future__ import annotations

import datetime as dt

from harness.nightly.conclude import conclude
from harness.nightly.evidence import NightEvidence
from harness.nightly.flakiness import MOST_FLAKY
from harness.nightly.ledger import Ledger, remember
from harness.nightly.selection import Wanted, select_cells
from harness.store.records import Outcome
from harness.verdict.result import ResultKey, ScenarioResult

GREEN, RED = Outcome.parse("pass:check"), Outcome.parse("fail:run:exception")
WANTED = Wanted("c", "a=1", "l1", {"s::t": "s1"})


def look(*attempts: Outcome) -> ScenarioResult:
    return ScenarioResult(ResultKey("a=1", "s::t"), "c", "s::t", outcomes=attempts, lock="l1", source="s1")


def spend(ledger: Ledger, night: str, *attempts: Outcome) -> Ledger:
    shown = look(*attempts)
    now = NightEvidence(
        night=night, today=dt.date(2026, 5, 1), results={shown.key: shown}, ledger=ledger, lines=frozenset({"a=1"})
    )
    left = conclude(now).ledger
    assert left is not None
    return left


def test_a_flaky_place_is_run_until_it_passed_as_often_in_a_row_as_reds_are_asked_of_it():
    ledger = Ledger(night="n0", epoch="n0", seen=(remember(look(GREEN, RED), "n0", "n0", same=True, level=True),))
    assert select_cells([WANTED], ledger).why == {"c": "flaky last night"}
    nights = 0
    while select_cells([WANTED], ledger).why:
        nights += 1
        ledger = spend(ledger, f"n{nights}", GREEN)
        if nights == 1:
            needed = f"flaky: {MOST_FLAKY - 1} more passes in a row are needed"
            assert select_cells([WANTED], ledger).why == {"c": needed}
    assert nights == MOST_FLAKY
    assert set(select_cells([WANTED], ledger).carried) == {("a=1", "s::t")}


def test_a_red_in_between_begins_the_count_again():
    ledger = Ledger(night="n0", epoch="n0", seen=(remember(look(GREEN, RED), "n0", "n0", same=True, level=True),))
    for number in range(MOST_FLAKY - 1):
        ledger = spend(ledger, f"n{number}", GREEN)
    ledger = spend(ledger, "red", RED, GREEN)
    assert select_cells([WANTED], spend(ledger, "green", GREEN)).why


def test_a_place_that_a_release_broke_and_mended_is_carried_after_one_pass():
    broken = ScenarioResult(ResultKey("a=1", "s::t"), "c", "s::t", outcomes=(RED,) * 6, lock="l0", source="s1")
    ledger = Ledger(night="n0", epoch="n0", seen=(remember(broken, "n0", "n0", same=True, level=True),))
    assert select_cells([WANTED], spend(ledger, "n1", GREEN)).why == {}
