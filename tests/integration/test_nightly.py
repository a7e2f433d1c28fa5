"""Two nights over real releases without a GPU: one as the index stood in June 2026, one of today."""

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from harness.envs.cache_dir import CacheDir
from harness.matrix.index import list_releases
from harness.search.releases import on_day

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SDPA = "multimodal::test_gemma4_loads_with_sdpa"  # accepted until 5.19.0, refused from 5.20.0 on
AUDIO = "towers::test_gemma4_audio_tower_runs"  # fails until 5.10.4, works from 5.11.0 on
LINE = "transformers=latest"
MATRIX = f"""
name = "pair"
scenarios = ["scenarios/{SDPA}", "scenarios/{AUDIO}", "scenarios/load_4bit::test_four_counts_agree"]
reference = {{ transformers = "4.57.6" }}

[axes]
transformers = ["4.57.6", "latest"]

[pins]
torch = "2.13.0"
accelerate = "1.13.0"
bitsandbytes = "0.49.2"
peft = "0.19.1"
"""


def night(folder: Path, *arguments: str, code: int) -> dict[str, object]:
    """Spend a night as a user does, insist on its exit code, and return nightly.json."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", "harness.cli.main", "nightly", "pair.toml", *arguments, "--json"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=1500
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def releases():
    return list_releases(["transformers"], CacheDir.of_user().releases).releases["transformers"]


@pytest.fixture(scope="module")
def day(releases):
    """The day before the fix of the audio tower was released."""
    fix = next(one for one in releases if one.version == Version("5.11.0"))
    return fix.uploaded.astimezone(dt.UTC).date() - dt.timedelta(days=1)


@pytest.fixture(scope="module")
def nights(tmp_path_factory, day):
    folder = tmp_path_factory.mktemp("nightly")
    (folder / "pair.toml").write_text(MATRIX)
    return folder, night(folder, "--as-of", str(day), code=0), night(folder, "--bisect-budget", "20m", code=1)


def test_the_first_night_has_the_newest_release_of_its_day_and_nothing_to_claim(nights, releases, day):
    _, first, _ = nights
    assert first["resolved"][LINE]["transformers"] == str(on_day("transformers", str(day), releases).version)
    assert {claim["kind"] for claim in first["claims"]} == {"appeared", "known issue"}
    known = {claim["scenario"] for claim in first["claims"] if claim["kind"] == "known issue"}
    assert known == {f"{AUDIO}[quantized]"}


def test_the_second_night_tells_what_became_red_and_what_was_fixed(nights):
    _, first, second = nights
    told = {(claim["kind"], claim["line"], claim["scenario"]) for claim in second["claims"] if claim["fresh"]}
    assert told == {("new regression", LINE, SDPA), ("fixed", LINE, f"{AUDIO}[quantized]")}
    assert (second["verdict"], second["control"], second["previous"]) == ("new regression", "steady", first["night"])
    (red,) = [claim for claim in second["claims"] if claim["kind"] == "new regression"]
    assert red["changed"]["transformers"][0] == first["resolved"][LINE]["transformers"]


def test_its_bisect_names_the_release_and_the_draft_quotes_it(nights):
    folder, _, second = nights
    (search,) = second["searches"]
    assert (search["ending"], search["versions"]) == ("found", ["5.19.0", "5.20.0"])
    assert search["answer"] == "transformers 5.20.0 is the first bad release, 5.19.0 the last good one"
    (draft,) = second["drafts"]
    text = (folder / "reports" / second["night"] / draft).read_text()
    assert "5.20.0" in text
    assert "5.19.0" in text
