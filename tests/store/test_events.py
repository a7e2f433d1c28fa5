"""A probe's events become figures."""

from harness.store.events import digest


def device(index, allocated):
    facts = dict.fromkeys(("allocated_peak", "reserved", "reserved_peak", "device_used"), 2 * allocated)
    return {"index": index, "name": "GPU", "allocated": allocated, **facts}


def test_a_phase_becomes_figures_and_devices_are_added_up():
    found = digest(
        [
            {"event": "phase_start", "phase": "load", "host": {"anon": 100}},
            {
                "event": "phase_end",
                "phase": "load",
                "seconds": 1.5,
                "host": {"anon": 350, "file": 7, "anon_peak": 400},
                "cuda": [device(0, 10), device(1, 5)],
                "cuda_emptied": [{"reserved": 4}, {"reserved": 3}],
            },
        ]
    )
    assert found.figures["host_anon_added.load"] == 250
    assert found.figures["cuda_allocated.load"] == 15
    assert found.figures["cuda1_reserved.load"] == 10
    assert found.figures["cuda_reserved_emptied.load"] == 7
    assert found.figures["seconds.load"] == 1.5
    assert found.open_phase is None


def test_a_killed_attempt_leaves_its_open_phase_and_what_it_said_before():
    found = digest(
        [
            {"event": "record", "name": "same", "value": True},
            {"event": "record", "name": "label", "value": "X"},
            {"event": "expect", "text": "holds", "held": True},
            {"event": "phase_start", "phase": "load", "host": {}},
        ]
    )
    assert found.open_phase["phase"] == "load"
    assert found.figures == {"x.same": 1}
    assert found.notes == {"label": "X"}
    assert not found.finished
