"""Usage locks of several users, and the removal of stale locks that a killed compiler left."""

import os
import threading

import pytest

from harness.envs.disk_usage import CacheEntry, remove
from harness.envs.usage_locks import UsageLocks, exclusive, in_use, remove_stale_locks
from harness.errors import InfrastructureError


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


@pytest.mark.skipif(os.name == "nt", reason="there are no usage locks on Windows, which is untested")
def test_a_folder_is_in_use_until_its_last_user_has_ended(tmp_path):
    folder = tmp_path / "thing"
    folder.mkdir()
    assert not in_use(folder)
    with UsageLocks() as one:
        one.acquire(folder)
        with UsageLocks() as other:
            other.acquire(folder)
            assert in_use(folder)
        assert in_use(folder)
        with pytest.raises(InfrastructureError, match="thing is in use by another process and was not removed"):
            remove(CacheEntry(folder, 0, 0.0))
        assert folder.is_dir()
    assert not in_use(folder)
    remove(CacheEntry(folder, 0, 0.0))
    assert not folder.exists()


@pytest.mark.skipif(os.name == "nt", reason="there are no usage locks on Windows, which is untested")
def test_threads_may_acquire_one_folder_at_the_same_time(tmp_path):
    start = threading.Barrier(16)
    for number in range(20):
        with UsageLocks() as usage_locks:
            folder = tmp_path / str(number)
            folder.mkdir()

            def acquire(usage_locks=usage_locks, folder=folder):
                start.wait()
                usage_locks.acquire(folder)

            threads = [threading.Thread(target=acquire) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert in_use(folder)
        assert not in_use(folder)


@pytest.mark.skipif(os.name == "nt", reason="there are no usage locks on Windows, which is untested")
def test_a_lock_file_of_another_user_can_be_acquired(tmp_path, monkeypatch):
    with UsageLocks() as one:
        one.acquire(tmp_path / "thing")
    opened = os.open

    def refused(path, flags, *mode):
        if flags & (os.O_RDWR | os.O_CREAT):
            raise PermissionError(path)
        return opened(path, flags, *mode)

    with UsageLocks() as other:
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", refused)
            other.acquire(tmp_path / "thing")
        assert in_use(tmp_path / "thing")


@pytest.mark.skipif(os.name == "nt", reason="there are no usage locks on Windows, which is untested")
def test_a_removal_is_exclusive(tmp_path):
    with exclusive(tmp_path / "thing") as first, exclusive(tmp_path / "thing") as second:
        assert (first, second) == (True, False)
