"""The format on disk: what is written is read, and nothing that is damaged, newer or hostile is used."""

import io
import json
import os
import pickle
import random
import zipfile

import numpy as np
import pytest
from latentjet.runtime import load
from latentjet.runtime.bundle import Bundle, write
from latentjet.runtime.errors import BundleError, OutputError

ALL = ("cvae.bundle", "gan.bundle", "realnvp.bundle", "vae.bundle")
GARBLED = {
    "no list of files": lambda manifest: manifest.pop("files"),
    "no graphs": lambda manifest: manifest.pop("graphs"),
    "graphs is empty": lambda manifest: manifest.update(graphs={}),
    "graphs is a list": lambda manifest: manifest.update(graphs=[]),
    "no classes": lambda manifest: manifest.pop("classes"),
    "classes are numbers": lambda manifest: manifest.update(classes=[0, 1, 2]),
    "no image": lambda manifest: manifest.pop("image"),
    "image is a number": lambda manifest: manifest.update(image=8),
    "image has a side of 0": lambda manifest: manifest.update(image=[1, 0, 8]),
    "no latent": lambda manifest: manifest.pop("latent"),
    "latent is a word": lambda manifest: manifest.update(latent="five"),
    "no family": lambda manifest: manifest.pop("family"),
    "pixels are unknown": lambda manifest: manifest.update(pixels="squared"),
    "no format": lambda manifest: manifest.pop("format"),
    "no sum": lambda manifest: manifest["files"]["decode.onnx"].pop("sha256"),
    "sum is a number": lambda manifest: manifest["files"]["decode.onnx"].update(sha256=5),
    "size is a word": lambda manifest: manifest["files"]["decode.onnx"].update(bytes="many"),
    "file is a number": lambda manifest: manifest["graphs"]["decode"].update(file=5),
    "no inputs": lambda manifest: manifest["graphs"]["decode"].update(inputs=[]),
    "no outputs": lambda manifest: manifest["graphs"]["decode"].pop("outputs"),
    "tolerance is a word": lambda manifest: manifest["graphs"]["decode"].update(tolerance="small"),
    "dtype is float64": lambda manifest: manifest["graphs"]["decode"]["inputs"][0].update(dtype="float64"),
    "batch is fixed": lambda manifest: manifest["graphs"]["decode"]["inputs"][0].update(shape=[4, 5]),
    "size is free": lambda manifest: manifest["graphs"]["decode"]["inputs"][0].update(shape=["batch", "n"]),
}
NOT_PLAIN = (
    "../outside.npz",
    "..",
    "/etc/passwd",
    "plans/decode",
    "C:\\weights.npz",
    ".hidden",
    "new\nline",
    "decode.onnx\n",
    "",
)


def edit(bundle, change):
    """Change bundle.json in place; the files and their sums stay as they are."""
    place = bundle / "bundle.json"
    manifest = json.loads(place.read_text())
    change(manifest)
    place.write_text(json.dumps(manifest))
    return bundle


def zipped(folder, place, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(str(place), "w", method) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(str(file), file.name)
    return place


def read_all(path):
    opened = Bundle.open(path)
    opened.verify()
    return {name: opened.read(name) for name in opened.manifest["files"]}


def npz(arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ALL)
def test_an_exported_bundle_is_complete(bundles, name):
    bundle = Bundle.open(bundles / name)
    bundle.verify()
    assert {graph.file for graph in bundle.graphs.values()} <= set(bundle.manifest["files"])
    assert sorted(os.listdir(str(bundles / name))) == sorted([*bundle.manifest["files"], "bundle.json"])
    assert bundle.image == (1, 8, 8)
    assert bundle.classes == ([] if name == "vae.bundle" else ["red", "green", "blue"])


@pytest.mark.parametrize("name", ALL)
def test_reference_has_the_described_tensors_with_as_many_rows_each(bundles, name):
    bundle = Bundle.open(bundles / name)
    for graph in bundle.graphs.values():
        inputs, outputs = bundle.reference(graph.name)
        assert set(inputs) == {tensor.name for tensor in graph.inputs}
        assert set(outputs) == {tensor.name for tensor in graph.outputs}
        assert len({len(array) for array in list(inputs.values()) + list(outputs.values())}) == 1


@pytest.mark.parametrize("end", [".bundle", ".zip"])
def test_what_is_written_is_read(tmp_path, bundles, end):
    source = Bundle.open(bundles / "cvae.bundle")
    contents = read_all(bundles / "cvae.bundle")
    place = tmp_path / ("again" + end)
    write(place, source.manifest, contents)
    assert read_all(place) == contents
    assert Bundle.open(place).graphs == source.graphs
    assert os.listdir(str(tmp_path)) == ["again" + end]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_zip_of_the_folder_is_the_same_bundle(bundles, tmp_path, method):
    place = zipped(bundles / "realnvp.bundle", tmp_path / "flow.zip", method)
    folder, archive = Bundle.open(bundles / "realnvp.bundle"), Bundle.open(place)
    assert archive.manifest == folder.manifest
    assert read_all(place) == read_all(bundles / "realnvp.bundle")
    with load(place) as one, load(bundles / "realnvp.bundle") as other:
        np.testing.assert_array_equal(one.sample([0, 1], seed=3), other.sample([0, 1], seed=3))


def test_a_missing_bundle_is_named(tmp_path, sentence):
    text = sentence(BundleError, Bundle.open, tmp_path / "none.bundle")
    assert "none.bundle does not exist" in text and "folder or .zip" in text


def test_a_file_that_is_no_zip_is_no_bundle(tmp_path, sentence):
    (tmp_path / "notes.txt").write_text("hello")
    text = sentence(BundleError, Bundle.open, tmp_path / "notes.txt")
    assert "notes.txt is no bundle" in text and ".zip" in text


def test_a_folder_without_manifest_is_no_bundle(tmp_path, sentence):
    text = sentence(BundleError, Bundle.open, tmp_path)
    assert "lacks the file 'bundle.json'" in text and "export" in text


@pytest.mark.parametrize(
    "content", [b"", b"no json", b'{"format": 1', b"[]", b"3", b"null", b"\xff\xfe", b"[" * 100000]
)
def test_a_manifest_that_is_no_json_object(bundle, content, sentence):
    (bundle / "bundle.json").write_bytes(content)
    text = sentence(BundleError, Bundle.open, bundle)
    assert "bundle.json cannot be understood" in text and "export it again" in text


@pytest.mark.parametrize("what", sorted(GARBLED))
def test_a_garbled_manifest(bundle, what, sentence):
    text = sentence(BundleError, Bundle.open, edit(bundle, GARBLED[what]))
    assert "copy.bundle" in text and ("export it again" in text or "refused" in text)


def test_a_lacking_key_is_named(bundle, sentence):
    text = sentence(BundleError, Bundle.open, edit(bundle, lambda manifest: manifest.pop("latent")))
    assert "'latent'" in text


def test_a_newer_format_asks_for_an_upgrade_whatever_else_changed(bundle, sentence):
    (bundle / "bundle.json").write_text('{"format": 4, "parts": []}')
    text = sentence(BundleError, Bundle.open, bundle)
    assert "has bundle format 4, this latentjet reads 1 and 2 and 3" in text and "upgrade latentjet" in text


@pytest.mark.parametrize("number", [0, -1, "1", None, [1], 1.5, 1.0, True])
def test_a_format_that_never_was(bundle, number, sentence):
    text = sentence(BundleError, Bundle.open, edit(bundle, lambda manifest: manifest.update(format=number)))
    assert repr(number).strip("'") in text and "export it again" in text


def test_a_truncated_file_is_not_used(bundle, sentence):
    place = bundle / "decode.onnx"
    size = place.stat().st_size
    place.write_bytes(place.read_bytes()[:-1])
    text = sentence(BundleError, Bundle.open(bundle).read, "decode.onnx")
    assert f"'decode.onnx' has {size - 1} bytes, expected {size}" in text and "copy or export" in text


def test_a_longer_file_is_not_used(bundle, sentence):
    place = bundle / "decode.onnx"
    place.write_bytes(place.read_bytes() + b"\0")
    assert "expected" in sentence(BundleError, Bundle.open(bundle).read, "decode.onnx")


@pytest.mark.parametrize("name", ["decode.onnx", "reference.npz", "weights.npz", "preview.png"])
@pytest.mark.parametrize("where", [0, 0.5, 1])
def test_one_changed_bit_is_found_in_every_file(bundle, name, where, sentence):
    content = bytearray((bundle / name).read_bytes())
    content[int(where * (len(content) - 1))] ^= 1
    (bundle / name).write_bytes(bytes(content))
    text = sentence(BundleError, Bundle.open(bundle).verify)
    assert f"'{name}' was changed" in text and "sha256" in text and "copy or export" in text


def test_a_missing_file_is_named(bundle, sentence):
    (bundle / "weights.npz").unlink()
    text = sentence(BundleError, Bundle.open(bundle).verify)
    assert "lacks the file 'weights.npz'" in text and "copy or export" in text


def test_a_file_that_is_not_listed_is_not_read(bundle, sentence):
    (bundle / "extra.npz").write_bytes(npz({"a": np.zeros(2)}))
    assert "lists no file 'extra.npz'" in sentence(BundleError, Bundle.open(bundle).read, "extra.npz")


def test_a_graph_that_is_not_there_lists_those_that_are(bundles, sentence):
    text = sentence(BundleError, Bundle.open(bundles / "realnvp.bundle").graph, "decoder")
    assert "no graph 'decoder'" in text and "decode, dequantise, encode, log_prob" in text


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_a_file_name_that_leaves_the_bundle_is_refused_before_it_is_opened(bundle, name, sentence):
    entry = {"sha256": "0" * 64, "bytes": 1}
    text = sentence(BundleError, Bundle.open, edit(bundle, lambda manifest: manifest["files"].update({name: entry})))
    assert repr(name) in text and "not plain" in text and "refused" in text


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_so_is_one_that_a_graph_names(bundle, name, sentence):
    text = sentence(
        BundleError, Bundle.open, edit(bundle, lambda manifest: manifest["graphs"]["decode"].update(file=name))
    )
    assert repr(name) in text and "refused" in text


@pytest.mark.parametrize("name", ["../outside.npz", "/etc/passwd", "sub/decode.onnx", ".hidden"])
def test_so_is_one_in_a_zip(bundles, tmp_path, name, sentence):
    place = zipped(bundles / "cvae.bundle", tmp_path / "hostile.zip")
    with zipfile.ZipFile(str(place), "a") as archive:
        archive.writestr(name, b"x")
    text = sentence(BundleError, Bundle.open, place)
    assert repr(name) in text and "refused" in text


@pytest.mark.parametrize("name", ["bundle.json", "decode.onnx", "reference.npz"])
def test_a_link_is_refused_even_to_the_right_file(bundle, tmp_path, name, sentence):
    (bundle / name).rename(tmp_path / "elsewhere")
    (bundle / name).symlink_to(tmp_path / "elsewhere")
    text = sentence(BundleError, lambda: Bundle.open(bundle).verify())
    assert f"'{name}' is a link" in text and "refused" in text


def test_a_folder_in_the_place_of_a_file_is_refused(bundle, sentence):
    (bundle / "decode.onnx").unlink()
    (bundle / "decode.onnx").mkdir()
    assert "lacks the file 'decode.onnx'" in sentence(BundleError, Bundle.open(bundle).verify)


class Bomb:
    """Writes a file where it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (self.place,)


def test_a_pickle_in_an_npz_is_never_loaded_even_with_right_sums(bundle, tmp_path, altered, sentence):
    bomb = np.empty(1, object)
    bomb[0] = Bomb(str(tmp_path / "boom"))
    content = npz({"decode/z": bomb})
    with np.load(io.BytesIO(content), allow_pickle=True) as stored:
        stored["decode/z"]
    os.rmdir(str(tmp_path / "boom"))  # the bomb works
    altered(bundle, {"reference.npz": content})
    text = sentence(BundleError, Bundle.open(bundle).reference, "decode")
    assert "'reference.npz' is no plain .npz" in text
    assert not (tmp_path / "boom").exists()


def test_neither_is_a_bare_pickle(bundle, tmp_path, altered, sentence):
    altered(bundle, {"weights.npz": pickle.dumps(Bomb(str(tmp_path / "boom")))})
    assert "'weights.npz' is no plain .npz" in sentence(BundleError, Bundle.open(bundle).arrays, "weights.npz")
    assert not (tmp_path / "boom").exists()


def test_a_bare_array_is_no_npz(bundle, altered, sentence):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    altered(bundle, {"reference.npz": buffer.getvalue()})
    assert "is no plain .npz" in sentence(BundleError, Bundle.open(bundle).arrays, "reference.npz")


def test_a_damaged_npz_with_right_sums_is_refused_or_read(bundle, altered, tmp_path):
    content, chance, refused = (bundle / "reference.npz").read_bytes(), random.Random(0), 0
    for _ in range(60):
        damaged = bytearray(content)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        altered(bundle, {"reference.npz": bytes(damaged)})
        try:
            Bundle.open(bundle).reference("decode")
        except BundleError:
            refused += 1
    assert refused > 30


@pytest.mark.parametrize(
    ("name", "change", "seen"),
    [
        ("decode/z", lambda array: array.astype(np.float64), "float64 (13, 5)"),
        ("decode/z", lambda array: array[:, :4], "float32 (13, 4)"),
        ("decode/labels", lambda array: array[:5], "float32 (5, 3)"),
        ("decode/images", lambda array: array[:, 0], "float32 (13, 8, 8)"),
        ("decode/z", lambda array: np.float32(3), "float32 ()"),
    ],
)
def test_a_reference_that_does_not_fit_its_graph(bundle, altered, name, change, seen, sentence):
    arrays = Bundle.open(bundle).arrays("reference.npz")
    arrays[name] = change(arrays[name])
    altered(bundle, {"reference.npz": npz(arrays)})
    text = sentence(BundleError, Bundle.open(bundle).reference, "decode")
    assert f"'{name}' as {seen}" in text and "expected float32" in text


def test_a_reference_without_rows_or_without_a_tensor(bundle, altered, sentence):
    arrays = Bundle.open(bundle).arrays("reference.npz")
    altered(bundle, {"reference.npz": npz({name: array[:0] for name, array in arrays.items()})})
    assert "(0, 5)" in sentence(BundleError, Bundle.open(bundle).reference, "decode")
    del arrays["decode/labels"]
    altered(bundle, {"reference.npz": npz(arrays)})
    assert "lacks 'decode/labels'" in sentence(BundleError, Bundle.open(bundle).reference, "decode")


@pytest.mark.parametrize("kept", [0, 10, 0.3, 0.9, -1])
def test_a_truncated_zip_is_no_bundle(bundles, tmp_path, kept, sentence):
    place = zipped(bundles / "cvae.bundle", tmp_path / "short.zip")
    content = place.read_bytes()
    place.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    text = sentence(BundleError, Bundle.open, place)
    assert "short.zip is no bundle" in text


def test_a_changed_bit_in_a_zip_never_gets_through(bundles, tmp_path):
    place = zipped(bundles / "cvae.bundle", tmp_path / "damaged.zip")
    right, content, chance, refused = read_all(place), place.read_bytes(), random.Random(1), 0
    for number in range(200):
        damaged = bytearray(content)
        at = chance.randrange(len(damaged)) if number % 2 else len(damaged) - 1 - chance.randrange(400)
        damaged[at] ^= 1 << chance.randrange(8)
        place.write_bytes(bytes(damaged))
        try:
            assert read_all(place) == right
        except BundleError:
            refused += 1
    assert refused > 100


def test_a_zip_member_is_never_read_beyond_its_listed_size(bundles, tmp_path, sentence):
    place = tmp_path / "bomb.zip"
    with zipfile.ZipFile(str(place), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(str(bundles / "cvae.bundle" / "bundle.json"), "bundle.json")
        archive.writestr("decode.onnx", bytes(50 << 20))
    text = sentence(BundleError, Bundle.open(place).read, "decode.onnx")
    assert f"has {50 << 20} bytes" in text


@pytest.mark.parametrize("name", ["again.bundle", "again.zip"])
def test_an_existing_output_is_kept_unless_overwritten(bundles, tmp_path, name, sentence):
    source, contents = Bundle.open(bundles / "cvae.bundle"), read_all(bundles / "cvae.bundle")
    place = tmp_path / name
    write(place, source.manifest, contents)
    changed = dict(contents, **{"preview.png": b"new"})
    text = sentence(OutputError, write, place, source.manifest, changed)
    assert "exists already" in text and "--overwrite" in text
    assert read_all(place) == contents
    write(place, source.manifest, changed, overwrite=True)
    assert read_all(place) == changed
    assert os.listdir(str(tmp_path)) == [name]


@pytest.mark.parametrize("name", ["again.bundle", "again.zip"])
@pytest.mark.parametrize("before", [False, True])
def test_a_full_disk_leaves_what_was_there(bundles, tmp_path, name, before, full_disk, sentence):
    source, contents = Bundle.open(bundles / "cvae.bundle"), read_all(bundles / "cvae.bundle")
    place = tmp_path / name
    if before:
        write(place, source.manifest, contents)
    with full_disk():
        text = sentence(OutputError, write, place, source.manifest, {"preview.png": b"x" * 99}, overwrite=True)
    assert f"{place} cannot be written: No space left on device" in text
    assert os.listdir(str(tmp_path)) == ([name] if before else [])
    if before:
        assert read_all(place) == contents


def test_a_bundle_that_fails_its_verification_never_appears(bundles, tmp_path):
    source = Bundle.open(bundles / "cvae.bundle")

    def refuse(folder):
        assert sorted(os.listdir(folder)) == ["bundle.json", "preview.png"]
        raise BundleError("no")

    with pytest.raises(BundleError):
        write(tmp_path / "again.bundle", source.manifest, {"preview.png": b"x"}, verify=refuse)
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize("name", ["none/again.bundle", "file/again.bundle", "file/again.zip"])
def test_a_place_that_cannot_be_written(bundles, tmp_path, name, sentence):
    (tmp_path / "file").write_text("kept")
    text = sentence(OutputError, write, tmp_path / name, {}, {"preview.png": b"x"})
    assert f"{tmp_path / name} cannot be written" in text
    assert os.listdir(str(tmp_path)) == ["file"] and (tmp_path / "file").read_text() == "kept"
