import pytest

from harness.errors import ConfigError, InfrastructureError
from harness.matrix import git
from harness.matrix.expression import GitRef, parse
from harness.matrix.git import DEFAULT_REPOSITORIES, ResolvedRef, repository_address, resolve_ref


def commit_of(text, repository, tmp_path):
    wanted = parse(text)
    assert isinstance(wanted, GitRef)
    return resolve_ref(wanted, repository.bare.as_uri(), tmp_path / "cache").commit


def test_dev_is_the_head_of_the_default_branch(repository, tmp_path):
    repository.commit("one", "refs/heads/main")
    head = repository.commit("two", "refs/heads/main")
    repository.commit("three", "refs/heads/topic")
    assert commit_of("dev", repository, tmp_path) == head


def test_a_default_branch_may_have_any_name(repository, tmp_path):
    trunk = repository.commit("one", "refs/heads/trunk")
    repository.commit("two", "refs/heads/main")
    repository.git("--git-dir", str(repository.bare), "symbolic-ref", "HEAD", "refs/heads/trunk")
    assert commit_of("dev", repository, tmp_path) == trunk


def test_dev_moves_with_a_local_repository(repository, tmp_path):
    first = repository.commit("one", "refs/heads/main")
    assert commit_of("dev", repository, tmp_path) == first
    second = repository.commit("two", "refs/heads/main")
    assert commit_of("dev", repository, tmp_path) == second


def test_a_pull_request_is_its_head_and_not_its_merge(repository, tmp_path):
    repository.commit("base", "refs/heads/main")
    head = repository.commit("change", "refs/pull/7/head")
    repository.commit("merge", "refs/pull/7/merge")
    assert commit_of("pr:7", repository, tmp_path) == head


def test_a_branch_wins_over_a_tag_and_an_annotated_tag_is_its_commit(repository, tmp_path):
    tagged = repository.commit("one", "refs/heads/main")
    repository.git("tag", "-a", "v1.0", "-m", "release")
    repository.git("tag", "both")
    repository.git("push", "--quiet", "--tags", "origin")
    branch = repository.commit("two", "refs/heads/both", "refs/heads/user/topic")
    assert commit_of("git:v1.0", repository, tmp_path) == tagged
    assert commit_of("git:both", repository, tmp_path) == branch
    assert commit_of("git:user/topic", repository, tmp_path) == branch
    assert commit_of("git:refs/heads/main", repository, tmp_path) == tagged


def test_a_name_that_only_ends_alike_is_another_reference(repository, tmp_path):
    repository.commit("one", "refs/heads/main", "refs/heads/user/topic")
    with pytest.raises(ConfigError, match=r'has no branch or tag topic .*; the nearest is "git:user/topic"'):
        commit_of("git:topic", repository, tmp_path)


def test_a_full_commit_is_not_asked_for(tmp_path):
    sha = "0123456789abcdef0123456789abcdef01234567"
    assert resolve_ref(GitRef(f"git:{sha}", ref=sha), "https://nowhere.invalid/x", tmp_path) == ResolvedRef(sha)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("pr:8", "has no pull request 8"),
        ("git:v9", r"has no branch or tag v9 \(a commit needs all its 40 characters\)"),
        ("git:mian", 'the nearest is "git:main"'),
        ("git:0123abc", "a commit needs all its 40 characters"),
    ],
)
def test_what_a_repository_lacks_is_a_mistake(repository, tmp_path, text, sentence):
    repository.commit("one", "refs/heads/main")
    with pytest.raises(ConfigError, match=sentence):
        commit_of(text, repository, tmp_path)


def test_an_empty_repository_has_no_head(repository, tmp_path):
    with pytest.raises(ConfigError, match="has no default branch"):
        commit_of("dev", repository, tmp_path)


def test_a_repository_that_is_not_there_is_no_mistake_of_the_version(tmp_path):
    with pytest.raises(InfrastructureError, match=r"git cannot read the references of .*nothing\.git"):
        resolve_ref(GitRef("dev"), (tmp_path / "nothing.git").as_uri(), tmp_path)


def test_a_remote_answer_is_kept_and_outlives_the_network(repository, tmp_path, monkeypatch):
    head = repository.commit("one", "refs/heads/main")
    address = "https://host.invalid/upstream"
    monkeypatch.setattr(git, "_ls_remote", lambda asked, *patterns: {"HEAD": head})
    assert resolve_ref(GitRef("dev"), address, tmp_path / "cache") == ResolvedRef(head)
    monkeypatch.setattr(git, "_ls_remote", lambda asked, *patterns: {})
    assert resolve_ref(GitRef("dev"), address, tmp_path / "cache") == ResolvedRef(head)


@pytest.mark.parametrize("address", [*DEFAULT_REPOSITORIES.values(), "ssh://git@host/x", "git@host:x/y", "file:///x"])
def test_an_address_stays_as_it_is(address, tmp_path):
    assert repository_address(address, tmp_path) == address


def test_a_local_folder_is_looked_up_in_the_folder_of_the_matrix(tmp_path):
    assert repository_address("../work tree", tmp_path / "m") == (tmp_path / "work tree").as_uri()
