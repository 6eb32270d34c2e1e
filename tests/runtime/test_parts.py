"""Files made of parts: what is put together is what was cut, and garbled parts never get out."""

import hashlib
import json

import numpy as np
import pytest
from latentjet.runtime.bundle import Bundle, write
from latentjet.runtime.errors import BundleError
from latentjet.runtime.parts import CONSTANTS, assemble, converted, cut, from_planes, length, to_planes

VALUES = np.random.RandomState(0).standard_normal(40).astype("<f4")
CONTENT = b"head" + VALUES[:30].tobytes() + b"between" + VALUES[10:].astype("<f2").tobytes() + b"tail"
PARTS = [[4, 0, 30, "float32"], [4 + 120 + 7, 40, 30, "float16"]]


@pytest.fixture
def made(bundle, tmp_path):
    """(parts of notes.txt) -> path of a bundle with the file notes.txt, CONTENT, made of these parts."""

    def make(parts=PARTS, end=".bundle"):
        source = Bundle.open(bundle)
        contents = {name: source.read(name) for name in source.manifest["files"]}
        contents.update({"notes.txt": CONTENT, CONSTANTS: to_planes(VALUES.tobytes())})
        place = tmp_path / ("parts" + end)
        write(place, source.manifest, contents, listed={"notes.txt": parts})
        return place

    return make


def test_what_is_cut_is_put_together_again():
    stored = cut(CONTENT, PARTS)
    assert stored == b"headbetweentail"
    assert len(stored) + length(PARTS) == len(CONTENT)
    assert assemble(stored, PARTS, VALUES.tobytes()) == CONTENT


def test_a_part_in_runs_is_some_columns_of_a_matrix(made):
    table = VALUES.reshape(5, 8)
    content = b"head" + table[:, 2:5].tobytes() + table[:, :2].astype("<f2").tobytes() + b"tail"
    parts = [[4, 8, 3, "float32", 5, 32], [64, 0, 2, "float16", 5, 32]]
    assert cut(content, parts) == b"headtail" and length(parts) == len(content) - 8
    assert assemble(b"headtail", parts, VALUES.tobytes()) == content
    with_runs = [[4, 0, 15, "float32", 2, 60], PARTS[1]]
    opened = Bundle.open(made(with_runs))
    assert opened.manifest["format"] == 3 and opened.read("notes.txt") == CONTENT


def test_a_file_without_parts_is_itself():
    assert cut(CONTENT, []) == CONTENT and assemble(CONTENT, [], b"") == CONTENT and length([]) == 0


def test_planes_hold_the_same_bytes_and_bad_lengths_are_refused():
    planes = to_planes(VALUES.tobytes())
    assert planes[:40] == VALUES.tobytes()[::4] and from_planes(planes) == VALUES.tobytes()
    with pytest.raises(ValueError):
        from_planes(planes[:-1])


def test_half_is_rounded_as_numpy_does_and_overflow_is_infinite():
    halves = np.frombuffer(converted(np.array([1e6, 0.1, -70000], "<f4").tobytes(), "float16"), "<f2")
    np.testing.assert_array_equal(halves, np.array([np.inf, np.float16(0.1), -np.inf], np.float16))


@pytest.mark.parametrize("end", [".bundle", ".zip"])
def test_a_bundle_gives_the_whole_file_and_stores_the_rest(made, end):
    place = made(end=end)
    opened = Bundle.open(place)
    assert opened.manifest["format"] == 2 and opened.read("notes.txt") == CONTENT
    entry = opened.manifest["files"]["notes.txt"]
    assert entry["bytes"] == len(CONTENT) and entry["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    if end == ".bundle":
        assert (place / "notes.txt").read_bytes() == b"headbetweentail"
    opened.verify()


def test_a_bundle_without_parts_is_still_format_1(bundle, altered):
    assert Bundle.open(altered(bundle, {})).manifest["format"] == 1


@pytest.mark.parametrize(
    "parts",
    [
        [[4, -4, 30, "float32"]],
        [[4, 44, 30, "float32"]],
        [[4, 0, 0, "float32"]],
        [[4, 0, -1, "float32"]],
        [[16, 0, 30, "float32"]],
        [PARTS[1], PARTS[0]],
    ],
)
def test_parts_that_lie_outside_are_refused_before_anything_is_put_together(parts):
    with pytest.raises(ValueError, match="lies outside"):
        assemble(b"headbetweentail", parts, VALUES.tobytes())


def garble(place, change):
    manifest = json.loads((place / "bundle.json").read_text())
    change(manifest["files"])
    (place / "bundle.json").write_text(json.dumps(manifest))
    return Bundle.open(place)


@pytest.mark.parametrize(
    "parts",
    [
        [[4, 0, 41, "float32"]],
        [[4, -4, 30, "float32"]],
        [[4, 160, 1, "float32"]],
        [[4, 0, -30, "float32"]],
        [[4, 0, 0, "float32"]],
        [[4, 0, 30, "float64"]],
        [[4, 0, 30]],
        [[4, 0, 30, "float32", 1]],
        [[4, 0, 30, "float32", 0, 4]],
        [[4, 0, 3, "float32", 10, 11]],
        [[4, 0, 3, "float32", 10, 20]],
        [[4, 0, 3, "float32", 1.5, 12]],
        [[4, 0, 3, "float32", 10**12, 12]],
        [[4, 0, "30", "float32"]],
        [[4, 0, 1.5, "float32"]],
        [PARTS[1], PARTS[0]],
        [[10000, 0, 30, "float32"], PARTS[1]],
        {"4": 0},
        None,
        7,
    ],
)
def test_garbled_parts_are_refused(made, parts, sentence):
    opened = garble(made(), lambda files: files["notes.txt"].update(parts=parts))
    text = sentence(BundleError, opened.read, "notes.txt")
    assert "'notes.txt'" in text and ("export it again" in text or "truncated or changed" in text)


def test_parts_of_another_place_do_not_fit_the_sum(made, sentence):
    def move(files):
        files["notes.txt"]["parts"][0][1] = 4

    assert "'notes.txt' was changed" in sentence(BundleError, garble(made(), move).read, "notes.txt")


@pytest.mark.parametrize(
    "change", [lambda files: files.pop(CONSTANTS), lambda files: files[CONSTANTS].update(parts=[[0, 0, 1, "float32"]])]
)
def test_constants_that_are_missing_or_made_of_parts_themselves(made, change, sentence):
    text = sentence(BundleError, garble(made(), change).read, "notes.txt")
    assert CONSTANTS in text and "export it again" in text


def test_changed_constants_are_not_used(made, sentence):
    place = made()
    (place / CONSTANTS).write_bytes(bytes(VALUES.nbytes))
    assert "'constants.bin' was changed" in sentence(BundleError, Bundle.open(place).read, "notes.txt")
