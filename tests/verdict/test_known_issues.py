"""Known issues: what may be written down, and what becomes of it in a box."""

import pytest

from harness.errors import ConfigError
from harness.store.records import Outcome
from harness.verdict.known_issues import State, parse, standing

SPILL = """
[[issue]]
scenario = "split::test_auto_map_spills_to_the_cpu"
signature = "bnb-params4bit-hf-init"
versions = { transformers = ">=5.0", accelerate = "<1.14" }
tracker = "bitsandbytes-foundation/bitsandbytes#1900"
"""
VERSIONS = {"transformers": "5.6.2", "accelerate": "1.13.0"}
SCENARIO = "split::test_auto_map_spills_to_the_cpu[True]"


def state(outcome, signatures=(), scenario=SCENARIO, versions=VERSIONS):
    found = standing(parse(SPILL, "k.toml"), scenario, versions, outcome and Outcome.parse(outcome), signatures)
    return found.state if found else None


@pytest.mark.parametrize(
    ("outcome", "signatures", "expected"),
    [
        ("fail:run:exception", ["bnb-params4bit-hf-init"], State.KNOWN),
        ("fail:run:exception", ["meta-item"], State.CHANGED),
        ("fail:check:assertion", [], State.CHANGED),
        ("pass:check", [], State.GONE),
        ("skip:run:not_applicable", [], None),
        ("error:run:exception", [], None),
        ("miss:run:interrupted", [], None),
        (None, [], None),
    ],
)
def test_states_follow_the_table(outcome, signatures, expected):
    assert state(outcome, signatures) is expected


@pytest.mark.parametrize(
    "versions",
    [
        {"transformers": "4.57.6", "accelerate": "1.13.0"},
        {"transformers": "5.6.2", "accelerate": "1.14.0"},
        {"transformers": "git+https://x.example/y@" + "a" * 40, "accelerate": "1.13.0"},  # it was never installed
        {},
    ],
)
def test_out_of_range_nothing_is_known(versions):
    assert state("fail:run:exception", ["bnb-params4bit-hf-init"], versions=versions) is None


def test_another_scenario_is_not_meant_even_with_the_same_signature():
    assert state("fail:run:exception", ["bnb-params4bit-hf-init"], scenario="split::test_layers_on_the_cpu") is None


def test_patterns_and_exact_parameters_name_scenarios():
    exact = SPILL.replace("to_the_cpu", "to_the_cpu[True]")
    pattern = SPILL.replace("::test_auto_map_spills_to_the_cpu", "::*")
    for text in (exact, pattern):
        assert parse(text, "k.toml")[0].names(SCENARIO)
    assert not parse(exact, "k.toml")[0].names(SCENARIO.replace("True", "False"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('tracker = "bitsandbytes-foundation/bitsandbytes#1900"', "", "k.toml: issue 1 has no tracker"),
        ("bitsandbytes-foundation/bitsandbytes#1900", "soon", "tracker = 'soon': is not an issue"),
        (">=5.0", "five", "versions.transformers = 'five': is not a version specifier"),
        ("scenario =", "scenarios =", "k.toml: issue 1"),
        ("[[issue]]", "[[issues]]", "k.toml: issues is not a known key"),
        ("[[issue]]", "[[issue", "k.toml is not valid TOML"),
    ],
)
def test_a_wrong_entry_is_one_sentence(old, new, sentence):
    with pytest.raises(ConfigError) as error:
        parse(SPILL.replace(old, new), "k.toml")
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
