"""The pytest plugin of an attempt: fixtures, skips for what is missing, failures written before pytest ends."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Generator
from importlib import metadata
from typing import Any

import pytest

from harness.probe.api import Probe, unmet
from harness.probe.events import EventFile
from harness.probe.exceptions import describe
from harness.probe.hf_hub import snapshot
from harness.probe.memory import initialized_torch

EXPLICIT_FOLDERS = ("/", ".", "~")  # a checkpoint named by one of these beginnings is a path of the user's own


class CheckpointNotDeclared(Exception):
    """The scenario asked for a checkpoint that its decorator does not name."""


class ProbePlugin:
    """One attempt's plugin; its ``checkpoints`` map names to folders, its ``root`` is the scenario's folder."""

    def __init__(self, events: EventFile, request: dict[str, Any]) -> None:
        """Keep what the fixtures hand out; ``request`` is what the host wrote, see :func:`read_request`."""
        self.events = events
        self.root = request["root"]
        self.checkpoints: dict[str, str] = request["checkpoints"]
        self._probe = Probe(events)
        self._probe.cuda.remember_before(request.get("used_before", {}))

    @pytest.fixture
    def probe(self) -> Probe:
        """Phases, figures and expectations of this attempt."""
        return self._probe

    @pytest.fixture
    def checkpoint(self) -> Any:
        """Return a function: name of a checkpoint or adapter → path of its folder, as text."""

        def find(name: str) -> str:
            if name in self.checkpoints:
                place = self.checkpoints[name]
                return place if os.path.isabs(place) else snapshot(place)
            if name.startswith(EXPLICIT_FOLDERS) and os.path.isdir(os.path.expanduser(name)):
                return os.path.expanduser(name)
            known = ", ".join(sorted(self.checkpoints)) or "none"
            raise CheckpointNotDeclared(f"{name!r} is not in this scenario's checkpoints=[…] (there: {known})")

        return find

    def pytest_configure(self, config: pytest.Config) -> None:
        """Declare the marker, so that strict markers hold."""
        config.addinivalue_line("markers", "scenario(**declared): set by harness.probe.scenario")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip, with a reason code, where a need is not met."""
        for need in declared(item)["needs"]:
            missing = unmet(need)
            if missing is not None:
                reason, text = missing
                self._probe.not_applicable(text, reason)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Generator[None, object, object]:
        """Turn failed expectations into a failure once the test itself is through."""
        result = yield
        self._probe.close()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Write what was raised, while it is known."""
        report = yield
        error = call.excinfo.value if call.excinfo is not None else None
        if report.failed and error is not None:
            self.events.write("failure", **describe(error, call.when, self.root))
        elif report.skipped and not self._probe.explained_skip:
            self.events.write("skip", text=str(report.longrepr), reason="not_applicable")
        if call.when == "call" and report.passed:
            self.events.write("passed")
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Write a collection that failed; the exception itself is written by :class:`CollectPlugin`."""
        if report.failed:
            self.events.write("collect_failed", nodeid=report.nodeid, text=str(report.longrepr)[-4000:])

    def pytest_sessionstart(self) -> None:
        """Write the versions that this process really sees."""
        self.events.write("versions", versions=versions())

    def pytest_sessionfinish(self) -> None:
        """Write whether the attempt ended up on CUDA: what torch has initialized, not what the scenario meant."""
        self.events.write("ran_on", device="cpu" if initialized_torch() is None else "cuda")


class CollectPlugin:
    """Write one ``collected`` event per scenario, and a ``failure`` per file that cannot be collected."""

    def __init__(self, events: EventFile, root: str) -> None:
        """Write to ``events``; ``root`` is the folder that paths are relative to."""
        self.events = events
        self.root = root

    def pytest_configure(self, config: pytest.Config) -> None:
        """Declare the marker, so that strict markers hold."""
        config.addinivalue_line("markers", "scenario(**declared): set by harness.probe.scenario")

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Describe the exception behind a collection that fails; pytest keeps only its text."""
        report = yield
        call = getattr(report, "call", None)
        error = call.excinfo.value if call is not None and call.excinfo is not None else None
        if report.failed and error is not None:
            cause = error.__cause__ if isinstance(error, pytest.Collector.CollectError) and error.__cause__ else error
            self.events.write("failure", nodeid=report.nodeid, **describe(cause, "collect", self.root))
        return report

    def pytest_sessionstart(self) -> None:
        """Write the versions that this process really sees."""
        self.events.write("versions", versions=versions())

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write every selected scenario."""
        for item in session.items:
            title = (getattr(getattr(item, "function", None), "__doc__", None) or "").strip().split("\n", 1)[0]
            self.events.write("collected", nodeid=item.nodeid, path=str(item.path), title=title, **declared(item))


def declared(item: pytest.Item) -> dict[str, Any]:
    """Return what ``@scenario`` declares on a test, with empty values for one that has no decorator."""
    empty: dict[str, Any] = {"row": None, "tracker": None, "needs": (), "checkpoints": (), "timeout": None}
    marker = item.get_closest_marker("scenario")
    return {**empty, **marker.kwargs} if marker is not None else empty


@functools.cache
def versions() -> dict[str, str]:
    """Return name → version of every distribution that this interpreter sees, names normalized."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-").replace(".", "-"), distribution.version)
    return dict(sorted(found.items()))


def read_request(path: str) -> dict[str, Any]:
    """Read a request that the host wrote: ``nodeid``, ``folder``, ``root``, ``checkpoints``, ``environment``.

    ``used_before`` maps GPU UUIDs to the bytes in use before the attempt, where there are GPUs.
    """
    with open(path, encoding="utf-8") as file:
        request: dict[str, Any] = json.load(file)
    return request
