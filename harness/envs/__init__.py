"""From cells to environments: lock with uv, build through Nox, share what is the same. Windows is untested."""
