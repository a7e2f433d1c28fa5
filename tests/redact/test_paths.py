"""The paths of a machine are replaced where they stand as a whole."""

from pathlib import Path

import pytest

from harness.redact.paths import path_placeholders, redact_paths

PLACEHOLDERS = {"/root": "~", "/root/.cache/hf": "<cache>", "/srv/runs/one": "<run>"}


@pytest.mark.parametrize(
    ("text", "redacted"),
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
def test_paths_are_replaced_where_they_are_whole(text, redacted):
    assert redact_paths(text, PLACEHOLDERS) == redacted


def test_a_path_is_replaced_as_given_and_as_resolved(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    assert path_placeholders([(link, "<run>")]) == ((f"{tmp_path}/link", "<run>"), (f"{tmp_path}/real", "<run>"))


def test_a_root_and_a_relative_path_are_left_out_and_the_later_placeholder_wins():
    paths = [
        (Path("/"), "<root>"),
        (Path("runs"), "<runs>"),
        (Path("/srv/runs"), "<old>"),
        (Path("/srv/runs"), "<new>"),
    ]
    assert path_placeholders(paths) == (("/srv/runs", "<new>"),)
