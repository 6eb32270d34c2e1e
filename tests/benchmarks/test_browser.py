"""The page in a real Chromium: no request, no complaint, nothing wider than a phone, readable in print and in the dark."""

import pytest
from doubles import browser, pages, runs

pytest.importorskip("jinja2", reason="the page needs jinja2 and matplotlib, which this Python does not have")
pytest.importorskip("matplotlib", reason="the page needs jinja2 and matplotlib, which this Python does not have")
from latentjet.benchmarks.report import page  # noqa: E402

pytestmark = pytest.mark.skipif(
    browser.find() is None,
    reason="no Chromium here: apt-get install chromium-headless-shell, then these tests open the page",
)
PHONE = {"width": 360, "height": 740, "phone": True}
GROUND = "getComputedStyle(document.body).backgroundColor"
TOO_WIDE = """[...document.querySelectorAll('body *')].filter(item => !item.closest('.scroll') && !item.closest('svg')
    && item.getBoundingClientRect().right > innerWidth + 1).map(item => item.tagName + '.' + item.className)"""
SMALL = "Math.min(...[...document.querySelectorAll('svg text')].map(item => item.getBoundingClientRect().height))"
CUT = """[...document.querySelectorAll('svg')].flatMap(plot => [...plot.querySelectorAll('text')].filter(item => {
    const one = item.getBoundingClientRect(), box = plot.getBoundingClientRect();
    return one.left < box.left - 3 || one.right > box.right + 3 || one.top < box.top - 3 || one.bottom > box.bottom + 3;
}).map(item => item.textContent))"""
PLOT = "getComputedStyle(document.querySelector('svg text')).fill"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """URLs of the page of a full run and of one with hostile names."""
    folder = tmp_path_factory.mktemp("pages")
    hostile = "</title><script>document.title = 'broken into'</script><img src=x onerror=alert(2)>" + 12 * "long"
    named = runs.plain(batches=(1,))._replace(
        machine={"board": hostile}, warnings=({"what": hostile, "advice": hostile},)
    )
    for name, content in (("full", pages.whole()), ("hostile", page.page([named]))):
        (folder / (name + ".html")).write_bytes(content.encode("utf-8"))
    return {name: (folder / (name + ".html")).as_uri() for name in ("full", "hostile")}


@pytest.fixture(scope="module")
def tab():
    with browser.chromium() as opened:
        yield opened


@pytest.mark.parametrize("name", ["full", "hostile"])
def test_on_a_phone_nothing_is_wider_than_the_screen(tab, places, name):
    tab.open(places[name], **PHONE)
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    assert tab.evaluate(TOO_WIDE) == []
    assert tab.requests() == [places[name]] and tab.complaints() == []
    assert tab.evaluate(SMALL) >= 9  # pixels of a line of words in a plot
    assert tab.evaluate("document.title") != "broken into"


def test_wide_tables_scroll_in_their_own_box(tab, places):
    tab.open(places["full"], **PHONE)
    widths = tab.evaluate("[...document.querySelectorAll('.scroll')].map(box => [box.scrollWidth, box.clientWidth])")
    assert any(inner > outer for inner, outer in widths) and all(outer <= 360 for _, outer in widths)


def test_words_in_plots_are_not_cut_off(tab, places):
    tab.open(places["full"])
    assert tab.evaluate(CUT) == []
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.requests() == [places["full"]] and tab.complaints() == []


def test_the_dark_page_is_dark_and_its_plots_too(tab, places):
    tab.open(places["full"])
    light = tab.evaluate(GROUND), tab.evaluate(PLOT)
    tab.open(places["full"], dark=True)
    dark = tab.evaluate(GROUND), tab.evaluate(PLOT)
    assert light[0] == "rgb(254, 254, 254)" and dark[0] == "rgb(21, 24, 28)" and light[1] != dark[1]
    assert tab.complaints() == []


def test_on_paper_it_is_light_and_shows_what_was_folded(tab, places):
    folded = "document.querySelector('details table').checkVisibility()"
    tab.open(places["full"], dark=True)
    assert tab.evaluate(folded) is False
    tab.open(places["full"], dark=True, media="print")
    assert tab.evaluate(GROUND) == "rgb(254, 254, 254)" and tab.evaluate(folded) is True
    printed = tab.print_pdf()
    assert printed.startswith(b"%PDF") and 3 <= printed.count(b"/Type /Page\n") <= 16


def test_the_keyboard_reaches_every_table_and_link(tab, places):
    tab.open(places["full"])
    assert tab.evaluate(
        "[...document.querySelectorAll('.scroll')].every(box => box.tabIndex === 0 && box.getAttribute('aria-label'))"
    )
    assert tab.evaluate(
        "[...document.querySelectorAll('nav a')].every(link => document.querySelector(link.getAttribute('href')))"
    )
    assert tab.evaluate("[...document.querySelectorAll('h1,h2,h3')].map(item => item.tagName)")[0] == "H1"
