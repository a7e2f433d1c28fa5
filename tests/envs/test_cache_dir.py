"""The cache directory."""

from harness.envs.cache_dir import CacheDir


def test_the_cache_is_where_the_variable_says(tmp_path):
    cache_dir = CacheDir.of_user({"HARNESS_CACHE": str(tmp_path)})
    assert cache_dir.envs == tmp_path / "envs"
    assert CacheDir.of_user({}).root.name == "hf-regression-matrix"
