"""Findings about a machine."""

from harness.envs.cache_dir import CacheDir
from harness.runner.gpus import Gpu, UnreadableGpu
from harness.session import doctor
from harness.session.doctor import Level

MIB = 2**20


def test_findings_about_disk_and_tools():
    place = CacheDir.of_user({"HARNESS_CACHE": "/cache"}).root
    assert doctor.disk_finding(place, 2**30).level is Level.BAD
    assert doctor.disk_finding(place, 100 * 2**30).level is Level.OK
    assert doctor.uv_finding(None).level is Level.BAD
    assert doctor.git_finding(None).level is Level.WARN
    assert doctor.link_finding(place, place, same=False).level is Level.WARN
    refused = doctor.index_finding("uv", "error: Failed to fetch: x\n  cause: refused\n")
    assert (refused.level, refused.what) == (
        Level.BAD,
        "uv does not reach the package index: Failed to fetch: x refused",
    )


def test_findings_about_mocked_gpus():
    assert [one.level for one in doctor.gpu_findings(())] == [Level.WARN]
    gpu = Gpu(0, "GPU-aa", "NVIDIA X", 143771 * MIB, 4 * MIB, "570.1")
    taken = Gpu(1, "GPU-bb", "NVIDIA X", 143771 * MIB, 90000 * MIB, "570.1")
    free, busy, odd = doctor.gpu_findings((gpu, taken, UnreadableGpu(2, "GPU is lost")))
    assert (free.level, busy.level, odd.level) == (Level.OK, Level.WARN, Level.WARN)
    assert free.what == "GPU 0: NVIDIA X, driver 570.1, 4 of 143771 MiB in use"
    assert "90000 of 143771 MiB" in busy.what
    assert odd.what == "GPU 2: the driver does not report its memory (GPU is lost)"
