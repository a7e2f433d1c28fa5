"""The code of the harness that runs inside a cell; it imports the standard library, pytest and packages under test."""

from harness.probe.api import Probe, scenario

__all__ = ["Probe", "scenario"]
