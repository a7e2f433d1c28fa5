"""A night is no green one while something stands worse than the baseline and nobody accepted it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

import pytest

from harness.nightly.baseline import BaselineResults
from harness.nightly.claim import Claim, Kind
from harness.nightly.conclude import Night, conclude, to_confirm
from harness.nightly.control import Control, State
from harness.nightly.evidence import STEADY, NightEvidence
from harness.nightly.ledger import LastResult, Ledger, remember
from harness.nightly.memory import beyond
from harness.nightly.night import exit_code
from harness.nightly.summary import verdict
from harness.store.baseline import Acceptance
from harness.store.records import Outcome
from harness.verdict.acceptance import acceptance
from harness.verdict.comparison import differences
from harness.verdict.known_issues import KnownIssue
from harness.verdict.result import ResultKey, ScenarioResult

NAMES = {"G": "pass:check", "R": "fail:run:exception", "E": "error:run:exception", "S": "skip:run:not_applicable"}
GIB = 1024**3
RESERVED = "cuda_reserved.load"
PLACE = ResultKey("a=latest", "s::t")
DIFFERS, OTHERWISE = Kind.DIFFERS, Kind.OTHERWISE


def look(
    answers: str, version: int = 1, memory: float = 0.0, scenario: str = "s::t", signature: str = "E: x", **more: object
) -> ScenarioResult:
    shown = ScenarioResult(
        ResultKey("a=latest", scenario),
        "a",
        scenario,
        outcomes=tuple(Outcome.parse(NAMES[one]) for one in answers),
        signatures=(signature,) if "R" in answers else (),
        values={RESERVED: (memory * GIB,) * len(answers)} if memory else {},
        versions={"a": str(version)},
        lock=f"l{version}",
        source="s1",
    )
    return replace(shown, **more)


GREEN, BROKEN = look("GGG"), look("R" * 6, 2)


def based_on(*looks: ScenarioResult, epoch: str = "n0", accepted: tuple[Acceptance, ...] = ()) -> BaselineResults:
    """The baseline as it is read from its run."""
    return BaselineResults("base", {one.key: one for one in looks}, epoch, accepted)


def agreed(base: ScenarioResult, now: ScenarioResult) -> tuple[Acceptance, ...]:
    """What ``harness baseline accept`` keeps of all differences between two places."""
    entries = differences({base.key: base}, {now.key: now})
    assert entries
    date = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
    return tuple(acceptance(one, reason="on purpose", run="n1", date=date) for one in entries)


@dataclass
class Nights:
    """Nights one after the other; the first shows what the baseline does."""

    held: BaselineResults
    ledger: Ledger | None = None
    number: int = 0
    issues: tuple[KnownIssue, ...] = ()
    last: Night = field(default_factory=lambda: Night((), None))

    def spend(
        self, *looks: ScenarioResult, carried: bool = False, control: Control = STEADY, strict: bool = False
    ) -> int:
        """Spend a night and return its exit code; what it does not run it carries if asked to."""
        before = self.ledger.last_results() if self.ledger else {}
        shown = {one.key: one for one in looks}
        left: dict[ResultKey, LastResult] = {
            place: one for place, one in before.items() if place not in shown and carried
        }
        now = NightEvidence(
            night=f"n{self.number}",
            today=dt.date(2026, 5, 1),
            results=shown,
            carried=left,
            ledger=self.ledger,
            lines=frozenset({"a=latest"}),
            baseline=self.held,
            issues=self.issues,
            control=control,
            control_results={one.key.scenario: one for one in looks[:1]},
        )
        self.confirm = to_confirm(now)
        self.last = conclude(now)
        assert self.last.ledger is not None
        self.ledger = Ledger.model_validate_json(self.last.ledger.model_dump_json())
        self.number += 1
        return exit_code(self.last.claims, control, strict=strict)

    @property
    def kinds(self) -> list[Kind]:
        return [one.kind for one in self.last.claims]

    @property
    def only(self) -> Claim:
        (claim,) = self.last.claims
        return claim


def begun(*looks: ScenarioResult, **more: object) -> Nights:
    nights = Nights(based_on(*looks, **more))  # type: ignore[arg-type]
    nights.spend(*looks)
    return nights


def test_a_red_against_the_baseline_keeps_the_night_from_being_green_until_it_is_gone():
    nights = begun(GREEN)
    assert (nights.spend(BROKEN), nights.kinds) == (1, [Kind.NEW])
    for _ in range(3):
        assert (nights.spend(look("R", 2)), nights.confirm) == (1, {})
        claim = nights.only
        assert (claim.kind, claim.fresh, claim.regression, claim.since) == (DIFFERS, False, False, "n1")
        assert (claim.was, claim.changed) == ("base", {"a": ("1", "2")})
        assert claim.detail == "E: x; pass in the baseline base"
        assert verdict(1, "steady", nights.last.claims) == "still differs from the baseline"
    assert (nights.spend(look("GG", 3)), nights.kinds) == (0, [Kind.FIXED])
    assert (nights.spend(look("G", 3)), nights.kinds) == (0, [])


def test_what_differs_from_the_baseline_is_told_in_tonights_words():
    """A signature has no numbers in it, and what a failure says has."""
    nights = begun(GREEN)
    nights.spend(BROKEN)
    nights.spend(look("R", 2, reason="the answer is 39\nand not 42"))
    assert nights.only.detail == "the answer is 39 and not 42; pass in the baseline base"


def test_without_a_baseline_only_the_first_night_is_red():
    nights = Nights(BaselineResults())
    assert [nights.spend(one) for one in (GREEN, BROKEN, look("R", 2))] == [0, 1, 0]
    assert nights.kinds == [Kind.STILL_RED]


def test_what_was_accepted_is_quiet_and_another_failure_in_its_place_is_not():
    nights = begun(GREEN)
    nights.spend(BROKEN)
    nights.held = based_on(GREEN, accepted=agreed(GREEN, BROKEN))
    assert (nights.spend(look("R", 2)), nights.kinds) == (0, [Kind.STILL_RED])
    other = look("RR", 3, signature="E: y")
    assert (nights.spend(other), nights.kinds) == (1, [Kind.CHANGED, DIFFERS])
    assert (nights.spend(other), nights.kinds) == (1, [DIFFERS])


def test_more_memory_than_the_baseline_counts_until_it_is_accepted_also_where_it_is_carried():
    nights = begun(look("GGG", memory=6))
    grown = look("GGG", 2, 7)
    assert (nights.spend(grown), nights.kinds) == (1, [Kind.MEMORY_UP])
    assert (nights.spend(carried=True), nights.only.kind) == (1, DIFFERS)
    assert nights.only.detail == "cuda_reserved.load 6.00 GiB in base, 7.00 GiB now"
    assert (nights.only.since, nights.only.bounds, nights.only.regression) == ("n1", (6 * GIB, 7 * GIB), False)
    assert (nights.spend(look("G", 2, 7)), nights.confirm, nights.only.kind) == (1, {}, DIFFERS)
    assert nights.only.since == "n1"
    nights.held = based_on(look("GGG", memory=6), accepted=agreed(look("GGG", memory=6), grown))
    assert (nights.spend(look("G", 2, 7)), nights.kinds) == (0, [])
    assert (nights.spend(carried=True), nights.kinds) == (0, [])
    assert (nights.spend(look("GGG", 3, 9)), nights.kinds) == (1, [Kind.MEMORY_UP])
    assert (nights.spend(carried=True), nights.kinds) == (1, [DIFFERS])
    assert (nights.spend(look("GGG", 4, 4)), nights.kinds) == (0, [Kind.MEMORY_DOWN])
    assert (nights.spend(carried=True), nights.kinds) == (0, [])


def test_memory_that_was_accepted_before_it_came_is_the_level_that_later_nights_go_by():
    base, grown = look("GGG", memory=6), look("GGG", 2, 7)
    nights = begun(base, accepted=agreed(base, grown))
    assert (nights.spend(look("G", 2, 7)), nights.kinds) == (0, [Kind.ACCEPTED])
    assert nights.ledger is not None
    assert nights.ledger.last_results()[PLACE].figures == {RESERVED: (7 * GIB,)}


def test_memory_that_crept_up_is_said_of_the_night_that_passed_the_bound_and_stands_from_then_on():
    nights = begun(look("GGG", memory=6))
    assert [nights.spend(look("GGG", 2, memory)) for memory in (6.15, 6.25, 6.5, 6.5)] == [0, 0, 1, 1]
    assert nights.kinds == [DIFFERS]


def test_memory_that_crept_up_is_seen_again_before_it_is_said():
    nights = begun(look("GGG", memory=6))
    for _ in range(2):
        nights.spend(look("GGG", 2, 6.25))
    assert (nights.spend(look("G", 3, 6.5)), nights.kinds, nights.confirm) == (4, [Kind.UNCONFIRMED], {PLACE: 2})


def test_memory_that_overlaps_the_baselines_has_not_moved():
    base = look("GGG", values={RESERVED: (5.9 * GIB, 6.0 * GIB, 6.9 * GIB)})
    assert beyond(base, look("GGG", values={RESERVED: (6.8 * GIB, 7.1 * GIB, 7.1 * GIB)})) == ()
    assert beyond(base, look("GGG", values={RESERVED: (7.0 * GIB, 7.1 * GIB, 7.1 * GIB)}))


def test_what_grew_is_accepted_whatever_shrank_beside_it():
    names = (RESERVED, "cuda_allocated.load")
    base = look("GGG", values=dict.fromkeys(names, (6.0 * GIB,) * 3))
    grown = look("GGG", 2, values={names[0]: (7.0 * GIB,) * 3, names[1]: (4.0 * GIB,) * 3})
    nights = begun(base, accepted=agreed(base, grown))
    nights.spend(grown)
    assert (nights.spend(grown), nights.kinds) == (0, [])


def test_what_a_failed_attempt_measured_in_the_baseline_is_no_level():
    nights = begun(look("RR", memory=6))
    assert (nights.spend(look("GGG", 2, 9)), nights.kinds) == (0, [Kind.FIXED])
    assert (nights.spend(carried=True), nights.kinds) == (0, [])
    flaky = begun(look("RGG", memory=6))
    assert (flaky.spend(look("GGG", 2, 9)), flaky.kinds) == (0, [])


def test_a_fix_that_takes_more_memory_than_before_the_break_is_both():
    nights = begun(look("GGG", memory=6))
    nights.spend(look("R" * 6, 2, memory=1))
    assert (nights.spend(look("G", 3, 9)), nights.kinds) == (4, [Kind.FIXED, Kind.UNCONFIRMED])
    assert nights.confirm == {PLACE: 2}
    nights = begun(look("GGG", memory=6))
    nights.spend(look("R" * 6, 2, memory=1))
    assert (nights.spend(look("GGG", 3, 9)), nights.kinds) == (1, [Kind.FIXED, Kind.MEMORY_UP])
    assert (nights.spend(carried=True), nights.kinds) == (1, [DIFFERS])
    nights = begun(look("GGG", memory=6))
    nights.spend(look("R" * 6, 2, memory=1))
    assert (nights.spend(look("G", 3, 6)), nights.kinds) == (0, [Kind.FIXED])


@pytest.mark.parametrize(("attempts", "codes"), [("G", [0, 0]), ("GGG", [1, 1])])
def test_a_baseline_of_one_attempt_has_the_room_that_a_comparison_gives_it(attempts, codes):
    """What compare does not call more, nobody could accept."""
    nights = Nights(based_on(look(attempts, memory=6)))
    nights.spend(look("GGG", memory=6.28))
    assert [nights.spend(look("GGG", 2, 6.5)), nights.spend(carried=True)] == codes


def test_memory_is_not_held_against_a_baseline_since_which_the_machine_moved_and_the_night_says_so():
    settled = Control(State.SETTLED)
    nights = begun(look("GGG", memory=6), look("GG", scenario="s::u"))
    nights.spend(look("G", memory=6), look("R" * 6, 2, scenario="s::u"))
    red = [DIFFERS]  # an answer is one on any machine
    assert (nights.spend(look("GGG", memory=9), look("R", 2, scenario="s::u"), control=settled), nights.kinds) == (
        1,
        red,
    )
    assert (nights.spend(look("GGG", memory=9), look("R", 2, scenario="s::u")), nights.kinds) == (1, red)
    assert nights.last.notes == (
        "memory is not held against the baseline base, for the machine moved since: set a newer one",
    )
    nights.held = replace(nights.held, epoch="n2")
    assert (nights.spend(look("GGG", memory=9)), nights.last.notes) == (1, ())
    nights.held = replace(nights.held, epoch="")  # a run that was no night: nobody knows
    nights.spend(look("GGG", memory=9))
    assert DIFFERS in nights.kinds


def test_on_another_model_of_gpu_memory_is_not_held_against_the_baseline():
    nights = Nights(based_on(look("GGG", memory=6, gpu="H100")))
    assert [nights.spend(look("GGG", version, 9, gpu="H200")) for version in (1, 2)] == [0, 0]


def test_a_place_that_is_red_otherwise_than_in_the_baseline_counts_where_it_is_asked_to():
    nights = begun(look("RR", signature="E: old"))
    assert (nights.spend(look("RR", 2)), nights.kinds) == (0, [Kind.CHANGED, OTHERWISE])
    assert (nights.spend(look("R", 2)), nights.kinds) == (0, [OTHERWISE])
    assert (nights.spend(look("R", 2), strict=True), nights.only.fresh) == (1, False)
    assert verdict(1, "steady", nights.last.claims) == "fails otherwise than the baseline (--strict)"
    nights.held = based_on(look("RR", signature="E: old"), accepted=agreed(look("RR", signature="E: old"), look("R")))
    assert (nights.spend(look("R", 2), strict=True), nights.kinds) == (0, [Kind.STILL_RED])


def test_in_a_first_night_a_red_that_the_baseline_has_otherwise_has_changed():
    nights = Nights(based_on(look("RR", signature="E: old")))
    assert (nights.spend(look("RR")), nights.kinds) == (0, [Kind.CHANGED, OTHERWISE])


def test_a_baseline_excuses_what_it_shows_and_nothing_else():
    fixed = look("GGGG", 2)
    nights = begun(look("RR", signature="E: old"))
    nights.spend(fixed)
    assert (nights.spend(look("R" * 6, 3, signature="E: old")), nights.only.detail) == (
        0,
        "fail:run:exception; red in the baseline too",
    )
    nights.spend(fixed)
    assert (nights.spend(look("R" * 6, 4)), nights.kinds) == (1, [Kind.NEW])


@pytest.mark.parametrize("without", ["E", "S"])
def test_a_baseline_without_an_answer_hides_no_regression(without):
    nights = Nights(based_on(look(without)))
    nights.spend(GREEN)
    assert (nights.spend(BROKEN), nights.kinds) == (1, [Kind.NEW])
    assert (nights.spend(look("R", 2)), nights.kinds) == (0, [Kind.STILL_RED])  # the baseline says nothing of it


def test_memory_that_was_accepted_excuses_no_failure_and_a_failure_no_memory():
    base, grown = look("GGG", memory=6), look("GGG", 2, 7)
    nights = begun(base, accepted=agreed(base, grown))
    nights.spend(grown)
    assert (nights.spend(look("R" * 6, 3, 7)), nights.kinds) == (1, [Kind.NEW])
    assert (nights.spend(look("R", 3, 7)), nights.kinds) == (1, [DIFFERS])
    nights = begun(base, accepted=agreed(base, look("RR", 2)))
    assert (nights.spend(grown), nights.kinds) == (1, [Kind.MEMORY_UP])


def test_what_is_known_flaky_new_or_only_seen_too_seldom_does_not_stand():
    issue = KnownIssue(scenario="s::t", signature="E: x", versions={"a": ">=1"}, tracker="owner/name#1")
    nights = begun(GREEN)
    nights.issues = (issue,)
    assert [nights.spend(look("R", 2)), nights.spend(look("R", 2))] == [0, 0]
    assert nights.kinds == [Kind.KNOWN]
    nights.issues = ()
    assert (nights.spend(look("R", 2)), nights.kinds) == (1, [DIFFERS])
    flaky = begun(GREEN)
    assert [flaky.spend(look("RG", 2)), flaky.spend(look("RG", 2))] == [0, 0]
    new = begun(GREEN)
    assert [new.spend(GREEN, look("RR", scenario="s::new")) for _ in range(2)] == [0, 0]
    seldom = begun(GREEN)
    assert (seldom.spend(look("R", 2)), seldom.kinds) == (4, [Kind.UNCONFIRMED])


def test_a_place_that_was_flaky_in_the_baseline_and_now_is_always_red_stands_worse():
    nights = begun(look("GRGG"))
    assert (nights.spend(look("R" * 14, 2)), nights.kinds) == (1, [Kind.NEW])
    assert (nights.spend(look("R", 2)), nights.kinds) == (1, [DIFFERS])


def test_a_red_without_a_change_is_open_in_its_night_and_stands_after():
    nights = begun(GREEN)
    assert (nights.spend(look("R" * 6)), nights.kinds) == (4, [Kind.UNEXPLAINED])
    assert (nights.spend(look("R")), nights.kinds) == (1, [DIFFERS])


def test_a_scenario_that_was_edited_red_is_red_against_the_baseline_at_once():
    """Else an edit would be all it takes to open the gate."""
    nights = begun(GREEN)
    edited = look("RR", lock="l1", source="s2")
    assert (nights.spend(edited), nights.kinds) == (1, [Kind.EDITED, DIFFERS])
    assert (nights.spend(edited), nights.kinds) == (1, [DIFFERS])


def test_a_result_that_is_missing_is_said_beside_what_stands_and_only_as_missing_in_its_own_place():
    nights = begun(GREEN, look("GGG", scenario="s::u"))
    nights.spend(BROKEN, look("G", 2, scenario="s::u"))
    assert nights.spend(look("R", 2), look("", 2, scenario="s::u", reason="killed")) == 1
    assert set(nights.kinds) == {DIFFERS, Kind.MISSING}
    assert verdict(1, "steady", nights.last.claims) == (
        "still differs from the baseline, and results are missing or open"
    )
    assert nights.spend(look("", 2, reason="killed"), look("G", 2, scenario="s::u")) == 4
    assert nights.kinds == [Kind.MISSING]


def test_a_machine_that_moved_claims_nothing_against_the_baseline():
    nights = begun(GREEN)
    nights.spend(BROKEN)
    assert nights.spend(look("R", 2), control=Control(State.MOVED)) == 4
    assert DIFFERS not in nights.kinds


def test_a_cell_that_cannot_be_set_up_is_unavailable_and_no_difference_of_the_software():
    cell = look(
        "",
        2,
        scenario="*",
        outcomes=(Outcome.parse("unavailable:install:install_failed"),),
        signatures=("E: no wheel",),
    )
    nights = begun(GREEN, look("GG", scenario="s::u"))
    for _ in range(2):
        assert (nights.spend(cell), nights.kinds) == (4, [Kind.UNAVAILABLE])
    assert nights.spend(GREEN, look("GG", scenario="s::u")) == 0


def test_what_left_the_matrix_stands_no_more():
    nights = begun(GREEN)
    nights.spend(BROKEN)
    assert nights.spend(look("G", 2, scenario="s::u")) == 0
    assert set(nights.kinds) == {Kind.APPEARED, Kind.DISAPPEARED}


def test_a_baseline_that_is_set_behind_what_stands_counts_from_its_first_night():
    nights = Nights(
        BaselineResults(),
        Ledger(night="n0", epoch="n0", seen=(remember(BROKEN, "n0", "n0", same=True, level=True),)),
    )
    nights.number = 1
    nights.held = based_on(GREEN)
    assert (nights.spend(look("R", 2)), nights.only.kind, nights.only.fresh) == (1, DIFFERS, False)
