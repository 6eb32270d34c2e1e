"""The idx format: what is read, and how damage is told."""

import gzip
import hashlib

import numpy as np
import pytest
from latentjet.train import idx
from latentjet.train.errors import DataError

IMAGES = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3)


def encode(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


CONTENT = encode(IMAGES)


def write(folder, name, content):
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def refusal(path, sha256=None):
    with pytest.raises(DataError) as caught:
        idx.read(path, sha256)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.parametrize("array", [IMAGES, np.arange(7, dtype=np.uint8), np.zeros((0, 4, 4), np.uint8)])
def test_plain_and_gzipped_files_read_the_same(tmp_path, array):
    for name in ("images", "images.gz"):
        found = idx.read(write(tmp_path, name, encode(array)), hashlib.sha256(encode(array)).hexdigest())
        assert found.dtype == np.uint8
        assert found.shape == array.shape
        assert (found == array).all()


def test_every_truncation_is_refused(tmp_path):
    packed = gzip.compress(CONTENT)
    for name, content in (("images", CONTENT), ("images.gz", packed)):
        for length in range(len(content)):
            path = tmp_path / name
            path.write_bytes(content[:length])
            refusal(path)


def test_a_truncated_file_is_told_by_its_length(tmp_path):
    message = refusal(write(tmp_path, "images", CONTENT[:-3]))
    assert f"holds {len(CONTENT) - 3} bytes, expected {len(CONTENT)} for shape [5, 2, 3]: fetch it again" in message


def test_a_truncated_gzip_file_is_told(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(CONTENT)[:-10])
    assert "is truncated or damaged" in refusal(path)


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_trailing_garbage_is_refused(tmp_path, name):
    assert f"holds {len(CONTENT) + 1} bytes, expected {len(CONTENT)}" in refusal(write(tmp_path, name, CONTENT + b"x"))


def test_garbage_after_the_gzip_stream_is_refused(tmp_path):
    path = write(tmp_path, "images.gz", CONTENT)
    path.write_bytes(path.read_bytes() + b"garbage")
    assert "is truncated or damaged" in refusal(path)


@pytest.mark.parametrize(
    "content, seen",
    [
        (b"\x89PNG" + CONTENT, "89504e47"),
        (b"\x00\x00\x0d\x03" + CONTENT[4:], "00000d03"),
        (b"<htm", "3c68746d"),
        (b"", "it starts with "),
    ],
)
@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_another_format_is_told_by_its_first_bytes(tmp_path, name, content, seen):
    message = refusal(write(tmp_path, name, content))
    assert "is no idx file of bytes" in message
    assert seen in message and "expected 000008" in message


def test_a_plain_file_named_gz_is_refused(tmp_path):
    path = tmp_path / "images.gz"
    path.write_bytes(CONTENT)
    assert "is truncated or damaged" in refusal(path)


def test_a_flipped_bit_is_found_by_the_checksum(tmp_path):
    known = hashlib.sha256(CONTENT).hexdigest()
    damaged = bytearray(CONTENT)
    damaged[-1] ^= 1
    for name in ("images", "images.gz"):
        message = refusal(write(tmp_path, name, bytes(damaged)), known)
        assert "is not the published file" in message
        assert known[:16] in message and hashlib.sha256(damaged).hexdigest()[:16] in message


def test_every_flipped_byte_of_a_gzip_file_is_refused_or_harmless(tmp_path):
    packed = gzip.compress(CONTENT)
    path, refused = tmp_path / "images.gz", 0
    for index in range(len(packed)):
        damaged = bytearray(packed)
        damaged[index] ^= 0xFF
        path.write_bytes(damaged)
        try:
            assert (idx.read(path) == IMAGES).all()
        except DataError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > len(CONTENT)


def test_sizes_that_overflow_are_refused(tmp_path):
    huge = bytes([0, 0, 8, 4]) + (65536).to_bytes(4, "big") * 4
    assert f"expected {20 + 2**64} for shape" in refusal(write(tmp_path, "images", huge))


def test_a_missing_file_is_told(tmp_path):
    assert "cannot be read: No such file" in refusal(tmp_path / "images")


def write_four(folder, **changed):
    """Four small idx files, and their sums."""
    arrays = {
        "train-images-idx3-ubyte": IMAGES, "train-labels-idx1-ubyte": np.arange(5, dtype=np.uint8),
        "t10k-images-idx3-ubyte": IMAGES[:2], "t10k-labels-idx1-ubyte": np.arange(2, dtype=np.uint8),
        **changed,
    }  # fmt: skip
    for name, array in arrays.items():
        (folder / name).write_bytes(encode(array))
    return {name: hashlib.sha256(encode(array)).hexdigest() for name, array in arrays.items()}


def test_find_takes_plain_and_gzipped_names(tmp_path):
    write(tmp_path, "train-images-idx3-ubyte", CONTENT)
    write(tmp_path, "t10k-labels-idx1-ubyte.gz", CONTENT)
    write(tmp_path, "unrelated.gz", CONTENT)
    (tmp_path / "train-labels-idx1-ubyte").mkdir()
    assert idx.find(tmp_path) == {
        "train-images-idx3-ubyte": tmp_path / "train-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte": tmp_path / "t10k-labels-idx1-ubyte.gz",
    }
    assert idx.find(tmp_path / "nowhere") == {}


def test_read_split_pairs_images_with_labels(tmp_path):
    sums = write_four(tmp_path)
    for split, count in (("train", 5), ("test", 2)):
        images, labels = idx.read_split(idx.find(tmp_path), split, sums)
        assert (images == IMAGES[:count]).all()
        assert labels.tolist() == list(range(count))


@pytest.mark.parametrize(
    "changed, seen",
    [
        ({"train-labels-idx1-ubyte": np.zeros(4, np.uint8)}, "(5, 2, 3) and its labels (4,)"),
        ({"train-labels-idx1-ubyte": IMAGES}, "(5, 2, 3) and its labels (5, 2, 3)"),
        ({"train-images-idx3-ubyte": np.zeros(5, np.uint8)}, "(5,) and its labels (5,)"),
    ],
)
def test_read_split_refuses_shapes_that_do_not_fit(tmp_path, changed, seen):
    sums = write_four(tmp_path, **changed)
    with pytest.raises(DataError) as caught:
        idx.read_split(idx.find(tmp_path), "train", sums)
    assert seen in str(caught.value)
    assert "train-images-idx3-ubyte" in str(caught.value) and "expected (N, H, W) and (N,)" in str(caught.value)
