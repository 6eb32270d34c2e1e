"""A part of a page between markers: read, replaced, all else untouched."""

import pytest
from latentjet.benchmarks import section
from latentjet.runtime.errors import InputError

PAGE = "# Title\n\n<!-- peers -->\nold\n<!-- /peers -->\n\nend ü\n"


@pytest.fixture
def page(tmp_path):
    place = tmp_path / "page.md"
    place.write_text(PAGE, encoding="utf-8")
    return place


def test_what_is_written_is_read_again_and_the_rest_stays(page):
    section.replace(str(page), "peers", "new\n\n| a |")
    assert section.read(str(page), "peers") == "new\n\n| a |"
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Title\n\n<!-- peers -->\n") and text.endswith("<!-- /peers -->\n\nend ü\n")
    section.replace(str(page), "peers", "new\n\n| a |")
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("text", ["", PAGE.replace("<!-- /peers -->", ""), PAGE + PAGE, "<!-- /peers --> <!-- peers -->\n"])
def test_a_page_without_the_markers_is_refused_and_untouched(page, text, sentence):
    page.write_text(text, encoding="utf-8")
    told = sentence(InputError, section.replace, str(page), "peers", "new")
    assert "has no part 'peers'" in told and "<!-- /peers -->" in told
    assert page.read_text(encoding="utf-8") == text


def test_a_page_that_is_not_there(tmp_path, sentence):
    assert "cannot be read" in sentence(InputError, section.read, str(tmp_path / "none.md"), "peers")
