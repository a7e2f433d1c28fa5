"""The outcome of an attempt: stage × status × reason, written ``fail:run:oom``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """How far the attempt came."""

    RESOLVE = "resolve"
    INSTALL = "install"
    IMPORT = "import"
    COLLECT = "collect"
    RUN = "run"
    CHECK = "check"


class Status(StrEnum):
    """Who is to blame, if anybody: ``fail`` is the software under test, ``error`` the script or the harness."""

    PASS = "pass"
    FAIL = "fail"
    ERROR = "error"
    SKIP = "skip"
    MISS = "miss"


class Reason(StrEnum):
    """What happened, where the status alone does not say it."""

    UNSOLVABLE = "unsolvable"
    INSTALL_FAILED = "install_failed"
    IMPORT_ERROR = "import_error"
    EXCEPTION = "exception"
    ASSERTION = "assertion"
    OOM = "oom"
    HOST_OOM = "host_oom"
    CRASH = "crash"
    TIMEOUT = "timeout"
    GPU_BUSY = "gpu_busy"
    NO_GPU = "no_gpu"
    NOT_APPLICABLE = "not_applicable"
    NETWORK = "network"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Outcome:
    """Stage, status and reason of one attempt; ``str()`` and :meth:`parse` round-trip.

    A passed attempt has no reason (``pass:check``); every other one has.
    """

    status: Status
    stage: Stage
    reason: Reason | None = None

    def __post_init__(self) -> None:
        """Refuse a pass with a reason, and anything else without one."""
        if (self.status is Status.PASS) != (self.reason is None):
            raise ValueError(f"an outcome has a reason exactly when it is not a pass: {self}")

    def __str__(self) -> str:
        """Write it as ``status:stage`` or ``status:stage:reason``."""
        return ":".join(part for part in (self.status, self.stage, self.reason) if part is not None)

    @classmethod
    def parse(cls, text: str) -> Outcome:
        """Read the text form back.

        Raises:
            ValueError: the text is not one of the outcomes.
        """
        status, stage, *reason = text.split(":")
        if len(reason) > 1:
            raise ValueError(f"not an outcome: {text!r}")
        return cls(Status(status), Stage(stage), Reason(reason[0]) if reason else None)
