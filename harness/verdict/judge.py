"""Judge an attempt: from its exit, its report and its events to outcome, signature and one sentence."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from harness.runner.process import ProcessExit
from harness.store.records import Expectation, Failure, Outcome, Reason, Stage, Status
from harness.verdict.exceptions import HOST_OOM_TEXT, Kind, is_import_upstream, is_upstream, kind
from harness.verdict.signature import (
    Signature,
    exit_signature,
    expectation_signature,
    short_type,
    signal_name,
    signature,
)


@dataclass(frozen=True)
class Evidence:
    """The evidence about one attempt after its process ended.

    ``report_outcome`` is pytest's (``passed failed error skipped``), None if it wrote no report.
    ``failures`` come from the probe, oldest first, and so do ``finished`` (its last event was written) and ``passed``
    (the test's body went through). ``stage`` is ``collect`` while files are collected, else ``run``. ``own_names`` are
    classes and functions that the scenario's files define, where known: an error message that names one of them is the
    script's.
    """

    exit: ProcessExit
    report_outcome: str | None = None
    failures: tuple[Failure, ...] = ()
    skip: tuple[str, str] | None = None  # reason code, text
    expectations: tuple[Expectation, ...] = ()
    finished: bool = False
    passed: bool = False
    stage: Stage = Stage.RUN  # or COLLECT
    output_tail: str = ""  # the end of what the process printed
    gpu_busy: bool = False  # the GPU was not free before the attempt
    own_names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Judgement:
    """The outcome of an attempt, its signature (None unless it failed) and one sentence."""

    outcome: Outcome
    signature: str | None
    detail: str


PROBE_FAILED = 70  # the code with which the probe's fork server ends an attempt when the probe itself raised


NOTHING_RUN = (0, 5)  # pytest ends with 5 where a whole module was skipped while it was collected


SENTENCE = 300  # characters of an exception's message that go into the detail


def judge(evidence: Evidence, under_test: Collection[str]) -> Judgement:  # noqa: PLR0911  # one return a row
    """Judge one attempt; the first matching row decides.

    ============================================================ ================================================
    evidence                                                     outcome
    ============================================================ ================================================
    interrupted by the user, or raised ``KeyboardInterrupt``     ``miss:run:interrupted``
    deadline passed                                              ``fail:run:timeout``
    killed by the kernel for want of memory, or aborted with     ``fail:run:host_oom``
    ``std::bad_alloc`` in its output
    died by any other signal                                     ``fail:run:crash``
    an exception (the first one written)                         see :func:`_judge_failure`
    an expectation that does not hold, though nothing was raised ``fail:check:assertion``
    an expectation about memory, on a GPU that was not free      ``error:run:gpu_busy``
    before, and nothing worse than such expectations
    skipped with a reason, exit code 0 (or 5: nothing to run)    ``skip:run:<reason>``
    report *passed*, probe's ``passed`` and exit code 0          ``pass:check``
    never started                                                ``miss:run:interrupted``
    no report, exit code 0                                       ``miss:run:interrupted``
    no report, pytest ended by itself with another code          ``error:collect:exception``
    no report, exit code 70: the probe failed                    ``error:run:exception``
    no report and any other code, or passed and then another     ``fail:run:crash``
    code
    anything else is contradictory                               ``error:run:exception``
    ============================================================ ================================================

    ``run`` is ``collect`` where the evidence comes from collecting. ``under_test`` names packages by index or import
    name.
    """
    ended = evidence.exit
    if ended.interrupted:
        return _missing(evidence, "interrupted before it ended")
    if ended.timed_out:
        return _ended(evidence, Reason.TIMEOUT)
    if ended.host_oom or (ended.signal is not None and HOST_OOM_TEXT.search(evidence.output_tail)):
        return _ended(evidence, Reason.HOST_OOM)
    if ended.signal is not None:
        return _ended(evidence, Reason.CRASH)
    if evidence.gpu_busy and _only_memory(evidence):
        text = "the GPU was not free before the attempt, so its memory figures are not valid"
        return Judgement(Outcome(Status.ERROR, evidence.stage, Reason.GPU_BUSY), "gpu_busy", text)
    if evidence.failures:
        return _judge_failure(evidence, evidence.failures[0], under_test)
    if any(not each.held for each in evidence.expectations):
        known = expectation_signature(evidence.expectations)
        return Judgement(Outcome(Status.FAIL, Stage.CHECK, Reason.ASSERTION), known.id, known.summary)
    return _judge_without_failure(evidence)


def _only_memory(evidence: Evidence) -> bool:
    """Tell whether memory is expected, and nothing but expectations about memory failed."""
    broken = [each for each in evidence.expectations if not each.held]
    raised = [each for each in evidence.failures if short_type(each) != "ExpectationFailed"]
    about_memory = any(each.about == "memory" for each in evidence.expectations)
    return about_memory and not raised and all(each.about == "memory" for each in broken)


def _judge_without_failure(evidence: Evidence) -> Judgement:  # noqa: PLR0911  # one return a row of the table
    """Judge an attempt without exception, failed expectation or signal."""
    if evidence.skip is not None and evidence.exit.code in NOTHING_RUN:
        given, text = evidence.skip
        reason = Reason(given) if given in set(Reason) else Reason.NOT_APPLICABLE
        return Judgement(Outcome(Status.SKIP, evidence.stage, reason), None, text)

    code, reported = evidence.exit.code, evidence.report_outcome
    if code is None:
        return _missing(evidence, "never started" + (f": {evidence.exit.note}" if evidence.exit.note else ""))
    match reported, evidence.passed, code:
        case "passed", True, 0:
            return Judgement(Outcome(Status.PASS, Stage.CHECK), None, "")
        case None, _, 0:
            return _missing(evidence, "the process ended with code 0 and without a report")
        case None, _, _ if evidence.finished:
            return _error(evidence, f"pytest ended with code {code} and ran no test", Stage.COLLECT)
        case None, _, _ if code == PROBE_FAILED:
            return _error(evidence, "the probe failed before pytest reported", evidence.stage)
        case (None, _, _) | ("passed", True, _):
            return _ended(evidence, Reason.CRASH)
        case _:
            probe = "passed" if evidence.passed else "not passed"
            return _error(evidence, f"pytest reports {reported} with code {code}, the probe {probe}", evidence.stage)


def _judge_failure(evidence: Evidence, failure: Failure, under_test: Collection[str]) -> Judgement:
    """Judge by the exception.

    ======================================================== =====================================================
    exception                                                outcome
    ======================================================== =====================================================
    ``OutOfMemoryError``, "CUDA out of memory"               ``fail:run:oom``; ``error:run:gpu_busy`` where the
                                                             GPU was not free before
    ``MemoryError``, torch's CPU allocator refuses           ``fail:run:host_oom``
    ``ImportError``                                          ``import:import_error``: ``fail`` when raised in an
                                                             installed package or naming one, ``error`` when the
                                                             scenario wants what is neither there nor under test
    ``ConnectionError``, ``gaierror``, the hub is offline    ``error:run:network``
    ``ExpectationFailed``; ``AssertionError`` or             ``fail:check:assertion``
    ``pytest.fail`` in the scenario or in a package's
    testing module
    any other with a frame in an installed package, an       ``fail:run:exception``
    ``AssertionError`` raised there included
    a call or a name that upstream does not have, reported   ``fail:run:exception``
    at the scenario's line
    any other                                                ``error:run:exception``
    ======================================================== =====================================================
    """
    stage = Stage.COLLECT if failure.when in {"collect", "import"} else evidence.stage
    match kind(failure):
        case Kind.INTERRUPT:
            return _missing(evidence, "interrupted before it ended")
        case Kind.GPU_OOM if evidence.gpu_busy:
            outcome = Outcome(Status.ERROR, stage, Reason.GPU_BUSY)
        case Kind.GPU_OOM:
            outcome = Outcome(Status.FAIL, stage, Reason.OOM)
        case Kind.HOST_OOM:
            outcome = Outcome(Status.FAIL, stage, Reason.HOST_OOM)
        case Kind.IMPORT:
            status = Status.FAIL if is_import_upstream(failure, under_test) else Status.ERROR
            outcome = Outcome(status, Stage.IMPORT, Reason.IMPORT_ERROR)
        case Kind.NETWORK:
            outcome = Outcome(Status.ERROR, stage, Reason.NETWORK)
        case Kind.CHECK:
            outcome = Outcome(Status.FAIL, Stage.CHECK, Reason.ASSERTION)
        case Kind.OTHER:
            status = Status.FAIL if is_upstream(failure, evidence.own_names) else Status.ERROR
            outcome = Outcome(status, stage, Reason.EXCEPTION)

    return Judgement(outcome, _signature(evidence, failure, under_test).id, _sentence(failure))


def _signature(evidence: Evidence, failure: Failure, under_test: Collection[str]) -> Signature:
    broken = any(not each.held for each in evidence.expectations)
    if short_type(failure) == "ExpectationFailed" and broken:
        return expectation_signature(evidence.expectations)
    return signature(failure, under_test)


def _ended(evidence: Evidence, reason: Reason) -> Judgement:
    known = exit_signature(evidence.exit)
    if reason is Reason.HOST_OOM:
        known = Signature("host_oom", "the host's memory ran out")
    after = f", after {_sentence(evidence.failures[0])}" if evidence.failures else ""
    last = evidence.output_tail.strip().rsplit("\n", 1)[-1].strip()
    printed = f"; last line printed: {last[:SENTENCE]}" if last and reason is not Reason.TIMEOUT else ""
    died = f" ({signal_name(evidence.exit.signal)})" if evidence.exit.signal and reason is Reason.HOST_OOM else ""
    return Judgement(Outcome(Status.FAIL, evidence.stage, reason), known.id, f"{known.summary}{died}{after}{printed}")


def _missing(evidence: Evidence, detail: str) -> Judgement:
    return Judgement(Outcome(Status.MISS, evidence.stage, Reason.INTERRUPTED), None, detail)


def _error(evidence: Evidence, detail: str, stage: Stage) -> Judgement:
    return Judgement(Outcome(Status.ERROR, stage, Reason.EXCEPTION), f"harness: {detail}", detail)


def _sentence(failure: Failure) -> str:
    message = " ".join(failure.message.split())
    short = message if len(message) <= SENTENCE else message[: SENTENCE - 1] + "…"
    return f"{short_type(failure)}: {short}".removesuffix(": ")
