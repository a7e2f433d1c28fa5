"""Which failure a draft is about, and what it says of its script."""

from dataclasses import replace

import pytest

from harness.errors import ConfigError, NothingSelectedError
from harness.report.issue.draft import redacted_requirements, select_failure
from harness.report.issue.evidence import failures
from harness.report.issue.model import Script
from harness.report.issue.render import render
from tests.contexts import build as build_report

HF_INIT = "bnb-params4bit-hf-init"


def test_a_failure_is_named_by_its_rule_its_signature_or_a_part(make_run, attempts):
    report = build_report(make_run(), attempts)
    found = failures(report.groups, report.rows)
    wanted = next(each for each in found if each.key == HF_INIT)
    assert [select_failure(found, name) for name in (HF_INIT, wanted.ids[0], "PARAMS4BIT-hf")] == [wanted] * 3
    with pytest.raises(ConfigError, match=r"the run has \d+ failures; select one with --signature: .*bnb-params4bit"):
        select_failure(found, None)
    with pytest.raises(ConfigError, match=r"'e' matches \d+ failures"):
        select_failure(found, "e")
    with pytest.raises(NothingSelectedError, match="no failure of this run matches 'nothing'; it has: "):
        select_failure(found, "nothing")
    assert select_failure(found[:1], None) == found[0]
    with pytest.raises(NothingSelectedError, match="no scenario of this run failed"):
        select_failure([], None)


def test_errors_of_the_script_and_unavailable_cells_are_not_failures(make_run, attempts):
    report = build_report(make_run(), attempts)
    keys = {each.key for each in failures(report.groups, report.rows)}
    assert not any("resolve" in key or key.startswith("ValueError: </script>") for key in keys)
    assert {"crash:SIGSEGV", HF_INIT, "timeout"} <= keys


def test_a_script_with_a_redacted_address_does_not_run_unchanged(draft_of):
    pins = ['#   "idna==3.10", "own-gadget @ <private url>@' + "a" * 40 + '",', '#   "peft @ <private url>"']
    text = "\n".join(["# /// script", "# dependencies = [", *pins, "# ]", "# ///", 'print("x <private url>")'])
    why = redacted_requirements(text)
    assert why == "the private addresses of own-gadget and peft are removed; insert one that others can reach"
    issue = replace(draft_of("timeout"), script=Script(text, cannot_run=why))
    assert "**The script does not run unchanged**: the private addresses of own-gadget and peft " in render(issue).text
    assert redacted_requirements(text.replace("<private url>", "git+https://github.com/a/b", 2)) == ""
