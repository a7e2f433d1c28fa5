"""A simulated season: what the nights claim is held against what was planted."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from harness.nightly.baseline import BaselineResults
from harness.nightly.claim import REGRESSIONS, Kind
from harness.nightly.conclude import Night, conclude
from harness.nightly.control import Control, compare_control
from harness.nightly.evidence import NO_BASELINE, NightEvidence
from harness.nightly.ledger import Ledger
from harness.nightly.machine import Card, MachineSnapshot
from harness.nightly.night import confirm, exit_code
from harness.nightly.selection import Wanted, select_cells
from harness.store.records import Outcome
from harness.verdict.known_issues import KnownIssue
from harness.verdict.result import ResultKey, ScenarioResult

GREEN, RED = Outcome.parse("pass:check"), Outcome.parse("fail:run:exception")
NETWORK = Outcome.parse("error:install:network")
MODEL_BYTES = 6 * 1024**3
RESERVED = "cuda_reserved.load"
REFERENCE = "transformers=4.57.6"
START = dt.date(2026, 1, 1)


@dataclass(frozen=True)
class Defect:
    """A scenario is red, or takes ``factor`` times the memory, where a package is in a range."""

    scenario: str
    package: str
    versions: str
    signature: str = ""
    factor: float = 1.0


@dataclass
class World:
    """What is true. Lines map each package to its releases by the night in which they appear."""

    lines: Mapping[str, Mapping[str, Sequence[tuple[int, str]]]]
    scenarios: Sequence[str]
    defects: Sequence[Defect] = ()
    flakes: Mapping[ResultKey, float] = field(default_factory=dict)  # chance that an attempt is red by itself
    noise: float = 0.02  # of reserved memory, each way, in the releases of noisy
    noisy: str = ">=5.0,<5.4"
    drivers: Sequence[tuple[int, str, float]] = ((0, "580.1", 1.0),)  # from night, driver, factor of every figure
    busy: frozenset[int] = frozenset()  # nights in which somebody else has the card after the first control
    lost: Mapping[int, frozenset[str]] = field(default_factory=dict)  # night -> lines whose runner was lost
    full: Mapping[int, int] = field(default_factory=dict)  # night -> attempts after which the disk is full
    issues: Sequence[KnownIssue] = ()
    broken: Mapping[ResultKey, int] = field(default_factory=dict)  # red from a night on, whatever is installed
    seed: int = 0

    def __post_init__(self):
        self.chance = random.Random(self.seed)  # noqa: S311 - a world to play, nothing to keep secret
        self.made = 0
        self.ran = 0

    def versions(self, line: str, night: int) -> dict[str, str]:
        return {
            package: max((text for day, text in releases if day <= night), key=Version)
            for package, releases in self.lines[line].items()
        }

    def truth(self, line: str, scenario: str, night: int) -> tuple[str, float]:
        """Return the signature (empty: green) and the factor of the memory."""
        versions, signature, factor = self.versions(line, night), "", 1.0
        for one in self.defects:
            if one.scenario == scenario and versions[one.package] in SpecifierSet(one.versions):
                signature, factor = one.signature or signature, factor * one.factor
        return signature, factor

    def attempt(self, line: str, scenario: str, night: int, machine: float = 1.0) -> tuple[Outcome, str, float]:
        self.made += 1
        self.ran += 1
        if night in self.full and self.made > self.full[night]:
            return NETWORK, "", 0.0
        signature, factor = self.truth(line, scenario, night)
        if night >= self.broken.get((line, scenario), night + 1):
            signature = "OSError: broken"
        if not signature and self.chance.random() < self.flakes.get((line, scenario), 0.0):
            signature = "TypeError: flake"
        noisy = self.versions(line, night)["transformers"] in SpecifierSet(self.noisy)
        wobble = 1 + self.chance.uniform(-self.noise, self.noise) if noisy else 1.0
        return (RED if signature else GREEN), signature, MODEL_BYTES * factor * machine * wobble

    def look(
        self, line: str, scenario: str, night: int, before: ScenarioResult | None = None, machine: float = 1.0
    ) -> ScenarioResult:
        outcome, signature, memory = self.attempt(line, scenario, night, machine)
        old = before or ScenarioResult(ResultKey(line, scenario), line, scenario)
        figures = {RESERVED: (*old.values.get(RESERVED, ()), memory)} if memory else dict(old.values)
        return replace(
            old,
            outcomes=(*old.outcomes, outcome),
            signatures=(signature,) if signature else (),
            values=figures,
            versions=self.versions(line, night),
            lock=self.lock(line, night),
            source="s1",
            gpu="GPU",
            reason="no space left on device" if outcome is NETWORK else "",
        )

    def lock(self, line: str, night: int) -> str:
        return hashlib.sha256(repr(sorted(self.versions(line, night).items())).encode()).hexdigest()[:8]

    def facts(self, night: int) -> MachineSnapshot:
        driver = [name for day, name, _ in self.drivers if day <= night][-1]
        return MachineSnapshot(
            kernel="6.1", cpus=16, cards=(Card(mark="a", name="GPU", driver=driver, total=1, used=0),)
        )

    def machine(self, night: int) -> float:
        return [factor for day, _, factor in self.drivers if day <= night][-1]


@dataclass(frozen=True)
class Spent:
    """A night that was spent: what it claims, how it ends, and how many attempts it took."""

    number: int
    night: Night
    control: Control
    code: int
    attempts: int

    def places(self, *kinds) -> set[ResultKey]:
        return {(one.line, one.scenario) for one in self.night.claims if one.kind in kinds and one.fresh}


def spend(world: World, number: int, ledger: Ledger | None, held: BaselineResults = NO_BASELINE) -> Spent:
    """Spend one night as the command does: control, cells, confirmation, control, claims."""
    world.made = world.ran = 0
    machine, lost = world.machine(number), world.lost.get(number, frozenset())
    planned = [
        Wanted(line, line, world.lock(line, number), dict.fromkeys(world.scenarios, "s1"), control=line == REFERENCE)
        for line in world.lines
    ]
    choice = select_cells(planned, ledger)
    first = {name: world.look(REFERENCE, name, number, None, machine) for name in world.scenarios}
    later = machine * (1.3 if number in world.busy else 1.0)
    looks = {ResultKey(REFERENCE, name): look for name, look in first.items()}
    for line, names in choice.run.items():
        for name in names:
            if line in lost:
                looks[ResultKey(line, name)] = ScenarioResult(
                    ResultKey(line, name), line, name, reason="no part brought this cell"
                )
            elif line != REFERENCE:
                looks[ResultKey(line, name)] = world.look(line, name, number, None, later)
    now = NightEvidence(
        night=f"night-{number:02}",
        today=START + dt.timedelta(days=number),
        results=looks,
        carried=choice.carried,
        ledger=ledger,
        lines=frozenset(world.lines),
        issues=world.issues,
        baseline=held,
        facts=world.facts(number),
    )
    latest = dict(looks)

    def again(wanted: Mapping[ResultKey, int]) -> dict[ResultKey, ScenarioResult]:
        for place, count in wanted.items():
            for _ in range(count if place[0] not in lost else 0):
                latest[place] = world.look(*place, number, latest[place], later)
        return {place: latest[place] for place in wanted}

    now = confirm(now, again)
    return _finish(world, number, now, first, later)


def _finish(world: World, number: int, now: NightEvidence, first: Mapping[str, ScenarioResult], later: float) -> Spent:
    last = {name: world.look(REFERENCE, name, number, None, later) for name in world.scenarios}
    looks = {
        ResultKey(REFERENCE, name): replace(
            look,
            outcomes=(*look.outcomes, *last[name].outcomes),
            values={RESERVED: (*look.values.get(RESERVED, ()), *last[name].values.get(RESERVED, ()))},
        )
        for name, look in first.items()
    }
    control = compare_control(first, last, now.ledger, (world.facts(number), world.facts(number)))
    now = replace(now, results={**now.results, **looks}, control=control, control_results=last)
    night = conclude(now)
    return Spent(number, night, control, exit_code(night.claims, control), world.ran)


def season(world: World, nights: int, baseline: int = -1) -> list[Spent]:
    """Spend nights; ``baseline`` is the night that is made the baseline when it is over."""
    spent, ledger, held = [], None, NO_BASELINE
    for number in range(nights):
        one = spend(world, number, ledger, held)
        ledger = one.night.ledger
        if ledger is not None:  # as the next night reads it
            ledger = Ledger.model_validate_json(ledger.model_dump_json())
        if number == baseline:
            held = BaselineResults(
                ledger.night, {place: each.result for place, each in ledger.last_results().items()}, ledger.epoch
            )
        spent.append(one)
    return spent


LATEST, DEV, NOISY, BOTH = (
    "transformers=latest accelerate=1.13.0",
    "transformers=dev accelerate=1.13.0",
    "transformers=5.2.0 accelerate=1.13.0",
    "transformers=latest accelerate=latest",
)
NIGHTS = 60
MOVED, LOST, FULL, BUSY, BROKEN = 41, 26, 47, 53, 57
BASELINE = 3  # the night that is made the baseline, where there is one
RELEASED = (
    (0, "5.20.0"),
    (6, "5.21.0"),
    (14, "5.22.0"),
    (22, "5.22.1"),
    (30, "5.23.0"),
    (41, "5.24.0"),
    (50, "5.25.0"),
)
HUB = tuple((night, f"1.{night}.0") for night in range(0, NIGHTS, 7))
ACCELERATE = ((0, "1.13.0"), (18, "1.14.0"), (36, "1.15.0"))
HELD = ((0, "1.13.0"),)
LINES = {
    REFERENCE: {
        "transformers": ((0, "4.57.6"),),
        "accelerate": HELD,
        "huggingface-hub": ((0, "0.36.0"), (33, "0.36.1")),
    },
    NOISY: {"transformers": ((0, "5.2.0"),), "accelerate": HELD, "huggingface-hub": HUB},
    LATEST: {"transformers": RELEASED, "accelerate": HELD, "huggingface-hub": HUB},
    BOTH: {"transformers": RELEASED, "accelerate": ACCELERATE, "huggingface-hub": HUB},
    DEV: {"transformers": tuple((n, f"6.0.{n}") for n in range(NIGHTS)), "accelerate": HELD, "huggingface-hub": HUB},
}
SCENARIOS = ("load", "reserve", "adapter", "merge", "split", "generate", "quant8", "towers")
DEFECTS = (
    Defect("adapter", "transformers", ">=5.21,<5.22", "KeyError: adapter"),
    Defect("merge", "transformers", ">=5.22.1,<5.23", "ValueError: merge"),
    Defect("merge", "transformers", ">=5.23,<6", "TypeError: merge"),
    Defect("reserve", "transformers", ">=5.23,<5.24", factor=2.5),
    Defect("load", "transformers", ">=6.0.10,<6.0.16", "OSError: load"),
    Defect("reserve", "transformers", ">=6.0.20", factor=1.12),
    Defect("split", "accelerate", "==1.14.0", "RuntimeError: split"),
    Defect("quant8", "transformers", ">=5.24,<6", "RuntimeError: quant8"),  # in the night of the driver
    Defect("generate", "transformers", f">=6.0.{LOST}", "IndexError: generate"),  # while the runner is lost
    Defect("quant8", "transformers", f">=6.0.{FULL}", "KeyError: quant8"),  # while the disk is full
    Defect("adapter", "transformers", f">=6.0.{BUSY}", "KeyError: busy"),  # while somebody else has the card
    Defect("towers", "transformers", ">=5.20,<5.24", "known-towers"),
    Defect("generate", "transformers", ">=5.20,<5.23", "known-generate"),
    Defect("generate", "transformers", ">=5.23,<5.24", "another-generate"),
)
ISSUES = tuple(
    KnownIssue(
        scenario=scenario,
        signature=f"known-{scenario}",
        versions={"transformers": ">=5.20,<6"},
        tracker=f"huggingface/transformers#{number}",
        review_by=START + dt.timedelta(days=19) if scenario == "towers" else None,
    )
    for number, scenario in enumerate(("towers", "generate"), 1)
)
FLAKES = {
    (DEV, "towers"): 0.05,
    (DEV, "split"): 0.2,
    (DEV, "merge"): 0.5,
    (LATEST, "split"): 0.3,
    (LATEST, "load"): 0.1,
}
DRIVERS = ((0, "580.1", 1.0), (MOVED, "590.2", 1.08))


def planted_world(seed: int = 0, **changes) -> World:
    given = {
        "defects": DEFECTS,
        "flakes": FLAKES,
        "drivers": DRIVERS,
        "busy": frozenset({BUSY}),
        "lost": {LOST: frozenset({DEV})},
        "full": {FULL: 12},
        "issues": ISSUES,
        "broken": {(REFERENCE, "split"): BROKEN},
    }
    return World(LINES, SCENARIOS, seed=seed, **{**given, **changes})


def planted(world: World, nights: int = NIGHTS) -> dict[tuple[ResultKey, int], str]:
    """Return (place, night) → what happens there for every regression that is really there, from the world's truth."""
    found, known = {}, {f"known-{scenario}" for scenario in ("towers", "generate")}
    for line in world.lines:
        for scenario in world.scenarios:
            for night in range(1, nights):
                (old, less), (new, more) = world.truth(line, scenario, night - 1), world.truth(line, scenario, night)
                if new and not old and new not in known:
                    found[(line, scenario), night] = "red"
                elif more > less and not new:
                    found[(line, scenario), night] = "memory"
    return found


@dataclass(frozen=True)
class Score:
    """Claims of a season against what was planted; a claim is right on the night of a regression or the next."""

    right: int
    false: tuple[tuple[int, ResultKey], ...]
    missed: tuple[tuple[ResultKey, int], ...]

    @property
    def precision(self) -> float:
        return self.right / (self.right + len(self.false)) if self.right or self.false else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + len(self.missed)) if self.right or self.missed else 1.0


def score(world: World, spent: Sequence[Spent], late: int = 1) -> Score:
    claimed = [(one.number, place) for one in spent for place in sorted(one.places(*REGRESSIONS))]
    truth = planted(world, len(spent))
    hits = {
        (place, night): next(((n, p) for n, p in claimed if p == place and night <= n <= night + late), None)
        for place, night in truth
    }
    right = {hit for hit in hits.values() if hit}
    return Score(
        len(right), tuple(c for c in claimed if c not in right), tuple(k for k, hit in hits.items() if not hit)
    )


@pytest.fixture(scope="module")
def spent():
    return season(planted_world(), NIGHTS)


def of(spent, place, *kinds) -> list[int]:
    return [one.number for one in spent if place in one.places(*kinds)]


def test_every_planted_regression_is_claimed_and_nothing_else(spent):
    world = planted_world()
    found = score(world, spent)
    print(f"{len(planted(world))} planted, precision {found.precision:.3f}, recall {found.recall:.3f}")
    print(f"false {found.false}, missed {found.missed}")
    assert len(planted(world)) >= 12
    assert found.false == ()
    assert found.missed == ()


def test_a_claim_is_there_in_the_night_itself_unless_the_night_could_not_tell(spent):
    """Only what happened while the machine moved, a runner was lost or the disk was full waits for the next night."""
    late = {place_night for place_night in planted(planted_world()) if place_night[1] in {MOVED, LOST, FULL, BUSY}}
    for place, night in planted(planted_world()):
        assert of(spent, place, *REGRESSIONS) == [night + ((place, night) in late)]


def test_noise_of_the_measured_size_claims_nothing_all_season(spent):
    """The releases that load with threads differ by 4 % from load to load."""
    assert spent[0].night.ledger.last_results()[NOISY, "load"].figures
    said = [(one.number, claim) for one in spent for claim in one.night.claims if claim.line == NOISY and claim.fresh]
    assert {claim.kind for _, claim in said} <= {Kind.APPEARED, Kind.WITHHELD}
    assert {number for number, claim in said if claim.kind is Kind.WITHHELD} <= {MOVED, BUSY}


def test_a_driver_that_moves_the_control_makes_the_night_inconclusive_and_the_next_settles(spent):
    moved, settled = spent[MOVED], spent[MOVED + 1]
    assert (moved.code, moved.control.state) == (4, "moved")
    assert moved.control.facts == ("GPU 0: driver 580.1 → 590.2",)
    assert not moved.places(*REGRESSIONS, Kind.FIXED, Kind.MEMORY_DOWN)
    assert settled.control.state == "settled"
    caveats = [claim.detail for claim in settled.night.claims if claim.kind is Kind.NEW]
    assert caveats
    assert all("the machine moved in between" in text for text in caveats)
    assert spent[MOVED + 2].control.state == "steady"


def test_somebody_else_on_the_card_for_one_night_makes_that_night_inconclusive_alone(spent):
    assert [(one.code, one.control.state) for one in spent[BUSY : BUSY + 2]] == [(4, "moved"), (1, "steady")]


def test_a_control_scenario_that_turned_red_by_nothing_that_is_installed_is_claimed_once_the_machine_settled(spent):
    place = (REFERENCE, "split")
    moved, settled, after = spent[BROKEN : BROKEN + 3]
    assert (moved.code, moved.control.state) == (4, "moved")
    assert moved.control.moved == ("split: the last trusted night pass:check, tonight fail:run:exception",)
    assert moved.places(Kind.WITHHELD) == {place}
    assert (settled.code, settled.control.state) == (4, "settled")
    assert (after.code, after.control.state) == (0, "steady")
    assert of(spent, place, *REGRESSIONS, Kind.UNEXPLAINED) == [BROKEN + 1]
    assert [one.number for one in spent if one.places(Kind.UNEXPLAINED)] == [BROKEN + 1]


def test_a_lost_runner_shows_as_missing_with_the_reason(spent):
    missing = [claim for claim in spent[LOST].night.claims if claim.kind is Kind.MISSING]
    assert {claim.scenario for claim in missing} == set(SCENARIOS)
    assert {claim.line for claim in missing} == {DEV}
    assert all("no part brought this cell" in claim.detail and "last result" in claim.detail for claim in missing)
    assert spent[LOST].code == 4


def test_a_full_disk_claims_nothing_and_forgets_nothing(spent):
    full, before = spent[FULL], spent[FULL - 1]
    assert full.code == 4
    assert not full.places(*REGRESSIONS, Kind.FIXED, Kind.DISAPPEARED)
    assert full.night.ledger.seen == before.night.ledger.seen
    assert any("no space left" in text for text in full.control.moved)


def test_known_issues_are_quiet_until_they_are_gone_changed_or_overdue(spent):
    kinds = (Kind.OVERDUE, Kind.KNOWN_GONE, Kind.KNOWN_CHANGED)
    told = {(one.number, c.kind, c.scenario) for one in spent for c in one.night.claims if c.kind in kinds and c.fresh}
    assert told == {
        (20, Kind.OVERDUE, "towers"),
        (30, Kind.KNOWN_CHANGED, "generate"),
        (MOVED + 1, Kind.KNOWN_GONE, "towers"),
        (MOVED + 1, Kind.KNOWN_GONE, "generate"),
    }
    gone = next(c for c in spent[MOVED + 1].night.claims if c.kind is Kind.KNOWN_GONE)
    assert gone.detail == "fixed by transformers 5.24.0? remove the entry"
    overdue = [one.number for one in spent for c in one.night.claims if c.kind is Kind.OVERDUE]
    assert overdue == list(range(20, NIGHTS))  # said every night, fresh in the first


def test_fixes_and_changed_signatures_are_said_in_their_night(spent):
    assert of(spent, (LATEST, "adapter"), Kind.FIXED) == [14]
    assert of(spent, (BOTH, "split"), Kind.FIXED) == [36]
    assert of(spent, (DEV, "load"), Kind.FIXED) == [16]
    assert of(spent, (LATEST, "merge"), Kind.CHANGED) == [30]


def test_what_did_not_change_is_not_run_again_and_is_named_with_the_night_it_was_seen_in(spent):
    """The noisy release is green throughout: it runs when a package beside it is released, or the machine moved."""
    seen = [one.night.ledger.last_results()[NOISY, "load"].night for one in spent]
    after = {MOVED + 1, BUSY + 1, BROKEN + 1}
    assert sorted(set(seen)) == [f"night-{number:02}" for number in sorted({*range(0, NIGHTS, 7), *after})]
    assert seen[5] == "night-00"
    assert spent[5].night.ledger.last_results()[DEV, "reserve"].night == "night-05"


def test_a_quiet_night_ends_with_zero_and_every_claim_of_a_regression_with_one(spent):
    for one in spent:
        assert (one.code == 1) == bool(one.places(*REGRESSIONS))
    assert sum(one.code == 0 for one in spent) > NIGHTS / 2


@pytest.fixture(scope="module")
def gated():
    return season(planted_world(), NIGHTS, BASELINE)


def worse(world: World, night: int) -> set[ResultKey]:
    """Return what is worse than in the baseline in truth; memory counts until the machine moved."""
    known = {f"known-{scenario}" for scenario in ("towers", "generate")}
    found = {place for place, since in world.broken.items() if night >= since}
    for line in world.lines:
        for scenario in world.scenarios:
            (old, less), (new, more) = world.truth(line, scenario, BASELINE), world.truth(line, scenario, night)
            red, grown = new and not old and new not in known, more > less and not new and night <= MOVED
            found |= {(line, scenario)} if red or grown else set()
    return found


def test_with_a_baseline_what_is_open_against_it_is_said_every_night_and_nothing_else(gated):
    """Places, night by night: what a night could not tell, for it had no machine, runner or disk, is left out."""
    world, said, true = planted_world(), set[tuple[int, ResultKey]](), set[tuple[int, ResultKey]]()
    for one in gated[BASELINE + 1 :]:
        if one.control.trusted:
            open_ = {(c.line, c.scenario) for c in one.night.claims if c.kind in {Kind.DIFFERS, Kind.UNEXPLAINED}}
            lost = world.lost.get(one.number, frozenset())
            said |= {(one.number, place) for place in open_ | one.places(*REGRESSIONS)}
            true |= {(one.number, place) for place in worse(world, one.number) if place[0] not in lost}
    right = len(said & true)
    print(f"{len(true)} open against the baseline, precision {right / len(said):.3f}, recall {right / len(true):.3f}")
    assert len(true) > 100
    assert (said - true, true - said) == (set(), set())


def test_with_a_baseline_a_night_is_green_only_where_nothing_is_worse_than_there(gated, spent):
    world = planted_world()
    for one, free in zip(gated, spent, strict=True):
        assert one.places(*REGRESSIONS) == free.places(*REGRESSIONS)
        if one.control.trusted and one.number > BASELINE:
            assert (one.code == 1) == bool(worse(world, one.number))
        else:
            assert one.code == free.code


@settings(max_examples=8, derandomize=True)
@given(st.integers(0, 10**6))
def test_over_many_seasons_every_planted_regression_is_found_and_few_claims_are_false(seed):
    """False ones come from flakes alone: the first reds of a scenario that was never seen to disagree with itself."""
    world = planted_world(seed)
    found = score(world, season(world, NIGHTS))
    assert found.recall == 1
    assert len(found.false) <= 2
    assert {place for _, place in found.false} <= set(FLAKES)


@settings(max_examples=6, derandomize=True)
@given(st.integers(0, 10**6), st.floats(0.0, 0.02))
def test_without_defects_and_flakes_no_season_claims_anything(seed, noise):
    world = planted_world(seed, defects=(), flakes={}, noise=noise, issues=())
    spent = season(world, NIGHTS)
    assert [one.number for one in spent if one.places(*REGRESSIONS, Kind.FIXED, Kind.FLAKY, Kind.MEMORY_DOWN)] == []


@settings(max_examples=6, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([1.12, 1.5, 2.5]), st.integers(2, 50))
def test_memory_that_grows_is_claimed_in_its_night_by_whatever_it_grows(seed, factor, night):
    grown = Defect("reserve", "transformers", f">=6.0.{night}", factor=factor)
    spent = season(planted_world(seed, defects=(grown,), flakes={}, drivers=DRIVERS[:1], busy=(), lost={}, full={}), 55)
    assert of(spent, (DEV, "reserve"), Kind.MEMORY_UP) == [night]
    assert [one.number for one in spent if one.places(*REGRESSIONS)] == [night]
