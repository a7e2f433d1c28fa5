"""The reader of the GPUs' state, over a mocked driver: this suite needs no GPU."""

from types import SimpleNamespace

import pynvml
import pytest

from harness.nightly.machine import read_machine
from harness.runner.gpus import (
    Gpu,
    GpuProcess,
    UnreadableGpu,
    list_gpus,
    read_gpus,
    read_operating_states,
    read_processes,
)

MIB = 1024**2
H200 = {
    "uuid": "GPU-aa",
    "name": "NVIDIA H200",
    "total": 143771 * MIB,
    "used": 4 * MIB,
    "processes": [(4242, 812 * MIB), (17, None)],
    "mps": [(99, 5 * MIB)],
    "max_clock": 1980,
    "clock": 345,
    "power": 700_000,
    "temperature": 34,
    "ecc": [1, 1],
}
PROGRAMS = {4242: "/opt/some where/python3, x", 17: "C:\\tools\\train.exe"}
NOT_SUPPORTED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
GONE = pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)


class MockedDriver:
    """Plays NVML over a list of GPUs; a value that is an error is raised."""

    def __init__(self, *gpus):
        self.gpus = gpus
        self.started = 0

    def start(self):
        self.started += 1

    def stop(self):
        self.started -= 1

    def value(self, gpu, key):
        assert self.started > 0
        found = gpu.get(key, NOT_SUPPORTED)
        if isinstance(found, pynvml.NVMLError):
            raise found
        return found

    def handle(self, index):
        gpu = self.gpus[index]
        if "handle" in gpu:
            raise gpu["handle"]
        return gpu

    def memory(self, gpu, version=None):
        if version is not None and gpu.get("old_driver"):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        return SimpleNamespace(total=self.value(gpu, "total"), used=self.value(gpu, "used"))

    def processes(self, gpu, key):
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.value(gpu, key)]

    def program(self, pid):
        if pid not in PROGRAMS:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return PROGRAMS[pid]

    def install(self, monkeypatch):
        functions = {
            "nvmlInit": self.start,
            "nvmlShutdown": self.stop,
            "nvmlSystemGetDriverVersion": lambda: "580.159.04",
            "nvmlDeviceGetCount": lambda: len(self.gpus),
            "nvmlDeviceGetHandleByIndex": self.handle,
            "nvmlDeviceGetUUID": lambda gpu: self.value(gpu, "uuid"),
            "nvmlDeviceGetName": lambda gpu: self.value(gpu, "name"),
            "nvmlDeviceGetMemoryInfo": self.memory,
            "nvmlDeviceGetComputeRunningProcesses_v3": lambda gpu: self.processes(gpu, "processes"),
            "nvmlDeviceGetMPSComputeRunningProcesses_v3": lambda gpu: self.processes(gpu, "mps"),
            "nvmlSystemGetProcessName": self.program,
            "nvmlDeviceGetMaxClockInfo": lambda gpu, clock: self.value(gpu, "max_clock"),
            "nvmlDeviceGetClockInfo": lambda gpu, clock: self.value(gpu, "clock"),
            "nvmlDeviceGetPowerManagementLimit": lambda gpu: self.value(gpu, "power"),
            "nvmlDeviceGetTemperatureV": lambda gpu, sensor: self.value(gpu, "temperature"),
            "nvmlDeviceGetTemperature": lambda gpu, sensor: self.value(gpu, "old_temperature"),
            "nvmlDeviceGetEccMode": lambda gpu: self.value(gpu, "ecc"),
        }
        for name, function in functions.items():
            assert hasattr(pynvml, name)
            monkeypatch.setattr(pynvml, name, function)
        return self


@pytest.fixture
def driver(monkeypatch):
    """Return a function that installs a mocked driver with these GPUs."""
    return lambda *gpus: MockedDriver(*gpus).install(monkeypatch)


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED])
def test_without_a_driver_there_are_no_gpus(code, monkeypatch):
    def refuse():
        raise pynvml.NVMLError(code)

    monkeypatch.setattr(pynvml, "nvmlInit", refuse)
    assert (list_gpus(), read_gpus(), read_processes(), read_operating_states()) == ((), (), (), {})
    assert read_machine().gpus == ()


def test_identity_and_memory_with_a_mocked_gpu(driver):
    nvml = driver(H200, {**H200, "uuid": "GPU-bb"})
    first, second = read_gpus()
    assert first == Gpu(0, "GPU-aa", "NVIDIA H200", 143771 * MIB, 4 * MIB, "580.159.04")
    assert (second.index, second.uuid) == (1, "GPU-bb")
    assert nvml.started == 0


def test_an_old_driver_reports_memory_too_with_a_mocked_gpu(driver):
    driver({**H200, "old_driver": True})
    assert read_gpus()[0].used == 4 * MIB


@pytest.mark.parametrize("broken", [{"handle": GONE}, {"total": NOT_SUPPORTED}, {"uuid": GONE}], ids=list)
def test_a_lost_or_divided_gpu_is_listed_and_not_read_with_a_mocked_gpu(driver, broken):
    driver({**H200, **broken}, {**H200, "uuid": "GPU-bb"})
    assert [gpu.index for gpu in read_gpus()] == [1]
    odd, _ = list_gpus()
    assert isinstance(odd, UnreadableGpu)
    assert odd.index == 0
    assert "lost" in odd.reason or "Not Supported" in odd.reason
    assert {process.uuid for process in read_processes()} >= {"GPU-bb"}
    assert "GPU-bb" in read_operating_states()


def test_processes_are_named_without_folder_with_a_mocked_gpu(driver):
    driver(H200)
    assert read_processes() == (
        GpuProcess("GPU-aa", 4242, "python3, x", 812 * MIB),
        GpuProcess("GPU-aa", 17, "train.exe", None),
        GpuProcess("GPU-aa", 99, "unknown", 5 * MIB),
    )


def test_a_driver_that_hides_processes_reports_none_with_a_mocked_gpu(driver):
    driver({**H200, "processes": NOT_SUPPORTED, "mps": NOT_SUPPORTED})
    assert read_processes() == ()


def test_the_operating_state_has_the_names_and_forms_of_nvidia_smi_with_a_mocked_gpu(driver):
    driver(H200)
    assert read_operating_states() == {
        "GPU-aa": {
            "clocks.max.sm": "1980",
            "clocks.sm": "345",
            "power.limit": "700.00",
            "temperature.gpu": "34",
            "ecc.mode.current": "Enabled",
        }
    }


def test_what_the_driver_does_not_report_is_left_out_with_a_mocked_gpu(driver):
    driver({"uuid": "GPU-aa", "clock": 345, "old_temperature": 40, "ecc": [0, 1]})
    assert read_operating_states() == {
        "GPU-aa": {"clocks.sm": "345", "temperature.gpu": "40", "ecc.mode.current": "Disabled"}
    }


def test_the_machine_of_a_nightly_run_with_a_mocked_gpu(driver):
    driver(H200, {**H200, "handle": GONE})
    (gpu,) = read_machine().gpus
    assert (gpu.name, gpu.driver, gpu.total, gpu.used) == ("NVIDIA H200", "580.159.04", 143771 * MIB, 4 * MIB)
    assert gpu.readings["power.limit"] == "700.00"
    assert gpu.processes == ("python3, x", "train.exe", "unknown")
    assert "GPU-aa" not in gpu.model_dump_json()
