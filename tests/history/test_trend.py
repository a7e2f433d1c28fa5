"""The trend of a series: streaks, and changes that last."""

from dataclasses import replace

import pytest

from harness.history.trend import charted_figures, trend, version_changes
from harness.store.records import Status
from harness.verdict.statistics import Spread
from tests.series import GIB, KEY, result, results


def test_a_streak_skips_missing_results_and_has_the_version_changes_of_its_first():
    made = [
        result(0, "p"),
        result(1, "f", version="5.1.0"),
        result(2, "-", version="5.1.0"),
        result(3, "f", version="5.1.0"),
    ]
    found = trend(KEY, made)
    assert (found.status, found.streak, found.since.run, found.changed_by) == (
        Status.FAIL,
        2,
        "run1",
        ("transformers 5.0.0 → 5.1.0",),
    )


def test_a_new_outcome_is_a_change_and_a_single_failure_is_none():
    found = trend(KEY, results("ppfpppff"))
    assert [(change.name, change.index, change.before, change.after, change.worse) for change in found.changes] == [
        ("outcome", 6, "pass:check", "fail:run:oom", True)
    ]


def test_another_failure_is_a_change_of_signature_unless_a_rule_names_both():
    made = [result(number, "f", signature="one" if number < 2 else "other") for number in range(4)]
    (change,) = trend(KEY, made).changes
    assert (change.name, change.index, change.before, change.after, change.worse) == (
        "signature",
        2,
        "one",
        "other",
        None,
    )
    assert trend(KEY, made, {"one": "rule", "other": "rule"}.get).changes == ()


def test_memory_beyond_the_bounds_is_a_change_and_noise_is_none():
    made = [result(number, reserved=10 + number % 3 / 100, version="5.0.0") for number in range(5)]
    made += [result(number, reserved=13, version="5.1.0") for number in range(5, 8)]
    found = trend(KEY, made)
    assert {(change.name, change.index, change.worse) for change in found.changes} == {
        ("cuda_reserved.load", 5, True),
        ("cuda_allocated.load", 5, True),
    }
    change = found.last_change("cuda_reserved.load")
    assert (
        change.sentence == "CUDA reserved in load: 10.01 GiB → 13.00 GiB, +2.99 GiB (+30%)"
        or change.before == "10.00 GiB"
    )
    assert change.versions == ("transformers 5.0.0 → 5.1.0",)


def test_a_figure_within_its_own_spread_has_not_moved():
    wide = Spread(10 * GIB, 8 * GIB, 14 * GIB, 5)
    made = [result(number, **{"cuda_reserved.load": wide if number < 3 else 12 * GIB}) for number in range(6)]
    assert trend(KEY, made).changes == ()


def test_a_slow_drift_is_found():
    made = [result(number, reserved=10 * 1.01**number) for number in range(20)]
    assert [change.index for change in trend(KEY, made).changes if change.name == "cuda_reserved.load"] == [5, 10, 15]


def test_a_count_of_the_scenario_is_exact():
    made = [result(number, **{"x.linear4bit": 196 if number < 2 else 195}) for number in range(4)]
    (change,) = trend(KEY, made).changes
    assert (change.name, change.before, change.worse) == ("x.linear4bit", "196", None)


def test_charts_show_memory_of_the_load_and_seconds():
    both = {f"{name}.{phase}": 1.0 for phase in ("forward", "load") for name in ("cuda_reserved", "host_anon_peak")}
    assert charted_figures([result(0, **both)]) == ("cuda_reserved.load", "seconds")
    assert charted_figures([result(0, **{"host_anon_peak.merge": 5.0, "host_anon_peak.import": 2.0})]) == (
        "host_anon_peak.merge",
        "seconds",
    )
    assert charted_figures([result(0)]) == ("seconds",)


def test_version_changes_list_packages_of_the_series_first():
    before, after = result(0), result(1, version="5.1.0")
    changed = replace(after, versions={"transformers": "5.1.0", "aiohttp": "3"})
    assert version_changes(before, changed) == (
        "transformers 5.0.0 → 5.1.0",
        "aiohttp – → 3",
        "numpy 2.0 → –",
    )


def test_a_package_built_from_a_commit_is_compared_by_its_commit():
    gadget = replace(KEY, series="own-gadget=dev")
    commits = ("git@69c9392b", "git@69c9392b", "git@7992ca89", "git@7992ca89")
    made = [
        replace(one, versions={"own-gadget": "1.0.0"}, built={"own-gadget": commit})
        for one, commit in zip(results("ppff", key=gadget), commits, strict=True)
    ]
    found = trend(gadget, made)
    text = "own-gadget git@69c9392b → git@7992ca89"
    assert found.changes[0].versions == (text,)


@pytest.mark.parametrize(
    ("was", "now", "versions", "changes"),
    [
        ("path:gadget", "path:gadget", ("1.0", "1.1"), ("gadget 1.0 → 1.1",)),
        ("git@69c9392b", "git@7992ca89", ("1.0", "1.1"), ("gadget git@69c9392b → git@7992ca89",)),
        ("git@69c9392b", "git@69c9392b", ("1.0", "1.0"), ()),
        ("git@69c9392b", None, ("1.0", "1.0"), ("gadget git@69c9392b → 1.0",)),
    ],
)
def test_a_build_is_named_by_its_commit_or_version(was, now, versions, changes):
    sides = [
        replace(result(number), versions={"gadget": version}, built={"gadget": built} if built else {})
        for number, (built, version) in enumerate(zip((was, now), versions, strict=True))
    ]
    assert version_changes(*sides) == changes
