"""Figures: units, names and differences as a person reads them."""

import pytest

from harness.report.figures import delta, figure_name, figures, human
from harness.verdict.measures import spreads, unit_of
from harness.verdict.noise import Spread, spread


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0, "bytes", "0 B"),
        (1023, "bytes", "1023 B"),
        (1024, "bytes", "1.0 KiB"),
        (1024**2 - 1, "bytes", "1.0 MiB"),
        (412 * 1024**2, "bytes", "412.0 MiB"),
        (14849849425, "bytes", "13.83 GiB"),
        (5000 * 1024**3, "bytes", "5000.00 GiB"),
        (-3 * 1024**2, "bytes", "-3.0 MiB"),
        (3.4213, "s", "3.42 s"),
        (196, "", "196"),
        (12345, "", "12,345"),
        (0.98765, "", "0.9877"),
    ],
)
def test_human_units(value, unit, expected):
    assert human(value, unit) == expected


@pytest.mark.parametrize(
    ("value", "reference", "expected"),
    [
        (13.83 * 1024**3, 6.7 * 1024**3, "+7.13 GiB (+106%)"),
        (1024**3, 2 * 1024**3, "−1.00 GiB (−50%)"),
        (5, 5, ""),
        (5, None, ""),
        (1024, 0, "+1.0 KiB"),
    ],
)
def test_deltas_carry_a_sign_and_a_share(value, reference, expected):
    assert delta(value, reference, "bytes") == expected


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("cuda_reserved_peak.load", "bytes"),
        ("cuda1_allocated.load", "bytes"),
        ("host_anon.load", "bytes"),
        ("cuda_retries.load", ""),
        ("cuda1_retries.load", ""),
        ("seconds.load", "s"),
        ("x.footprint_bytes", "bytes"),
        ("x.linear4bit", ""),
    ],
)
def test_units_by_name(name, unit):
    assert unit_of(name) == unit


def test_names_in_words():
    assert figure_name("cuda_reserved_peak") == "CUDA reserved, peak"
    assert figure_name("cuda1_allocated") == "CUDA 1 allocated"
    assert figure_name("host_anon_added") == "Host anonymous pages, added"
    assert figure_name("tokens_equal") == "tokens equal"


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
