"""Results of one series, written as letters."""

from datetime import UTC, datetime, timedelta

from harness.history.query import SeriesKey, SeriesResult
from harness.store.records import Outcome
from harness.verdict.statistics import Spread

GIB = 2**30
START = datetime(2026, 3, 1, 2, tzinfo=UTC)
KEY = SeriesKey("nightly", "transformers=latest torch=2.13.0", "load_4bit::test_reserved", "NVIDIA H200")
OUTCOMES = {"p": "pass:check", "f": "fail:run:oom", "g": "fail:check:assertion", "e": "error:run:exception"}


def result(number, outcomes="p", *, version="5.0.0", reserved=None, signature=None, key=KEY, **figures):
    """Return the result of one run; one letter per attempt, ``-`` for none."""
    values = {"seconds": 4.0, **figures} if outcomes != "-" else {}
    if reserved is not None:
        values |= {"cuda_reserved.load": reserved * GIB, "cuda_allocated.load": reserved * GIB * 0.9}
    red = outcomes[-1] in "fge"
    return SeriesResult(
        run=f"run{number}", started=START + timedelta(days=number), key=key, cell="c",
        versions={"transformers": version, "numpy": "2.0"},
        outcomes=tuple(Outcome.parse(OUTCOMES[letter]) for letter in outcomes if letter != "-"),
        signature=(signature or OUTCOMES[outcomes[-1]]) if red else "",
        figures={name: once(value) for name, value in values.items()},
    )  # fmt: skip


def once(value):
    return value if isinstance(value, Spread) else Spread(value, value, value, 1)


def results(letters, **more):
    return [result(number, letter, **more) for number, letter in enumerate(letters)]
