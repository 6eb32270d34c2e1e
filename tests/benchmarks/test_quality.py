"""Figures of latentjet evaluate beside speed."""

import json

import pytest
from latentjet.benchmarks.quality import read
from latentjet.runtime.errors import InputError

FIGURES = {
    "fid": {"value": 15.3, "low": 15.0, "high": 15.6, "count": 10000, "unit": "", "note": ""},
    "accuracy": {"value": 0.6, "low": 0.5, "high": 0.7, "count": 10000, "unit": "share", "note": ""},
    "accuracy/Bag": {"value": 0.9, "low": 0.5, "high": 1.0, "count": 1000, "unit": "share", "note": ""},
}


def test_figures_are_read_without_those_of_single_classes(tmp_path):
    (tmp_path / "evaluate.json").write_text(json.dumps({"format": 1, "figures": FIGURES}))
    assert read(str(tmp_path / "evaluate.json")) == {"fid": 15.3, "accuracy": 0.6}


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"figures": {}}', '{"figures": 3}', '{"figures": {"fid": {"value": "low"}}}',
     '{"figures": {"fid": {"value": NaN}}}', '{"figures": {"fid": 3}}'],
)  # fmt: skip
def test_what_is_no_evaluation_is_refused(tmp_path, content, sentence):
    (tmp_path / "evaluate.json").write_text(content)
    text = sentence(InputError, read, str(tmp_path / "evaluate.json"))
    assert "--quality" in text and "evaluate" in text


def test_a_missing_file(tmp_path, sentence):
    assert "cannot be read" in sentence(InputError, read, str(tmp_path / "none.json"))
