"""The only code of ours that runs inside a cell: standard library, pytest, and the packages under test."""

from harness.probe.api import Probe, scenario

__all__ = ["Probe", "scenario"]
