"""Cached resolutions."""

import time

from harness.envs import lock


def test_a_cached_resolution_is_fresh_for_a_day_and_for_ever_with_as_of(tmp_path):
    path = tmp_path / "one.json"
    lock.save_resolution(path, "six==1.17.0\n", None)
    entry = lock.load_resolution(path)
    assert entry.text == "six==1.17.0\n"
    assert entry.fresh(forever=False)
    old = entry.model_copy(update={"created": time.time() - lock.LIFETIME - 1})
    assert not old.fresh(forever=False)
    assert old.fresh(forever=True)


def test_a_torn_resolution_is_no_resolution(tmp_path):
    (tmp_path / "one.json").write_text('{"text": "six==')
    assert lock.load_resolution(tmp_path / "one.json") is None
    assert lock.load_resolution(tmp_path / "two.json") is None
