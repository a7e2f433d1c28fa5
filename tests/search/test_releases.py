"""Ends of a bisect: versions, days, and ends that are left out."""

from datetime import datetime

import pytest
from packaging.version import Version

from harness.errors import ConfigError
from harness.matrix.index import Release
from harness.search.releases import between


def release(version, day=None, yanked=None):
    return Release(Version(version), datetime.fromisoformat(f"{day}T23:59:00+00:00") if day else None, yanked)


# The old line got 1.9.1 after the new one had begun; 2.2 was yanked.
DATED = (
    release("1.8", "2025-01-10"),
    release("1.9", "2025-02-10"),
    release("1.9.1", "2025-04-20"),
    release("2.0rc1", "2025-02-28"),
    release("2.0", "2025-03-10"),
    release("2.1", "2025-05-10"),
    release("2.2", "2025-06-10", yanked="broken"),
    release("2.3", "2025-07-10"),
)
UNDATED = tuple(Release(one.version) for one in DATED)


def test_a_day_is_the_highest_final_version_that_was_there_and_not_the_latest_upload():
    found = between("p", DATED, "2025-02-28", "2025-04-30")
    assert found.releases == ("1.9", "1.9.1", "2.0")
    assert set(found.notes) == {"2025-02-28 is p 1.9, of 2025-02-10", "2025-04-30 is p 2.0, of 2025-03-10"}


def test_a_day_counts_to_its_end_in_utc():
    assert between("p", DATED, "1.8", "2025-03-10").releases[-1] == "2.0"
    assert between("p", DATED, "1.8", "2025-03-09").releases[-1] == "1.9"
    east = Release(Version("3.0"), datetime.fromisoformat("2025-08-02T01:00:00+02:00"))
    assert between("p", (*DATED, east), "1.8", "2025-08-01").releases[-1] == "3.0"


def test_a_yanked_release_is_never_what_a_day_means():
    assert between("p", DATED, "1.8", "2025-06-11").releases[-1] == "2.1"


def test_without_a_newer_end_it_is_the_newest_release():
    found = between("p", DATED, "2.0", None)
    assert (found.releases, found.open_end) == (("2.0", "2.1", "2.3"), False)
    assert found.notes == ("the bad end is p 2.3, the newest release", "yanked, left out: p 2.2")
    assert between("p", DATED, None, "2.0", find_fix=True).notes[0] == "the good end is p 2.3, the newest release"


def test_without_an_older_end_every_older_release_may_be_asked():
    found = between("p", DATED, None, "2.1")
    assert (found.releases, found.open_end) == (("1.8", "1.9", "1.9.1", "2.0", "2.1"), True)


def test_without_ends_the_newest_is_bad_and_everything_older_may_be_asked():
    found = between("p", DATED, None, None)
    assert (found.releases[0], found.releases[-1], found.open_end) == ("1.8", "2.3", True)
    assert between("p", DATED, "2.1", None, find_fix=True).open_end


@pytest.mark.parametrize(
    ("listed", "good", "bad", "sentence"),
    [
        (DATED, "2024-12-31", "2.1", "p had no release on 2024-12-31; the first is 1.8 of 2025-01-10"),
        (UNDATED, "2025-02-28", "2.1", "the index provides no upload dates of p: name a version instead of 2025-02-28"),
        (DATED, "2025-02-30", "2.1", "2025-02-30 is not a day"),
        (DATED, "2025-03-11", "2025-03-12", "the bad release 2.0 is not newer than the good one 2.0$"),
        (DATED, "yesterday", "2.1", '"yesterday" is not a version of p, nor a day'),
        (DATED, None, "1.8", "p 1.8 is the oldest release"),
        ((), None, None, "the index lists no final release of p"),
    ],
)
def test_ends_that_cannot_be_are_one_sentence(listed, good, bad, sentence):
    with pytest.raises(ConfigError, match=sentence):
        between("p", listed, good, bad)


RELEASES = tuple(
    Release(Version(text), None, yanked)
    for text, yanked in {"1.0": None, "1.1": None, "1.2": "broken", "1.3rc1": None, "1.3": None, "1.4": None}.items()
)


def test_yanked_releases_and_candidates_are_left_out_with_a_note():
    found = between("p", RELEASES, "1.0", "1.4")
    assert found.releases == ("1.0", "1.1", "1.3", "1.4")
    assert found.notes == ("yanked, left out: p 1.2",)


def test_for_a_fix_the_bad_release_is_the_older_one():
    found = between("p", RELEASES, "1.4", "1.2", find_fix=True)
    assert found.releases == ("1.2", "1.3", "1.4")


@pytest.mark.parametrize(
    ("good", "bad", "find_fix", "sentence"),
    [
        ("1.4", "1.0", False, "the bad release 1.0 is not newer than the good one 1.4; add --find-fix"),
        ("1.0", "1.0", False, "not newer than the good one 1.0$"),
        ("1.0", "1.4", True, "looks for the fix after the bad release"),
        ("1.0", "1.3.5", False, "the index lists no p 1.3.5; the nearest are 1.3, 1.4"),
        ("one", "1.4", False, '"one" is not a version of p'),
    ],
)
def test_ends_in_the_wrong_order_or_unknown_are_one_sentence(good, bad, find_fix, sentence):
    with pytest.raises(ConfigError, match=sentence):
        between("p", RELEASES, good, bad, find_fix=find_fix)
