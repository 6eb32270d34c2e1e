"""Clocks of processor, GPU and memory, in the layouts of every Jetson that this project knows of."""

import pytest
from doubles.boards import TREES
from latentjet.benchmarks import clocks


@pytest.mark.parametrize("board", sorted(TREES))
def test_every_clock_of_a_board_is_read_in_hertz(machine, board):
    looked = machine(board)
    told = clocks.read(looked, clocks.find(looked))
    assert {name: (each["now"], each["least"], each["most"]) for name, each in told.items()} == TREES[board].clocks


def test_locked_clocks_have_their_least_at_their_most(machine):
    looked = machine("nano")
    assert clocks.unlocked(clocks.read(looked, clocks.find(looked))) == []
    assert clocks.unlocked({"gpu": {"now": 1, "least": 1, "most": 2}, "cpu0": {"now": 2}}) == ["gpu"]


def test_what_root_alone_may_read_is_left_out(machine):
    files = {name: text for name, text in TREES["tx2"].files.items() if "debug" not in name}
    assert [clock.name for clock in clocks.find(machine(files))] == ["cpu0", "cpu1", "gpu"]


@pytest.mark.parametrize("text", ["", "<unsupported>", "-1"])
def test_garbage_is_no_clock(machine, text):
    path = "sys/devices/57000000.gpu/devfreq/57000000.gpu/cur_freq"
    assert "gpu" not in [clock.name for clock in clocks.find(machine("nano", extra={path: text}))]
