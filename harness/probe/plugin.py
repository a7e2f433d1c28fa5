"""The pytest plugins of the probe: fixtures of scenarios, skips for unmet needs, events written as they happen."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Generator
from importlib import import_module, metadata
from typing import Any

import pytest

from harness.probe.api import Probe, unmet
from harness.probe.events import EventFile
from harness.probe.exceptions import describe
from harness.probe.memory import initialized_torch

EXPLICIT_FOLDERS = ("/", ".", "~")  # a checkpoint with one of these prefixes is a path of the user
HUB_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")  # not the same weights in another format


class CheckpointNotDeclared(Exception):
    """The scenario uses a checkpoint that its decorator does not declare."""


class _Recorder:
    """Record events of a pytest session; ``root`` is the folder that paths are relative to."""

    def __init__(self, events: EventFile, root: str) -> None:
        """Write to ``events``."""
        self.events = events
        self.root = root

    def pytest_configure(self, config: pytest.Config) -> None:
        """Register the marker, for strict markers."""
        config.addinivalue_line("markers", "scenario(**declared): set by harness.probe.scenario")

    def pytest_sessionstart(self) -> None:
        """Record the versions of the packages in this process."""
        self.events.write("versions", versions=versions())


class ProbePlugin(_Recorder):
    """The plugin of an attempt; its ``checkpoints`` map names to folders."""

    def __init__(self, events: EventFile, request: dict[str, Any]) -> None:
        """Take the request of the host, see :func:`read_request`."""
        super().__init__(events, request["root"])
        self.checkpoints: dict[str, str] = request["checkpoints"]
        self._probe = Probe(events)
        self._probe.cuda.set_used_before(request.get("used_before", {}))

    @pytest.fixture
    def probe(self) -> Probe:
        """Phases, figures and expectations of this attempt."""
        return self._probe

    @pytest.fixture
    def checkpoint(self) -> Any:
        """Return a function: name of a checkpoint or adapter → path of its folder, as text."""

        def find(name: str) -> str:
            if name in self.checkpoints:
                source = self.checkpoints[name]
                return source if os.path.isabs(source) else hub_snapshot(source)
            if name.startswith(EXPLICIT_FOLDERS) and os.path.isdir(os.path.expanduser(name)):
                return os.path.expanduser(name)
            known = ", ".join(sorted(self.checkpoints)) or "none"
            raise CheckpointNotDeclared(f"{name!r} is not in this scenario's checkpoints=[…] (declared: {known})")

        return find

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip the test with a reason code if a need is not met."""
        for need in declared(item)["needs"]:
            missing = unmet(need)
            if missing is not None:
                reason, text = missing
                self._probe.not_applicable(text, reason)

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Generator[None, object, object]:
        """Fail the test at its end if an expectation failed."""
        result = yield
        self._probe.close()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Record the exception of a failure."""
        report = yield
        error = call.excinfo.value if call.excinfo is not None else None
        if report.failed and error is not None:
            self.events.write("failure", **describe(error, call.when, self.root))
        elif report.skipped and not self._probe.explained_skip:
            self.events.write("skip", text=str(report.longrepr), reason="not_applicable")

        if call.when == "call" and report.passed:
            self.events.write("passed")
        return report

    def pytest_sessionfinish(self) -> None:
        """Record whether torch has initialized CUDA in this attempt."""
        self.events.write("ran_on", device="cpu" if initialized_torch() is None else "cuda")


class CollectPlugin(_Recorder):
    """Record a ``collected`` event per scenario, and a ``failure`` per file that cannot be collected."""

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Record the exception of a failed collection; pytest keeps only its text."""
        report = yield
        call = getattr(report, "call", None)
        error = call.excinfo.value if call is not None and call.excinfo is not None else None
        if report.failed and error is not None:
            cause = error.__cause__ if isinstance(error, pytest.Collector.CollectError) and error.__cause__ else error
            self.events.write("failure", nodeid=report.nodeid, **describe(cause, "collect", self.root))
        return report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record every selected scenario."""
        for item in session.items:
            title = (getattr(getattr(item, "function", None), "__doc__", None) or "").strip().split("\n", 1)[0]
            self.events.write("collected", nodeid=item.nodeid, path=str(item.path), title=title, **declared(item))


def declared(item: pytest.Item) -> dict[str, Any]:
    """Return the arguments of ``@scenario`` on a test, with empty values for a test without it."""
    empty: dict[str, Any] = {"row": None, "tracker": None, "needs": (), "checkpoints": (), "timeout": None}
    marker = item.get_closest_marker("scenario")
    return {**empty, **marker.kwargs} if marker is not None else empty


def hub_snapshot(name: str) -> str:
    """Return the local folder of ``organisation/name`` from the hub, downloaded where it is not cached.

    The user's settings apply: ``HF_HOME``, ``HF_HUB_CACHE``, ``HF_HUB_OFFLINE``, tokens.

    Raises:
        OSError: it is neither cached nor available.
    """
    library = import_module("huggingface_hub")  # installed in the cell only
    return str(library.snapshot_download(name, allow_patterns=list(HUB_FILES)))


@functools.cache
def versions() -> dict[str, str]:
    """Return normalized name → version of every distribution in this interpreter."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-").replace(".", "-"), distribution.version)
    return dict(sorted(found.items()))


def read_request(path: str) -> dict[str, Any]:
    """Read a request of the host: ``nodeid``, ``folder``, ``root``, ``checkpoints``.

    ``used_before`` maps the UUIDs of GPUs to the bytes in use before the attempt.
    """
    with open(path, encoding="utf-8") as file:
        request: dict[str, Any] = json.load(file)
    return request
