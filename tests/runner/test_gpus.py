"""What nvidia-smi prints becomes values; there is none here, so its words are given."""

from harness.runner.gpus import GpuProcess, parse, parse_processes

MIB = 1024**2


def test_cards_with_figures_are_read_and_others_passed_over():
    text = "0, GPU-aa, NVIDIA H200, 143771, 4, 580.159.04\n1, GPU-bb, NVIDIA H200, [N/A], [N/A], 580.159.04\n"
    text += "Unable to determine the device handle for GPU0000:1A:00.0: GPU is lost\n"
    (gpu,) = parse(text)
    assert (gpu.index, gpu.uuid, gpu.total, gpu.used) == (0, "GPU-aa", 143771 * MIB, 4 * MIB)


def test_processes_lose_their_folder_and_may_hide_their_memory():
    text = (
        "GPU-aa, 4242, /opt/some where/python3, x, 812\nGPU-aa, 17, C:\\tools\\train.exe, [N/A]\nno running processes\n"
    )
    assert parse_processes(text) == (
        GpuProcess("GPU-aa", 4242, "python3, x", 812 * MIB),
        GpuProcess("GPU-aa", 17, "train.exe", None),
    )
