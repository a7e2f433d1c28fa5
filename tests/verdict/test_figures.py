"""Names, units and sizes of figures as a person reads them."""

import pytest

from harness.verdict.figures import delta, figure_name, figure_title, human
from harness.verdict.statistics import unit_of


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


def test_titles_have_the_phase():
    assert figure_title("cuda_reserved_peak.load") == "CUDA reserved, peak in load"
    assert figure_title("x.linear_4bit") == "linear 4bit"
    assert figure_title("seconds") == "Time"
