"""Nights of one series, written as letters."""

from datetime import UTC, datetime, timedelta

from harness.history.model import Measured, Night, Track
from harness.store.records import Outcome

GIB = 2**30
START = datetime(2026, 3, 1, 2, tzinfo=UTC)
TRACK = Track("nightly", "transformers=latest torch=2.13.0", "load_4bit::test_reserved", "NVIDIA H200")
SHORT = {"p": "pass:check", "f": "fail:run:oom", "g": "fail:check:assertion", "e": "error:run:exception"}


def night(number, outcomes="p", *, version="5.0.0", reserved=None, signature=None, track=TRACK, **figures):
    """Return a night; one letter per attempt, ``-`` for none."""
    values = {"seconds": 4.0, **figures} if outcomes != "-" else {}
    if reserved is not None:
        values |= {"cuda_reserved.load": reserved * GIB, "cuda_allocated.load": reserved * GIB * 0.9}
    red = outcomes[-1] in "fge"
    return Night(
        run=f"run{number}", started=START + timedelta(days=number), matrix=track.matrix, line=track.line,
        scenario=track.scenario, gpu=track.gpu, cell="c", versions={"transformers": version, "numpy": "2.0"},
        outcomes=tuple(Outcome.parse(SHORT[letter]) for letter in outcomes if letter != "-"),
        signature=(signature or SHORT[outcomes[-1]]) if red else "",
        figures={name: once(value) for name, value in values.items()},
    )  # fmt: skip


def once(value):
    return value if isinstance(value, Measured) else Measured(value, value, value, 1)


def nights(letters, **more):
    return [night(number, letter, **more) for number, letter in enumerate(letters)]
