"""Data sets: the order in which places are searched, folders of images, and what is said when something is missing."""

import gzip
import hashlib
import http.client
import socket
import urllib.error

import numpy as np
import pytest
import torch
from latentjet.train import data, idx
from latentjet.train.errors import DataError
from PIL import Image

DOWNLOAD = data._download  # the real one; most tests must not reach it
FILES = [name for names in idx.FILES.values() for name in names]


def encode(array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def arrays(value):
    """Small images of one grey value, by which the place that they came from is known."""
    return {
        "train-images-idx3-ubyte": np.full((6, 4, 4), value, np.uint8),
        "train-labels-idx1-ubyte": np.arange(6, dtype=np.uint8),
        "t10k-images-idx3-ubyte": np.full((3, 4, 4), value, np.uint8),
        "t10k-labels-idx1-ubyte": np.arange(3, dtype=np.uint8),
    }


def put(folder, value, names=FILES, packed=False):
    """Write small idx files; their checksums are not those of the real data."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        content = encode(arrays(value)[name])
        (folder / (name + ".gz" * packed)).write_bytes(gzip.compress(content) if packed else content)
    return folder


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """A machine that has no data and no network; a test puts data where it wants them."""
    monkeypatch.delenv("LATENTJET_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(data, "SYSTEM", tmp_path / "system")
    monkeypatch.setattr(data, "_download", lambda name: "no network")


@pytest.fixture
def unchecked(monkeypatch):
    """Small files stand for the real ones: no checksum of the two large data sets."""
    for name in ("mnist", "fashion-mnist"):
        monkeypatch.setitem(idx.SHA256, name, dict.fromkeys(FILES))


def grey(found):
    """The grey value of images of one."""
    assert found.images.min() == found.images.max()
    return int(found.images.min())


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("place", ["", "{name}", "{torchvision}/raw"])
def test_a_named_folder_is_read(unchecked, tmp_path, name, packed, place):
    torchvision = {"mnist": "MNIST", "fashion-mnist": "FashionMNIST"}[name]
    put(tmp_path / "here" / place.format(name=name, torchvision=torchvision), 7, packed=packed)
    found = data.load(name, "train", str(tmp_path / "here"))
    assert found.images.dtype == torch.uint8 and found.images.shape == (6, 1, 4, 4)
    assert found.labels.dtype == torch.int64 and found.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert grey(found) == 7
    assert found.name == name and len(found.classes) == 10
    assert str(tmp_path / "here") in found.source
    assert len(data.load(name, "test", str(tmp_path / "here")).labels) == 3


def test_places_are_searched_in_order(unchecked, monkeypatch, tmp_path):
    def source():
        return grey(data.load("mnist", data_dir=named))

    def download(name):
        put(tmp_path / "cache" / "latentjet" / "MNIST" / "raw", 1)

    named = None
    monkeypatch.setattr(data, "_download", download)
    assert source() == 1
    put(tmp_path / "cache" / "latentjet" / "mnist", 2)
    assert source() == 2
    put(tmp_path / "system" / "mnist", 3)
    assert source() == 3
    monkeypatch.setenv("LATENTJET_DATA", str(put(tmp_path / "variable", 4)))
    assert source() == 4
    named = put(tmp_path / "option", 5)
    assert source() == 5


def test_the_source_says_where_the_data_are_from(unchecked, monkeypatch, tmp_path):
    put(tmp_path / "cache" / "latentjet" / "mnist", 2)
    assert data.load("mnist").source == f"an earlier download, {tmp_path / 'cache' / 'latentjet' / 'mnist'}"
    put(tmp_path / "system" / "mnist", 3)
    assert data.load("mnist").source == f"this system's package, {tmp_path / 'system' / 'mnist'}"
    monkeypatch.setenv("LATENTJET_DATA", str(put(tmp_path / "variable", 4)))
    assert data.load("mnist").source == f"$LATENTJET_DATA {tmp_path / 'variable'}"
    assert data.load("mnist", data_dir=put(tmp_path / "x", 5)).source == f"--data-dir {tmp_path / 'x'}"


@pytest.mark.parametrize("by_variable", [False, True])
def test_a_named_folder_is_never_passed_over(unchecked, monkeypatch, tmp_path, by_variable):
    put(tmp_path / "system" / "mnist", 3)
    if by_variable:
        monkeypatch.setenv("LATENTJET_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataError) as caught:
        data.load("mnist", data_dir=None if by_variable else tmp_path / "typo")
    start = "$LATENTJET_DATA" if by_variable else "--data-dir"
    assert str(caught.value).startswith(f"{start} {tmp_path / 'typo'} is no folder")
    assert "four idx files of mnist" in str(caught.value)


def test_an_incomplete_folder_is_told_by_what_it_lacks(unchecked, tmp_path):
    folder = put(tmp_path / "mnist", 1, [FILES[0], FILES[3]])
    with pytest.raises(DataError) as caught:
        data.load("mnist", data_dir=tmp_path)
    message = str(caught.value)
    assert f"lacks {FILES[1]}, {FILES[2]} (plain or .gz)" in message
    assert FILES[0] not in message and FILES[3] not in message
    put(folder, 1, [FILES[1], FILES[2]], packed=True)
    assert grey(data.load("mnist", data_dir=tmp_path)) == 1


def test_a_folder_without_any_of_them_lacks_all_four(unchecked, tmp_path):
    with pytest.raises(DataError) as caught:
        data.load("fashion-mnist", data_dir=tmp_path)
    assert all(name in str(caught.value) for name in FILES)
    assert "its folder 'fashion-mnist'" in str(caught.value)


def test_files_that_are_not_the_published_ones_are_refused(tmp_path):
    put(tmp_path, 9)
    for name in ("mnist", "fashion-mnist"):
        with pytest.raises(DataError, match=f"{FILES[0]} is not the published file: sha256"):
            data.load(name, data_dir=tmp_path)


def test_published_files_are_taken(monkeypatch, tmp_path):
    sums = {name: hashlib.sha256(encode(array)).hexdigest() for name, array in arrays(8).items()}
    monkeypatch.setitem(idx.SHA256, "mnist", sums)
    assert grey(data.load("mnist", data_dir=put(tmp_path, 8, packed=True))) == 8


@pytest.mark.parametrize("download, reason", [(True, "no network"), (False, "downloading is off")])
def test_fashion_mnist_falls_back_to_the_sample_and_says_so(capsys, download, reason):
    found = data.load("fashion-mnist", download=download)
    assert found.name == "fashion-sample" and found.source == "ships with latentjet"
    assert len(found.labels) == 6000
    message = capsys.readouterr().err
    assert message == f"fashion-mnist cannot be downloaded ({reason}): taking the sample that ships here\n"


@pytest.mark.parametrize("download, reason", [(True, "no network"), (False, "downloading is off")])
def test_mnist_without_network_is_an_error_that_says_what_to_do(download, reason):
    with pytest.raises(DataError) as caught:
        data.load("mnist", download=download)
    assert f"mnist is not on this machine and cannot be downloaded ({reason})" in str(caught.value)
    assert "--data-dir or $LATENTJET_DATA" in str(caught.value)


def test_no_download_means_none(monkeypatch):
    def refuse(name):
        raise AssertionError("downloads although it must not")

    monkeypatch.setattr(data, "_download", refuse)
    assert data.load("fashion-mnist", download=False).name == "fashion-sample"
    for name in ("mnist", "cifar10"):
        with pytest.raises(DataError, match="downloading is off"):
            data.load(name, download=False)


@pytest.mark.parametrize(
    "error, reason",
    [
        (urllib.error.URLError("Name or service not known"), "Name or service not known"),
        (RuntimeError("Error downloading\nall mirrors are down"), "all mirrors are down"),
        (TimeoutError(), "TimeoutError"),
        (ConnectionResetError(), "ConnectionResetError"),
        (http.client.IncompleteRead(b"abc", 10), "IncompleteRead"),
    ],
)
def test_a_download_that_fails_gives_its_reason(monkeypatch, error, reason):
    def mirror(root, download):
        raise error

    monkeypatch.setattr(data, "_torchvision", lambda name: mirror)
    monkeypatch.setattr(data, "_download", DOWNLOAD)
    with pytest.raises(DataError) as caught:
        data.load("mnist")
    assert "cannot be downloaded (" in str(caught.value) and reason in str(caught.value)
    assert socket.getdefaulttimeout() is None


def test_a_download_goes_to_the_cache_and_is_found_there_next_time(unchecked, monkeypatch, tmp_path):
    def mirror(root, download):
        assert download and socket.getdefaulttimeout() <= 60
        put(data.Path(root) / "FashionMNIST" / "raw", 6)

    monkeypatch.setattr(data, "_torchvision", lambda name: mirror)
    monkeypatch.setattr(data, "_download", DOWNLOAD)
    found = data.load("fashion-mnist")
    assert grey(found) == 6
    assert found.source == f"downloaded to {tmp_path / 'cache' / 'latentjet'}"
    assert data.load("fashion-mnist", download=False).source.startswith("an earlier download")


def test_the_embedded_sample_is_small_and_balanced():
    for split, count in (("train", 600), ("test", 100)):
        found = data.load("fashion-sample", split)
        assert found.images.shape == (10 * count, 1, 28, 28) and found.images.dtype == torch.uint8
        assert found.labels.bincount().tolist() == [count] * 10
        assert found.classes == data.CLOTHES
        assert 20 < found.images.float().mean() < 120
    size = sum(path.stat().st_size for path in data.SAMPLE.iterdir())
    assert size < 4_000_000


def test_the_first_images_of_the_sample_hold_every_class():
    assert data.load("fashion-sample").labels[:200].unique().tolist() == list(range(10))


def test_no_image_of_the_sample_is_in_both_splits():
    train, test = (data.load("fashion-sample", split).images.flatten(1).numpy() for split in ("train", "test"))
    assert not {row.tobytes() for row in train} & {row.tobytes() for row in test}


def test_size_is_refused_where_it_would_do_nothing():
    for name in data.NAMES:
        with pytest.raises(DataError, match=f"--size resizes the images of a folder, and {name} is none"):
            data.load(name, size=(14, 14))


@pytest.mark.parametrize("name", ["imagenet", "fashion_mnist", "no/such/folder"])
def test_an_unknown_name_is_refused_with_those_that_exist(name):
    with pytest.raises(DataError) as caught:
        data.load(name)
    expected = "is neither a folder nor one of mnist, fashion-mnist, fashion-sample, cifar10"
    assert str(caught.value) == f"data set '{name}' {expected}"


def test_an_unknown_split_is_refused():
    with pytest.raises(DataError, match="split is 'val', expected 'train' or 'test'"):
        data.load("fashion-sample", "val")


def cifar(root, train=True, download=False):
    """Stands for torchvision's CIFAR10: six images, if its folder is there."""
    if not (data.Path(root) / "cifar-10-batches-py").is_dir():
        raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")

    class Found:
        data = np.arange(6 * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8).reshape(6, 32, 32, 3)
        targets = [0, 1, 2, 3, 4, 9] if train else [1, 1, 1, 1, 1, 1]
        classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]

    return Found()


def test_cifar10_comes_with_channels_first(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "_torchvision", lambda name: cifar)
    (tmp_path / "cifar-10-batches-py").mkdir()
    found = data.load("cifar10", data_dir=tmp_path)
    assert found.images.shape == (6, 3, 32, 32) and found.images.dtype == torch.uint8
    assert found.images[2, 1, 3, 4] == cifar(tmp_path).data[2, 3, 4, 1]
    assert found.labels.tolist() == [0, 1, 2, 3, 4, 9] and found.labels.dtype == torch.int64
    assert found.classes[9] == "truck"
    assert data.load("cifar10", "test", tmp_path).labels.tolist() == [1] * 6


def test_cifar10_that_is_missing_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(data, "_torchvision", lambda name: cifar)
    for folder, reason in ((tmp_path, "Dataset not found"), (None, "no network")):
        with pytest.raises(DataError) as caught:
            data.load("cifar10", data_dir=folder)
        assert f"cifar10 is not complete in {folder or data.cache()} ({reason}" in str(caught.value)
        assert "cifar-10-python.tar.gz" in str(caught.value)


def toy(count, name="toy"):
    images = torch.arange(count).reshape(count, 1, 1, 1).to(torch.uint8)
    return data.Data(images, torch.arange(count), [str(index) for index in range(count)], name, "a test")


@pytest.mark.parametrize("count, fraction, expected", [(100, 0.1, 10), (100, 0.5, 50), (5, 0.01, 1), (2, 0.4, 1)])
def test_held_out_images_are_disjoint_and_nothing_is_lost(count, fraction, expected):
    training, held_out = data.hold_out(toy(count), fraction, 0)
    assert len(held_out.labels) == expected
    assert sorted(training.labels.tolist() + held_out.labels.tolist()) == list(range(count))
    for part in (training, held_out):
        assert torch.equal(part.images.flatten().long(), part.labels)
        assert part.name == "toy" and len(part.classes) == count


def test_the_same_seed_holds_out_the_same_images():
    first, again, other = (data.hold_out(toy(200), 0.1, seed)[1].labels.tolist() for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert max(first) > 100 > min(first)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_to_hold_any_out(count):
    with pytest.raises(DataError, match=f"toy has {count} images: too few to hold 1 out"):
        data.hold_out(toy(count), 0.1, 0)


def draw(path, size=(8, 8), colour=(10, 20, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB" if isinstance(colour, tuple) else "L", size, colour).save(path)
    return path


def test_a_folder_of_class_folders(tmp_path):
    draw(tmp_path / "shoes" / "a.png", colour=(255, 0, 7))
    draw(tmp_path / "bags" / "b.png", colour=9)
    draw(tmp_path / "bags" / "c.jpg")
    for split in ("train", "test"):
        found = data.load(str(tmp_path), split)
        assert found.images.shape == (3, 3, 8, 8) and found.images.dtype == torch.uint8
        assert found.classes == ["bags", "shoes"]
        assert found.labels.tolist() == [0, 1, 0]
        assert found.images[0, :, 0, 0].tolist() == [9, 9, 9]
        assert found.images[1, :, 0, 0].tolist() == [255, 0, 7]
        assert found.name == tmp_path.name and found.source == str(tmp_path)


def test_the_first_images_of_a_folder_are_of_all_its_classes(tmp_path):
    for index in range(8):
        for name, fewest in (("a", 0), ("b", 0), ("c", 6)):
            if index >= fewest:
                draw(tmp_path / name / f"{index}.png", colour=10 * index + len(name))
    found = data.load(str(tmp_path), "train")
    assert found.labels.tolist() == [0, 1, 2] * 2 + [0, 1] * 6
    assert found.images[:5, 0, 0, 0].tolist() == [1, 1, 61, 11, 11]
    assert data.first(found, 3).labels.tolist() == [0, 1, 2]


def test_a_folder_with_train_and_test(tmp_path):
    draw(tmp_path / "train" / "a" / "1.png")
    draw(tmp_path / "train" / "b" / "2.png")
    draw(tmp_path / "test" / "a" / "3.png", size=(4, 8))
    assert data.load(str(tmp_path), "train").images.shape == (2, 3, 8, 8)
    found = data.load(str(tmp_path), "test")
    assert found.images.shape == (1, 3, 8, 4)
    assert found.classes == ["a"]


def test_a_folder_with_train_only_has_no_test(tmp_path):
    draw(tmp_path / "train" / "a" / "1.png")
    assert data.load(str(tmp_path), "train").classes == ["a"]
    with pytest.raises(DataError, match="has a folder 'train', but none named 'test'"):
        data.load(str(tmp_path), "test")


def test_mixed_sizes_are_refused_by_naming_one_file_of_each(tmp_path):
    first, second = draw(tmp_path / "a" / "1.png"), draw(tmp_path / "b" / "2.png", size=(9, 8))
    with pytest.raises(DataError) as caught:
        data.load(str(tmp_path))
    assert f"{first} is (3, 8, 8) and {second} is (3, 8, 9)" in str(caught.value)
    assert "--size" in str(caught.value)


def test_size_resizes(tmp_path):
    draw(tmp_path / "a" / "1.png", colour=(1, 2, 3))
    draw(tmp_path / "b" / "2.png", size=(20, 10), colour=(200, 2, 3))
    found = data.load(str(tmp_path), size=(4, 4))
    assert found.images.shape == (2, 3, 4, 4)
    assert found.images[1, :, 2, 2].tolist() == [200, 2, 3]


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(DataError) as caught:
        data.load(str(tmp_path))
    assert str(caught.value) == f"{tmp_path} has no class folders: expected one for each class, with its images in it"


def test_images_without_class_folders_are_told(tmp_path):
    draw(tmp_path / "1.png")
    with pytest.raises(DataError, match="has no class folders"):
        data.load(str(tmp_path))


def test_a_class_without_images_is_named(tmp_path):
    draw(tmp_path / "a" / "1.png")
    (tmp_path / "empty one").mkdir()
    (tmp_path / "empty one" / "notes.txt").write_text("to be taken")
    with pytest.raises(DataError) as caught:
        data.load(str(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path / 'empty one'} has no images (of .jpg, .jpeg, .png")
    assert str(caught.value).endswith("every class needs some; add them, or remove the folder")


@pytest.mark.parametrize("keep", [0, 3, 30, 50])
def test_a_damaged_image_is_named(tmp_path, keep):
    draw(tmp_path / "a" / "1.png")
    damaged = draw(tmp_path / "a" / "2.png")
    damaged.write_bytes(damaged.read_bytes()[:keep])
    with pytest.raises(DataError) as caught:
        data.load(str(tmp_path))
    assert str(caught.value).startswith(f"{damaged} cannot be read as an image: ")
