"""Pages of packages, releases and commits on GitHub."""

import pytest

from harness.matrix.git import Commit
from harness.search.links import commit_links, compare_link, github_page, repositories

KNOWN = repositories({})


def commit(sha: str, *parents: str, subject: str = "change") -> Commit:
    return Commit(
        sha=sha * 40, parents=tuple(one * 40 for one in parents), date="2026-03-04T05:06:07Z", subject=subject
    )


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
    assert github_page(address) == page


def test_a_commit_is_named_with_its_pull_request_and_linked():
    one = commit("c", "b", subject="Load weights in threads (#42) (#43)")
    assert one.summary() == 'cccccccccc (2026-03-04 PR #43 "Load weights in threads (#42) (#43)")'
    assert commit_links("https://github.com/o/r", "b" * 40, one) == (
        f"https://github.com/o/r/commit/{'c' * 40}",
        "https://github.com/o/r/compare/bbbbbbbbbb...cccccccccc",
        "https://github.com/o/r/pull/43",
    )
    assert commit("d").summary() == 'dddddddddd (2026-03-04 "change")'


def test_a_matrix_s_own_repository_comes_first_and_a_local_one_is_none():
    own = repositories({"peft": "https://github.com/me/peft.git", "torch": "../pytorch"})
    assert own["peft"] == "me/peft"
    assert "torch" not in own


@pytest.mark.parametrize(
    ("package", "before", "after", "link"),
    [
        ("transformers", "5.3.0", "5.4.0", "https://github.com/huggingface/transformers/compare/v5.3.0...v5.4.0"),
        (
            "bitsandbytes",
            "0.49.1",
            "0.49.2",
            "https://github.com/bitsandbytes-foundation/bitsandbytes/compare/0.49.1...0.49.2",
        ),
        ("torch", "2.12.0", "2.13.0rc1", "https://github.com/pytorch/pytorch/compare/v2.12.0...v2.13.0rc1"),
        ("transformers", "dev@1a2b3c4d", "5.4.0", ""),
        ("numpy", "1.0.0", "2.0.0", ""),
    ],
)
def test_a_compare_link_has_the_repository_s_tags(package, before, after, link):
    assert compare_link(package, before, after, KNOWN) == link
