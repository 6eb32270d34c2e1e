"""What a study's file may say: a grid is complete and without repeats, and what is wrong is named before any run."""

import itertools
import re
from pathlib import Path

import pytest
from latentjet.train.errors import StudyError
from latentjet.train.study import definition

GRID = {"settings": {"family": "vae", "limit": 100}, "grid": [{"latent": [2, 5, 9], "seed": [0, 1]}]}
SEARCH = {
    "settings": {"family": "vae"},
    "search": {"latent": {"low": 2, "high": 64, "log": True}, "form": ["mlp", "conv"]},
    "trials": 5,
}


def refusal(content):
    with pytest.raises(StudyError) as caught:
        definition.check("mine", content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_grid_is_complete_and_without_repeats():
    axes = {"latent": [2, 5, 9], "lr": [0.1, 0.01], "seed": [0, 1]}
    points = definition.check("mine", {**GRID, "grid": [axes, {**axes, "latent": [9, 10]}]}).points()
    expected = set(itertools.product([2, 5, 9, 10], [0.1, 0.01], [0, 1]))
    assert {(point["latent"], point["lr"], point["seed"]) for point in points} == expected
    assert len(points) == len(expected)


def test_grids_may_have_different_axes():
    grids = [{"family": ["vae", "cvae"], "latent": [2]}, {"family": ["realnvp"], "width": [[8, 8], [16, 16]]}]
    found = definition.check("mine", {"grid": grids})
    assert len(found.points()) == 4
    assert found.axes() == {"family": ["vae", "cvae", "realnvp"], "latent": [2], "width": [[8, 8], [16, 16]]}


def test_a_point_becomes_the_settings_of_training():
    found = definition.check("mine", {**GRID, "grid": [{"latent": [3], "temperature": [0.7]}]})
    settings = found.resolve(found.points()[0])
    assert (settings["latent"], settings["limit"], settings["data"]) == (3, 100, "fashion-mnist")
    assert "temperature" not in settings


@pytest.mark.parametrize(
    "change, expected",
    [
        ({"grid": [{"latnet": [2]}]}, "an axis of study 'mine' is 'latnet': did you mean 'latent'? expected some of"),
        ({"settings": {"famly": "vae"}}, "[settings] of study 'mine' has 'famly': did you mean 'family'?"),
        ({"zzz": {}}, "study 'mine' has 'zzz': expected some of question, figures"),
        ({"figures": ["beauty"]}, "figures of study 'mine' has 'beauty': expected some of validation, train"),
        ({"figures": []}, "measures [] of 1000 images: expected some of each"),
        ({"images": 0}, "of 0 images: expected some of each"),
        ({"grid": [{"latent": []}]}, "axis 'latent' is [], expected a list of values"),
        ({"grid": [{"latent": 3}]}, "axis 'latent' is 3, expected a list of values"),
        ({"grid": [{"latent": [2, 3, 2]}]}, "axis 'latent' is [2, 3, 2]: a value stands there twice"),
        ({"grid": [{"limit": [10]}]}, "'limit' is an axis and in [settings]: leave it out of one"),
        ({"grid": [{"latent": [0]}]}, "study 'mine', latent 0: --latent is 0, expected at least 1"),
        ({"grid": [{"latent": ["many"]}]}, "study 'mine', latent many: "),
        ({"grid": [{"couplings": [[4]]}]}, "--couplings is no option of vae"),
        ({"settings": {}}, "family is 'None', expected one of vae"),
        ({"grid": [{"latent": {"low": 1, "high": 2}}]}, "axis 'latent' is a range: expected a list in [[grid]]"),
        ({"grid": []}, "study 'mine' has neither: expected [[grid]] or [search]"),
        ({"grid": {"latent": [2]}}, "grid is no list of tables, write [[grid]]"),
        ({"search": SEARCH["search"]}, "study 'mine' has both"),
        ({"trials": 4}, "trials is 4, expected how many a search makes, and none for a grid"),
        ({"plot": {"x": "epochs"}}, "[plot] of study 'mine' has the axis 'epochs': expected some of latent, seed"),
    ],
)
def test_what_is_wrong_with_a_grid_is_named(change, expected):
    assert expected in refusal({**GRID, **change})


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"low": 2}, "expected low and high, low below high"),
        ({"low": 5, "high": 2}, "expected low and high, low below high"),
        ({"low": 0, "high": 2, "log": True}, "with log, low must be above 0"),
        ({"low": 1, "hihg": 2}, "has 'hihg': did you mean 'high'?"),
        ({"low": 0, "high": 64}, "latent 0, form mlp: --latent is 0, expected at least 1"),
    ],
)
def test_what_is_wrong_with_a_range_is_named(values, expected):
    assert expected in refusal({**SEARCH, "search": {"latent": values, "form": ["mlp"]}})


def test_a_search_says_how_many_trials():
    assert "trials is 0, expected how many a search makes" in refusal({**SEARCH, "trials": 0})


def test_every_study_that_ships_can_be_run():
    assert definition.shipped()
    for name in definition.shipped():
        found = definition.load(name)
        assert found.name == name and found.question.endswith("?")
        for point in found.points():
            found.resolve(point)


@pytest.mark.parametrize("content, expected", [(b"[grid", "is no TOML"), (b"\xff\xfe", "is no TOML")])
def test_a_file_that_is_no_toml_is_refused(content, expected, tmp_path):
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(StudyError, match=expected):
        definition.load(tmp_path / "mine.toml")


def test_an_unknown_name_is_refused_with_those_that_ship():
    with pytest.raises(StudyError, match="'nothing' is neither a .toml file nor a study that ships"):
        definition.load("nothing")


def test_the_examples_of_the_documentation_are_studies():
    text = (Path(__file__).resolve().parents[3] / "docs" / "studies" / "README.md").read_text()
    whole, search = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    grid = definition.check("grid", definition.tomllib.loads(whole))
    assert len(grid.points()) == 12
    assert set(definition.tomllib.loads(whole)) | {"search", "trials", "maximise"} == set(definition.KEYS)
    found = definition.check("search", {"settings": {"family": "vae"}, **definition.tomllib.loads(search)})
    assert found.trials == 30
    for name in definition.shipped():
        assert f"`latentjet study run {name}`" in text
    assert all(f"`{name}`" in text for name in definition.FIGURES)
