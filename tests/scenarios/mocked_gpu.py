"""A mocked GPU for planted files: the probe's CUDA figures are those of a report, in GiB."""

from harness.probe.memory import Cuda

GIB = 2**30


def report_memory(monkeypatch, probe, module, whose, **figures):
    """Let ``Cuda`` tell ``figures``, and ``module`` see a checkpoint of the Qwen2.5-7B shape; label the attempt."""
    probe.simulated(f"a GPU with the memory figures of {whose}")
    monkeypatch.setattr(module, "checkpoint_bytes", lambda folder: int(14.19 * GIB))
    for name, gib in figures.items():
        monkeypatch.setattr(Cuda, name, property(lambda self, gib=gib: int(gib * GIB)))
