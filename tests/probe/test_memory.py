"""Memory readings: where there is no driver nothing is invented; with a mocked GPU every figure names its source."""

import ctypes
import os
import types

import pytest

from harness.probe import memory, nvml
from harness.probe.api import Probe
from harness.probe.placement import placement


@pytest.fixture
def no_nvml(monkeypatch):
    monkeypatch.setattr(nvml, "_library", lambda: None)
    nvml._handle.cache_clear()


@pytest.fixture
def mocked_gpu(monkeypatch):
    """Torch with one CUDA device, as far as the readings ask."""
    cuda = types.SimpleNamespace(
        is_initialized=lambda: True,
        device_count=lambda: 1,
        current_device=lambda: 0,
        mem_get_info=lambda index: (60, 100),
        get_device_name=lambda index: "mock",
        get_device_properties=lambda index: types.SimpleNamespace(uuid="aa-bb", total_memory=100),
        memory_stats=lambda index: {"active_bytes.all.current": 5, "active_bytes.all.peak": 6, "num_alloc_retries": 2},
        memory_allocated=lambda index: 4,
        max_memory_allocated=lambda index: 7,
        memory_reserved=lambda index: 8,
        max_memory_reserved=lambda index: 9,
    )
    settings = {"allocator_settings": {"expandable_segments": False}}
    cuda.memory = types.SimpleNamespace(_snapshot=lambda: settings)
    monkeypatch.setitem(memory.sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    return cuda


class MockedNvml:
    """NVML with one card, one process of ours and one of somebody else."""

    def __init__(self, own_pid, *, uuid=b"GPU-aa-bb", total=102, held=30):
        self.own_pid, self.uuid, self.total, self.held = own_pid, uuid, total, held

    def nvmlDeviceGetHandleByUUID(self, uuid, handle):  # noqa: N802
        return 0 if uuid == self.uuid else 6

    def nvmlDeviceGetMemoryInfo(self, handle, info):  # noqa: N802
        content = ctypes.cast(info, ctypes.POINTER(nvml._Memory)).contents
        content.used, content.total = 42, self.total
        return 0

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle, count, found):  # noqa: N802
        found[0].pid, found[0].used = self.own_pid, self.held
        found[1].pid, found[1].used = 1, nvml.NOT_AVAILABLE
        ctypes.cast(count, ctypes.POINTER(ctypes.c_uint)).contents.value = 2
        return 0


def test_without_cuda_there_are_no_devices(monkeypatch):
    monkeypatch.delitem(memory.sys.modules, "torch", raising=False)
    assert memory.Cuda().devices() == []
    assert memory.Cuda().allocator_settings() is None


def test_without_nvml_a_mocked_gpus_figures_say_where_they_come_from(mocked_gpu, no_nvml):
    cuda = memory.Cuda()
    cuda.set_used_before({"GPU-aa-bb": 15})
    (row,) = cuda.devices()
    assert (row["device_used"], row["device_used_source"]) == (40, "cudaMemGetInfo")
    assert (row["process_used"], row["process_used_source"]) == (25, "cudaMemGetInfo minus what was in use before")
    assert (row["active_peak"], row["retries"], row["ooms"]) == (6, 2, 0)
    assert cuda.allocator_settings() == {"expandable_segments": False}
    assert cuda.highest == {0: 7}


def read_with(monkeypatch, library, before=None):
    monkeypatch.setattr(nvml, "_library", lambda: library)
    nvml._handle.cache_clear()
    cuda = memory.Cuda()
    cuda.set_used_before({"GPU-aa-bb": 2} if before is None else before)
    (row,) = cuda.devices()
    nvml._handle.cache_clear()
    return row


@pytest.mark.parametrize(
    ("pid", "used", "source"), [(None, 30, "nvml"), (999999999, 40, "nvml minus what was in use before")]
)
def test_with_a_mocked_nvml_the_process_is_asked_for_by_its_id(mocked_gpu, monkeypatch, pid, used, source):
    row = read_with(monkeypatch, MockedNvml(os.getpid() if pid is None else pid))
    assert (row["device_used"], row["device_used_source"]) == (42, "nvml")
    assert (row["process_used"], row["process_used_source"]) == (used, source)


def test_a_mocked_process_with_our_id_and_less_memory_than_our_allocator_is_another(mocked_gpu, monkeypatch):
    row = read_with(monkeypatch, MockedNvml(os.getpid(), held=7))
    assert (row["process_used"], row["process_used_source"]) == (40, "nvml minus what was in use before")


def test_a_mocked_part_of_a_card_is_asked_for_by_its_own_name(mocked_gpu, monkeypatch):
    row = read_with(monkeypatch, MockedNvml(os.getpid(), uuid=b"MIG-aa-bb"))
    assert (row["device_used"], row["process_used"]) == (42, 30)


def test_a_mocked_card_of_another_size_does_not_speak_for_a_part_of_it(mocked_gpu, monkeypatch):
    row = read_with(monkeypatch, MockedNvml(os.getpid(), total=700))
    assert (row["device_used"], row["device_used_source"]) == (40, "cudaMemGetInfo")


def test_a_mocked_gpu_of_unknown_use_before_has_no_figure_for_the_process(mocked_gpu, no_nvml):
    mocked_gpu.get_device_properties = lambda index: types.SimpleNamespace(total_memory=100)  # a torch without uuid
    (row,) = memory.Cuda().devices()
    assert row["device_used"] == 40
    assert "process_used" not in row


def test_a_mocked_second_gpu_is_not_woken_to_be_measured(mocked_gpu, no_nvml):
    mocked_gpu.device_count, mocked_gpu.memory_reserved = (lambda: 2), (lambda index: 8 * (1 - index))
    first, second = memory.Cuda().devices()
    assert first["device_used"] == 40
    assert "device_used" not in second


class Events:
    def __init__(self):
        self.names = []

    def write(self, event, **fields):
        self.names.append(event)


def test_a_failure_takes_precedence_over_later_errors_of_a_mocked_broken_gpu(monkeypatch):
    events = Events()
    probe = Probe(events)

    def broken():
        raise RuntimeError("CUDA error: device-side assert triggered")

    def fail():
        monkeypatch.setattr(probe.cuda, "synchronize", broken)
        raise ValueError("the first")

    with pytest.raises(ValueError, match="the first"), probe.phase("load"):
        fail()
    monkeypatch.undo()
    with probe.phase("forward"):
        pass
    assert events.names == ["phase_start", "phase_start", "phase_end"]


def test_a_mocked_gpu_that_breaks_at_the_end_of_a_phase_is_the_failure(monkeypatch):
    probe = Probe(Events())

    def broken():
        raise RuntimeError("CUDA error")

    with pytest.raises(RuntimeError, match="CUDA error"), probe.phase("load"):
        monkeypatch.setattr(probe.cuda, "synchronize", broken)


class Tensor:
    def __init__(self, count, dtype, device, size):
        self.dtype, self.device, self._count, self._size = f"torch.{dtype}", device, count, size

    def numel(self):
        return self._count

    def element_size(self):
        return self._size


class Module:
    def __init__(self, **facts):
        self.__dict__.update(facts)


class AlignDevicesHook:
    pass


class SequentialHook:
    def __init__(self, *hooks):
        self.hooks = hooks


def test_placement_lists_bytes_keys_that_name_nothing_and_hooks():
    parts = {"": Module(), "head": Module(_hf_hook=SequentialHook(AlignDevicesHook(), AlignDevicesHook()))}
    model = Module(
        named_modules=parts.items,
        named_parameters=lambda: [
            ("head.weight", Tensor(10, "uint8", "cuda:0", 1)),
            ("e", Tensor(3, "bfloat16", "meta", 2)),
        ],
        named_buffers=lambda: [("b", Tensor(2, "uint8", "cuda:0", 1))],
        hf_device_map={"head": 0, "gone": "cpu", "e": "disk"},
    )
    found = placement(model, ["", "model.multi_modal_projector"])
    assert found["bytes"] == {"cuda:0": {"uint8": 12}, "meta": {"bfloat16": 6}}
    assert found["largest"][0] == {"name": "head.weight", "dtype": "uint8", "device": "cuda:0", "bytes": 10}
    assert found["hf_device_map"] == {"head": "0", "gone": "cpu", "e": "disk"}
    assert found["keys_without_module"] == ["model.multi_modal_projector", "gone"]
    assert found["hooks"] == {"AlignDevicesHook": 2}


def test_a_model_without_a_map_has_none():
    model = Module(
        named_modules=lambda: [("", Module())], named_parameters=list, named_buffers=list, hf_device_map=None
    )
    assert placement(model)["hf_device_map"] is None
