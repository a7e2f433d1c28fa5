"""The text of a draft fits into an issue, and no text in it becomes markup."""

import re
from dataclasses import replace

from inline_snapshot import external_file

from harness.report.issue.model import Script, SearchEvidence
from harness.report.issue.render import render
from harness.store.records import Failure, Frame


def test_the_draft_is_as_agreed(draft_of):
    found = SearchEvidence(
        "transformers 5.0.0 is the first bad release.",
        culprit="5.0.0",
        package="transformers",
        only_difference=True,
        compare="https://github.com/a/b/compare/v1...v2",
        probed=(("4.57.5", "good", "pass"), ("5.0.0", "bad", "fail")),
    )
    issue = draft_of("expectation: reserved near allocated", searched=found)
    script = Script('print("a")\n\n\nprint("```")\n', ("One note.",))
    assert render(replace(issue, script=script)).text == external_file("../golden/issue.md", format=".txt")


def test_the_probes_of_a_search_are_called_releases_or_commits(draft_of):
    found = SearchEvidence("A.", package="peft", probed=(("a", "good", ""), ("b", "bad", "")), unit="commit")
    assert "<summary>2 commits were run</summary>" in render(draft_of("timeout", searched=found)).text
    one = replace(found, probed=found.probed[:1], unit="release")
    assert "<summary>1 release was run</summary>" in render(draft_of("timeout", searched=one)).text
    cut = render(draft_of("timeout", searched=found), limit=1000)
    assert "the result of each commit of the bisect" in cut.left_out


def test_no_text_becomes_markup_or_mentions_anybody(issue_of, draft_of, make_run, make_cell, make_red):
    evil = "@somebody see #12 </details> | `x` \n# Title ![i](http://x) \0 0\0"
    failure = Failure(when="call", type="ValueError", message=evil, frames=())
    cell = make_cell("5.0.0", "1.11.0")
    run = make_run(cells=(cell,), scenarios=(), title=evil)
    issue = issue_of(run, [make_red(cell, f"a::test_x[{evil}]", "fail:run:exception", failure, f"V: {evil}")], None)
    issue = replace(issue, script=Script(why_not=evil), symptom=replace(issue.symptom, title=evil))
    text = render(issue).text
    outside = re.sub(r"`[^`\n]*`", "", text)
    assert "@somebody" not in outside
    assert " #12" not in outside
    assert "\n# Title" not in text
    assert "![i]" not in outside
    assert outside.count("</details>") == outside.count("<details>")


def test_a_huge_draft_stays_below_the_limit_and_lists_what_is_left_out(
    issue_of, make_run, make_red, make_cell, hf_init
):
    cells = tuple(make_cell(f"5.{minor}.0", f"1.{patch}.0") for minor in range(40) for patch in range(10))
    cells = tuple(
        each.model_copy(update={"versions": each.versions | {f"package-{n}": f"{n}.{i % 7}" for n in range(300)}})
        for i, each in enumerate(cells)
    )
    frames = tuple(
        Frame(path=f"accelerate/{'x' * 80}{n}.py", function="f" * 90, line=n, package="accelerate") for n in range(50)
    )
    failure = hf_init.model_copy(update={"frames": frames, "message": hf_init.message + " y" * 9000})
    found = [
        make_red(cell, f"a::test_{'long' * 20}[{n}]", "fail:run:exception", failure, "TypeError: y @ accelerate/x.py:f")
        for cell in cells
        for n in range(8)
    ]
    issue = issue_of(make_run(cells=cells, scenarios=()), found, None)
    issue = replace(issue, script=Script("x = 1\n" * 9000))
    whole = render(issue, 10**9)
    assert whole.left_out == ()
    assert len(whole.text) > 100_000
    previous = 10**9
    for limit in (100_000, 65_000, 20_000, 3_000, 300):
        done = render(issue, limit)
        assert len(done.text) < limit
        assert done.left_out
        assert len(done.text) <= previous
        previous = len(done.text)
    fits = render(issue)
    assert fits.left_out[0] == "the list of all installed packages"
    assert all(each in fits.text for each in fits.left_out)
    assert "### Summary" in fits.text
