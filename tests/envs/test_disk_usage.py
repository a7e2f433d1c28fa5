"""Sizes, listings and removals in the cache."""

import os
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from harness.envs.build import STAMP
from harness.envs.cache_dir import CacheDir
from harness.envs.disk_usage import DAY, CacheEntry, env_size, list_cache, remove, select_removable
from harness.errors import InfrastructureError
from harness.matrix.answer_cache import AnswerCache
from tests.environments import make_environment


def test_linked_files_cost_nothing(tmp_path):
    cache, env = tmp_path / "cache", tmp_path / "env"
    cache.mkdir()
    env.mkdir()
    (cache / "big").write_bytes(b"x" * 1000)
    os.link(cache / "big", env / "big")
    (env / "own").write_bytes(b"y" * 10)
    assert env_size(env) == 10


def test_environments_are_listed_the_longest_unused_first_and_removed(tmp_path):
    envs = CacheDir(tmp_path).envs
    newer, older = make_environment(envs, "newer", 2000), make_environment(envs, "older", 1000)
    (envs / "half").mkdir()
    found = {entry.path.name: entry for entry in list_cache(CacheDir(tmp_path))}
    assert list(found)[:2] == ["older", "newer"]
    assert found["older"].whole
    assert not found["half"].whole
    remove(found["older"])
    assert newer.exists()
    assert not older.exists()


def test_an_environment_that_is_being_built_is_not_removed(tmp_path):
    folder = make_environment(CacheDir(tmp_path).envs, "abc")
    with FileLock(f"{folder}.lock"), pytest.raises(InfrastructureError, match="in use"):
        remove(list_cache(CacheDir(tmp_path))[0])
    assert (folder / STAMP).exists()


def test_locks_are_listed_and_removed(tmp_path):
    AnswerCache(CacheDir(tmp_path).locks).ask("one", lambda: "x")
    (entry,) = list_cache(CacheDir(tmp_path))
    assert entry.size > 0
    remove(entry)
    assert list_cache(CacheDir(tmp_path)) == []


def test_copies_of_repositories_are_listed_and_a_broken_off_clone_is_half_built(tmp_path):
    for name in ("0123abcd", "cloning-xyz"):
        folder = CacheDir(tmp_path).repositories / name
        folder.mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/main\n")
    found = {one.path.name: one for one in list_cache(CacheDir(tmp_path))}
    assert {name: one.whole for name, one in found.items()} == {"0123abcd": True, "cloning-xyz": False}
    remove(found["0123abcd"])
    assert [one.path.name for one in list_cache(CacheDir(tmp_path))] == ["cloning-xyz"]


STORED = st.lists(
    st.builds(
        CacheEntry,
        path=st.integers(0, 10**9).map(lambda number: Path(f"thing-{number}")),
        size=st.integers(0, 1000),
        last_used=st.floats(0, 100 * DAY),
        whole=st.booleans(),
    ),
    unique_by=lambda one: one.path,
).map(lambda found: sorted(found, key=lambda one: one.last_used))


@given(STORED)
def test_nothing_is_removed_without_a_limit(stored):
    assert select_removable(stored, now=100 * DAY) == []


@given(STORED, st.integers(0, 3000))
def test_what_is_kept_fits_and_is_the_most_recently_used(stored, keep):
    removable = select_removable(stored, now=100 * DAY, keep=keep)
    kept = [one for one in stored if one not in removable]
    assert sum(one.size for one in kept) <= keep
    removed_whole = [one for one in removable if one.whole]
    assert all(one.last_used <= other.last_used for one in removed_whole for other in kept)
    if removed_whole:
        assert sum(one.size for one in kept) + removed_whole[-1].size > keep


@given(STORED, st.floats(0, 100))
def test_only_what_is_older_or_half_built_goes_by_age(stored, days):
    removable = select_removable(stored, now=100 * DAY, older_than=days)
    assert set(removable) == {one for one in stored if not one.whole or 100 * DAY - one.last_used > days * DAY}
