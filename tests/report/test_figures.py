"""Figures of a table cell beside those of its reference."""

import pytest

from harness.report.figures import figures
from harness.verdict.statistics import Spread, spread


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
