"""A run as a user would have it: two axes, an unsolvable cell, every status in some result, and hostile text."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from harness.report.terminal import print_summary
from harness.runner.process import ProcessExit
from harness.search.criterion import Evaluation
from harness.search.records import ReleaseQuestion
from harness.search.scan import scan_releases
from harness.store.records import (
    AttemptRecord,
    CellRecord,
    Expectation,
    Failure,
    Frame,
    GpuBefore,
    GpuRecord,
    HostRecord,
    Outcome,
    RunRecord,
    ScenarioInfo,
)
from tests.contexts import build
from tests.results import results_of_attempts

START = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
GIB = 1024**3
TRANSFORMERS = ("4.57.5", "5.0.0", "5.3.0", "5.10.4")
ACCELERATE = ("1.11.0", "1.13.0")
HUB = {"4.57.5": "0.36.2", "5.0.0": "1.3.4", "5.3.0": "1.5.0", "5.10.4": "1.20.1"}
HOSTILE = "</script><script>window.stolen = 1</script> <img src=x onerror=window.stolen=1> a | b `c` \n# not a heading"


def cell(transformers, accelerate, **rest):
    pins = {"transformers": transformers, "accelerate": accelerate, "peft": "0.19.1", "bitsandbytes": "0.49.2"}
    versions = {**pins, "huggingface-hub": HUB.get(transformers, "9"), "torch": "2.13.0"}
    fields = {"versions": versions, "reference": transformers == "4.57.5", "lock": "aa", **rest}
    labels = {"transformers": transformers, "accelerate": accelerate}
    return CellRecord(
        id=f"transformers-{transformers}-accelerate-{accelerate}-0a1b2c",
        labels=labels,
        pins=pins,
        python="3.11",
        **fields,
    )


UNSOLVABLE = "transformers 4.57.5 needs huggingface-hub <1.0, and huggingface-hub 1.20.1 is pinned <b>"
CELLS = (
    *(cell(t, a) for t in TRANSFORMERS for a in ACCELERATE),
    cell("6.0.0.dev0", "1.13.0", unsolvable=UNSOLVABLE, versions={}, lock=None),
)


def info(name, row, title, tracker=None):
    return ScenarioInfo(id=name, nodeid=f"/somewhere/{name}", row=row, title=title, tracker=tracker)


SCENARIOS = (
    info("adapters::test_split_base", "D2", "An adapter loads on a split base, double quantization on or off."),
    info("adapters::test_broad_targets", "D5", "Broad target modules are supported or refused clearly."),
    info(
        "load_4bit::test_reserved_memory",
        "A1",
        "Reserved memory stays near allocated.",
        "huggingface/transformers#44387",
    ),
    info("load_4bit::test_four_counts_agree", "A3", "Module count, uint8 bytes, footprint and resident bytes agree."),
    info("load_4bit::test_budget_refused", "A6", "A budget that is too small is refused early."),
    info("load_4bit::test_keyword", "A7", "from_pretrained(load_in_4bit=True) quantizes, as it did in 4.x."),
    info("multimodal::test_gemma4_generates", "B1", "Gemma 4 in 4-bit on one device generates from image and audio."),
    info("multimodal::test_gemma3_generates", "B2", "Gemma 3 in 4-bit on one device generates."),
    info("merge::test_direct", "E1", "A merge into the 4-bit base reproduces the adapter's output."),
    info("my_case::test_hostile <b>|</b>", None, HOSTILE),
    info("my_case::test_never_ran", "A10", "Expected, and never run."),
)

TEST = Frame(path="load_4bit.py", function="test_it", line=44)
LOAD = Frame(path="transformers/modeling_utils.py", function="from_pretrained", line=4021, package="transformers")
SET = Frame(path="accelerate/utils/modeling.py", function="set_module_tensor_to_device", line=385, package="accelerate")
GEMMA = Frame(
    path="transformers/models/gemma4/modeling_gemma4.py", function="forward", line=1210, package="transformers"
)
HF_INIT = Failure(
    when="call",
    type="TypeError",
    message="Params4bit.__new__() got an unexpected keyword argument '_is_hf_initialized'",
    frames=(TEST, LOAD, SET),
    text="Traceback …",
)
HF_INIT_ID = (
    "TypeError: Params4bit.__new__() got an unexpected keyword argument '_is_hf_initialized'"
    " @ accelerate/utils/modeling.py:set_module_tensor_to_device"
)
KEY_ERROR = Failure(when="call", type="KeyError", message="22", frames=(TEST, GEMMA))
EVIL = Failure(when="call", type="ValueError", message=HOSTILE, frames=(TEST, LOAD))
KEYWORD = Failure(
    when="call",
    type="TypeError",
    message="Qwen2ForCausalLM.__init__() got an unexpected keyword argument 'load_in_4bit'",
    frames=(TEST, LOAD),
)


def memory(reserved):
    return {
        "seconds.load": 3.421,
        "host_anon.load": 812 * 1024**2,
        "host_anon_peak.load": 1024**3 + 17,
        "cuda_allocated.load": int(5.46 * GIB),
        "cuda_allocated_peak.load": int((reserved - 0.3) * GIB),
        "cuda_reserved.load": int(reserved * GIB),
        "seconds.generate": 1.2,
        "cuda_reserved_peak.generate": int((reserved + 0.4) * GIB),
        "x.linear4bit": 196,
        "x.bf16_bytes": int(14.19 * GIB),
        "x.footprint_bytes": int(5.45 * GIB),
    }


LAYERS = {f"model.layers.{number}": "0" for number in range(28)}
PLACEMENT = {
    "bytes": {"cpu": {"bfloat16": 1024}, "cuda:0": {"uint8": 4 * GIB, "bfloat16": GIB}},
    "largest": [{"name": "lm_head.weight", "dtype": "bfloat16", "device": "cuda:0", "bytes": GIB}],
    "hf_device_map": {"model.embed_tokens": "0", **LAYERS, "lm_head": "cpu"},
    "keys_without_module": ["model.multi_modal_projector"],
    "hooks": {"AlignDevicesHook": 30},
}
PROCESSES = ({"pid": 7, "name": "/opt/other/python3", "used": 2 * GIB}, {"pid": 8, "name": "X", "used": None})
CUDA = {
    "ran_on": "cuda",
    "placements": {"load": PLACEMENT},
    "gpus_before": (GpuBefore(uuid="GPU-1", total=140 * GIB, used=2 * GIB, processes=PROCESSES),),
    "allocator": {"expandable_segments": False, "PYTORCH_ALLOC_CONF": "max_split_size_mb:64"},
    "sources": {"cuda_device_used": "nvml", "cuda_process_used": ""},
}


def attempt(where, scenario, outcome="pass:check", number=1, **rest):
    row = next((each.row for each in SCENARIOS if each.id == scenario), None)
    fields = {"started": START, "seconds": 4.2, "isolation": "fork", "row": row, "exit": ProcessExit(code=0), **rest}
    folder = f"cells/{where.id}/{scenario.replace('::', '.').split(' ')[0]}/{number}"
    return AttemptRecord(
        cell=where.id,
        scenario=scenario,
        attempt=number,
        outcome=Outcome.parse(outcome),
        **{"folder": folder, **fields},
    )


def red(where, scenario, outcome, failure, signature, **rest):
    detail = f"{failure.type}: {failure.message}"
    return attempt(
        where,
        scenario,
        outcome,
        failure=failure,
        signature=signature,
        detail=detail,
        exit=ProcessExit(code=1),
        **rest,
    )


def attempts_in(where):  # noqa: PLR0912, PLR0915  # a list of what each release did, in words
    """What one solvable cell gave."""
    release, five = where.labels["transformers"], where.labels["transformers"] != "4.57.5"
    newest = release == "5.10.4"
    if release in {"5.0.0", "5.3.0"} and where.labels["accelerate"] == "1.11.0":
        yield red(where, "adapters::test_split_base[double]", "fail:run:exception", HF_INIT, HF_INIT_ID)
        yield red(where, "adapters::test_split_base[single]", "fail:run:exception", HF_INIT, HF_INIT_ID)
    else:
        note = "cpu:0 stands for a second device"
        yield attempt(where, "adapters::test_split_base[double]", simulated=note, figures=memory(6.7))
        yield attempt(where, "adapters::test_split_base[single]", simulated=note)
    if newest:
        why = "needs transformers<5.10, found 5.10.4"
        yield attempt(where, "adapters::test_broad_targets", "skip:run:not_applicable", detail=why)
    else:
        yield attempt(where, "adapters::test_broad_targets")
    held = Expectation(text="reserved near allocated", held=not five, detail="14847246336 <= 8786149998")
    figures = memory(13.83 if five else 6.7)
    if five:
        yield attempt(
            where,
            "load_4bit::test_reserved_memory",
            "fail:check:assertion",
            expectations=(Expectation(text="loads", held=True), held),
            signature="expectation: reserved near allocated",
            detail="does not hold: reserved near allocated",
            figures=figures,
            notes={"dtypes": {"uint8": 3}},
            **CUDA,
            exit=ProcessExit(code=1),
        )
    else:
        yield attempt(where, "load_4bit::test_reserved_memory", expectations=(held,), figures=figures, **CUDA)
    yield attempt(where, "load_4bit::test_four_counts_agree", figures={"x.linear4bit": 196})
    if newest:
        dead = ProcessExit(signal=11)
        detail = "the process died by SIGSEGV"
        yield attempt(
            where,
            "load_4bit::test_budget_refused",
            "fail:run:crash",
            signature="crash:SIGSEGV",
            detail=detail,
            exit=dead,
        )
        yield attempt(where, "load_4bit::test_budget_refused", number=2)
    else:
        yield attempt(where, "load_4bit::test_budget_refused")
    if five:
        keyword_id = "TypeError: Qwen2ForCausalLM.__init__() got an unexpected keyword argument 'load_in_4bit'"
        yield red(where, "load_4bit::test_keyword", "fail:run:exception", KEYWORD, keyword_id)
    else:
        yield attempt(where, "load_4bit::test_keyword")
    if release == "4.57.5":
        missing = Failure(when="collect", type="ImportError", message="no Gemma 4", frames=(LOAD,))
        yield red(
            where, "multimodal", "fail:import:import_error", missing, "ImportError: no Gemma 4", number=0, seconds=0.0
        )
    else:
        key_id = "KeyError: N @ transformers/models/gemma4/modeling_gemma4.py:forward"
        if release == "5.0.0":
            yield red(where, "multimodal::test_gemma4_generates", "fail:run:exception", KEY_ERROR, key_id)
        else:
            yield attempt(where, "multimodal::test_gemma4_generates")
        yield attempt(where, "multimodal::test_gemma3_generates")
    if newest:
        timeout = ProcessExit(timed_out=True, signal=9)
        yield attempt(where, "merge::test_direct", "fail:run:timeout", signature="timeout", exit=timeout, seconds=300.0)
    else:
        yield attempt(where, "merge::test_direct")
    evil_id = f"ValueError: {HOSTILE} @ transformers/modeling_utils.py:from_pretrained"
    yield red(where, "my_case::test_hostile <b>|</b>", "error:run:exception", EVIL, evil_id)


def record(**rest):
    gpu = GpuRecord(uuid="GPU-1", name="NVIDIA H200", memory_bytes=140 * GIB, driver="575.1")
    fields = {
        "name": "bnb-4bit-load",
        "title": "bitsandbytes 4-bit loading across the transformers 5 line",
        "started": START,
        "matrix": {},
        "matrix_file": "matrices/bnb 4bit.toml",
        "scenarios": SCENARIOS,
        "cells": CELLS,
        "axes": ("transformers", "accelerate"),
        "host": HostRecord(platform="Linux x86_64", cpus=16, memory_bytes=128 * GIB, gpus=(gpu,)),
        "harness_version": "0.1.0",
        "command": ("harness", "run", "matrices/bnb 4bit.toml"),
        **rest,
    }
    return RunRecord(**fields)


def journal():
    found = [each for where in CELLS[:-1] for each in attempts_in(where)]
    found.append(
        attempt(CELLS[-1], "*", "fail:resolve:unsolvable", number=0, detail=UNSOLVABLE, isolation="", folder=None)
    )
    return found


def scan(values, bound=None, answers=None):
    """Return a scan over releases 1.0, 1.1 … with one figure each (GiB), or with answers alone."""
    releases = tuple(f"1.{number}" for number in range(len(values or answers)))
    metric = "cuda_reserved.load" if values else None
    fields = {"package": "p", "releases": releases, "scenario": "s.py::test_x", "matrix": "m", "scan": True}
    question = ReleaseQuestion(metric=metric, limit=bound and int(bound * GIB), **fields)
    bad = answers or [None if value is None or bound is None else value > bound for value in values]
    judged = {one: Evaluation(answer, f"<{answer}> & so on") for one, answer in zip(releases, bad, strict=True)}
    results = {
        one: results_of_attempts([attempt(CELLS[0], "s::t", figures={"cuda_reserved.load": value * GIB})])
        for one, value in zip(releases, values or (), strict=False)
        if value is not None
    }
    return scan_releases(question, results, judged, bound and bound * GIB)


@pytest.fixture(scope="session")
def make_scan():
    return scan


@pytest.fixture
def make_cell():
    return cell


@pytest.fixture
def make_attempt():
    return attempt


@pytest.fixture
def make_red():
    return red


@pytest.fixture
def make_info():
    return info


@pytest.fixture
def make_run():
    return record


@pytest.fixture
def summary_text():
    """Return what the summary prints, as plain text of 120 columns."""

    def text(context):
        stream = StringIO()
        print_summary(context, Console(file=stream, width=120, force_terminal=False, color_system=None))
        return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"

    return text


@pytest.fixture
def hf_init():
    return HF_INIT


@pytest.fixture
def attempts():
    return journal()


@pytest.fixture
def context(attempts):
    return build(record(), attempts)
