"""A simulated season: the claims of its nightly runs are compared with the defects that were planted."""

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
from harness.nightly.claim import REGRESSIONS, Kind, exit_code
from harness.nightly.conclude import NO_BASELINE, Conclusion, NightEvidence, conclude
from harness.nightly.control import Control, compare_control
from harness.nightly.ledger import Ledger
from harness.nightly.machine import GpuSnapshot, MachineSnapshot
from harness.nightly.night import confirm
from harness.nightly.selection import PlannedSeries, select_cells
from harness.store.records import Outcome
from harness.verdict.known_issues import KnownIssue
from harness.verdict.result import ResultKey, ScenarioResult

PASS, FAIL = Outcome.parse("pass:check"), Outcome.parse("fail:run:exception")
NETWORK = Outcome.parse("error:install:network")
MODEL_BYTES = 6 * 1024**3
RESERVED = "cuda_reserved.load"
REFERENCE = "transformers=4.57.6"
START = dt.date(2026, 1, 1)


@dataclass(frozen=True)
class Defect:
    """A scenario fails, or takes ``factor`` times the memory, if a package is in a range."""

    scenario: str
    package: str
    versions: str
    signature: str = ""
    factor: float = 1.0


@dataclass
class World:
    """What is true. ``series`` maps each package to its releases by the day on which they appear."""

    series: Mapping[str, Mapping[str, Sequence[tuple[int, str]]]]
    scenarios: Sequence[str]
    defects: Sequence[Defect] = ()
    flakes: Mapping[ResultKey, float] = field(default_factory=dict)  # probability that an attempt fails by itself
    noise: float = 0.02  # of reserved memory, each way, in the releases of noisy
    noisy: str = ">=5.0,<5.4"
    drivers: Sequence[tuple[int, str, float]] = ((0, "580.1", 1.0),)  # from day, driver, factor of every figure
    busy: frozenset[int] = frozenset()  # days on which somebody else uses the GPU after the first control
    lost: Mapping[int, frozenset[str]] = field(default_factory=dict)  # day -> series whose runner was lost
    full: Mapping[int, int] = field(default_factory=dict)  # day -> attempts after which the disk is full
    issues: Sequence[KnownIssue] = ()
    broken: Mapping[ResultKey, int] = field(default_factory=dict)  # fails from a day on, whatever is installed
    seed: int = 0

    def __post_init__(self):
        self.chance = random.Random(self.seed)  # noqa: S311 - a simulation, nothing to keep secret
        self.made = 0
        self.ran = 0

    def versions(self, series: str, day: int) -> dict[str, str]:
        return {
            package: max((text for since, text in releases if since <= day), key=Version)
            for package, releases in self.series[series].items()
        }

    def truth(self, series: str, scenario: str, day: int) -> tuple[str, float]:
        """Return the signature (empty: passes) and the factor of the memory."""
        versions, signature, factor = self.versions(series, day), "", 1.0
        for one in self.defects:
            if one.scenario == scenario and versions[one.package] in SpecifierSet(one.versions):
                signature, factor = one.signature or signature, factor * one.factor
        return signature, factor

    def attempt(self, series: str, scenario: str, day: int, machine: float = 1.0) -> tuple[Outcome, str, float]:
        self.made += 1
        self.ran += 1
        if day in self.full and self.made > self.full[day]:
            return NETWORK, "", 0.0
        signature, factor = self.truth(series, scenario, day)
        if day >= self.broken.get((series, scenario), day + 1):
            signature = "OSError: broken"
        if not signature and self.chance.random() < self.flakes.get((series, scenario), 0.0):
            signature = "TypeError: flake"
        noisy = self.versions(series, day)["transformers"] in SpecifierSet(self.noisy)
        wobble = 1 + self.chance.uniform(-self.noise, self.noise) if noisy else 1.0
        return (FAIL if signature else PASS), signature, MODEL_BYTES * factor * machine * wobble

    def result(
        self, series: str, scenario: str, day: int, before: ScenarioResult | None = None, machine: float = 1.0
    ) -> ScenarioResult:
        outcome, signature, memory = self.attempt(series, scenario, day, machine)
        old = before or ScenarioResult(ResultKey(series, scenario), series, scenario)
        figures = {RESERVED: (*old.values.get(RESERVED, ()), memory)} if memory else dict(old.values)
        return replace(
            old,
            outcomes=(*old.outcomes, outcome),
            signatures=(signature,) if signature else (),
            values=figures,
            versions=self.versions(series, day),
            lock=self.lock(series, day),
            source="s1",
            gpu="GPU",
            reason="no space left on device" if outcome is NETWORK else "",
        )

    def lock(self, series: str, day: int) -> str:
        return hashlib.sha256(repr(sorted(self.versions(series, day).items())).encode()).hexdigest()[:8]

    def snapshot(self, day: int) -> MachineSnapshot:
        driver = [name for since, name, _ in self.drivers if since <= day][-1]
        return MachineSnapshot(
            kernel="6.1", cpus=16, gpus=(GpuSnapshot(fingerprint="a", name="GPU", driver=driver, total=1, used=0),)
        )

    def memory_factor(self, day: int) -> float:
        return [factor for since, _, factor in self.drivers if since <= day][-1]


@dataclass(frozen=True)
class Spent:
    """A nightly run: what it claims, how it ends, and how many attempts it took."""

    number: int
    conclusion: Conclusion
    control: Control
    code: int
    attempts: int

    def keys(self, *kinds) -> set[ResultKey]:
        return {one.key for one in self.conclusion.claims if one.kind in kinds and one.fresh}


def nightly_run(world: World, number: int, ledger: Ledger | None, baseline: BaselineResults = NO_BASELINE) -> Spent:
    """Make one nightly run as the command does: control, cells, confirmation, control, claims."""
    world.made = world.ran = 0
    machine, lost = world.memory_factor(number), world.lost.get(number, frozenset())
    planned = [
        PlannedSeries(
            cell=series,
            series=series,
            lock=world.lock(series, number),
            sources=dict.fromkeys(world.scenarios, "s1"),
            control=series == REFERENCE,
        )
        for series in world.series
    ]
    selection = select_cells(planned, ledger)
    first = {name: world.result(REFERENCE, name, number, None, machine) for name in world.scenarios}
    later = machine * (1.3 if number in world.busy else 1.0)
    results = {ResultKey(REFERENCE, name): one for name, one in first.items()}
    for series, names in selection.run.items():
        for key in (ResultKey(series, name) for name in names):
            if series in lost:
                results[key] = ScenarioResult(key, series, key.scenario, reason="no part has this cell")
            elif series != REFERENCE:
                results[key] = world.result(*key, number, None, later)
    now = NightEvidence(
        run=f"night-{number:02}",
        today=START + dt.timedelta(days=number),
        results=results,
        reused=selection.reused,
        ledger=ledger,
        series=frozenset(world.series),
        issues=world.issues,
        baseline=baseline,
        machine=world.snapshot(number),
    )
    current = dict(results)

    def rerun(needed: Mapping[ResultKey, int]) -> dict[ResultKey, ScenarioResult]:
        for key, count in needed.items():
            for _ in range(count if key.series not in lost else 0):
                current[key] = world.result(*key, number, current[key], later)
        return {key: current[key] for key in needed}

    now = confirm(now, rerun)
    return _end(world, number, now, first, later)


def _end(world: World, number: int, now: NightEvidence, first: Mapping[str, ScenarioResult], later: float) -> Spent:
    last = {name: world.result(REFERENCE, name, number, None, later) for name in world.scenarios}
    results = {
        ResultKey(REFERENCE, name): replace(
            one,
            outcomes=(*one.outcomes, *last[name].outcomes),
            values={RESERVED: (*one.values.get(RESERVED, ()), *last[name].values.get(RESERVED, ()))},
        )
        for name, one in first.items()
    }
    control = compare_control(first, last, now.ledger, (world.snapshot(number), world.snapshot(number)))
    now = replace(now, results={**now.results, **results}, control=control, control_results=last)
    found = conclude(now)
    return Spent(number, found, control, exit_code(found.claims, control), world.ran)


def season(world: World, days: int, baseline_day: int = -1) -> list[Spent]:
    """Make nightly runs; that of ``baseline_day`` becomes the baseline when it is over."""
    spent, ledger, baseline = [], None, NO_BASELINE
    for number in range(days):
        one = nightly_run(world, number, ledger, baseline)
        ledger = one.conclusion.ledger
        if ledger is not None:  # as the next run reads it
            ledger = Ledger.model_validate_json(ledger.model_dump_json())
        if number == baseline_day:
            results = {key: each.result for key, each in ledger.last_results().items()}
            baseline = BaselineResults(ledger.run, results, ledger.machine_era)
        spent.append(one)
    return spent


LATEST, DEV, NOISY, BOTH = (
    "transformers=latest accelerate=1.13.0",
    "transformers=dev accelerate=1.13.0",
    "transformers=5.2.0 accelerate=1.13.0",
    "transformers=latest accelerate=latest",
)
DAYS = 60
DRIFT, LOST, FULL, BUSY, BROKEN = 41, 26, 47, 53, 57
BASELINE = 3  # the day whose run becomes the baseline, if there is one
RELEASED = (
    (0, "5.20.0"),
    (6, "5.21.0"),
    (14, "5.22.0"),
    (22, "5.22.1"),
    (30, "5.23.0"),
    (41, "5.24.0"),
    (50, "5.25.0"),
)
HUB = tuple((day, f"1.{day}.0") for day in range(0, DAYS, 7))
ACCELERATE = ((0, "1.13.0"), (18, "1.14.0"), (36, "1.15.0"))
PINNED = ((0, "1.13.0"),)
SERIES = {
    REFERENCE: {
        "transformers": ((0, "4.57.6"),),
        "accelerate": PINNED,
        "huggingface-hub": ((0, "0.36.0"), (33, "0.36.1")),
    },
    NOISY: {"transformers": ((0, "5.2.0"),), "accelerate": PINNED, "huggingface-hub": HUB},
    LATEST: {"transformers": RELEASED, "accelerate": PINNED, "huggingface-hub": HUB},
    BOTH: {"transformers": RELEASED, "accelerate": ACCELERATE, "huggingface-hub": HUB},
    DEV: {"transformers": tuple((n, f"6.0.{n}") for n in range(DAYS)), "accelerate": PINNED, "huggingface-hub": HUB},
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
    Defect("quant8", "transformers", ">=5.24,<6", "RuntimeError: quant8"),  # on the day of the driver
    Defect("generate", "transformers", f">=6.0.{LOST}", "IndexError: generate"),  # while the runner is lost
    Defect("quant8", "transformers", f">=6.0.{FULL}", "KeyError: quant8"),  # while the disk is full
    Defect("adapter", "transformers", f">=6.0.{BUSY}", "KeyError: busy"),  # while somebody else uses the GPU
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
DRIVERS = ((0, "580.1", 1.0), (DRIFT, "590.2", 1.08))


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
    return World(SERIES, SCENARIOS, seed=seed, **{**given, **changes})


def planted(world: World, days: int = DAYS) -> dict[tuple[ResultKey, int], str]:
    """Return (key, day) → what happens there for every regression that is really there, from the world's truth."""
    found, known = {}, {f"known-{scenario}" for scenario in ("towers", "generate")}
    for series in world.series:
        for scenario in world.scenarios:
            for day in range(1, days):
                (old, less), (new, more) = (
                    world.truth(series, scenario, day - 1),
                    world.truth(series, scenario, day),
                )
                if new and not old and new not in known:
                    found[(series, scenario), day] = "fail"
                elif more > less and not new:
                    found[(series, scenario), day] = "memory"
    return found


@dataclass(frozen=True)
class Score:
    """Claims of a season against what was planted; a claim is right on the day of a regression or the next."""

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
    claimed = [(one.number, key) for one in spent for key in sorted(one.keys(*REGRESSIONS))]
    truth = planted(world, len(spent))
    hits = {
        (key, day): next(((n, k) for n, k in claimed if k == key and day <= n <= day + late), None)
        for key, day in truth
    }
    right = {hit for hit in hits.values() if hit}
    return Score(
        len(right), tuple(c for c in claimed if c not in right), tuple(k for k, hit in hits.items() if not hit)
    )


@pytest.fixture(scope="module")
def spent():
    return season(planted_world(), DAYS)


def of(spent, key, *kinds) -> list[int]:
    return [one.number for one in spent if key in one.keys(*kinds)]


def test_every_planted_regression_is_claimed_and_nothing_else(spent):
    world = planted_world()
    found = score(world, spent)
    print(f"{len(planted(world))} planted, precision {found.precision:.3f}, recall {found.recall:.3f}")
    print(f"false {found.false}, missed {found.missed}")
    assert len(planted(world)) >= 12
    assert found.false == ()
    assert found.missed == ()


def test_a_claim_is_made_on_the_day_itself_if_the_run_is_conclusive(spent):
    """Only what happened while the machine drifted, a runner was lost or the disk was full waits for the next run."""
    late = {key_day for key_day in planted(planted_world()) if key_day[1] in {DRIFT, LOST, FULL, BUSY}}
    for key, day in planted(planted_world()):
        assert of(spent, key, *REGRESSIONS) == [day + ((key, day) in late)]


def test_noise_of_the_measured_size_claims_nothing_all_season(spent):
    """The releases that load with threads differ by 4 % from load to load."""
    assert spent[0].conclusion.ledger.last_results()[NOISY, "load"].values
    claims = [
        (one.number, claim) for one in spent for claim in one.conclusion.claims if claim.series == NOISY and claim.fresh
    ]
    assert {claim.kind for _, claim in claims} <= {Kind.APPEARED, Kind.WITHHELD}
    assert {number for number, claim in claims if claim.kind is Kind.WITHHELD} <= {DRIFT, BUSY}


def test_a_driver_that_changes_the_control_makes_a_run_inconclusive_and_the_next_rebaselines(spent):
    moved, settled = spent[DRIFT], spent[DRIFT + 1]
    assert (moved.code, moved.control.state) == (4, "moved")
    assert moved.control.changes == ("GPU 0: driver 580.1 → 590.2",)
    assert not moved.keys(*REGRESSIONS, Kind.FIXED, Kind.MEMORY_DOWN)
    assert settled.control.state == "settled"
    caveats = [claim.detail for claim in settled.conclusion.claims if claim.kind is Kind.NEW_REGRESSION]
    assert caveats
    assert all("the machine drifted in between" in text for text in caveats)
    assert spent[DRIFT + 2].control.state == "steady"


def test_a_busy_gpu_makes_only_that_run_inconclusive(spent):
    assert [(one.code, one.control.state) for one in spent[BUSY : BUSY + 2]] == [(4, "moved"), (1, "steady")]


def test_a_control_scenario_that_fails_without_a_changed_package_is_claimed_after_the_rebaseline(spent):
    key = (REFERENCE, "split")
    moved, settled, after = spent[BROKEN : BROKEN + 3]
    assert (moved.code, moved.control.state) == (4, "moved")
    assert moved.control.drift == ("split: last trusted run pass:check, this run fail:run:exception",)
    assert moved.keys(Kind.WITHHELD) == {key}
    assert (settled.code, settled.control.state) == (4, "settled")
    assert (after.code, after.control.state) == (0, "steady")
    assert of(spent, key, *REGRESSIONS, Kind.UNEXPLAINED) == [BROKEN + 1]
    assert [one.number for one in spent if one.keys(Kind.UNEXPLAINED)] == [BROKEN + 1]


def test_a_lost_runner_shows_as_missing_with_the_reason(spent):
    missing = [claim for claim in spent[LOST].conclusion.claims if claim.kind is Kind.MISSING]
    assert {claim.scenario for claim in missing} == set(SCENARIOS)
    assert {claim.series for claim in missing} == {DEV}
    assert all("no part has this cell" in claim.detail and "last result" in claim.detail for claim in missing)
    assert spent[LOST].code == 4


def test_a_full_disk_claims_nothing_and_forgets_nothing(spent):
    full, before = spent[FULL], spent[FULL - 1]
    assert full.code == 4
    assert not full.keys(*REGRESSIONS, Kind.FIXED, Kind.DISAPPEARED)
    assert full.conclusion.ledger.results == before.conclusion.ledger.results
    assert any("no space left" in text for text in full.control.drift)


def test_known_issues_are_not_claimed_until_they_are_gone_changed_or_overdue(spent):
    kinds = (Kind.KNOWN_ISSUE_OVERDUE, Kind.KNOWN_ISSUE_GONE, Kind.KNOWN_ISSUE_CHANGED)
    claimed = {
        (one.number, c.kind, c.scenario) for one in spent for c in one.conclusion.claims if c.kind in kinds and c.fresh
    }
    assert claimed == {
        (20, Kind.KNOWN_ISSUE_OVERDUE, "towers"),
        (30, Kind.KNOWN_ISSUE_CHANGED, "generate"),
        (DRIFT + 1, Kind.KNOWN_ISSUE_GONE, "towers"),
        (DRIFT + 1, Kind.KNOWN_ISSUE_GONE, "generate"),
    }
    gone = next(c for c in spent[DRIFT + 1].conclusion.claims if c.kind is Kind.KNOWN_ISSUE_GONE)
    assert gone.detail == "fixed by transformers 5.24.0? remove the entry"
    overdue = [one.number for one in spent for c in one.conclusion.claims if c.kind is Kind.KNOWN_ISSUE_OVERDUE]
    assert overdue == list(range(20, DAYS))  # in every run, new in the first


def test_fixes_and_changed_signatures_are_claimed_on_their_day(spent):
    assert of(spent, (LATEST, "adapter"), Kind.FIXED) == [14]
    assert of(spent, (BOTH, "split"), Kind.FIXED) == [36]
    assert of(spent, (DEV, "load"), Kind.FIXED) == [16]
    assert of(spent, (LATEST, "merge"), Kind.SIGNATURE_CHANGED) == [30]


def test_an_unchanged_result_is_reused_and_names_its_run(spent):
    """The noisy release always passes: it runs when another of its packages is released, or the machine drifted."""
    runs = [one.conclusion.ledger.last_results()[NOISY, "load"].run for one in spent]
    after = {DRIFT + 1, BUSY + 1, BROKEN + 1}
    assert sorted(set(runs)) == [f"night-{number:02}" for number in sorted({*range(0, DAYS, 7), *after})]
    assert runs[5] == "night-00"
    assert spent[5].conclusion.ledger.last_results()[DEV, "reserve"].run == "night-05"


def test_the_exit_code_is_one_exactly_for_runs_that_claim_a_regression(spent):
    for one in spent:
        assert (one.code == 1) == bool(one.keys(*REGRESSIONS))
    assert sum(one.code == 0 for one in spent) > DAYS / 2


@pytest.fixture(scope="module")
def gated():
    return season(planted_world(), DAYS, BASELINE)


def worse(world: World, day: int) -> set[ResultKey]:
    """Return what is worse than in the baseline in truth; memory counts until the machine drifted."""
    known = {f"known-{scenario}" for scenario in ("towers", "generate")}
    found = {key for key, since in world.broken.items() if day >= since}
    for series in world.series:
        for scenario in world.scenarios:
            (old, less), (new, more) = world.truth(series, scenario, BASELINE), world.truth(series, scenario, day)
            fails, grown = new and not old and new not in known, more > less and not new and day <= DRIFT
            found |= {(series, scenario)} if fails or grown else set()
    return found


def test_with_a_baseline_exactly_what_is_worse_is_claimed_in_every_run(gated):
    """Keys by day; what a run could not evaluate (machine, runner or disk) is left out."""
    world, claimed, true = planted_world(), set[tuple[int, ResultKey]](), set[tuple[int, ResultKey]]()
    for one in gated[BASELINE + 1 :]:
        if one.control.trusted:
            open_ = {
                (c.series, c.scenario)
                for c in one.conclusion.claims
                if c.kind in {Kind.STILL_DIFFERS, Kind.UNEXPLAINED}
            }
            lost = world.lost.get(one.number, frozenset())
            claimed |= {(one.number, key) for key in open_ | one.keys(*REGRESSIONS)}
            true |= {(one.number, key) for key in worse(world, one.number) if key[0] not in lost}
    right = len(claimed & true)
    print(
        f"{len(true)} open against the baseline, precision {right / len(claimed):.3f}, recall {right / len(true):.3f}"
    )
    assert len(true) > 100
    assert (claimed - true, true - claimed) == (set(), set())


def test_with_a_baseline_a_run_ends_with_zero_only_if_nothing_is_worse(gated, spent):
    world = planted_world()
    for one, free in zip(gated, spent, strict=True):
        assert one.keys(*REGRESSIONS) == free.keys(*REGRESSIONS)
        if one.control.trusted and one.number > BASELINE:
            assert (one.code == 1) == bool(worse(world, one.number))
        else:
            assert one.code == free.code


@settings(max_examples=8, derandomize=True)
@given(st.integers(0, 10**6))
def test_over_many_seasons_every_planted_regression_is_found_and_few_claims_are_false(seed):
    """Only flaky results give false claims: the first failures of a scenario that never disagreed before."""
    world = planted_world(seed)
    found = score(world, season(world, DAYS))
    assert found.recall == 1
    assert len(found.false) <= 2
    assert {key for _, key in found.false} <= set(FLAKES)


@settings(max_examples=6, derandomize=True)
@given(st.integers(0, 10**6), st.floats(0.0, 0.02))
def test_without_defects_and_flakes_no_season_claims_anything(seed, noise):
    world = planted_world(seed, defects=(), flakes={}, noise=noise, issues=())
    spent = season(world, DAYS)
    assert [one.number for one in spent if one.keys(*REGRESSIONS, Kind.FIXED, Kind.FLAKY, Kind.MEMORY_DOWN)] == []


@settings(max_examples=6, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([1.12, 1.5, 2.5]), st.integers(2, 50))
def test_memory_that_grows_is_claimed_on_its_day_for_every_factor(seed, factor, day):
    grown = Defect("reserve", "transformers", f">=6.0.{day}", factor=factor)
    spent = season(planted_world(seed, defects=(grown,), flakes={}, drivers=DRIVERS[:1], busy=(), lost={}, full={}), 55)
    assert of(spent, (DEV, "reserve"), Kind.MEMORY_UP) == [day]
    assert [one.number for one in spent if one.keys(*REGRESSIONS)] == [day]
