"""Figures of a table cell beside those of its reference."""

import pytest

from harness.report.figures import figures
from harness.verdict.measures import spreads
from harness.verdict.noise import Spread, spread


def test_small_movements_are_noise_and_counts_are_exact():
    found = figures(
        alone({"host_anon.load": 103 * 1024**2, "x.linear4bit": 195, "seconds.load": 1.9}),
        alone({"host_anon.load": 100 * 1024**2, "x.linear4bit": 196, "seconds.load": 1.0}),
    )
    assert [each.changed for each in found] == [False, True, False]


@pytest.mark.parametrize(("after", "moved"), [(0.9951, False), (0.95, True), (2.0, True)])
def test_a_ratio_that_moves_in_its_last_digits_is_no_change(after, moved):
    (found,) = figures(alone({"x.cosine": after}), alone({"x.cosine": 0.995}))
    assert found.changed is moved


def alone(measured):
    return {name: spread([value]) for name, value in measured.items()}


def test_a_movement_within_the_attempts_own_spread_is_noise():
    reserved = Spread(13 * 1024**3, 6 * 1024**3, 14 * 1024**3, 3)
    (found,) = figures({"cuda_reserved.load": reserved}, alone({"cuda_reserved.load": 7 * 1024**3}))
    assert (found.value, found.spread.count, found.changed) == (13 * 1024**3, 3, False)


def test_figures_are_medians_over_the_attempts_that_have_them(make_cell, make_attempt):
    where = make_cell("5.0.0", "1.13.0")
    attempts = [
        make_attempt(where, "a::test", number=1, figures={"cuda_reserved.load": 1, "x.only": 1}),
        make_attempt(where, "a::test", "fail:run:oom", number=2, figures={"cuda_reserved.load": 3}),
        make_attempt(where, "a::test", number=3, figures={"cuda_reserved.load": 8}),
        make_attempt(where, "a::test", "miss:run:interrupted", number=4, figures={"cuda_reserved.load": 99}),
    ]
    assert spreads(attempts) == {"cuda_reserved.load": Spread(3, 1, 8, 3), "x.only": Spread(1, 1, 1, 1)}
