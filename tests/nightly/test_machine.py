"""What changed on the machine between two snapshots."""

from harness.nightly.machine import GpuSnapshot, MachineSnapshot, describe_changes

GIB = 1024**3


def snapshot(driver="1", used=0, processes=(), readings=()):
    gpu = GpuSnapshot(
        fingerprint="a", name="G", driver=driver, total=9, used=used, processes=processes, readings=dict(readings)
    )
    return MachineSnapshot(kernel="6", gpus=(gpu,))


def test_each_change_is_one_sentence():
    assert describe_changes(snapshot(), snapshot()) == ()
    assert describe_changes(snapshot(), snapshot("2", used=3 * GIB, processes=("python",))) == (
        "GPU 0: driver 1 → 2",
        "GPU 0: memory in use 0.0 GiB → 3.0 GiB",
        "GPU 0: other processes: none → python",
    )


def test_only_a_much_higher_temperature_is_a_change():
    cold, warm, hot = (snapshot(readings={"temperature.gpu": text}) for text in ("40", "50", "60"))
    assert describe_changes(cold, warm) == describe_changes(hot, cold) == ()
    assert describe_changes(cold, hot) == ("GPU 0: temperature.gpu 40 → 60",)
