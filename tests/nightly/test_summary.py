"""The summary of a nightly run, on the terminal and in Markdown."""

from __future__ import annotations

from datetime import UTC, datetime

from inline_snapshot import external_file, snapshot

from harness.nightly.claim import Claim, Kind
from harness.nightly.record import NightlyReport, ReusedResults, SearchSummary
from harness.nightly.summary import MAX_UNCHANGED, markdown, terminal_lines
from harness.verdict.result import ResultKey

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LATEST = "a=latest"


def report(*claims: Claim, **fields: object) -> NightlyReport:
    made = NightlyReport(
        run="n2",
        matrix="m",
        started=NOW,
        finished=NOW,
        previous="n1",
        code=0,
        verdict="quiet",
        control="steady",
        counts={"fail": len(claims)},
        claims=claims,
    )
    return made.model_copy(update=fields)


def claim(kind: Kind, number: int = 1, *, fresh: bool = False, **fields: object) -> Claim:
    values = {"series": LATEST, "scenario": f"s::t{number:02}", "detail": "E: broken", **fields}
    return Claim(kind=kind, fresh=fresh, **values)  # type: ignore[arg-type]


EVERYTHING = report(
    claim(Kind.NEW_REGRESSION, 1, fresh=True, changed={"hub": ("1", "2"), "a": ("4.0", "5.0"), "b": ("", "1")}),
    claim(Kind.MEMORY_UP, 2, fresh=True, detail="cuda_reserved.load 1.00 GiB → 2.00 GiB"),
    claim(Kind.STILL_DIFFERS, 3, since="n0", changed={"a": ("3.0", "5.0")}),
    claim(Kind.UNEXPLAINED, 4, fresh=True),
    claim(Kind.FAILS_DIFFERENTLY, 5),
    claim(Kind.FIXED, 6, fresh=True, detail="failed since n0"),
    claim(Kind.STILL_FAILING, 7, since="n0"),
    claim(Kind.KNOWN_ISSUE, 8, tracker="owner/name#7", since="n1"),
    claim(Kind.INCONCLUSIVE, 9, fresh=True),
    code=1,
    verdict="new regression",
    title="Two releases",
    baseline="n0",
    control="moved",
    drift=("s::t01: first pass:check, last fail:run:oom",),
    changes=("GPU 0: driver 1 → 2",),
    counts={"fail": 4, "pass": 3, "skip": 0},
    reused=(
        ReusedResults(
            run="n0",
            count=3,
            keys=tuple(ResultKey(*key) for key in (("a=1", "s::t"), ("a=1", "s::u"), ("b=1", "s::t"))),
        ),
        ReusedResults(run="n1", count=1, keys=(ResultKey("a=2", "s::t"),)),
    ),
    resolved={LATEST: {"a": "5.0"}},
    reasons={LATEST: "lock changed"},
    against_baseline=("new failure: a=latest · s::t01: pass:check → fail:run:exception",),
    searches=(
        SearchSummary(
            keys=(ResultKey(LATEST, "s::t01"), ResultKey("a=dev", "s::t01")),
            change="a 4.0 → 5.0",
            answer="a 5.0 is the first bad release, 4.0 the last good one",
            ending="found",
            run="n2-bisect",
        ),
    ),
    drafts=("issue-E-broken.md",),
    notes=("the hook exited with 3",),
)


def test_the_summary_on_the_terminal():
    assert "\n".join(terminal_lines(EVERYTHING)) == snapshot("""\
new regression: a=latest · s::t01: E: broken; changed: a 4.0 → 5.0, b none → 1, hub 1 → 2
memory up: a=latest · s::t02: cuda_reserved.load 1.00 GiB → 2.00 GiB
still differs from the baseline: a=latest · s::t03: E: broken (since n0); changed: a 3.0 → 5.0
failing without a change: a=latest · s::t04: E: broken
fails differently than in the baseline: a=latest · s::t05: E: broken
fixed: a=latest · s::t06: failed since n0
inconclusive: a=latest · s::t09: E: broken
search: s::t01 (a=latest) and 1 more: a 5.0 is the first bad release, 4.0 the last good one [n2-bisect]
draft: issue-E-broken.md
against the baseline: new failure: a=latest · s::t01: pass:check → fail:run:exception
machine drift: s::t01: first pass:check, last fail:run:oom
machine: GPU 0: driver 1 → 2
note: the hook exited with 3
unchanged: still failing: a=latest · s::t07: E: broken (since n0)
unchanged: known issue: a=latest · s::t08 · owner/name#7: E: broken (since n1)
7 results run: 4 fail, 3 pass
3 results reused from n0
1 result reused from n1
new regression (exit code 1)\
""")


def test_the_summary_in_markdown():
    assert markdown(EVERYTHING) == external_file("golden/nightly.txt")


def test_the_first_run_has_no_earlier_results():
    assert "First nightly run: no earlier results." in markdown(report(previous="", verdict="quiet"))


def test_a_long_list_ends_with_how_many_more_there_are():
    lines = terminal_lines(report(*(claim(Kind.STILL_FAILING, number) for number in range(MAX_UNCHANGED + 4))))
    named = [text for text in lines if text.startswith("unchanged: ")]
    assert (len(named), named[-1]) == (MAX_UNCHANGED + 1, "unchanged: and 4 more")


def test_the_message_of_a_failure_neither_becomes_markup_nor_mentions_anybody():
    found = report(
        claim(
            Kind.NEW_REGRESSION, fresh=True, scenario="s::t[x|y]", detail="<map object> of @torch.no_grad **kw | _x_"
        ),
        searches=(
            SearchSummary(
                keys=(ResultKey(LATEST, "s::t"),), change="a 1 → 2", answer='3f2a (PR #3 "Use <b> @me") is the first'
            ),
        ),
        notes=("<i>",),
    )
    written = markdown(found)
    assert "`a=latest` · `s::t[x\\|y]`: &lt;map object&gt; of @\u200btorch.no\\_grad \\*\\*kw \\| \\_x\\_" in written
    assert 'PR \\#3 "Use &lt;b&gt; @\u200bme"' in written
    assert "- &lt;i&gt;" in written
    assert "<map object> of @torch.no_grad **kw | _x_" in "\n".join(terminal_lines(found))
