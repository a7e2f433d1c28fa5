"""The page is one file, safe against what scenarios print, and large tables stay possible."""

import json
import re
from html.parser import HTMLParser

from harness.report.html import page_data, render
from harness.report.templates import tracker_url
from harness.store.events import CUDA_FIGURES, EMPTIED
from harness.store.records import Expectation, GpuBefore
from tests.contexts import build


class Outline(HTMLParser):
    """Collect what a browser would load and run."""

    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.data, self._inside = [], [], "", False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href", "srcset", "data", "action"}]
        self._inside = tag == "script" and ("id", "data") in attrs

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.data += data


def outline(page):
    found = Outline()
    found.feed(page)
    return found


def test_hostile_text_stays_text(context):
    found = outline(render(context))
    assert found.tags.count("script") == 2
    assert "img" not in found.tags
    assert json.loads(found.data) == json.loads(page_data(context))
    texts = [text for text in json.loads(found.data)["shared"] if isinstance(text, str)]
    assert any("</script><script>window.stolen = 1</script>" in text for text in texts)


def test_a_run_without_a_reference_offers_no_comparison_with_it(make_run, attempts):
    run = make_run()
    alone = tuple(cell.model_copy(update={"reference": False}) for cell in run.cells)
    pages = [render(build(run, attempts)), render(build(make_run(cells=alone), attempts))]
    assert ["compared with the reference cell" in page for page in pages] == [True, False]
    assert ['<label class="toggle" hidden>' in page for page in pages] == [False, True]


def test_a_scenario_without_a_row_of_the_reports_has_no_tag(make_run, attempts):
    run = make_run()
    plain = tuple(one.model_copy(update={"row": None}) for one in run.scenarios)
    pages = [render(build(run, attempts)), render(build(make_run(scenarios=plain), attempts))]
    assert ['class="tag"' in page for page in pages] == [True, False]


def test_the_data_cannot_end_its_element(context):
    assert not re.search(r"[<>&\u2028\u2029]", page_data(context))


def test_nothing_is_loaded_from_anywhere(context):
    page = render(context)
    found = outline(page)
    assert all(each.startswith(("data:", "https://github.com/")) for each in found.addresses)
    assert not {"iframe", "object", "embed", "base", "form", "img"} & set(found.tags)
    assert "url(" not in page
    assert "@import" not in page


def test_only_trackers_become_links():
    assert tracker_url("huggingface/transformers#44387") == "https://github.com/huggingface/transformers/issues/44387"
    assert tracker_url("javascript:alert(1)") is None
    assert tracker_url("a/b#1\n") is None
    assert tracker_url(None) is None


def test_every_table_cell_has_its_status(context):
    said = re.findall(r'class="result (\w+)".*?</span> (\w+)</span>', render(context))
    assert len(said) == len(context.rows) * len(context.columns)
    assert all(style == word for style, word in said)


def test_fifty_scenarios_by_twelve_cells_with_every_fact_stay_under_a_megabyte(
    make_run, make_cell, make_attempt, make_info
):
    cells = tuple(make_cell("4.57.5" if not minor else f"5.{minor}.0", "1.0") for minor in range(12))
    infos = tuple(
        make_info(f"many::test_scenario_with_a_usual_name_{number}", f"G{number}", "A title as long as they are.")
        for number in range(50)
    )
    attempts = [
        make_attempt(where, info.id, number=number, **facts(place, row, number))
        for place, where in enumerate(cells)
        for row, info in enumerate(infos)
        for number in (1, 2)
    ]
    page = render(build(make_run(cells=cells, scenarios=infos), attempts))
    assert len(page.encode()) < 1_000_000


def facts(cell, row, number):
    """Return what a scenario on a GPU tells: four phases, a placement, allocator settings, expectations."""
    names = [f"cuda_{name}" for name in CUDA_FIGURES] + [f"cuda_{name}_emptied" for name in EMPTIED]
    phases = ("import", "load", "forward", "generate")
    figures = {
        f"{name}.{phase}": 5_862_649_856 + 4096 * (row * (cell // 4) + len(name)) for name in names for phase in phases
    }
    noisy = [f"{name}.{phase}" for name in ("host_anon", "host_anon_peak", "host_file") for phase in phases]
    figures |= dict.fromkeys(noisy, 1_234_567_168 + 4096 * (cell + row * number))
    figures |= {f"seconds.{phase}": 3.123456789 + cell / 7 + number / 11 for phase in phases}
    layers = {f"model.layers.{layer}": 0 for layer in range(28)}
    placed = {
        "bytes": {"cuda:0": {"uint8": 3_000_000_000 + row, "bfloat16": 1_000_000_000 + cell % 3}},
        "largest": [
            {
                "name": f"model.layers.{layer}.mlp.gate_proj.weight",
                "dtype": "uint8",
                "device": "cuda:0",
                "bytes": 1 << 25,
            }
            for layer in range(5)
        ],
        "hf_device_map": {"model.embed_tokens": 0, **layers, "model.norm": 0, "lm_head": 0},
        "keys_without_module": [],
        "hooks": {"AlignDevicesHook": 30},
    }
    return {
        "figures": figures,
        "placements": {"load": placed, "forward": placed},
        "ran_on": "cuda",
        "allocator": {f"setting_{each}": each for each in range(12)},
        "sources": {"cuda_device_used": "nvml", "cuda_process_used": "nvml minus what was in use before"},
        "gpus_before": (GpuBefore(uuid="GPU-1", total=150_000_000_000, used=600_000_000 + cell * 1_048_576),),
        "expectations": tuple(
            Expectation(
                text=f"an expectation in words {each}", held=True, detail=f"{row * 1_000_003 + cell} <= 9999999"
            )
            for each in range(4)
        ),
    }


def test_sixty_cells_by_eighty_scenarios_fit(make_run, make_cell, make_attempt, make_info):
    cells = tuple(make_cell(f"5.{minor}.{patch}", "1.0") for minor in range(12) for patch in range(5))
    infos = tuple(make_info(f"many::test_{number}", None, "title") for number in range(80))
    attempts = [
        make_attempt(where, info.id, figures={f"cuda_reserved.p{number}": number for number in range(10)})
        for where in cells
        for info in infos
    ]
    page = render(build(make_run(cells=cells, scenarios=infos), attempts))
    assert page.count('class="result pass"') == 4800
    assert 'class="matrix dense"' in page
    assert len(page) < 15_000_000


def test_an_empty_run_renders(make_run):
    assert "Nothing failed" in render(build(make_run(scenarios=(), cells=()), []))
