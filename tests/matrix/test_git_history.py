"""Git histories of every shape that releases have, read from real repositories."""

import pytest

from harness.errors import ConfigError, InfrastructureError
from harness.matrix.git import CommitRange, Repository, open_repository


def opened(git_repository, tmp_path) -> Repository:
    return open_repository(f"git:{git_repository.folder}", tmp_path / "cache")


def subjects(line: CommitRange) -> list[str]:
    return [one.subject for one in line.commits]


def test_a_straight_history_is_a_line_from_tag_to_tag(git_repository, tmp_path):
    git_repository.commit("before")
    git_repository.commit("release 1.0", tag="v1.0")
    for name in "abc":
        git_repository.commit(name)
    git_repository.commit("release 1.1", tag="v1.1")
    git_repository.commit("later")
    line = opened(git_repository, tmp_path).commits_between("v1.0", "v1.1")
    assert subjects(line) == ["release 1.0", "a", "b", "c", "release 1.1"]
    assert not line.fork


def test_what_a_merge_brought_is_not_on_the_line(git_repository, tmp_path):
    git_repository.commit("release 1.0", tag="v1.0")
    git_repository.branch("topic")
    git_repository.commit("one")
    git_repository.commit("two")
    git_repository.switch("main")
    git_repository.commit("between")
    git_repository.merge("topic", "merge the topic (#7)")
    git_repository.commit("release 1.1", tag="v1.1")
    line = opened(git_repository, tmp_path).commits_between("v1.0", "v1.1")
    assert subjects(line) == ["release 1.0", "between", "merge the topic (#7)", "release 1.1"]
    assert line.commits[2].pull == 7
    assert len(line.commits[2].parents) == 2


def test_a_tag_on_a_release_branch_is_followed_by_the_commit_where_the_branch_began(git_repository, tmp_path):
    git_repository.commit("start")
    git_repository.commit("last before the branch")
    git_repository.branch("release-1.0")
    git_repository.commit("release 1.0", tag="v1.0")
    git_repository.switch("main")
    git_repository.commit("a")
    git_repository.branch("release-1.1")
    git_repository.commit("release 1.1", tag="v1.1")
    line = opened(git_repository, tmp_path).commits_between("v1.0", "v1.1")
    assert line.fork
    assert subjects(line) == ["release 1.0", "last before the branch", "a", "release 1.1"]


def test_a_release_branch_that_was_merged_back_does_not_lie_on_the_line_either(git_repository, tmp_path):
    git_repository.commit("start")
    git_repository.branch("release-1.0")
    git_repository.commit("release 1.0", tag="v1.0")
    git_repository.switch("main")
    git_repository.commit("a")
    git_repository.merge("release-1.0", "merge the release branch")
    git_repository.commit("release 1.1", tag="v1.1")
    line = opened(git_repository, tmp_path).commits_between("v1.0", "v1.1")
    assert line.fork
    assert subjects(line) == ["release 1.0", "start", "a", "merge the release branch", "release 1.1"]


def test_two_releases_of_one_branch_need_no_other(git_repository, tmp_path):
    git_repository.commit("start")
    git_repository.branch("release")
    git_repository.commit("release 1.0.1", tag="v1.0.1")
    git_repository.commit("fix")
    git_repository.commit("release 1.0.2", tag="v1.0.2")
    git_repository.switch("main")
    git_repository.commit("elsewhere")
    line = opened(git_repository, tmp_path).commits_between("v1.0.1", "v1.0.2")
    assert (subjects(line), line.fork) == (["release 1.0.1", "fix", "release 1.0.2"], False)


def test_tags_in_the_wrong_order_are_an_error(git_repository, tmp_path):
    git_repository.commit("release 1.0", tag="v1.0")
    git_repository.commit("release 1.1", tag="v1.1")
    repository = opened(git_repository, tmp_path)
    for older, newer in (("v1.1", "v1.0"), ("v1.0", "v1.0")):
        with pytest.raises(ConfigError, match="the order is wrong"):
            repository.commits_between(older, newer)


def test_histories_without_a_common_commit_are_an_error(git_repository, tmp_path):
    git_repository.commit("release 1.0", tag="v1.0")
    git_repository.git("switch", "--quiet", "--orphan", "other")
    git_repository.commit("release 2.0", tag="v2.0")
    with pytest.raises(ConfigError, match="have no common commit"):
        opened(git_repository, tmp_path).commits_between("v1.0", "v2.0")


def test_an_annotated_tag_is_its_commit_and_a_subject_is_unchanged(git_repository, tmp_path):
    sha = git_repository.commit('Fix "quotes", | bars and ünïcode\u2028 (#12)')
    git_repository.git("tag", "-a", "v1.0", "-m", "release")
    commit = opened(git_repository, tmp_path).commit("v1.0")
    assert (commit.sha, commit.date) == (sha, "2026-01-02T12:00:00+00:00")
    assert commit.subject == 'Fix "quotes", | bars and ünïcode\u2028 (#12)'


def test_a_local_repository_is_left_as_it_is(git_repository, tmp_path):
    git_repository.commit("release 1.0", tag="v1.0")
    git_repository.commit("release 1.1", tag="v1.1")
    (git_repository.folder / "changes.txt").write_text("edited")
    before = (git_repository.git("status", "--porcelain"), git_repository.git("for-each-ref"))
    repository = opened(git_repository, tmp_path)
    repository.commits_between("v1.0", "v1.1")
    repository.fetch()
    assert (git_repository.git("status", "--porcelain"), git_repository.git("for-each-ref")) == before
    assert repository.address == git_repository.folder.as_uri()
    assert not (tmp_path / "cache").exists()


def test_a_folder_inside_a_repository_is_the_subfolder_of_the_package(git_repository, tmp_path):
    inside = git_repository.folder / "bindings" / "python"
    inside.mkdir(parents=True)
    git_repository.commit("one")
    assert open_repository(f"git:{inside}", tmp_path).subfolder == "bindings/python"
    given = open_repository(f"git:{git_repository.folder}#subdirectory=bindings/python", tmp_path)
    assert given.subfolder == "bindings/python"


def test_what_is_no_repository_is_one_sentence(tmp_path):
    (tmp_path / "plain").mkdir()
    for text, sentence in (
        (f"git:{tmp_path}/nowhere", "is not a git repository"),
        (f"git:{tmp_path}/plain", "is not a git repository"),
        (f"{tmp_path}/plain", "must be git:URL or git:FOLDER"),
        ("git:", "must be git:URL or git:FOLDER"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            open_repository(text, tmp_path / "cache")


def test_an_address_that_does_not_answer_is_infrastructure_and_leaves_no_half_copy(tmp_path):
    with pytest.raises(InfrastructureError, match="git cannot clone file:"):
        open_repository(f"git:{(tmp_path / 'gone').as_uri()}", tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


def test_a_repository_that_git_names_while_it_calls_us_is_not_taken_for_the_one_asked_for(
    git_repository, tmp_path, monkeypatch
):
    git_repository.commit("release 1.0", tag="v1.0")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert opened(git_repository, tmp_path).tags() == ("v1.0",)


def test_an_ssh_address_in_short_is_written_so_that_installers_read_it(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("harness.matrix.git._clone", lambda address, cache: asked.append(address) or cache)
    found = open_repository("git:git@github.com:owner/name.git", tmp_path)
    assert found.address == asked[0] == "ssh://git@github.com/owner/name.git"


def test_what_a_partial_clone_lacks_is_taken_from_where_it_was_cloned(git_repository, tmp_path):
    """git serves no commit whose contents are not there, so that nothing could be installed from the clone itself."""
    git_repository.commit("release 1.0", tag="v1.0")
    git_repository.git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "partial"
    git_repository.git("clone", "--quiet", "--filter=blob:none", git_repository.folder.as_uri(), str(clone))
    found = open_repository(f"git:{clone}", tmp_path / "cache")
    assert (found.folder, found.address) == (clone, git_repository.folder.as_uri())
