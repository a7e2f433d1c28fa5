"""Where a result ran, where its model lay, what became of a known issue, and what memory it took: as values."""

from harness.report.cell_details import command_templates, short_names
from harness.report.figures import memory
from harness.report.model import GpuState
from harness.report.write import known_issues
from harness.store.run_folder import RunFolder
from harness.verdict.known_issues import KnownIssue, State
from tests.contexts import build

GIB = 1024**3


def row(context, scenario):
    return next(each for each in context.rows if each.scenario == scenario)


def issue(scenario, signature, versions, **rest):
    return KnownIssue(scenario=scenario, signature=signature, versions=versions, tracker="a/b#1", **rest)


def test_a_box_says_where_it_ran_and_how_the_card_was_before(context):
    result = row(context, "load_4bit::test_reserved_memory").table_cells[0]
    assert result.ran_on == "cuda"
    assert result.hardware.gpus == (GpuState("NVIDIA H200", 140 * GIB, 138 * GIB, (("python3", 2 * GIB), ("X", None))),)
    assert result.hardware.allocator == (
        ("expandable_segments", "false"),
        ("PYTORCH_ALLOC_CONF", "max_split_size_mb:64"),
    )
    assert result.hardware.sources == (("cuda_device_used", "nvml"),)


def test_a_simulated_attempt_of_an_older_record_says_so(context):
    assert row(context, "adapters::test_split_base[double]").table_cells[0].ran_on == "simulated"


def test_a_device_map_is_told_by_place(context):
    (placed,) = row(context, "load_4bit::test_reserved_memory").table_cells[0].placements
    assert placed.device_map == (("0", 29, "model.embed_tokens, model.layers.0–27"), ("cpu", 1, "lm_head"))
    assert placed.bytes[0] == ("cpu", "bfloat16", 1024)
    assert placed.unmatched == ("model.multi_modal_projector",)
    assert placed.hooks == (("AlignDevicesHook", 30),)


def test_a_model_without_a_map_has_none(make_run, make_cell, make_attempt):
    where = make_cell("5.0.0", "1.13.0")
    told = {"load": {"bytes": {}, "hf_device_map": None}, "forward": {"hf_device_map": "odd"}, "bad": "not a mapping"}
    context = build(make_run(cells=(where,)), [make_attempt(where, "merge::test_direct", placements=told)])
    placed = row(context, "merge::test_direct").table_cells[0].placements
    assert [(each.device_map, each.device_map_text) for each in placed] == [(None, ""), (None, "odd")]


def test_only_neighbours_in_number_are_joined():
    assert short_names(["", "a.0", "a.1", "a.3", "b.4", "b.x"]) == "(everything else), a.0–1, a.3, b.4, b.x"


def test_the_memory_of_a_load_is_compared_with_the_reference(context):
    table = next(each for each in context.memory if each.scenario == "load_4bit::test_reserved_memory")
    assert (table.phase, table.measures) == ("load", ("cuda_allocated", "cuda_reserved", "cuda_allocated_peak"))
    good, bad = table.rows[0], table.rows[2]
    assert (round(good.ratio, 2), round(bad.ratio, 2)) == (1.23, 2.53)
    assert (round(good.reserved_share, 2), round(bad.reserved_share, 2)) == (0.47, 0.97)
    assert [each.changed for each in bad.figures] == [False, True, True]
    assert [each.as_unquantized for each in table.rows] == [False] * 2 + [True] * 6 + [False]
    assert table.rows[-1].figures == (None, None, None)


def one_line(make_run, make_cell, make_attempt, figures):
    where = make_cell("5.0.0", "1.13.0")
    context = build(make_run(cells=(where,)), [make_attempt(where, "merge::test_direct", figures=figures)])
    return memory(context.rows)[0]


def test_without_cuda_the_hosts_peak_of_the_largest_phase_is_shown(make_run, make_cell, make_attempt):
    figures = {"host_anon_peak.import": 5, "host_anon_peak.forward": 9, "host_anon.forward": 10}
    table = one_line(make_run, make_cell, make_attempt, figures)
    assert (table.phase, table.measures, table.rows[0].figures[0].value) == ("forward", ("host_anon_peak",), 9)


def test_a_tiny_model_or_a_bf16_one_is_not_as_unquantized(make_run, make_cell, make_attempt):
    tiny = {"cuda_allocated.load": 3 << 20, "cuda_reserved.load": 20 << 20, "x.bf16_bytes": 7 << 20}
    whole = {"cuda_allocated.load": 14 * GIB, "cuda_reserved.load": 15 * GIB, "x.bf16_bytes": 14 * GIB}
    for figures in (tiny, whole):
        assert not one_line(make_run, make_cell, make_attempt, figures).rows[0].as_unquantized


def test_known_gone_and_changed(make_run, attempts, summary_text):
    issues = [
        issue("load_4bit::test_keyword", "load-in-4bit-keyword", {"transformers": ">=5"}, note="by design"),
        issue("multimodal::test_gemma4_generates", "gemma4-shared-kv-keyerror", {"transformers": ">=5"}),
        issue("load_4bit::test_reserved_memory", "oom", {"transformers": "<5.1", "accelerate": "==1.13.0"}),
        issue("load_4bit::test_budget_refused", "crash:SIGSEGV", {"transformers": ">=5.10"}),
    ]
    context = build(make_run(), attempts, issues)
    states = [result.known and result.known.state for result in row(context, "load_4bit::test_keyword").table_cells]
    assert states == [None, None, *[State.KNOWN] * 6, None]
    assert row(context, "load_4bit::test_keyword").table_cells[2].known.entry.note == "by design"
    found = [(each.state, each.cells[0], len(each.cells), each.scenarios) for each in context.announcements]
    assert found == [
        (State.GONE, "transformers 4.57.5 · accelerate 1.13.0", 1, ("load_4bit::test_reserved_memory",)),
        (State.GONE, "transformers 5.3.0 · accelerate 1.11.0", 4, ("multimodal::test_gemma4_generates",)),
        (State.CHANGED, "transformers 5.0.0 · accelerate 1.13.0", 1, ("load_4bit::test_reserved_memory",)),
    ]
    flaky = row(context, "load_4bit::test_budget_refused").table_cells[6]
    assert flaky.known is None
    text = summary_text(context)
    assert "Known issues: 8 reproduced, 5 not reproduced, 1 failing differently." in text
    assert "remove or narrow the entry (transformers >=5)" in text


def test_an_unavailable_cell_says_nothing_about_known_issues(make_run, make_cell, make_attempt):
    where = make_cell("5.0.0", "1.13.0")
    failed = make_attempt(where, "*", "fail:install:install_failed", number=0)
    context = build(make_run(cells=(where,)), [failed], [issue("*", "oom", {"transformers": ">=5"})])
    assert context.announcements == ()


def test_a_run_without_the_file_has_no_known_issues(tmp_path):
    assert known_issues(RunFolder(tmp_path)) == ()
    (tmp_path / "known_issues.toml").write_text("", encoding="utf-8")
    assert known_issues(RunFolder(tmp_path)) == ()


def test_a_result_is_rerun_by_a_command_with_the_path_of_the_matrix_quoted():
    first, second = command_templates("matrices/bnb 4bit.toml")
    assert first == ("harness run 'matrices/bnb 4bit.toml' --cells ", " -k ", "")
    assert second[0] == "python3 -m nox -s matrix -- 'matrices/bnb 4bit.toml' --cells "
