"""The page: one HTML file that needs nothing else, neither network nor script. The only file that imports jinja2."""

import os
import re

import jinja2
from markupsafe import Markup, escape

from . import beside, definitions, headline, names, plots, svg
from .colours import as_css
from .sections import sections

FOLDER = os.path.dirname(os.path.abspath(__file__))


def page(runs, predictions=()):
    """Runs, the first the one that the headline is about; predictions -> HTML as text."""
    loader = jinja2.FileSystemLoader(FOLDER)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["together"] = together
    return environment.get_template("page.html").render(content(runs, predictions))


def content(runs, predictions):
    """What the template gets: plain data, and `draw`, which makes a Picture markup."""
    parts = [
        {"key": "run{}".format(number), "title": names.place(run), "sentence": headline.sentence(run),
         "tiles": headline.figures(run), "warnings": run.warnings, "sections": sections(run, predictions)}
        for number, run in enumerate(runs, 1)
    ]  # fmt: skip
    with open(os.path.join(FOLDER, "page.css"), encoding="utf-8") as handle:
        style = handle.read()
    return {
        "runs": parts,
        "beside": beside.section(runs) if len(runs) > 1 else None,
        "definitions": definitions.section(runs),
        "style": Markup(style.replace("/*light*/", as_css()).replace("/*dark*/", as_css(True))),
        "draw": draw,
        "id": svg.identifier,
    }


def together(text):
    """A text in which no line breaks between a number and its unit."""
    return re.sub(r"(?<=\d) (?=(?:[m\u00b5]?s|%)(?:\W|$))", "\u00a0", text)


def draw(picture, key):
    """Picture, key of its run -> an inline SVG."""
    return Markup(svg.inline(plots.draw_svg(picture), key + "-" + picture.name, picture.title, picture.alt, escape))
