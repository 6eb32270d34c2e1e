"""What a report is made of, as plain data: sections of sentences, tables and pictures. No formatting, no matplotlib."""

from typing import NamedTuple


class Table(NamedTuple):
    """head: names of columns; rows: lists of text; texts: how many columns on the left are words, the rest numbers."""

    caption: str
    head: list
    rows: list
    texts: int = 1
    folded: bool = False  # long ones are shown when asked for


class Picture(NamedTuple):
    """kind: a function of plots.py, which gets the data; alt: what a reader who does not see it must know."""

    name: str
    title: str
    alt: str
    kind: str
    data: dict
    caption: str = ""


class Section(NamedTuple):
    """A heading with what stands below it: sentences, pictures, tables, then further sentences."""

    name: str
    title: str
    lead: list = []
    pictures: list = []
    tables: list = []
    notes: list = []
