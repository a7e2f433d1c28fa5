"""What an attempt left behind, and what is concluded from it: the values the judge takes and returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.runner.exits import ProcessExit
from harness.store.outcome import Outcome, Stage
from harness.store.records import Expectation, Failure


@dataclass(frozen=True)
class Evidence:
    """Everything that is known about one attempt when its process is gone.

    ``report_outcome`` is pytest's own word (``passed failed error skipped``), None when it wrote no report.
    ``failures`` come from the probe, oldest first, and so do ``finished`` (its last event was seen) and ``passed``
    (the test's body went through). ``stage`` is ``collect`` while files are collected, else ``run``. ``own_names`` are
    classes and functions that the scenario's files define, where known: an error message that names one of them is the
    script's.
    """

    exit: ProcessExit
    report_outcome: str | None = None
    failures: tuple[Failure, ...] = ()
    skip: tuple[str, str] | None = None  # reason code, text
    expectations: tuple[Expectation, ...] = ()
    finished: bool = False
    passed: bool = False
    stage: Literal["collect", "run"] = "run"
    output_tail: str = ""  # the end of what the process printed
    gpu_busy: bool = False  # the card was not free before the attempt
    own_names: frozenset[str] = frozenset()

    @property
    def at(self) -> Stage:
        """Return the stage as the outcome writes it."""
        return Stage(self.stage)


@dataclass(frozen=True)
class Judgement:
    """The outcome of an attempt, the signature it is grouped by (None unless red) and one sentence."""

    outcome: Outcome
    signature: str | None
    detail: str
