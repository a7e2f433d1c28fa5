"""The interface of scenarios: the ``@scenario`` decorator and the ``probe`` object."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from typing import Any, NoReturn, TypeVar

import pytest

from harness.probe.events import EventFile
from harness.probe.memory import Cuda, HostPeak, host, initialized_torch
from harness.probe.placement import placement

Test = TypeVar("Test", bound=Callable[..., object])


def scenario(
    *,
    row: str | None = None,
    tracker: str | None = None,
    needs: Sequence[str] = (),
    checkpoints: Sequence[str] = (),
    timeout: float | None = None,
) -> Callable[[Test], Test]:
    """Mark a test as a scenario.

    Args:
        row: the row of the field reports that it answers (``A1``), if any.
        tracker: the upstream issue or pull request (``huggingface/transformers#44387``).
        needs: what the scenario requires, else it is skipped with a reason: ``cuda`` (a GPU), ``cuda:2`` (two GPUs),
            or a requirement on an installed package (``transformers>=5.5``).
        checkpoints: the names passed to the ``checkpoint`` fixture; they are built before the cell runs.
            Write literals: the plan reads them without running the file.
        timeout: seconds after which an attempt is killed; the run's own limit where None.
    """
    return pytest.mark.scenario(
        row=row, tracker=tracker, needs=tuple(needs), checkpoints=tuple(checkpoints), timeout=timeout
    )


class ExpectationFailed(AssertionError):
    """At least one ``probe.expect`` failed; raised at the end of the test."""


class Probe:
    """Measure phases, record figures, check expectations. One object an attempt."""

    def __init__(self, events: EventFile) -> None:
        """Write everything to ``events`` as it happens."""
        self._events = events
        self._phase: str | None = None
        self._allocator_recorded = False
        self._phase_counts: dict[str, int] = {}
        self.failed: list[str] = []
        self.explained_skip = False
        self.cuda = Cuda()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure one phase (``import context load adapter forward generate merge`` or a name of your own).

        Records seconds, and memory in bytes before, after and at its peak. Phases do not nest. The second phase of a
        name is recorded as ``name.2``.

        Raises:
            RuntimeError: a phase is already open.
        """
        if self._phase is not None:
            raise RuntimeError(f"phase {name!r} opened inside phase {self._phase!r}: phases do not nest")
        count = self._phase_counts[name] = self._phase_counts.get(name, 0) + 1
        label = name if count == 1 else f"{name}.{count}"
        self._phase = label
        self.cuda.synchronize()
        self.cuda.reset_peaks()
        self._events.write("phase_start", phase=label, host=host(), cuda=self.cuda.devices())
        peak, started = HostPeak(), time.perf_counter()
        raised = True
        try:
            yield
            raised = False
        finally:
            # After some failures every CUDA call raises the same failure: keep the first exception.
            with suppress(*((RuntimeError,) if raised else ())):
                self._end_phase(label, started, peak)
            peak.stop()
            self._phase = None

    def _end_phase(self, label: str, started: float, peak: HostPeak) -> None:
        self.cuda.synchronize()
        seconds = time.perf_counter() - started
        anon_peak, now = peak.stop(), host()
        devices = self.cuda.devices()
        self.cuda.empty_cache()
        self._record_allocator()
        self._events.write(
            "phase_end",
            phase=label,
            seconds=seconds,
            host={**now, "anon_peak": max(anon_peak, now.get("anon", 0))},
            cuda=devices,
            cuda_emptied=self.cuda.devices(),
        )

    def record(self, name: str, value: Any) -> None:
        """Record a figure of the scenario: a number becomes the column ``x.<name>``, any other value a note."""
        self._events.write("record", name=name, value=value)

    def _record_allocator(self) -> None:
        """Record the allocator's effective settings once, when CUDA is initialized."""
        if not self._allocator_recorded and initialized_torch() is not None:
            self._allocator_recorded = True
            self._events.write("allocator", settings=self.cuda.allocator_settings())

    def placement(self, model: Any, stage: str, keys: Sequence[str] = ()) -> dict[str, Any]:
        """Record and return the placement of a model after ``stage``: see :func:`harness.probe.placement.placement`.

        ``keys`` are names that were passed to the load (keys of a device map, a skip list); those that match no module
        are listed.
        """
        found = placement(model, keys)
        self._events.write("placement", stage=stage, placement=found)
        return found

    def expect(self, text: str, condition: object, detail: object = "", *, about: str = "") -> bool:
        """Check an expectation and continue; the test fails at its end if any expectation failed.

        Args:
            text: the expectation, for the report.
            condition: whether it is met.
            detail: the value that was found.
            about: ``memory`` for an expectation that is meaningless on a GPU with other processes: there the attempt
                becomes ``error:run:gpu_busy``, whether it is met or not.

        Returns:
            Whether it is met.
        """
        held = bool(condition)
        self._events.write("expect", text=text, held=held, detail=str(detail), about=about)
        if not held:
            self.failed.append(f"{text} ({detail})" if detail != "" else text)
        return held

    def simulated(self, what: str) -> None:
        """Record that a part of this attempt is simulated; the report labels it."""
        self._events.write("simulated", what=what)

    def not_applicable(self, text: str, reason: str = "not_applicable") -> NoReturn:
        """Skip the rest of a scenario that does not apply in this cell (``reason``: ``not_applicable``, ``no_gpu``)."""
        self._events.write("skip", text=text, reason=reason)
        self.explained_skip = True
        pytest.skip(text)

    @property
    def device(self) -> str:
        """The device to use: ``cuda:0`` if there is a GPU, else ``cpu``."""
        return "cuda:0" if cuda_count() else "cpu"

    @staticmethod
    def has(requirement: str) -> bool:
        """Return whether an installed package satisfies a requirement (``transformers>=5.5``); pre-releases count."""
        return unmet(requirement) is None

    def close(self) -> None:
        """Raise if any expectation failed.

        Raises:
            ExpectationFailed: its text lists all that failed.
        """
        if self.failed:
            raise ExpectationFailed("; ".join(self.failed))


def cuda_count() -> int:
    """Return the number of GPUs that torch can use; zero without torch."""
    try:
        import torch
    except ImportError:
        return 0
    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0


def unmet(need: str) -> tuple[str, str] | None:
    """Return (reason code, sentence) if ``need`` is not met here, else None."""
    name, _, count = need.partition(":")
    if name == "cuda":
        wanted, found = int(count or 1), cuda_count()
        return None if found >= wanted else ("no_gpu", f"needs {wanted} CUDA device(s), found {found}")
    from packaging.requirements import Requirement  # a dependency of pytest, so every cell has it

    requirement = Requirement(need)
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return ("not_applicable", f"needs {need}, {requirement.name} is not installed")

    if requirement.specifier.contains(version, prereleases=True):
        return None
    return ("not_applicable", f"needs {need}, found {version}")
