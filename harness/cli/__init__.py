"""The ``harness`` command: one module a verb."""
