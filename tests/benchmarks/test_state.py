"""What changes on a machine: temperatures, throttling, load, memory, as the kernel and nvidia-smi tell them."""

import pytest
from doubles import boards
from latentjet.benchmarks import state


def test_the_state_of_a_tx2(machine):
    found = state.read(machine("tx2"))
    assert found["governor"] == "schedutil" and found["load"] == [0.42, 0.30, 0.25]
    assert found["temperatures_c"] == {"BCPU-therm": 36.5, "GPU-therm": 34.0}  # PMIC-Die always says 100
    assert found["clocks_hz"]["gpu"] == {"now": 1134750000, "least": 114750000, "most": 1300500000}
    assert found["memory_free_bytes"] == 6000000 * 1024 and found["throttled"] == []
    assert found.get("swap_used_bytes", 0) == 0


def test_swap_in_use(machine):
    assert state.read(machine(boards.memory(8000, 4000, 5000, 3000)))["swap_used_bytes"] == 2000 * 1024


def test_what_cools_by_slowing_down_is_throttling_and_a_fan_is_not(machine):
    hot = boards.joined(boards.cooling(0, "pwm-fan", 9), boards.cooling(1, "gpu-balanced", 2))
    assert state.read(machine(hot))["throttled"] == ["gpu-balanced"]


def test_events_that_were_counted_since_are_throttling(machine):
    before = state.read(machine("orin"))
    assert before["throttled"] == [] and before["throttle_counts"] == {"oc1_event_cnt": 0, "oc3_event_cnt": 2}
    after = state.read(machine("orin", extra={"sys/class/hwmon/hwmon5/oc3_event_cnt": "4"}), before)
    assert after["throttled"] == ["oc3_event_cnt"]


def test_a_gpu_with_a_driver_of_its_own(machine):
    said = "61, 1755, 1980, 2619, 2619, 0x0000000000000001\n"
    found = state.read(machine({}, {"nvidia-smi": said}))
    assert found["clocks_hz"] == {
        "gpu": {"now": 1755 * 10**6, "most": 1980 * 10**6}, "gpu memory": {"now": 2619 * 10**6, "most": 2619 * 10**6}
    }  # fmt: skip
    assert found["temperatures_c"] == {"gpu": 61.0} and found["throttled"] == []
    hot = state.read(machine({}, {"nvidia-smi": said.replace("0001", "0040")}))
    assert hot["throttled"] == ["gpu (reasons 0x0000000000000040)"]


@pytest.mark.parametrize("said", ["", "garbage", "N/A, N/A, N/A, N/A, N/A, N/A", "\n\n", "1,2"])
def test_whatever_nvidia_smi_says_nothing_raises(machine, said):
    assert state.read(machine({}, {"nvidia-smi": said}))["throttled"] == []


def test_a_machine_that_tells_nothing(machine):
    assert state.read(machine()) == {"throttled": []}
