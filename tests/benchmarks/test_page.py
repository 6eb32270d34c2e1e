"""The page: one HTML file that is whole, needs nothing else, and shows what the data says as text, never as markup."""

import re
from html.parser import HTMLParser

import pytest
from doubles import pages, runs
from latentjet.benchmarks.report import colours
from latentjet.benchmarks.report.sections import sections
from latentjet.benchmarks.results import save
from latentjet.runtime.cli import main

pytest.importorskip("jinja2", reason="the page needs jinja2 and matplotlib, which this Python does not have")
pytest.importorskip("matplotlib", reason="the page needs jinja2 and matplotlib, which this Python does not have")
from latentjet.benchmarks.report import page, plots, svg  # noqa: E402

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&$x^{$ \\frac"
EMPTY = ("meta", "link", "path", "use", "br", "img")


class Reader(HTMLParser):
    """Tags, ids, links and texts of a page; raises where an element is closed that was not the last one opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.ids, self.links, self.texts = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.handle_startendtag(tag, attributes)
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.ids += [value for name, value in attributes if name == "id"]
        self.links += [value for name, value in attributes if name in ("href", "src", "xlink:href", "srcset", "action")]

    def handle_endtag(self, tag):
        if tag not in EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def whole():
    return pages.whole()


def hostile_run():
    """A run whose every name tries to become markup, a formula or a path."""
    full = runs.full()
    results = [
        item._replace(case=item.case._replace(system=HOSTILE) if item.case.system == "ort" else item.case, note=HOSTILE)
        for item in full.results
    ]
    return full._replace(
        results=tuple(results), started=HOSTILE, machine=dict(full.machine, board=HOSTILE, environment={HOSTILE: HOSTILE}),
        bundle=dict(full.bundle, name=HOSTILE, graph=HOSTILE, quality={HOSTILE: 1.0}), versions={HOSTILE: HOSTILE},
        warnings=({"what": HOSTILE, "advice": HOSTILE},), power=dict(full.power, rails=[HOSTILE, "_hidden", "b"], idle_w={HOSTILE: 1.0}),
        layers=({"system": HOSTILE, "batch": 1, "layers": [{"layer": HOSTILE, "name": HOSTILE, "operators": [HOSTILE], "seconds": 1.0}]},),
        settings=dict(full.settings, left_out=[{"system": HOSTILE, "reason": HOSTILE}]),
    )  # fmt: skip


def test_the_page_is_whole_and_every_id_is_there_once(whole):
    reader = Reader(whole)
    assert len(reader.ids) == len(set(reader.ids)) and len(reader.ids) > 100
    for link in reader.links:
        assert link == "data:," or (link.startswith("#") and link[1:] in reader.ids)
    for place in re.findall(r"url\(#([^)]*)\)", whole):
        assert place in reader.ids


def test_the_page_needs_no_network_and_no_script(whole):
    tags = [tag for tag, _ in Reader(whole).tags]
    assert not {"script", "iframe", "img", "object", "embed", "form", "base"} & set(tags)
    assert (
        "default-src 'none'" in whole
        and "@import" not in whole
        and "http" not in re.sub(r'http-equiv|xmlns(:\w+)?="[^"]*"', "", whole)
    )
    assert whole.count("<!DOCTYPE html>") == 1 and '<html lang="en">' in whole and "width=device-width" in whole


def test_every_section_and_table_is_on_the_page(whole):
    reader, said = Reader(whole), " ".join(Reader(whole).texts)
    for section in sections(runs.full(), [runs.estimate()]):
        assert section.title in reader.texts and "run1-" + section.name in reader.ids
        for table in section.tables:
            assert table.caption in reader.texts
            assert all(cell in said for row in table.rows for cell in row)
    assert "How each figure is defined" in reader.texts and "2 warnings" in reader.texts


def test_every_picture_is_described(whole):
    reader, pictures = (
        Reader(whole),
        [item for section in sections(runs.full(), [runs.estimate()]) for item in section.pictures],
    )
    drawn = [attributes for tag, attributes in reader.tags if tag == "svg"]
    assert len(drawn) == len(pictures) > 10
    for picture, attributes in zip(pictures, drawn):
        assert attributes["role"] == "img" and attributes["aria-labelledby"] in reader.ids
        assert attributes["aria-describedby"] in reader.ids and picture.alt in reader.texts


def test_plots_take_their_colours_from_the_page(whole):
    drawn = "".join(re.findall(r"<svg.*?</svg>", whole, re.DOTALL))
    left = set(re.findall(r"#[0-9a-fA-F]{6}\b", drawn))
    assert left <= {"#000000", "#ffffff"} and "var(--ort)" in drawn and "var(--ink)" in drawn
    assert not re.search(r"(?:fill|stroke): #(?:000000|ffffff)", drawn)
    for name in colours.COLOURS:
        assert len(re.findall("--{}: ".format(name), whole)) == 3  # light, dark, print


def test_colours_are_told_apart_from_their_ground():
    def luminance(colour):
        parts = [int(colour[place : place + 2], 16) / 255.0 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for ground in (0, 1):
        paper = luminance(colours.COLOURS["paper"][ground])
        for name, pair in colours.COLOURS.items():
            bright, dim = sorted((luminance(pair[ground]), paper), reverse=True)
            least = {"paper": 1, "rule": 1.2}.get(name, 4.2)
            assert (bright + 0.05) / (dim + 0.05) >= least, (name, ground)
    lights = [pair[0] for pair in colours.COLOURS.values()]
    assert len(set(lights)) == len(lights)


def test_names_from_the_data_stay_text():
    reader = Reader(page.page([hostile_run()]))
    assert "script" not in [tag for tag, _ in reader.tags] and "img" not in [tag for tag, _ in reader.tags]
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert sum(HOSTILE in text for text in reader.texts) > 10
    assert len(reader.ids) == len(set(reader.ids))


def test_a_lean_run_makes_a_lean_page():
    reader = Reader(page.page([runs.plain(systems=("ort",), batches=(1,), count=3)]))
    assert [
        text
        for text in ("Time by layer", "Cold start", "Beside eager PyTorch", "Throughput", "warnings")
        if text in reader.texts
    ] == []
    assert "Latency" in reader.texts


def test_several_runs_are_one_page():
    reader = Reader(page.page([runs.plain(0), runs.plain(1)]))
    assert "The runs beside each other" in reader.texts and {"run1", "run2", "run2-latency", "all-runs"} <= set(
        reader.ids
    )
    assert len(reader.ids) == len(set(reader.ids))
    assert [tag for tag, _ in reader.tags].count("h1") == 1


def test_a_plot_is_the_same_for_the_same_picture():
    picture = sections(runs.plain())[0].pictures[1]
    assert plots.draw_svg(picture) == plots.draw_svg(picture)


def test_no_line_breaks_between_a_number_and_its_unit():
    assert (
        page.together("in 0.56 ms (95 % 3 to 4) 5 \u00b5s, 2 s.")
        == "in 0.56\u00a0ms (95\u00a0% 3 to 4) 5\u00a0\u00b5s, 2\u00a0s."
    )
    assert page.together("8 systems, 2 sets") == "8 systems, 2 sets"


def test_labels_of_lines_are_pushed_apart_and_stay_in_the_plot():
    placed = plots.apart([0.5, 0.5, 0.51, 0.98, 1.0], 0.08)
    assert all(after - before >= 0.079 for before, after in zip(placed, placed[1:]))
    assert placed[0] >= 0 and placed[-1] <= 1.0001
    assert plots.apart([0.1, 0.5], 0.08) == [0.1, 0.5]


def test_a_long_name_is_short_in_a_plot():
    assert plots.brief("ort") == "ort" and plots.brief(26 * "x") == 26 * "x"
    assert plots.brief("module.levels.1.couplings.3.net.last") == "module.l\u2026plings.3.net.last"
    assert len(plots.brief("module.levels.1.couplings.3.net.last")) == 26 and plots.brief("a$b") == "a\\$b"


def test_a_name_becomes_an_id():
    assert svg.identifier('run1-a "b"<c>') == "run1-a--b--c-"


@pytest.fixture
def report(tmp_path, capsys, monkeypatch):
    """(arguments of report) -> (exit status, standard output, standard error), in a folder with run.json."""
    monkeypatch.chdir(tmp_path)
    save(runs.plain(batches=(1,)), "run.json")

    def call(*arguments):
        status = main(["bench", "report"] + list(arguments))
        return (status,) + tuple(capsys.readouterr())

    return call


def test_the_command_writes_page_markdown_and_png(report, tmp_path):
    options = ["--out", "p.html", "--markdown", "p.md", "--png", "p.png"]
    assert report("run.json", *options) == (0, "p.html\np.png\np.md\n", "")
    assert (tmp_path / "p.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG") and "![plots of the run](p.png)" in (
        tmp_path / "p.md"
    ).read_text(encoding="utf-8")
    status, out, err = report("run.json", *options)
    assert status == 1 and out == "" and "p.html exists already" in err and "--overwrite" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run.json"], "nowhere to write"),
        (["run.json", "--out", "p", "--markdown", "./p"], "two outputs have one place"),
        (["none.json", "--out", "p.html"], "none.json cannot be read"),
        (["run.json", "--out", "p.html", "--estimate", "run.json"], "run.json is no prediction"),
        (["run.json", "--out", "none/p.html"], "cannot be written"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(report, tmp_path, arguments, told):
    status, out, err = report(*arguments)
    assert status == 1 and out == "" and told in err and err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
