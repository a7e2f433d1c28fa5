"""No path of the machine in what is shown."""

from dataclasses import dataclass

import pytest

from harness.report.model import Word
from harness.report.redact import paths_to_hide, redact, redacted

HIDDEN = {"/root": "~", "/root/.cache/hf": "<cache>", "/srv/runs/one": "<run>"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/root/.cache/hf/checkpoints/qwen is not there", "<cache>/checkpoints/qwen is not there"),
        ("in '/root/model'.", "in '~/model'."),
        ("/root", "~"),
        ("file:///root/x", "file://~/x"),
        ("a/root b /data/root /rooted /root.bak", "a/root b /data/root /rooted /root.bak"),
        ("see /srv/runs/one.", "see <run>."),
        ("OSError: /home/some.body/models/x", "OSError: ~/models/x"),
        ("C:\\Users\\Someone\\models", "~\\models"),
        ("at /opt/envs/ab12/lib/python3.11/site-packages/torch/x.py:3", "at site-packages/torch/x.py:3"),
        ("C:\\env\\Lib\\site-packages\\torch", "site-packages\\torch"),
        ("https://github.com/a/b/issues/1 and 3/4", "https://github.com/a/b/issues/1 and 3/4"),
        ("no path at all", "no path at all"),
    ],
)
def test_paths_are_replaced_where_they_are_whole(text, shown):
    assert redact(text, HIDDEN) == shown


def test_every_text_of_a_value_is_redacted_and_its_types_stay():
    @dataclass(frozen=True)
    class Inner:
        text: str
        number: int
        word: Word

    @dataclass(frozen=True)
    class Outer:
        inner: tuple[Inner, ...]
        pairs: tuple[tuple[str, str], ...]
        nothing: None = None

    value = Outer((Inner("/root/a", 1, Word.FAIL),), (("name", "/srv/runs/one/x"),))
    assert redacted(value, HIDDEN) == Outer((Inner("~/a", 1, Word.FAIL),), (("name", "<run>/x"),))
    assert redacted(value, HIDDEN).inner[0].word is Word.FAIL


def test_the_run_the_cache_and_the_scenarios_are_hidden(make_run, tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    hidden = paths_to_hide(make_run(), tmp_path / "run")
    assert redact(f"{tmp_path}/run/cells {tmp_path}/cache/envs /somewhere/x.py", hidden) == (
        "<run>/cells <cache>/envs <scenarios>/x.py"
    )
    assert "/" not in hidden
