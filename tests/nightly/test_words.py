"""What a night says in words: what is as before is named, what was accepted says so."""

from __future__ import annotations

from datetime import UTC, datetime

from harness.nightly.baseline import _sentence
from harness.nightly.claim import Claim, Kind
from harness.nightly.record import CarriedCount, Ended, Searched
from harness.nightly.summary import QUIET, lines, markdown
from harness.verdict.comparison import Change, Difference
from harness.verdict.result import ResultKey

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def ended(*claims: Claim, carried: tuple[CarriedCount, ...] = ()) -> Ended:
    return Ended(
        night="n2",
        matrix="m",
        started=NOW,
        finished=NOW,
        previous="n1",
        code=0,
        verdict="quiet",
        control="steady",
        counts={"red": len(claims)},
        claims=claims,
        carried=carried,
    )


def quiet(number: int, kind: Kind = Kind.STILL_RED, **more: str) -> Claim:
    return Claim(kind=kind, line="a=latest", scenario=f"s::t{number:02}", detail="E", fresh=False, **more)


def test_what_is_still_red_or_known_is_named_with_its_night_and_tracker():
    night = ended(quiet(1, since="n0"), quiet(2, Kind.KNOWN, tracker="owner/name#7", since="n1"))
    wanted = [
        "still red: a=latest · s::t01: E (since n0)",
        "known issue: a=latest · s::t02 · owner/name#7: E (since n1)",
    ]
    written = markdown(night).splitlines()
    assert "- still red: `a=latest` · `s::t01`: E (since n0)" in written
    assert "- known issue: `a=latest` · `s::t02` · owner/name#7: E (since n1)" in written
    assert all(f"as before: {text}" in lines(night) for text in wanted)
    assert not [text for text in lines(night) if text.startswith(("still red: ", "known issue: "))]


def test_a_long_list_ends_with_how_many_more_there_are():
    said = lines(ended(*map(quiet, range(QUIET + 4))))
    named = [text for text in said if text.startswith("as before: ")]
    assert (len(named), named[-1]) == (QUIET + 1, "as before: and 4 more")


def test_what_was_carried_is_named_by_line_with_the_night_it_was_seen_in():
    carried = (
        CarriedCount(night="n0", count=3, places=(("a=1", "s::t"), ("a=1", "s::u"), ("b=1", "s::t"))),
        CarriedCount(night="n1", count=1, places=(("a=2", "s::t"),)),
    )
    written = markdown(ended(carried=carried))
    assert "## Not run again\n\n- `a=1`: 2 seen in n0\n- `b=1`: 1 seen in n0\n- `a=2`: 1 seen in n1\n" in written


def test_an_accepted_difference_says_so_against_the_baseline():
    entry = Difference(Change.NEW_FAILURE, ResultKey("a=1", "s::t"), None, None, detail="E", accepted="on purpose")
    assert _sentence(entry) == "new failure: a=1 · s::t: E (accepted: on purpose)"


def test_what_a_failure_says_neither_becomes_markup_nor_mentions_anybody():
    told = Claim(kind=Kind.NEW, line="a=1", scenario="s::t[x|y]", detail="<map object> of @torch.no_grad **kw | _x_")
    found = Searched(places=(("a=1", "s::t"),), what="a 1 → 2", answer='3f2a (PR #3 "Use <b> @me") is the first')
    written = markdown(ended(told).model_copy(update={"searches": (found,), "notes": ("<i>",)}))
    assert "`a=1` · `s::t[x\\|y]`: &lt;map object&gt; of @\u200btorch.no\\_grad \\*\\*kw \\| \\_x\\_" in written
    assert 'PR \\#3 "Use &lt;b&gt; @\u200bme"' in written
    assert "- &lt;i&gt;" in written
    assert "<map object> of @torch.no_grad **kw | _x_" in "\n".join(lines(ended(told)))
