"""Grids of images: every pixel where it belongs, names beside them."""

import io
import sys

import numpy as np
import pytest
from latentjet.runtime.errors import BackendError, InputError
from latentjet.runtime.picture import GAP, grid, lines, tile

PNG = b"\x89PNG\r\n\x1a\n"


def pixels(content):
    """PNG bytes -> RGB (H, W, 3)."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as picture:
        return np.array(picture.convert("RGB"))


def images(rows=2, columns=3, channels=1, height=4, width=5):
    shape = (rows, columns, channels, height, width)
    return np.random.RandomState(0).randint(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_in_its_place_with_a_white_gap_around(channels):
    given = images(channels=channels)
    sheet, size = tile(given), (2 * (4 + GAP), 3 * (5 + GAP))
    assert sheet.shape == (size if channels == 1 else size + (3,)) and sheet.dtype == np.uint8
    sheet = sheet.reshape(size + (channels,))
    white = np.ones(sheet.shape[:2], bool)
    for row in range(2):
        for column in range(3):
            top, left = row * (4 + GAP) + GAP // 2, column * (5 + GAP) + GAP // 2
            expected = given[row, column].transpose(1, 2, 0)
            np.testing.assert_array_equal(sheet[top : top + 4, left : left + 5], expected)
            white[top : top + 4, left : left + 5] = False
    assert (sheet[white] == 255).all()


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_without_names_is_the_enlarged_sheet(scale, channels):
    content = grid(images(channels=channels), scale=scale)
    assert content.startswith(PNG)
    expected = tile(images(channels=channels)).repeat(scale, axis=0).repeat(scale, axis=1)
    np.testing.assert_array_equal(pixels(content), expected.reshape(expected.shape[:2] + (-1,)) + np.zeros(3, np.uint8))


def test_names_get_a_margin_on_the_left_with_something_written_beside_each_row():
    given = images(rows=3, height=16)
    plain, named = pixels(grid(given)), pixels(grid(given, ["red", "green", "ankle boot"]))
    margin = named.shape[1] - plain.shape[1]
    assert margin > 20 and named.shape[0] == plain.shape[0]
    np.testing.assert_array_equal(named[:, margin:], plain)
    for row in np.split(named[:, :margin], 3):
        assert (row < 128).any() and (row[:, -1] == 255).all()


def test_a_longer_name_gets_a_wider_margin():
    short, long = grid(images(rows=1), ["a"]), grid(images(rows=1), ["a much longer name"])
    assert pixels(long).shape[1] > pixels(short).shape[1]


def test_heads_stand_above_their_columns():
    given = images(rows=2, columns=3, width=16)
    plain, headed = pixels(grid(given)), pixels(grid(given, heads=["-3", "", "3"]))
    top = headed.shape[0] - plain.shape[0]
    assert top > 8 and headed.shape[1] == plain.shape[1]
    np.testing.assert_array_equal(headed[top:], plain)
    first, middle, last = np.split(headed[:top], 3, axis=1)
    assert (first < 128).any() and (middle == 255).all() and (last < 128).any()


def test_names_and_heads_go_together():
    given = images(rows=2, columns=2, width=16)
    both, named = pixels(grid(given, ["a", "b"], heads=["x", "y"])), pixels(grid(given, ["a", "b"]))
    np.testing.assert_array_equal(both[both.shape[0] - named.shape[0] :], named)


def test_a_head_that_would_reach_another_is_shortened_and_none_leaves_the_picture():
    given = images(rows=1, columns=3, width=8)
    long = "a name that is far too long"
    crowded = pixels(grid(given, heads=[long, long, long]))
    alone = pixels(grid(given, heads=["", "", long]))
    width = crowded.shape[1] // 3
    assert all((crowded[:15, edge - 1 : edge + 1] == 255).all() for edge in (width, 2 * width))
    assert (alone[:15, :width] == 255).all() and (alone[:15, width:] < 128).any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Bag", ["Bag"]),
        ("Ankle boot", ["Ankle", "boot"]),
        ("T-shirt/top", ["T-shirt/", "top"]),
        ("a b c d e f", ["a b c d", "e f"]),
        ("Unbreakable", ["Unbreaka"]),
        ("Ab unbreakable", ["Ab", "unbreaka"]),
    ],
)
def test_a_head_is_broken_where_words_end(text, expected):
    assert lines(text, 8, len) == expected


def test_two_lines_take_more_room_than_one():
    one, two = (pixels(grid(images(columns=2, width=16), heads=["x", name])) for name in ("y", "green and blue"))
    assert two.shape[0] > one.shape[0] + 8


@pytest.mark.parametrize("heads", [["", "", ""], []])
def test_heads_that_say_nothing_take_no_room(heads):
    np.testing.assert_array_equal(pixels(grid(images(), heads=heads)), pixels(grid(images())))


@pytest.mark.parametrize("name", ["\u732b", "na\u00efve", "two\nlines", "", "\U0001f600"])
def test_any_class_name_can_be_drawn(name):
    assert grid(images(rows=1), [name]).startswith(PNG)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        (images()[0], "uint8 (3, 1, 4, 5)"),
        (images(channels=2), "uint8 (2, 3, 2, 4, 5)"),
        (images().astype(np.float32), "float32 (2, 3, 1, 4, 5)"),
    ],
)
def test_other_shapes_are_refused(given, seen, sentence):
    text = sentence(InputError, grid, given)
    assert f"images is {seen}, expected uint8 (rows, columns, 1 or 3, H, W)" in text


def test_without_pillow_it_says_what_to_do(monkeypatch, sentence):
    monkeypatch.setitem(sys.modules, "PIL", None)
    text = sentence(BackendError, grid, images())
    assert "pip install Pillow" in text and ".npy" in text
