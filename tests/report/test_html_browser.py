"""The page in headless Chromium: it asks for nothing, a click opens a cell's details, the keyboard does everything."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.report.html import render

BROWSER = Path(__file__).parents[1] / "browser"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")

pytestmark = pytest.mark.browser


def needed():
    """Return node and Chromium, or fail with what to install."""
    node = shutil.which("node")
    chromium = next((found for found in map(shutil.which, CHROMIUM) if found), None)
    if node is None or chromium is None:
        pytest.fail("the browser test needs node and Chromium on the PATH: apt-get install nodejs chromium")
    if not (BROWSER / "node_modules" / "playwright-core").is_dir():
        pytest.fail("the browser test needs playwright-core: npm ci --prefix tests/browser")
    return node, chromium


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    return tmp_path_factory.mktemp("profile")


@pytest.fixture
def seen(context, profile, tmp_path):
    node, chromium = needed()
    page = tmp_path / "matrix.html"
    page.write_text(render(context), encoding="utf-8")
    command = [node, str(BROWSER / "open_report.cjs"), chromium, str(page), str(profile)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_person_reads_the_report(seen):
    assert seen["requests"] == []
    assert seen["console"] == []
    assert_details(seen)
    assert_keyboard(seen)
    assert_filters(seen)
    assert_hostile_text_is_text(seen)
    assert_facts(seen)
    assert "bnb-params4bit-hf-init" in seen["groups"]


def assert_details(seen):
    assert (seen["openAtFirst"], seen["openAfterClick"], seen["openAfterEscape"]) == (False, True, False)
    for text in (
        "fail:run:exception",
        "Params4bit.__new__() got an unexpected keyword argument '_is_hf_initialized'",
        "bnb-params4bit-hf-init",
        "bitsandbytes-foundation/bitsandbytes#1900",
        "new failure against transformers 4.57.5 · accelerate 1.11.0",
        "huggingface-hub",
        "harness run 'matrices/bnb 4bit.toml' --cells transformers-5.0.0-accelerate-1.11.0-0a1b2c",
    ):
        assert text in seen["details"]
    assert seen["frames"][-1] == "accelerate/utils/modeling.py:385 in set_module_tensor_to_device"
    assert seen["links"][0].endswith("/1/report.json")
    assert not seen["links"][0].startswith(("/", "http"))
    assert "transformers 5.0.0 · accelerate 1.13.0" in seen["neighbour"]


def assert_keyboard(seen):
    assert seen["focusAfterEscape"].startswith(
        "adapters::test_split_base[double], transformers 5.0.0 · accelerate 1.13.0"
    )
    assert seen["focusAfterArrows"].startswith(
        "load_4bit::test_four_counts_agree, transformers 4.57.5 · accelerate 1.13.0"
    )
    assert seen["openAfterEnter"]
    assert seen["tabStops"] == 1
    assert seen["tab"] == "tab-groups"


def assert_filters(seen):
    assert len(seen["rowsAtFirst"]) == 12
    assert seen["rowsFlaky"] == ["test_budget_refused"]
    assert seen["rowsByText"] == ["test_split_base[double]", "test_split_base[single]"]
    assert seen["shown"] == "2 of 12 shown"
    assert "test_keyword" in seen["rowsChanged"]
    assert "test_four_counts_agree" not in seen["rowsChanged"]


def assert_hostile_text_is_text(seen):
    assert "</script><script>window.stolen = 1</script>" in seen["hostile"]
    assert seen["stolen"] is False
    assert seen["images"] == 0


def assert_facts(seen):
    assert "reserves as if nothing was quantized in transformers 5.0.0 · accelerate 1.11.0" in seen["memory"]
    assert ["13.83 GiB", "14,849,849,425 bytes"] in seen["exact"]
    for text in (
        "+7.13 GiB (+106%)",
        "Ran on a GPU.",
        "NVIDIA H200: 138.00 GiB of 140.00 GiB free before the attempt. Other processes on it: python3 (2.00 GiB), X",
        "max_split_size_mb:64",
        "hf_device_map: 29 on 0, 1 on cpu",
        "model.embed_tokens, model.layers.0–27",
        "Keys without a module: model.multi_modal_projector",
        "Hooks: 30 AlignDevicesHook",
    ):
        assert text in seen["facts"]
