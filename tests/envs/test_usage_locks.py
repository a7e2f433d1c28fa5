"""What a killed compiler leaves in an environment, and when it is removed."""

import pytest

from harness.envs.usage_locks import UsageLocks, remove_stale_locks


@pytest.fixture
def baton(tmp_path):
    build = tmp_path / "abc/env/lib/python3.12/site-packages/optimum/quanto/library/extensions/cpp/build"
    build.mkdir(parents=True)
    (build / "quanto_cpp.o").touch()
    (build / "lock").touch()
    return build / "lock"


def test_a_lock_that_was_left_is_removed_and_nothing_else(baton, tmp_path):
    assert remove_stale_locks(tmp_path / "abc") == (baton,)
    assert [path.name for path in baton.parent.iterdir()] == ["quanto_cpp.o"]
    assert remove_stale_locks(tmp_path / "abc") == ()


def test_while_somebody_uses_the_environment_the_lock_may_be_his(baton, tmp_path):
    with UsageLocks() as usage_locks:
        usage_locks.acquire(tmp_path / "abc")
        assert remove_stale_locks(tmp_path / "abc") == ()
        assert baton.exists()
    assert remove_stale_locks(tmp_path / "abc") == (baton,)


def test_an_environment_that_is_not_there_yet_has_none(tmp_path):
    assert remove_stale_locks(tmp_path / "nothing") == ()
    assert not list(tmp_path.iterdir())
