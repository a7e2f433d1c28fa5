"""Every line of the judge's two tables, and what must never be green."""

import itertools

import pytest

from harness.runner.process import ProcessExit
from harness.store.records import Expectation, Failure, Frame, Stage
from harness.verdict.judge import Evidence, judge

UNDER_TEST = ["transformers", "accelerate", "peft", "bitsandbytes", "huggingface-hub"]
SCENARIO = Frame(path="load_4bit.py", function="test_load", line=3)
TORCH = Frame(path="torch/nn/modules/module.py", function="_call_impl", line=7, package="torch")
ACCELERATE = Frame(path="accelerate/utils/modeling.py", function="set_it", line=9, package="accelerate")
CLEAN = ProcessExit(code=0)


def raised(kind, message="", *frames, when="call"):
    return Failure(when=when, type=kind, message=message, frames=frames or (SCENARIO,))


def outcome(*failures, **rest):
    evidence = Evidence(
        **{"exit": ProcessExit(code=1), "report_outcome": "failed", "failures": failures, "finished": True, **rest}
    )
    return str(judge(evidence, UNDER_TEST).outcome)


@pytest.mark.parametrize(
    ("ended", "expected", "signature"),
    [
        (ProcessExit(interrupted=True, signal=15), "miss:run:interrupted", None),
        (ProcessExit(timed_out=True, signal=9), "fail:run:timeout", "timeout"),
        (ProcessExit(signal=11), "fail:run:crash", "crash:SIGSEGV"),
        (ProcessExit(signal=9), "fail:run:crash", "crash:SIGKILL"),
        (ProcessExit(signal=9, host_oom=True), "fail:run:host_oom", "host_oom"),
        (ProcessExit(code=3), "fail:run:crash", "crash:exit-3"),
        (ProcessExit(code=0), "miss:run:interrupted", None),
        (ProcessExit(), "miss:run:interrupted", None),
        (
            ProcessExit(code=70),
            "error:run:exception",
            "harness: the probe failed before pytest reported",
        ),
    ],
)
def test_processes_without_a_report(ended, expected, signature):
    judgement = judge(Evidence(exit=ended), UNDER_TEST)
    assert str(judgement.outcome) == expected
    assert judgement.signature == signature
    assert judgement.detail


def test_only_event_report_and_exit_together_are_green():
    for passed, report, code in itertools.product((True, False), ("passed", "failed", None), (0, 1)):
        evidence = Evidence(exit=ProcessExit(code=code), report_outcome=report, passed=passed, finished=True)
        green = judge(evidence, UNDER_TEST).outcome.status == "pass"
        assert green == (passed and report == "passed" and code == 0)


def test_a_failed_expectation_is_red_even_where_nothing_was_raised():
    evidence = Evidence(
        exit=CLEAN, report_outcome="passed", passed=True, expectations=(Expectation(text="loads", held=False),)
    )
    assert str(judge(evidence, UNDER_TEST).outcome) == "fail:check:assertion"


def test_expectations_are_grouped_by_their_sentences_without_the_figures():
    def one(count):
        expectations = (
            Expectation(text="every layer is Linear4bit", held=False, detail=str(count)),
            Expectation(text="generates", held=True),
        )
        failure = raised("harness.probe.api.ExpectationFailed", f"every layer is Linear4bit ({count})")
        return judge(Evidence(ProcessExit(code=1), "failed", (failure,), None, expectations), UNDER_TEST)

    assert one(3) != one(0)
    assert one(3).signature == one(0).signature == "expectation: every layer is Linear4bit"
    assert str(one(3).outcome) == "fail:check:assertion"


def test_a_skip_needs_a_clean_exit():
    skip = ("no_gpu", "needs 1 CUDA device(s), found 0")
    assert outcome(report_outcome="skipped", exit=CLEAN, skip=skip) == "skip:run:no_gpu"
    assert outcome(report_outcome=None, exit=ProcessExit(code=3), skip=skip, finished=False) == "fail:run:crash"
    assert outcome(report_outcome="skipped", exit=CLEAN, skip=("odd", "text")) == "skip:run:not_applicable"


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (raised("torch.OutOfMemoryError", "CUDA out of memory. Tried to allocate 2 GiB"), "fail:run:oom"),
        (raised("torch.cuda.OutOfMemoryError", "", TORCH), "fail:run:oom"),
        (raised("RuntimeError", "CUDA error: out of memory", SCENARIO, TORCH), "fail:run:oom"),
        (raised("MemoryError"), "fail:run:host_oom"),
        (raised("RuntimeError", "[enforce fail] DefaultCPUAllocator: can't allocate memory"), "fail:run:host_oom"),
        (raised("ImportError", "cannot import name 'X' from 'peft'", TORCH), "fail:import:import_error"),
        (raised("ImportError", "cannot import name 'X' from 'transformers'"), "fail:import:import_error"),
        (raised("ModuleNotFoundError", "No module named 'transformers.gone'"), "fail:import:import_error"),
        (raised("ModuleNotFoundError", "No module named 'huggingface_hub'"), "fail:import:import_error"),
        (raised("ModuleNotFoundError", "No module named 'my_own_tools'"), "error:import:import_error"),
        (
            raised("ImportError", "cannot import name 'q' from 'torchao' (/x/site-packages/torchao/__init__.py)"),
            "fail:import:import_error",
        ),
        (raised("harness.probe.api.ExpectationFailed", "a; b"), "fail:check:assertion"),
        (raised("AssertionError", "assert 1 == 2"), "fail:check:assertion"),
        (raised("Failed", "DID NOT RAISE <class 'ValueError'>"), "fail:check:assertion"),
        (raised("AssertionError", "", SCENARIO, ACCELERATE), "fail:run:exception"),
        (
            raised(
                "AssertionError", "", SCENARIO, Frame(path="torch/testing/_c.py", function="f", line=1, package="t")
            ),
            "fail:check:assertion",
        ),
        (raised("ValueError", "no", SCENARIO, ACCELERATE), "fail:run:exception"),
        (raised("ValueError", "no", ACCELERATE, SCENARIO), "fail:run:exception"),
        (raised("KeyError", "22", SCENARIO), "error:run:exception"),
        (
            raised(
                "KeyError",
                "1",
                Frame(path="torch/utils/_contextlib.py", function="f", line=1, package="torch"),
                SCENARIO,
            ),
            "error:run:exception",
        ),
        (raised("TypeError", "Qwen2Model.__init__() got an unexpected keyword argument 'x'"), "fail:run:exception"),
        (raised("TypeError", "from_pretrained() missing 1 required positional argument"), "fail:run:exception"),
        (raised("TypeError", "test_load() got an unexpected keyword argument 'x'"), "error:run:exception"),
        (raised("TypeError", "helper() got an unexpected keyword argument 'x'"), "error:run:exception"),
        (raised("TypeError", "'int' object is not iterable"), "error:run:exception"),
        (raised("AttributeError", "'Parameter' object has no attribute 'quant_state'"), "fail:run:exception"),
        (raised("AttributeError", "module 'transformers' has no attribute 'Gone'"), "fail:run:exception"),
        (raised("AttributeError", "'NoneType' object has no attribute 'x'"), "error:run:exception"),
        (raised("requests.exceptions.ConnectionError", "Max retries", TORCH), "error:run:network"),
        (raised("socket.gaierror", "[Errno -2] Name or service not known"), "error:run:network"),
        (raised("OSError", "We couldn't connect to 'https://huggingface.co' to load", TORCH), "error:run:network"),
        (raised("KeyboardInterrupt"), "miss:run:interrupted"),
        (raised("ValueError", "no", ACCELERATE, when="collect"), "fail:collect:exception"),
        (raised("SyntaxError", "invalid syntax", when="collect"), "error:collect:exception"),
    ],
)
def test_exceptions(failure, expected):
    assert outcome(failure, own_names=frozenset({"helper"})) == expected


def test_out_of_memory_on_a_busy_card_is_no_regression():
    failure = raised("torch.OutOfMemoryError", "CUDA out of memory", TORCH)
    assert outcome(failure, gpu_busy=True) == "error:run:gpu_busy"


def test_the_first_failure_is_the_cause():
    cause, teardown = raised("ValueError", "first", ACCELERATE), raised("KeyError", "then", SCENARIO, when="teardown")
    judgement = judge(Evidence(ProcessExit(code=1), "failed", (cause, teardown)), UNDER_TEST)
    assert judgement.detail == "ValueError: first"


def test_an_allocator_that_aborts_is_out_of_host_memory():
    evidence = Evidence(ProcessExit(signal=6), output_tail="terminate called: std::bad_alloc\n")
    assert str(judge(evidence, UNDER_TEST).outcome) == "fail:run:host_oom"


def test_a_crash_tells_what_came_before_it():
    evidence = Evidence(ProcessExit(signal=11), None, (raised("ValueError", "first"),), output_tail="a\nlast words\n")
    assert judge(evidence, UNDER_TEST).detail == (
        "the process died by SIGSEGV, after ValueError: first; last line printed: last words"
    )


def test_pytest_that_ran_nothing_is_an_error_of_the_script():
    assert outcome(report_outcome=None, exit=ProcessExit(code=4)) == "error:collect:exception"


def test_collecting_has_its_own_stage():
    assert outcome(exit=ProcessExit(timed_out=True), stage=Stage.COLLECT) == "fail:collect:timeout"


@pytest.mark.parametrize(
    ("held", "about", "expected"),
    [
        ((True,), ("memory",), "error:run:gpu_busy"),  # green, but it proves nothing
        ((False,), ("memory",), "error:run:gpu_busy"),
        ((False, False), ("memory", ""), "fail:check:assertion"),  # something else broke too
        ((True,), ("",), "pass:check"),
    ],
)
def test_memory_on_a_busy_card_proves_nothing(held, about, expected):
    stated = tuple(Expectation(text="t", held=each, about=what) for each, what in zip(held, about, strict=True))
    red = not all(held)
    failures = (raised("harness.probe.api.ExpectationFailed", "t"),) if red else ()
    evidence = Evidence(
        ProcessExit(code=1 if red else 0),
        "failed" if red else "passed",
        failures,
        expectations=stated,
        finished=True,
        passed=not red,
        gpu_busy=True,
    )
    assert str(judge(evidence, UNDER_TEST).outcome) == expected
