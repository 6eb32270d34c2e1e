"""Bundles that ship: found by name wherever a path is asked for, never written to, small; and each of them works."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from latentjet.runtime import engine, load, plan, shipped
from latentjet.runtime.bundle import Bundle
from latentjet.runtime.check import check
from latentjet.runtime.cli import main
from latentjet.runtime.errors import BundleError

MOST_BYTES = 10_000_000


@pytest.fixture
def folder(bundles, tmp_path, monkeypatch):
    """A folder of shipped bundles: tiny (a cvae) and tiny-flow."""
    place = tmp_path / "site-packages"
    place.mkdir()
    for name, family in (("tiny", "cvae"), ("tiny-flow", "realnvp")):
        source = bundles / (family + ".bundle")
        with zipfile.ZipFile(str(place / (name + ".zip")), "w") as archive:
            for path in sorted(source.iterdir()):
                archive.write(str(path), path.name)
    monkeypatch.setattr(shipped, "FOLDER", str(place))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(str(tmp_path / "here"))
    return place


def listing(folder):
    """{path: content} of every file below a folder."""
    return {str(path): path.read_bytes() for path in Path(str(folder)).rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", shipped.names())
def test_each_one_that_ships_is_whole_and_gives_what_its_reference_says(name):
    bundle = Bundle.open(name)
    bundle.verify()
    assert bundle.path == name
    _, found = check(bundle, "ort")
    assert found and all(item.passed for item in found)


@pytest.mark.parametrize("name", shipped.names())
def test_each_one_that_ships_makes_a_picture_by_its_name(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(engine, "AUTO", ("ort",))
    monkeypatch.chdir(str(tmp_path))
    assert main(["sample", name, "--count", "2", "--out", "x.png"]) == 0
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    assert main(["show", name]) == 0 and main(["models"]) == 0
    assert name + ": " in capsys.readouterr().out


def test_all_that_ship_together_are_small():
    sizes = {name: os.path.getsize(shipped.find(name)) for name in shipped.names()}
    assert sizes and sum(sizes.values()) <= MOST_BYTES, sizes


def test_load_takes_a_name(folder):
    with load("tiny-flow", "ort") as model:
        images = model.sample(["red", 2], seed=1)
    with load(str(folder / "tiny-flow.zip"), "ort") as model:
        np.testing.assert_array_equal(images, model.sample(["red", 2], seed=1))


def test_the_names_are_what_lies_in_the_folder(folder):
    assert shipped.names() == ["tiny", "tiny-flow"]
    (folder / "README").write_text("no bundle")
    (folder / "tiny.zip").unlink()
    assert shipped.names() == ["tiny-flow"]


def test_nothing_ships_where_there_is_no_folder(folder, monkeypatch, sentence):
    monkeypatch.setattr(shipped, "FOLDER", str(folder / "none"))
    assert shipped.names() == []
    assert "ships: none" in sentence(BundleError, Bundle.open, "tiny")


def test_a_path_that_exists_comes_first(folder, bundles, sentence):
    os.symlink(str(bundles / "vae.bundle"), "tiny")
    assert Bundle.open("tiny").family == "vae" and plan.folder("tiny") == os.path.join("tiny", "plans")
    os.unlink("tiny")
    Path("tiny").write_text("notes")
    assert "tiny is no bundle" in sentence(BundleError, Bundle.open, "tiny")


@pytest.mark.parametrize("name", ["tny", "tiny.zip", "Tiny", "../site-packages/tiny", "", "./tiny"])
def test_an_unknown_name_lists_those_that_ship_and_how_to_make_one(folder, name, sentence):
    text = sentence(BundleError, Bundle.open, name)
    assert text.startswith(name + " does not exist") and "ships: tiny, tiny-flow" in text
    assert "latentjet train" in text and "latentjet export" in text


def test_models_lists_what_ships(folder, capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["tiny", "cvae", "1x8x8", "3"]
    assert lines[2].split()[:4] == ["tiny-flow", "realnvp", "1x8x8", "3"]
    assert "bits/dim" in lines[2] and str(folder) in lines[3]


def test_copy_makes_a_bundle_of_ones_own(folder, capsys):
    assert main(["copy", "tiny-flow", "mine.bundle"]) == 0
    copy, source = Bundle.open("mine.bundle"), Bundle.open("tiny-flow")
    assert copy.manifest == source.manifest
    assert {name: copy.read(name) for name in copy.manifest["files"]} == {
        name: source.read(name) for name in source.manifest["files"]
    }
    assert plan.folder("mine.bundle") == os.path.join("mine.bundle", "plans")
    assert main(["copy", "tiny", "mine.bundle"]) == 1
    assert "exists already" in capsys.readouterr().err and Bundle.open("mine.bundle").family == "realnvp"
    assert main(["copy", "tiny", "mine.bundle", "--overwrite"]) == 0 and Bundle.open("mine.bundle").family == "cvae"


def test_plans_of_a_shipped_bundle_go_to_the_cache(board, folder, tmp_path, capsys):
    before = listing(folder)
    assert main(["build", "tiny", "--samples", "16", "--batch", "1,4"]) == 0, capsys.readouterr().err
    place = capsys.readouterr().out.splitlines()[-1].strip()
    assert place.startswith(str(tmp_path / "cache" / "latentjet" / "plans" / "tiny-")) and os.path.isfile(place)
    assert listing(folder) == before and os.listdir(".") == []
    assert main(["check", "tiny", "--backend", "trt"]) == 0
    assert main(["sample", "tiny", "--out", "x.png"]) == 0
    out = capsys.readouterr().out
    assert "on backend 'trt'" in out and "from backend 'trt'" in out
    with load("tiny") as model, load(str(folder / "tiny.zip")) as by_path:
        assert model.backend == by_path.backend == "trt"
    assert listing(folder) == before


def test_the_home_folder_holds_the_cache_where_nothing_else_is_said(folder, monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert plan.folder("tiny").startswith(str(tmp_path / "home" / ".cache" / "latentjet" / "plans" / "tiny-"))


def test_another_version_of_a_shipped_bundle_has_plans_of_its_own(board, folder, bundles, capsys):
    one = plan.folder("tiny")
    (folder / "tiny.zip").unlink()
    os.rename(str(folder / "tiny-flow.zip"), str(folder / "tiny.zip"))
    shipped._digest.cache_clear()
    assert os.path.basename(plan.folder("tiny")) != os.path.basename(one)
    assert os.path.dirname(plan.folder("tiny")) == os.path.dirname(one)


def test_a_missing_plan_names_the_command_with_the_name(board, folder, capsys):
    assert main(["check", "tiny", "--backend", "trt"]) == 1
    assert "latentjet build tiny\n" in capsys.readouterr().err


def test_a_cache_that_cannot_be_written_is_one_line(board, folder, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file")
    assert main(["build", "tiny", "--samples", "16", "--batch", "1,4"]) == 1
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("latentjet build: ") and "cannot be written" in err and str(tmp_path / "cache") in err
