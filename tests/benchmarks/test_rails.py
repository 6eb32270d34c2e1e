"""Power rails by name, in the layouts of every Jetson that this project knows of."""

import pytest
from doubles.boards import TREES
from latentjet.benchmarks import rails


@pytest.mark.parametrize("board", sorted(TREES))
def test_every_rail_of_a_board_is_read_by_name_in_watts(machine, board):
    looked, tree = machine(board), TREES[board]
    found = rails.find(looked)
    assert {rail.name: rails.power(looked, rail) for rail in found} == pytest.approx(tree.rails)
    assert rails.whole([rail.name for rail in found]) == tree.total


def test_the_order_of_chips_and_channels_does_not_matter(machine):
    files = {
        "sys/bus/i2c/drivers/ina3221x/0-0041/iio:device7/rail_name_2": "VDD_IN",
        "sys/bus/i2c/drivers/ina3221x/0-0041/iio:device7/in_power2_input": "1234",
    }
    looked = machine(files)
    (rail,) = rails.find(looked)
    assert rail.name == "VDD_IN" and rails.power(looked, rail) == pytest.approx(1.234)


def test_hwmon_is_found_where_the_drivers_folder_is_not(machine):
    files = {
        "sys/class/hwmon/hwmon2/name": "ina3221", "sys/class/hwmon/hwmon2/in1_label": "VDD_IN",
        "sys/class/hwmon/hwmon2/in1_input": "5000", "sys/class/hwmon/hwmon2/curr1_input": "100",
        "sys/class/hwmon/hwmon0/name": "nct6775", "sys/class/hwmon/hwmon0/in1_label": "Vcore",
        "sys/class/hwmon/hwmon0/in1_input": "900", "sys/class/hwmon/hwmon0/curr1_input": "1",
    }  # fmt: skip
    looked = machine(files)
    assert [(rail.name, rails.power(looked, rail)) for rail in rails.find(looked)] == [("VDD_IN", pytest.approx(0.5))]


@pytest.mark.parametrize("text", ["", "many", "-5", "12 mA"])
def test_a_rail_that_says_nothing_useful_is_none(machine, text):
    path = "sys/bus/i2c/drivers/ina3221x/0-0041/iio:device1/in_power0_input"
    found = rails.find(machine("tx2", extra={path: text}))
    assert "VDD_IN" not in [rail.name for rail in found] and "VDD_SYS_CPU" in [rail.name for rail in found]


def test_a_machine_without_rails(machine):
    assert rails.find(machine()) == [] and rails.whole([]) is None
