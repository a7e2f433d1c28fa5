"""From cells to environments: lock with uv, build through Nox, share equal environments. Windows is untested."""
