"""Tags of releases, how a commit is named, and where it is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from harness.matrix.git import Commit, commit_range
from harness.search.commits import commit_pin, links, nearest_tags, on_github, tag_of


def commit(sha: str, *parents: str, subject: str = "change") -> Commit:
    return Commit(
        sha=sha * 40, parents=tuple(one * 40 for one in parents), date="2026-03-04T05:06:07Z", subject=subject
    )


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        (["v1.2.0"], "v1.2.0"),
        (["1.2.0", "v1.2.0"], "v1.2.0"),
        (["1.2.0"], "1.2.0"),
        (["release-1.2.0"], "release-1.2.0"),
        (["my-gadget-1.2.0"], "my-gadget-1.2.0"),
        (["my_gadget-v1.2.0"], "my_gadget-v1.2.0"),
        (["rel/1.2.0"], "rel/1.2.0"),
        (["v1.2"], "v1.2"),
        (["v1.2", "v1.2.0"], "v1.2.0"),
        (["v1.2.0rc1", "v1.2.1", "other-1.2.0", "v1.2.0-docs"], None),
        ([], None),
    ],
)
def test_a_release_is_found_by_the_usual_ways_to_write_a_tag(tags, found):
    assert tag_of("my-gadget", "1.2.0", tags) == found


def test_a_candidate_is_found_as_git_people_write_it():
    assert tag_of("gadget", "2.0.0rc1", ["v2.0.0", "v2.0.0-rc1"]) == "v2.0.0-rc1"


VERSIONS = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)).map(
    lambda parts: ".".join(map(str, parts))
)


@given(st.lists(VERSIONS, unique=True), VERSIONS, st.sampled_from(["v{}", "release-{}", "rel_{}_x"]))
def test_a_tag_is_found_exactly_when_it_is_there(versions, wanted, pattern):
    tags = [pattern.format(version) for version in versions]
    found = tag_of("gadget", wanted, tags, pattern)
    assert found == (pattern.format(wanted) if wanted in versions else None)
    if found is None:
        assert set(nearest_tags("gadget", wanted, tags, pattern)) <= set(tags)
        assert bool(nearest_tags("gadget", wanted, tags, pattern)) == bool(tags)


def test_the_fork_stands_between_a_release_branch_and_the_line():
    older, base, last = commit("a", "b"), commit("b"), commit("c", "b")
    assert commit_range(older, [last], base).commits == (older, base, last)
    assert commit_range(older, [last], base).fork
    assert commit_range(base, [last], base).commits == (base, last)


def test_the_pin_of_a_commit_is_a_requirement_that_installers_read():
    pin = commit_pin("my-gadget", "file:///some/where", "a" * 40, "python/inner")
    requirement = Requirement(pin.requirement)
    assert requirement.name == "my-gadget"
    assert requirement.url == f"git+file:///some/where@{'a' * 40}#subdirectory=python/inner"
    assert pin.label == "git@aaaaaaaa"


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("https://github.com/huggingface/transformers", "https://github.com/huggingface/transformers"),
        ("https://github.com/huggingface/transformers.git", "https://github.com/huggingface/transformers"),
        ("git@github.com:huggingface/transformers.git", "https://github.com/huggingface/transformers"),
        ("ssh://git@github.com/huggingface/transformers", "https://github.com/huggingface/transformers"),
        ("https://token@github.com/o/r", "https://github.com/o/r"),
        ("https://gitlab.com/o/r", None),
        ("file:///srv/github.com/o/r", None),
    ],
)
def test_a_repository_on_github_has_a_page(address, page):
    assert on_github(address) == page


def test_a_commit_is_named_with_its_pull_request_and_linked():
    one = commit("c", "b", subject="Load weights in threads (#42) (#43)")
    assert one.summary() == 'cccccccccc (2026-03-04 PR #43 "Load weights in threads (#42) (#43)")'
    assert links("https://github.com/o/r", "b" * 40, one) == (
        f"https://github.com/o/r/commit/{'c' * 40}",
        "https://github.com/o/r/compare/bbbbbbbbbb...cccccccccc",
        "https://github.com/o/r/pull/43",
    )
    assert commit("d").summary() == 'dddddddddd (2026-03-04 "change")'
