"""Nobody ever finds half a file: what was there stays until the new one is whole."""

import errno
import os
import zipfile

import pytest
from latentjet.runtime.errors import OutputError
from latentjet.runtime.files import refuse_existing, staged_folder, write_file, zipped


def inside(folder):
    """{name: content} of everything under a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fill(path, content):
    with open(os.path.join(path, "part"), "wb") as file:
        file.write(content)


def test_a_file_is_written_and_replaced(tmp_path):
    place = tmp_path / "out.json"
    for content in (b"first", b"", b"second"):
        write_file(str(place), content)
        assert inside(tmp_path) == {"out.json": content}


def test_a_file_may_be_named_without_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_file("out.json", b"here")
    assert inside(tmp_path) == {"out.json": b"here"}


def test_a_written_file_is_readable_for_others(tmp_path):
    write_file(str(tmp_path / "out.json"), b"x")
    assert (tmp_path / "out.json").stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize("before", [None, b"old"])
def test_a_full_disk_keeps_the_old_file_and_leaves_no_other(tmp_path, before, full_disk, sentence):
    place = tmp_path / "out.json"
    if before is not None:
        place.write_bytes(before)
    with full_disk():
        text = sentence(OutputError, write_file, str(place), b"new content")
    assert text == f"{place} cannot be written: {os.strerror(errno.ENOSPC)}"
    assert inside(tmp_path) == ({} if before is None else {"out.json": before})


@pytest.mark.parametrize("name", ["none/out.json", "file/out.json"])
def test_a_place_that_cannot_be_written(tmp_path, name, sentence):
    (tmp_path / "file").write_bytes(b"kept")
    text = sentence(OutputError, write_file, str(tmp_path / name), b"new")
    assert f"{tmp_path / name} cannot be written" in text
    assert inside(tmp_path) == {"file": b"kept"}


def test_a_folder_is_no_place_for_a_file(tmp_path, sentence):
    (tmp_path / "out").mkdir()
    text = sentence(OutputError, write_file, str(tmp_path / "out"), b"new")
    assert "out is a folder" in text and "name a file in it" in text
    assert os.listdir(str(tmp_path)) == ["out"] and inside(tmp_path) == {}


def test_a_staged_folder_appears_at_the_end_of_the_block(tmp_path):
    place = tmp_path / "made"
    with staged_folder(str(place)) as folder:
        fill(folder, b"x")
        assert not place.exists()
    assert inside(tmp_path) == {"made/part": b"x"}


def test_a_staged_zip_holds_what_was_in_the_folder(tmp_path):
    with staged_folder(str(tmp_path / "made.zip")) as folder:
        fill(folder, b"x" * 1000)
    with zipfile.ZipFile(str(tmp_path / "made.zip")) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"part": b"x" * 1000}
    assert os.listdir(str(tmp_path)) == ["made.zip"]


@pytest.mark.parametrize("name", ["made", "made.zip"])
@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_a_block_that_raises_leaves_what_was_there(tmp_path, name, error):
    with staged_folder(str(tmp_path / name)) as folder:
        fill(folder, b"old")
    before = inside(tmp_path)
    with pytest.raises(type(error)), staged_folder(str(tmp_path / name), overwrite=True) as folder:
        fill(folder, b"new")
        raise error
    assert inside(tmp_path) == before and os.listdir(str(tmp_path)) == [name]


@pytest.mark.parametrize("name", ["made", "made.zip"])
def test_an_error_of_the_system_in_the_block_is_told_in_one_sentence(tmp_path, name, sentence):
    def make():
        with staged_folder(str(tmp_path / name)) as folder:
            fill(folder, b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    text = sentence(OutputError, make)
    assert text == f"{tmp_path / name} cannot be written: {os.strerror(errno.ENOSPC)}"
    assert os.listdir(str(tmp_path)) == []


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(tmp_path, monkeypatch, sentence):
    place, rename = tmp_path / "made", os.rename
    with staged_folder(str(place)) as folder:
        fill(folder, b"old")

    def fail(source, target):
        if target == str(place) and ".writing-" in source:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    def make():
        with staged_folder(str(place), overwrite=True) as folder:
            fill(folder, b"new")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        assert "cannot be written" in sentence(OutputError, make)
    assert inside(tmp_path) == {"made/part": b"old"} and os.listdir(str(tmp_path)) == ["made"]


def test_an_old_folder_that_cannot_be_moved_stays(tmp_path, monkeypatch, sentence):
    place, rename = tmp_path / "made", os.rename
    with staged_folder(str(place)) as folder:
        fill(folder, b"old")

    def fail(source, target):
        if source == str(place):
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        rename(source, target)

    def make():
        with staged_folder(str(place), overwrite=True) as folder:
            fill(folder, b"new")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        assert "cannot be written" in sentence(OutputError, make)
    assert inside(tmp_path) == {"made/part": b"old"} and os.listdir(str(tmp_path)) == ["made"]


def test_a_folder_replaces_a_folder_but_not_a_file(tmp_path, sentence):
    (tmp_path / "file").write_bytes(b"kept")

    def make(name):
        with staged_folder(str(tmp_path / name), overwrite=True) as folder:
            fill(folder, b"new")

    make("made")
    make("made")
    assert "cannot be written" in sentence(OutputError, make, "file")
    assert inside(tmp_path) == {"file": b"kept", "made/part": b"new"}


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link"])
def test_whatever_exists_is_refused(tmp_path, kind, sentence):
    place = tmp_path / "out"
    if kind == "file":
        place.write_bytes(b"")
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(tmp_path / "nowhere")
    text = sentence(OutputError, refuse_existing, str(place), False)
    assert f"{place} exists already" in text and "--overwrite" in text
    refuse_existing(str(place), True)


def test_a_zip_of_the_same_files_has_them_in_the_same_order(tmp_path):
    for name in ("b", "a", "c"):
        (tmp_path / name).write_bytes(name.encode())
    content = zipped(str(tmp_path))
    (tmp_path / "out.zip").write_bytes(content)
    with zipfile.ZipFile(str(tmp_path / "out.zip")) as archive:
        assert archive.namelist() == ["a", "b", "c"]


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """A power cut after the rename must not find an empty file under it."""
    from latentjet.runtime import files

    happened = []
    flush, rename = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda handle: happened.append("flushed") or flush(handle))
    monkeypatch.setattr(files.os, "replace", lambda *paths: happened.append("renamed") or rename(*paths))
    write_file(str(tmp_path / "out"), b"content")
    assert happened == ["flushed", "renamed"]
