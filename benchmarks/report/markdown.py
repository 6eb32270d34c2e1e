"""The report as Markdown: the same sentences and tables; pictures in words, or the PNG beside it."""

import re

from . import beside, definitions, headline, names
from .sections import sections


def markdown(runs, predictions=(), picture=None):
    """Runs, predictions, path of a PNG relative to the file -> text."""
    lines = ["# " + escaped(headline.sentence(runs[0]))]
    if picture:
        lines += ["", "![{}]({})".format(escaped("plots of the run"), picture.replace(" ", "%20"))]
    lines += of_section(beside.section(runs)) if len(runs) > 1 else []
    for number, run in enumerate(runs, 1):
        lines += ["", "# Run {}: {}".format(number, escaped(headline.sentence(run)))] if len(runs) > 1 else []
        lines += ["", escaped(names.place(run))]
        lines += [""] if headline.figures(run) else []
        lines += ["- **{}** {}".format(escaped(value), escaped(words)) for value, words in headline.figures(run)]
        lines += ["", "Warnings:", ""] if run.warnings else []
        lines += ["- **{}**: {}".format(escaped(item["what"]), escaped(item["advice"])) for item in run.warnings]
        for item in sections(run, predictions):
            lines += of_section(item)
    return "\n".join(lines + of_section(definitions.section(runs))) + "\n"


def of_section(item):
    lines = ["", "## " + escaped(item.title)]
    for text in item.lead:
        lines += ["", escaped(text)]
    for picture in item.pictures:
        lines += ["", "*{}*".format(escaped(picture.alt))]
    for table in item.tables:
        lines += ["", escaped(table.caption) + ":", ""] + of_table(table)
    for text in item.notes:
        lines += ["", escaped(text)]
    return lines


def of_table(table):
    rule = ["---" if place < table.texts else "---:" for place in range(len(table.head))]
    cells = [[escaped(cell) for cell in table.head], rule] + [[escaped(cell) for cell in row] for row in table.rows]
    return ["| {} |".format(" | ".join(row)) for row in cells]


def escaped(text):
    """Text -> Markdown that shows it as it is, on one line: no markup of its own, no HTML."""
    text = " ".join(str(text).split())
    text = re.sub(r"([\\`*\[\]|])", r"\\\1", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
