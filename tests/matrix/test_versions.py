import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from harness.errors import ConfigError
from harness.matrix.base import BaseInterpreter, BasePackage
from harness.matrix.cell import Pin
from harness.matrix.git import ResolvedRef
from harness.matrix.index import Release
from harness.matrix.versions import Resolver, newest_patches, without_local_builds

SHA = "1a2b3c4d" * 5


def released(text, day=None, yanked=None):
    return Release(Version(text), dt.datetime.fromisoformat(f"{day}T23:00:00+00:00") if day else None, yanked)


LINE = (
    released("4.57.5", "2026-01-13"),
    released("4.57.6", "2026-01-16"),
    released("5.0.0rc3", "2026-01-14"),
    released("5.0.0", "2026-01-26"),
    released("5.1.0", "2026-02-05", yanked="pushed from an old branch."),
    released("5.1.1", "2026-02-06"),
    released("5.2.0", "2026-02-16"),
    released("5.2.1", "2026-03-20"),
    released("5.3.0", "2026-03-04"),
    released("5.3.0+cpu"),
)


def unexpected(*arguments):
    raise AssertionError(f"asked for {arguments}")


def resolver(releases=LINE, **changes):
    sources = {
        "releases": lambda package: releases,
        "commit": lambda package, wanted: (f"https://host.invalid/{package}", ResolvedRef(SHA)),
        "base": lambda: BaseInterpreter(Path("/base/python"), "3.11.7", {"torch": BasePackage("torch", "2.13.0+cpu")}),
        "folder": lambda text: Path("/work") / text,
    }
    return Resolver(**(sources | changes))


def labels(pins):
    return [pin.label for pin in pins]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (">=5.0,<5.3", ["5.0.0", "5.1.1", "5.2.0", "5.2.1"]),
        (">=5.0.0rc0,<5.2", ["5.0.0rc3", "5.0.0", "5.1.1"]),
        (">=5.2", ["5.2.0", "5.2.1", "5.3.0"]),
        ("5.2.x", ["5.2.0", "5.2.1"]),
        ("4.x", ["4.57.5", "4.57.6"]),
        ("5.x.x", ["5.0.0", "5.1.1", "5.2.1", "5.3.0"]),
        ("latest", ["5.3.0"]),
        ("latest:3", ["5.1.1", "5.2.1", "5.3.0"]),
        ("latest:9", ["4.57.6", "5.0.0", "5.1.1", "5.2.1", "5.3.0"]),
    ],
)
def test_release_expressions_mean_what_the_manual_says(text, found):
    pins = resolver()("transformers", text)
    assert labels(pins) == found
    assert [pin.requirement for pin in pins] == [f"transformers=={version}" for version in found]


@pytest.mark.parametrize("text", ["5.1.0", "2.13.0+cpu", "9.9.9"])
def test_an_exact_version_needs_no_source(text):
    silent = Resolver(unexpected, unexpected, unexpected, unexpected)
    assert silent("torch", text) == (Pin("torch", text, f"torch=={text}"),)


@pytest.mark.parametrize(
    ("text", "label"), [("dev", "dev"), ("pr:7", "pr:7"), ("git:v5.0-release", "git:v5.0-release")]
)
def test_a_commit_is_recorded_in_the_label_and_in_full_in_the_requirement(text, label):
    (pin,) = resolver()("transformers", text)
    assert pin.label == f"{label}@1a2b3c4d"
    assert pin.requirement == f"transformers @ git+https://host.invalid/transformers@{SHA}"


def test_a_folder_and_the_base_interpreter_have_their_pins():
    assert resolver()("peft", "path:my peft") == (Pin("peft", "path:my peft", "peft @ file:///work/my%20peft"),)
    assert resolver()("torch", "installed") == (
        Pin("torch", "installed@2.13.0+cpu", "torch==2.13.0+cpu", installed=True),
    )


def test_a_package_missing_from_the_base_is_a_mistake():
    with pytest.raises(ConfigError, match="/base/python has no peft"):
        resolver()("peft", "installed")


def test_a_yanked_release_is_skipped_and_reported():
    resolve = resolver()
    assert labels(resolve("transformers", "5.1.x")) == ["5.1.1"]
    assert resolve.warnings == ["transformers 5.1.0 was yanked and is skipped: pushed from an old branch"]
    resolve("transformers", ">=5.0")
    assert len(resolve.warnings) == 1


def test_a_yanked_release_without_a_reason_has_no_colon():
    resolve = resolver((released("1.0"), released("1.1", yanked="")))
    assert labels(resolve("x", "latest")) == ["1.0"]
    assert resolve.warnings == ["x 1.1 was yanked and is skipped"]


def test_as_of_is_the_end_of_a_day():
    assert labels(resolver(as_of=dt.date(2026, 3, 3))("transformers", "latest:2")) == ["5.1.1", "5.2.0"]
    assert labels(resolver(as_of=dt.date(2026, 3, 4))("transformers", "latest")) == ["5.3.0"]


def test_as_of_goes_by_date_and_not_by_version():
    pins = resolver(as_of=dt.date(2026, 3, 10))("transformers", ">=5.2")
    assert labels(pins) == ["5.2.0", "5.3.0"]  # 5.2.1 came after 5.3.0


def test_a_release_of_unknown_date_stays_with_a_warning():
    resolve = resolver((released("1.0", "2026-01-01"), released("1.1")), as_of=dt.date(2026, 2, 1))
    assert labels(resolve("x", ">=1")) == ["1.0", "1.1"]
    assert resolve.warnings == ["x 1.1: upload date unknown, so as_of = 2026-02-01 is not applied"]


def test_as_of_does_not_reach_into_repositories_and_says_so():
    resolve = resolver(as_of=dt.date(2026, 2, 1))
    resolve("transformers", "dev")
    assert resolve.warnings == ["transformers = dev is the commit of today: as_of does not apply to repositories"]


def test_an_old_answer_about_a_commit_is_passed_on():
    resolve = resolver(commit=lambda package, wanted: ("https://host.invalid/x", ResolvedRef(SHA, "it is 2 h old")))
    resolve("x", "dev")
    assert resolve.warnings == ["it is 2 h old"]


def test_fewer_minors_than_requested_is_a_warning():
    resolve = resolver()
    resolve("transformers", "latest:9")
    assert "transformers = latest:9: there are only 5 minors" in resolve.warnings


@pytest.mark.parametrize(
    ("text", "near"),
    [
        (">=5.4,<6", "5.3.0"),
        ("5.7.x", "5.3.0"),
        (">4.57.6,<5.0", "4.57.6, 5.0.0"),
        ("==5.1.0", "5.0.0, 5.1.1"),
        ("<1", "4.57.5"),
        ("===odd", "5.2.0, 5.2.1, 5.3.0"),
    ],
)
def test_an_expression_that_matches_nothing_names_the_nearest_releases(text, near):
    with pytest.raises(ConfigError, match=f"no release of transformers matches; the nearest releases are {near}$"):
        resolver()("transformers", text)


def test_a_day_before_every_release_is_an_error():
    with pytest.raises(
        ConfigError, match=r"matches as of 2020-01-01; the nearest releases are 5\.3\.0 \(2026-03-04\)$"
    ):
        resolver(as_of=dt.date(2020, 1, 1))("transformers", "<5.3")
    with pytest.raises(ConfigError, match="the index lists none"):
        resolver(())("transformers", "latest")


def test_a_version_that_is_only_a_local_build_stays_under_its_public_number():
    assert labels(resolver((released("2.13.0+cpu"), released("2.13.0+cu130")))("torch", "latest")) == ["2.13.0"]


VERSIONS = st.builds(
    lambda release, suffix: ".".join(map(str, release)) + suffix,
    st.tuples(*[st.integers(0, 3)] * 3),
    st.sampled_from(["", "", "rc1", ".post1", "+cpu", "+cu130"]),
)


@given(st.lists(VERSIONS, max_size=40), st.integers(1, 6))
def test_newest_patches_are_one_per_minor_and_the_highest(texts, minors):
    known = without_local_builds(Release(Version(text)) for text in texts)
    assert len({release.version.public for release in known}) == len(known) == len({Version(t).public for t in texts})
    found = [release.version for release in newest_patches(known, minors)]
    assert found == sorted(found)
    groups = {(version.major, version.minor) for version in found}
    assert len(groups) == len(found) <= minors
    finals = [release.version for release in known if not release.version.is_prerelease]
    for version in finals:
        same = [one for one in found if (one.major, one.minor) == (version.major, version.minor)]
        assert version <= same[0] if same else version < found[0]
