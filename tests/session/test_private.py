"""The description of what is private, from the records of a run and the settings of the machine."""

from datetime import UTC, datetime

import pytest

from harness.redact.text import redact
from harness.session.private import private_of
from harness.store.records import CellRecord, GpuRecord, HostRecord, RunRecord, ScenarioInfo

GPU = GpuRecord(uuid="GPU-1", name="NVIDIA H200", memory_bytes=1, driver="575.1")
CELL = CellRecord(
    id="six-1",
    labels={"six": "1.17.0"},
    pins={"six": "1.17.0"},
    python="3.11",
    versions={"six": "1.17.0", "huggingface-hub": "1.3.4"},
    variables={"HF_TOKEN": "tok-of-the-cell"},
    lock="aa",
)


@pytest.fixture
def run():
    return RunRecord(
        name="m",
        started=datetime(2026, 3, 1, tzinfo=UTC),
        matrix={},
        matrix_file="m.toml",
        scenarios=(ScenarioInfo(id="case::test_it", nodeid="/somewhere/case.py::test_it"),),
        cells=(CELL,),
        axes=("six",),
        host=HostRecord(platform="Linux", cpus=1, memory_bytes=1, gpus=(GPU,)),
        harness_version="0.1.0",
    )


def test_the_machine_and_the_run_are_described(private_machine, run, tmp_path):
    private = private_of(run, tmp_path)
    assert "alice" in private.users
    assert {"lab-gpu7", "node3", "node4", "wheels.acme.example"} <= set(private.hosts)
    assert {"tok-from-environment", "tok-of-the-cell"} <= set(private.secrets)
    assert {"six", "huggingface-hub", "huggingface_hub"} <= private.packages
    assert private.versions == {"1.17.0", "1.3.4"}
    assert private.gpus == ("GPU-1",)


def test_the_words_of_the_signature_rules_are_kept(private_machine, run, tmp_path):
    assert "quantized" in private_of(run, tmp_path).allowed_words


def test_the_run_the_cache_and_the_scenarios_are_replaced(private_machine, run, tmp_path):
    private = private_of(run, tmp_path / "run")
    text = f"{tmp_path}/run/cells {tmp_path}/cache/envs /somewhere/x.py"
    assert redact(text, private) == "<run>/cells <cache>/envs <scenarios>/x.py"
