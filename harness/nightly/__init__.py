"""Nightly runs: what is run, whether the machine can be trusted, and what is new since the last one."""
